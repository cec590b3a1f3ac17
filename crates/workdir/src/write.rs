//! Writing generated files: only what changed, all of them or none, each atomically.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use pgstack_config::{Access, ConfigSet, RenderedFile};
use tempfile::NamedTempFile;

use crate::{StackDir, WorkdirError};

/// How a file on disk differs from what was generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Not there yet.
    New,
    /// Other contents.
    Contents,
    /// The same contents, but other people may read it.
    Access,
    /// Nothing differs.
    None,
}

/// A generated file beside what is on disk.
#[derive(Debug)]
pub struct Pending {
    /// What was generated.
    pub file: RenderedFile,
    /// How the disk differs.
    pub change: Change,
    old: Option<Vec<u8>>,
}

impl Pending {
    /// The difference as text, secrets masked; empty where there is none.
    pub fn diff(&self) -> String {
        let old = self.old.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        match self.change {
            Change::None => String::new(),
            Change::Access => {
                format!("--- {0} (on disk)\n+++ {0} (generated)\nmode and group only\n", self.file.path)
            }
            Change::New | Change::Contents => self.file.diff_from(&old),
        }
    }
}

/// How the names of files begin that are not yet in their place.
const STAGED: &str = ".pgstack-";

impl StackDir {
    /// Removes what a tool left behind that was killed while it wrote. Only under the lock: what
    /// lies there then is nobody's.
    pub(crate) fn sweep(&self) {
        let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let folders = entries(self.root()).filter(|path| path.is_dir()).chain([self.root().to_owned()]);
        let is_staged =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(STAGED));
        for leftover in folders.flat_map(|dir| entries(&dir).collect::<Vec<_>>()).filter(is_staged) {
            // best effort: the next one tries again
            let _ = fs::remove_file(leftover);
        }
    }

    /// Compares generated files with the disk. Changes nothing.
    pub fn compare(&self, files: ConfigSet) -> Result<Vec<Pending>, WorkdirError> {
        files.into_iter().map(|file| self.compare_one(file)).collect()
    }

    fn compare_one(&self, file: RenderedFile) -> Result<Pending, WorkdirError> {
        let path = self.path(file.path);
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Pending { file, change: Change::New, old: None });
            }
            Err(source) => return Err(WorkdirError::Read { path, source }),
        };
        if !meta.is_file() {
            return Err(WorkdirError::InTheWay { path });
        }
        let old = fs::read(&path).map_err(|source| WorkdirError::Read { path, source })?;
        let change = if old != file.contents.as_bytes() {
            Change::Contents
        } else if meta.permissions().mode() & 0o7777 != file.access.mode()
            || file.access.group().is_some_and(|gid| gid != meta.gid())
        {
            Change::Access
        } else {
            Change::None
        };
        Ok(Pending { file, change, old: Some(old) })
    }

    /// Writes what differs. Every new file is complete on disk before the first old one is
    /// replaced; if replacing fails half-way, what was replaced is put back.
    pub fn write(&self, pending: &[Pending]) -> Result<(), WorkdirError> {
        let changed: Vec<&Pending> = pending.iter().filter(|pending| pending.change != Change::None).collect();
        let mut ready = Vec::with_capacity(changed.len());
        for item in &changed {
            let path = self.path(item.file.path);
            ready.push((stage(&path, item.file.contents.as_bytes(), item.file.access)?, path));
        }
        for (done, (staged, path)) in ready.into_iter().enumerate() {
            if let Err(error) = staged.persist(&path) {
                for earlier in &changed[..done] {
                    self.put_back(earlier);
                }
                return Err(WorkdirError::Write { path, source: error.error });
            }
        }
        changed.iter().try_for_each(|item| sync_folder(&self.path(item.file.path)))
    }

    /// Best effort: the error that led here is the one to report.
    fn put_back(&self, item: &Pending) {
        let path = self.path(item.file.path);
        match &item.old {
            Some(old) => {
                if let Ok(staged) = stage(&path, old, item.file.access) {
                    let _ = staged.persist(&path);
                }
            }
            None => {
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// Writes one file atomically that is not generated from `.env`.
    pub fn write_file(&self, relative: &str, contents: &str, access: Access) -> Result<(), WorkdirError> {
        let path = self.path(relative);
        let staged = stage(&path, contents.as_bytes(), access)?;
        staged.persist(&path).map_err(|error| WorkdirError::Write { path: path.clone(), source: error.error })?;
        sync_folder(&path)
    }

    /// Writes one file that must not exist yet.
    pub fn create_file(&self, relative: &str, contents: &str, access: Access) -> Result<(), WorkdirError> {
        let path = self.path(relative);
        let staged = stage(&path, contents.as_bytes(), access)?;
        staged.persist_noclobber(&path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => WorkdirError::Exists { path: path.clone() },
            _ => WorkdirError::Write { path: path.clone(), source: error.error },
        })?;
        sync_folder(&path)
    }

    /// Removes a file; it is fine when there is none.
    pub fn remove_file(&self, relative: &str) -> Result<(), WorkdirError> {
        let path = self.path(relative);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(WorkdirError::Write { path, source }),
            _ => Ok(()),
        }
    }
}

