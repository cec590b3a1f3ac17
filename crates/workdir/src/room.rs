//! Room on the disk: how much is free, how much a folder takes, what was kept aside.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use crate::{StackDir, WorkdirError};

impl StackDir {
    /// How many bytes may still be written to where `relative` lies, or would lie.
    pub fn free_room(&self, relative: &str) -> Result<u64, WorkdirError> {
        let path = self.path(relative);
        let there = path.ancestors().find(|dir| dir.exists()).unwrap_or(self.root());
        let stat =
            statvfs(there).map_err(|errno| WorkdirError::Read { path: there.to_owned(), source: errno.into() })?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }

    /// The bytes of all files in a folder; 0 where there is none. Links are not followed, and what
    /// vanishes meanwhile does not count.
    pub fn size_of(&self, relative: &str) -> Result<u64, WorkdirError> {
        size(&self.path(relative))
    }

    /// The names of what lies in a folder, in order.
    pub fn names_in(&self, relative: &str) -> Result<Vec<String>, WorkdirError> {
        let path = self.path(relative);
        let read = |source| WorkdirError::Read { path: path.clone(), source };
        let mut names = Vec::new();
        for entry in entries(&path).map_err(read)? {
            names.push(entry.map_err(read)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Whether a folder cannot be moved within its parent: a link, or a disk of its own.
    pub fn is_apart(&self, relative: &str) -> bool {
        let path = self.path(relative);
        let device = |meta: fs::Metadata| meta.dev();
        match (fs::symlink_metadata(&path), path.parent().and_then(|parent| fs::metadata(parent).ok())) {
            (Ok(meta), Some(parent)) => meta.is_symlink() || device(meta) != device(parent),
            _ => false,
        }
    }

    /// What [`StackDir::move_aside`] has kept of a folder, the oldest first.
    pub fn kept_aside(&self, relative: &str) -> Vec<PathBuf> {
        let path = self.path(relative);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
        let prefix = format!("{}.", name.to_string_lossy());
        let is_kept = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let time = name.strip_prefix(&prefix).unwrap_or_default();
            !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit())
        };
        let mut kept: Vec<PathBuf> =
            entries(parent).into_iter().flatten().flatten().map(|entry| entry.path()).filter(is_kept).collect();
        kept.sort();
        kept
    }
}

/// What lies in a folder; nothing where there is none.
fn entries(folder: &Path) -> io::Result<Box<dyn Iterator<Item = io::Result<fs::DirEntry>>>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Box::new(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Box::new(std::iter::empty())),
        Err(error) => Err(error),
    }
}

fn size(path: &Path) -> Result<u64, WorkdirError> {
    let read = |source| WorkdirError::Read { path: path.to_owned(), source };
    let mut total = 0_u64;
    for entry in entries(path).map_err(read)? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(read(source)),
        };
        total = total.saturating_add(match entry.metadata() {
            Ok(meta) if meta.is_dir() => size(&entry.path())?,
            Ok(meta) => meta.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(read(source)),
        });
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn stack() -> (tempfile::TempDir, StackDir) {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        (dir, stack)
    }

    #[test]
    fn the_size_of_a_folder_is_that_of_its_files_and_links_lead_nowhere() {
        let (_keep, stack) = stack();
        assert_eq!(stack.size_of("data/pg").expect("a size"), 0, "there is none");
        fs::create_dir_all(stack.path("data/pg/data/base")).expect("a folder");
        fs::write(stack.path("data/pg/data/base/1"), [0; 1000]).expect("a file");
        fs::write(stack.path("data/pg/PG_VERSION"), "17\n").expect("a file");
        let before = stack.size_of("data/pg").expect("a size");
        assert_eq!(before, 1003);
        symlink(stack.path("data"), stack.path("data/pg/round")).expect("a link");
        assert!(stack.size_of("data/pg").expect("a size") < before + 500);
        assert_eq!(stack.names_in("data/pg").expect("names"), ["PG_VERSION", "data", "round"]);
    }

    #[test]
    fn room_is_that_of_the_nearest_folder_that_is_there() {
        let (_keep, stack) = stack();
        assert!(stack.free_room("data/pg").expect("room") > 0);
    }

    #[test]
    fn a_link_cannot_be_moved_aside() {
        let (_keep, stack) = stack();
        assert!(!stack.is_apart("data/pg"), "there is none");
        fs::create_dir_all(stack.path("data/elsewhere")).expect("a folder");
        assert!(!stack.is_apart("data/elsewhere"));
        symlink(stack.path("data/elsewhere"), stack.path("data/pg")).expect("a link");
        assert!(stack.is_apart("data/pg"));
    }

    #[test]
    fn what_was_moved_aside_is_found_again() {
        let (_keep, stack) = stack();
        for name in ["pg.1700000000", "pg.mine", "pg", "pgx.1", "pg.", "etcd.17"] {
            fs::create_dir_all(stack.path("data").join(name)).expect("a folder");
        }
        let moved = stack.move_aside("data/pg").expect("moved");
        assert_eq!(stack.kept_aside("data/pg"), [stack.path("data/pg.1700000000"), moved]);
        for count in 3..6 {
            fs::create_dir(stack.path("data/pg")).expect("a folder");
            stack.move_aside("data/pg").expect("moved, within the same second too");
            assert_eq!(stack.kept_aside("data/pg").len(), count);
        }
    }
}
