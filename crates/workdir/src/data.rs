//! The data folders of etcd and PostgreSQL, and small records that tools leave for each other.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use pgstack_config::{Access, SERVICE_ID};

use crate::write::{make_folder, sync_folder};
use crate::{StackDir, WorkdirError};

/// The folders that hold data, relative to the stack directory.
pub const DATA_DIRS: [&str; 2] = ["data/etcd", "data/pg"];
/// Which configuration each service runs with, as fingerprints.
const LOADED: &str = "data/loaded.json";

/// The user and group that data belongs to.
const OWNER: (u32, u32) = (SERVICE_ID, SERVICE_ID);

/// What lies in a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataState {
    /// The folder is missing or empty.
    Empty,
    /// There is something in it.
    Present,
    /// It cannot be read.
    Unknown,
}

impl StackDir {
    /// Makes the data folders, owned by the containers' user and closed to all others.
    /// Returns those that had to be made or mended. What lies in them is never touched.
    pub fn ensure_data_dirs(&self) -> Result<Vec<&'static str>, WorkdirError> {
        let mut changed = Vec::new();
        for dir in DATA_DIRS {
            if ensure_owned(&self.path(dir))? {
                changed.push(dir);
            }
        }
        Ok(changed)
    }

    /// Finds out whether [`StackDir::ensure_data_dirs`] will find something else in a folder's place.
    pub fn check_data_dirs(&self) -> Result<(), WorkdirError> {
        for path in DATA_DIRS.iter().flat_map(|dir| [Path::new(dir).parent(), Some(Path::new(dir))]).flatten() {
            let path = self.root().join(path);
            if fs::symlink_metadata(&path).is_ok() && !path.is_dir() {
                return Err(WorkdirError::NoFolder { path });
            }
        }
        Ok(())
    }

    /// Where a folder really is, when its place holds a link to it.
    pub fn target(&self, relative: &str) -> Option<PathBuf> {
        let path = self.path(relative);
        let is_link = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink());
        is_link.then(|| fs::canonicalize(path).ok()).flatten()
    }

    /// The data folders that [`StackDir::ensure_data_dirs`] would make or mend.
    pub fn data_dirs_due(&self) -> Vec<&'static str> {
        let is_right = |dir: &&str| {
            fs::metadata(self.path(dir)).is_ok_and(|meta| meta.is_dir() && (meta.uid(), meta.gid()) == OWNER)
        };
        DATA_DIRS.into_iter().filter(|dir| !is_right(dir)).collect()
    }

    /// Whether there is anything in a folder.
    pub fn data_state(&self, relative: &str) -> DataState {
        match fs::read_dir(self.path(relative)) {
            Ok(mut entries) => {
                if entries.next().is_none() {
                    DataState::Empty
                } else {
                    DataState::Present
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => DataState::Empty,
            Err(_) => DataState::Unknown,
        }
    }

    /// Moves a folder aside, to `NAME.UNIX-SECONDS` beside it, and returns where it is kept. What was
    /// kept before stays, even from this very second.
    pub fn move_aside(&self, relative: &str) -> Result<PathBuf, WorkdirError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut places = (now..).map(|time| self.path(&format!("{relative}.{time}")));
        let is_free = |place: &PathBuf| fs::symlink_metadata(place).is_err();
        let kept = places.find(is_free).unwrap_or_default();
        let from = self.path(relative);
        fs::rename(&from, &kept).map_err(|source| WorkdirError::Write { path: from, source })?;
        Ok(kept)
    }

    /// Copies a folder with all that is in it, owners and modes too, durably. What lies at `to`
    /// already is not removed first.
    pub fn copy_folder(&self, from: &str, to: &str) -> Result<(), WorkdirError> {
        copy_tree(&self.path(from), &self.path(to))
    }

    /// Makes a folder for the containers' user, closed to all others.
    pub fn make_data_dir(&self, relative: &str) -> Result<(), WorkdirError> {
        ensure_owned(&self.path(relative)).map(drop)
    }

    /// Gives a folder another name; what lies at `to` must be an empty folder or nothing.
    pub fn rename_folder(&self, from: &str, to: &str) -> Result<(), WorkdirError> {
        let path = self.path(to);
        fs::rename(self.path(from), &path).map_err(|source| WorkdirError::Write { path: path.clone(), source })?;
        sync_folder(&path)
    }

    /// Removes a folder with all that is in it; it is fine when there is none.
    pub fn remove_folder(&self, relative: &str) -> Result<(), WorkdirError> {
        let path = self.path(relative);
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(WorkdirError::Write { path, source }),
            _ => Ok(()),
        }
    }

    /// Deletes everything inside a folder, the folder itself stays.
    pub fn empty_folder(&self, relative: &str) -> Result<(), WorkdirError> {
        let folder = self.path(relative);
        let write = |source| WorkdirError::Write { path: folder.clone(), source };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(write(source)),
        };
        for entry in entries {
            let path = entry.map_err(write)?.path();
            let is_folder = fs::symlink_metadata(&path).map_err(write)?.is_dir();
            if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.map_err(write)?;
        }
        Ok(())
    }

    /// Makes a data folder that has nothing in it as [`StackDir::ensure_data_dirs`] would make it, with
    /// its mode, too.
    pub fn renew_folder(&self, relative: &str) -> Result<(), WorkdirError> {
        let folder = self.path(relative);
        ensure_owned(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))
            .map_err(|source| WorkdirError::Write { path: folder, source })
    }

    /// Leaves a mark whose presence is all that counts.
    pub fn leave_mark(&self, relative: &str) -> Result<(), WorkdirError> {
        let path = self.path(relative);
        fs::File::create(&path).and_then(|file| file.sync_all()).map_err(|source| WorkdirError::Write { path, source })
    }

    /// The fingerprint of the configuration that each service runs with; empty before the first
    /// deploy. A service missing here is reloaded once, which does no harm.
    pub fn loaded(&self) -> Result<BTreeMap<String, String>, WorkdirError> {
        match self.read(LOADED)? {
            None => Ok(BTreeMap::new()),
            // damaged is as good as missing
            Some(text) => Ok(serde_json::from_str(&text).unwrap_or_default()),
        }
    }

    /// Keeps what [`StackDir::loaded`] returns.
    pub fn record_loaded(&self, loaded: &BTreeMap<String, String>) -> Result<(), WorkdirError> {
        // a map of strings always serialises
        let text = serde_json::to_string_pretty(loaded).unwrap_or_default();
        self.write_file(LOADED, &(text + "\n"), Access::Root)
    }

    /// Forgets what the services run with.
    pub fn forget_loaded(&self) -> Result<(), WorkdirError> {
        self.remove_file(LOADED)
    }
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), WorkdirError> {
    let read = |source| WorkdirError::Read { path: from.to_owned(), source };
    let write = |source| WorkdirError::Write { path: to.to_owned(), source };
    let meta = fs::symlink_metadata(from).map_err(read)?;
    if meta.is_dir() {
        if !to.exists() {
            fs::create_dir(to).map_err(write)?;
        }
        for entry in fs::read_dir(from).map_err(read)? {
            let entry = entry.map_err(read)?;
            copy_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if meta.is_file() {
        // takes the mode along
        fs::copy(from, to).map_err(write)?;
    } else {
        return Ok(());
    }
    chown(to, Some(meta.uid()), Some(meta.gid())).map_err(write)?;
    fs::set_permissions(to, meta.permissions()).map_err(write)?;
    fs::File::open(to).and_then(|file| file.sync_all()).map_err(write)
}

/// True where something had to be changed.
fn ensure_owned(dir: &Path) -> Result<bool, WorkdirError> {
    let write = |source| WorkdirError::Write { path: dir.to_owned(), source };
    let made = !dir.exists();
    if made {
        make_folder(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(write)?;
    }
    let meta = fs::metadata(dir).map_err(write)?;
    if !meta.is_dir() {
        return Err(WorkdirError::NoFolder { path: dir.to_owned() });
    }
    if (meta.uid(), meta.gid()) == OWNER {
        return Ok(made);
    }
    chown(dir, Some(SERVICE_ID), Some(SERVICE_ID)).map_err(|source| WorkdirError::Owner {
        path: dir.to_owned(),
        id: SERVICE_ID,
        source,
    })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_data_folder_decides_its_state() {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        assert_eq!(stack.data_state("data/etcd"), DataState::Empty);
        fs::create_dir_all(stack.path("data/etcd/member")).expect("a folder");
        assert_eq!(stack.data_state("data/etcd"), DataState::Present);
        stack.empty_folder("data/etcd").expect("emptied");
        assert_eq!(stack.data_state("data/etcd"), DataState::Empty);
        assert!(stack.path("data/etcd").is_dir());
    }

    #[test]
    fn whatever_is_no_folder_in_the_place_of_one_is_found_beforehand() {
        let elsewhere = tempfile::tempdir().expect("a folder");
        for (place, target) in [("data/pg", None), ("data", None), ("data/etcd", Some("/nowhere/at/all"))] {
            let dir = tempfile::tempdir().expect("a folder");
            let stack = StackDir::open(dir.path()).expect("a stack");
            assert!(stack.check_data_dirs().is_ok(), "there is nothing yet");
            let path = stack.path(place);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            match target {
                None => fs::write(&path, "x").expect("a file"),
                Some(target) => std::os::unix::fs::symlink(target, &path).expect("a link"),
            }
            assert!(matches!(stack.check_data_dirs(), Err(WorkdirError::NoFolder { .. })), "{place}");
            assert_eq!(stack.target(place), None);
            fs::remove_file(&path).expect("removed");
            std::os::unix::fs::symlink(elsewhere.path(), &path).expect("a link");
            assert!(stack.check_data_dirs().is_ok(), "{place}: a link to a folder is fine");
            assert_eq!(stack.target(place), fs::canonicalize(elsewhere.path()).ok());
        }
    }

    #[test]
    fn a_copied_folder_holds_the_same_and_the_original_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        fs::create_dir_all(stack.path("a/member/wal")).expect("a folder");
        fs::set_permissions(stack.path("a"), fs::Permissions::from_mode(0o700)).expect("a mode");
        fs::write(stack.path("a/member/wal/0.wal"), "log").expect("written");
        stack.copy_folder("a", "b").expect("copied");
        for at in ["a", "b"] {
            assert_eq!(fs::read_to_string(stack.path(&format!("{at}/member/wal/0.wal"))).expect("read"), "log");
        }
        assert_eq!(fs::metadata(stack.path("b")).expect("there").mode() & 0o777, 0o700);
        fs::create_dir(stack.path("c")).expect("a folder");
        stack.rename_folder("b", "c").expect("over an empty folder");
        assert!(stack.rename_folder("a", "c").is_err(), "never over anything");
        stack.remove_folder("c").expect("removed");
        stack.remove_folder("c").expect("nothing to remove");
        assert!(stack.path("a").exists() && !stack.path("c").exists());
    }

    #[test]
    fn what_the_services_have_loaded_is_remembered() {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        assert!(stack.loaded().expect("read").is_empty());
        let loaded = BTreeMap::from([("haproxy".to_owned(), "abc".to_owned())]);
        stack.record_loaded(&loaded).expect("written");
        assert_eq!(stack.loaded().expect("read"), loaded);
    }
}
