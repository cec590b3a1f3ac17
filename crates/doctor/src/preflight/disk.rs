//! Room and latency of the disk below data/.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use pgstack_health::preflight::Fsync;
use pgstack_health::{Disk, Fact};
use pgstack_workdir::StackDir;

/// PostgreSQL's data needs the room.
const ROOM: &str = "data/pg";
/// etcd's data needs the speed.
const SPEED: &str = "data/etcd";
/// So many writes of so many bytes, as etcd's log does them.
const WRITES: usize = 20;
const BYTES: usize = 8192;
/// A disk that has not done them by then is slow enough.
const LIMIT: Duration = Duration::from_secs(3);

/// Where a folder lies, or will lie: the nearest one above it that is there.
fn there(stack: &StackDir, relative: &str) -> PathBuf {
    let path = stack.path(relative);
    path.ancestors().find(|dir| dir.is_dir()).unwrap_or(stack.root()).to_owned()
}

pub(super) fn room(stack: &StackDir) -> Fact<Disk> {
    match statvfs(&there(stack, ROOM)) {
        Err(errno) => Fact::unknown(errno.desc()),
        Ok(stat) => Fact::Known(Disk {
            path: ROOM.to_owned(),
            size: stat.blocks().saturating_mul(stat.fragment_size()),
            free: stat.blocks_available().saturating_mul(stat.fragment_size()),
        }),
    }
}

/// Why nothing can be written where data/ lies, where that is so. The file that is tried has no name.
pub(super) fn read_only(stack: &StackDir) -> Option<String> {
    let folder = there(stack, ROOM);
    let error = tempfile::tempfile_in(&folder).err()?;
    Some(format!("nothing can be written in {}: {error}", folder.display()))
}

pub(super) async fn fsync(stack: &StackDir) -> Fact<Fsync> {
    let folder = there(stack, SPEED);
    match tokio::task::spawn_blocking(move || measure(&folder)).await {
        Ok(Ok(fsync)) => Fact::Known(fsync),
        Ok(Err(error)) => Fact::unknown(format!("nothing can be written there: {error}")),
        Err(error) => Fact::unknown(error.to_string()),
    }
}

fn measure(folder: &std::path::Path) -> std::io::Result<Fsync> {
    // it has no name and is gone with this process, whatever happens
    let mut file = tempfile::tempfile_in(folder)?;
    // as etcd does: the room is there before, so that only data is written
    file.write_all(&vec![0; WRITES * BYTES])?;
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let (began, block, mut took) = (Instant::now(), [1; BYTES], Vec::with_capacity(WRITES));
    while took.len() < WRITES && began.elapsed() < LIMIT {
        let before = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        took.push(u64::try_from(before.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    took.sort_unstable();
    let (median, worst) = (took.get(took.len() / 2), took.last());
    Ok(Fsync { median_us: median.copied().unwrap_or_default(), worst_us: worst.copied().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_measured_and_no_file_is_left() {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        let fsync = measure(&there(&stack, SPEED)).expect("measured");
        assert!(fsync.worst_us >= fsync.median_us);
        assert!(room(&stack).known().is_some_and(|disk| disk.size >= disk.free && disk.size > 0));
        assert_eq!(read_only(&stack), None);
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
    }
}
