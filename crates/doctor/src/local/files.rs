//! What the disk says: generated files that are not as they should be, secrets that all may read, room.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::statvfs::statvfs;
use pgstack_config::{ConfigSet, RenderedFile};
use pgstack_health::{Disk, FileState, OddFile};
use pgstack_workdir::{Change, DATA_DIRS, ENV_FILE, StackDir};

use super::Good;

/// What the disk says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct FromDisk {
    pub(super) odd_files: Vec<OddFile>,
    pub(super) readable_by_all: Vec<String>,
    pub(super) disks: Vec<Disk>,
}

pub(super) fn look(stack: &StackDir, good: Option<&Good>) -> FromDisk {
    let files = good.map(|good| &good.files);
    let secret = files.into_iter().flatten().filter(|file| file.access.is_secret()).map(|file| file.path);
    FromDisk {
        odd_files: files.into_iter().flatten().filter_map(|file| odd(stack, file)).collect(),
        readable_by_all: std::iter::once(ENV_FILE)
            .chain(secret)
            .filter(|path| is_readable_by_all(stack, path))
            .map(str::to_owned)
            .collect(),
        disks: DATA_DIRS.into_iter().filter_map(|path| disk(stack, path)).collect(),
    }
}

fn odd(stack: &StackDir, file: &RenderedFile) -> Option<OddFile> {
    let state = match stack.compare(ConfigSet::from_iter([file.clone()])) {
        Ok(compared) => match compared.first()?.change {
            Change::None => return None,
            Change::New => FileState::Missing,
            Change::Contents if is_settled_otherwise(stack, file) => return None,
            Change::Contents => FileState::Differs,
            Change::Access => FileState::Access,
        },
        // a folder in its place, or a disk that does not give it back
        Err(_) => FileState::Differs,
    };
    Some(OddFile { path: file.path.to_owned(), state })
}

/// What etcd reads on an empty data directory only may say something else: that depends on how the member came
/// to its cluster.
fn is_settled_otherwise(stack: &StackDir, file: &RenderedFile) -> bool {
    let rest = |text: &str| {
        let counts = |line: &&str| !line.starts_with('#') && !line.starts_with("initial-cluster");
        text.lines().filter(counts).collect::<Vec<_>>().join("\n")
    };
    file.path == pgstack_etcd::PATH
        && stack.read(file.path).ok().flatten().is_some_and(|text| rest(&text) == rest(&file.contents))
}

fn is_readable_by_all(stack: &StackDir, path: &str) -> bool {
    fs::metadata(stack.path(path)).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

/// None where the folder is a link that leads out of what can be seen from here; its container can be asked then.
fn disk(stack: &StackDir, path: &str) -> Option<Disk> {
    let stat = statvfs(&stack.path(path)).ok()?;
    let unit = stat.fragment_size();
    let size = stat.blocks().saturating_mul(unit);
    Some(Disk { path: path.to_owned(), size, free: stat.blocks_available().saturating_mul(unit) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_as_generated_is_named_and_how_etcd_started_does_not_count() {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        let file = |contents: &str| RenderedFile::world(pgstack_etcd::PATH, contents.to_owned());
        let generated =
            file("# made\nname: \"etcd1\"\ninitial-cluster: \"etcd1=x\"\ninitial-cluster-state: \"existing\"\n");
        let state = || odd(&stack, &generated).map(|odd| odd.state);
        assert_eq!(state(), Some(FileState::Missing));
        let write = |text: &str| {
            let pending = stack.compare(ConfigSet::from_iter([file(text)])).expect("compared");
            stack.write(&pending).expect("written");
        };
        write("# made\nname: \"etcd1\"\ninitial-cluster: \"etcd1=x,etcd2=y\"\ninitial-cluster-state: \"new\"\n");
        assert_eq!(state(), None);
        write("# made\nname: \"etcd2\"\ninitial-cluster: \"etcd1=x\"\ninitial-cluster-state: \"existing\"\n");
        assert_eq!(state(), Some(FileState::Differs));
        write(&generated.contents);
        fs::set_permissions(stack.path(pgstack_etcd::PATH), fs::Permissions::from_mode(0o666)).expect("a mode");
        assert_eq!(state(), Some(FileState::Access));
    }

    #[test]
    fn a_file_that_everybody_may_read_is_named_and_the_room_on_disk_is_known() {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        fs::write(stack.path(ENV_FILE), "").expect("written");
        fs::create_dir_all(stack.path("data/pg")).expect("a folder");
        for (mode, told) in [(0o644, true), (0o640, false), (0o600, false), (0o604, true)] {
            fs::set_permissions(stack.path(ENV_FILE), fs::Permissions::from_mode(mode)).expect("a mode");
            let found = look(&stack, None);
            assert_eq!(found.readable_by_all.len(), usize::from(told), "{mode:o}");
            assert!(matches!(found.disks.as_slice(), [disk] if disk.path == "data/pg" && disk.size >= disk.free));
        }
    }
}