/// A complete, synced file beside its place, with the right mode and group.
fn stage(path: &Path, contents: &[u8], access: Access) -> Result<NamedTempFile, WorkdirError> {
    let write = |source| WorkdirError::Write { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_folder(folder)?;
    let mut staged = tempfile::Builder::new().prefix(STAGED).tempfile_in(folder).map_err(write)?;
    staged.write_all(contents).map_err(write)?;
    if let Some(gid) = access.group() {
        give_group(staged.path(), gid).map_err(|error| match error {
            WorkdirError::Owner { id, source, .. } => WorkdirError::Owner { path: path.to_owned(), id, source },
            other => other,
        })?;
    }
    staged.as_file().set_permissions(fs::Permissions::from_mode(access.mode())).map_err(write)?;
    staged.as_file().sync_all().map_err(write)?;
    Ok(staged)
}

fn give_group(path: &Path, gid: u32) -> Result<(), WorkdirError> {
    let meta = fs::metadata(path).map_err(|source| WorkdirError::Read { path: path.to_owned(), source })?;
    if meta.gid() == gid {
        return Ok(());
    }
    chown(path, None, Some(gid)).map_err(|source| WorkdirError::Owner { path: path.to_owned(), id: gid, source })
}

/// The folder and its missing parents, readable by every container whatever the umask says.
pub(crate) fn make_folder(folder: &Path) -> Result<(), WorkdirError> {
    let missing: Vec<PathBuf> = folder.ancestors().take_while(|dir| !dir.exists()).map(Path::to_owned).collect();
    for dir in missing.iter().rev() {
        let write = |source| WorkdirError::Write { path: dir.clone(), source };
        fs::create_dir(dir).map_err(write)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).map_err(write)?;
    }
    Ok(())
}

/// Makes a rename durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), WorkdirError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::File::open(folder)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| WorkdirError::Write { path: folder.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &'static str, access: Access, contents: &str) -> RenderedFile {
        RenderedFile { path, access, contents: contents.to_owned(), secret_markers: &[] }
    }

    fn stack() -> (tempfile::TempDir, StackDir) {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        (dir, stack)
    }

    fn write(stack: &StackDir, files: Vec<RenderedFile>) -> Result<Vec<Change>, WorkdirError> {
        let pending = stack.compare(files.into_iter().collect())?;
        stack.write(&pending)?;
        Ok(pending.iter().map(|item| item.change).collect())
    }

    #[test]
    fn an_unchanged_file_is_not_touched() {
        let (_keep, stack) = stack();
        let one = || vec![file("haproxy/haproxy.cfg", Access::World, "a\n")];
        assert_eq!(write(&stack, one()).expect("written"), [Change::New]);
        let inode = fs::metadata(stack.path("haproxy/haproxy.cfg")).expect("a file").ino();
        assert_eq!(write(&stack, one()).expect("written"), [Change::None]);
        assert_eq!(fs::metadata(stack.path("haproxy/haproxy.cfg")).expect("a file").ino(), inode);
    }

    #[test]
    fn a_file_that_everybody_may_read_is_closed_again() {
        let (_keep, stack) = stack();
        let one = || vec![file("keepalived/keepalived.conf", Access::Root, "a\n")];
        write(&stack, one()).expect("written");
        let path = stack.path("keepalived/keepalived.conf");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
        assert_eq!(write(&stack, one()).expect("written"), [Change::Access]);
        assert_eq!(fs::metadata(&path).expect("a file").mode() & 0o777, 0o600);
    }

    #[test]
    fn when_one_file_cannot_be_written_every_old_file_is_as_it_was() {
        let (_keep, stack) = stack();
        write(&stack, vec![file("a/a", Access::World, "old\n")]).expect("written");
        // a file where the folder of the second one would have to be
        fs::write(stack.path("b"), "").expect("a file");
        let both = vec![file("a/a", Access::World, "new\n"), file("b/b", Access::World, "new\n")];
        assert!(write(&stack, both).is_err());
        assert_eq!(stack.read("a/a").expect("read").as_deref(), Some("old\n"));
        assert_eq!(fs::read_dir(stack.path("a")).expect("a folder").count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_folder_where_a_file_belongs_is_refused_before_anything_is_written() {
        let (_keep, stack) = stack();
        fs::create_dir_all(stack.path("b/b")).expect("a folder");
        let both = vec![file("a/a", Access::World, "new\n"), file("b/b", Access::World, "new\n")];
        assert!(matches!(write(&stack, both), Err(WorkdirError::InTheWay { .. })));
        assert!(!stack.path("a").exists());
    }

    #[test]
    fn a_file_that_must_be_new_never_replaces_an_old_one() {
        let (_keep, stack) = stack();
        stack.create_file(".env", "first\n", Access::Root).expect("written");
        assert!(matches!(stack.create_file(".env", "second\n", Access::Root), Err(WorkdirError::Exists { .. })));
        assert_eq!(stack.read(".env").expect("read").as_deref(), Some("first\n"));
    }

    #[test]
    fn what_a_killed_tool_left_behind_is_swept_away() {
        let (_keep, stack) = stack();
        write(&stack, vec![file("a/a", Access::World, "a\n")]).expect("written");
        for leftover in [".pgstack-x", "a/.pgstack-y"] {
            fs::write(stack.path(leftover), "half").expect("a file");
        }
        drop(stack.lock().expect("the lock"));
        assert!(!stack.path(".pgstack-x").exists() && !stack.path("a/.pgstack-y").exists());
        assert!(stack.path("a/a").exists());
    }

    #[test]
    fn two_tools_never_change_one_stack_directory_at_the_same_time() {
        let (_keep, stack) = stack();
        let held = stack.lock().expect("the lock");
        assert!(matches!(stack.lock(), Err(WorkdirError::Busy { .. })));
        drop(held);
        assert!(stack.lock().is_ok());
    }
}
