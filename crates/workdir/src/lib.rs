//! The stack directory on disk: found, read, and written atomically.

mod data;
mod error;
mod locate;
mod room;
mod settings;
mod write;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use data::{DATA_DIRS, DataState};
pub use error::WorkdirError;
pub use locate::locate;
use nix::fcntl::{Flock, FlockArg};
pub use settings::SettingsError;
pub use write::{Change, Pending};

/// The settings file, relative to the stack directory.
pub const ENV_FILE: &str = ".env";
/// What a new settings file is made from.
pub const ENV_EXAMPLE: &str = ".env.example";

/// The folder that holds `.env`, every generated file and `data/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackDir {
    root: PathBuf,
}

/// Held while a tool changes the stack directory; the lock ends with the process.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, never read")] Flock<fs::File>);

impl StackDir {
    /// `root` must be an existing folder.
    pub fn open(root: &Path) -> Result<Self, WorkdirError> {
        match fs::canonicalize(root) {
            Ok(root) if root.is_dir() => Ok(Self { root }),
            Ok(_) => Err(WorkdirError::NotAFolder { path: root.to_owned() }),
            Err(source) => Err(WorkdirError::Read { path: root.to_owned(), source }),
        }
    }

    /// The absolute path of the stack directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The absolute path of something in it.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Keeps a second tool from changing this stack directory at the same time. It locks the
    /// folder itself, so no lock file is left behind.
    pub fn lock(&self) -> Result<Lock, WorkdirError> {
        let read = |source| WorkdirError::Read { path: self.root.clone(), source };
        let folder = fs::File::open(&self.root).map_err(read)?;
        match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                self.sweep();
                Ok(Lock(lock))
            }
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(WorkdirError::Busy { path: self.root.clone() }),
            Err((_, errno)) => Err(read(errno.into())),
        }
    }

    /// The text of a file, `None` where there is none.
    pub fn read(&self, relative: &str) -> Result<Option<String>, WorkdirError> {
        let path = self.path(relative);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(WorkdirError::Read { path, source }),
        }
    }

    /// Whether everybody on this machine may read the settings file, secrets included.
    pub fn env_is_world_readable(&self) -> bool {
        fs::metadata(self.path(ENV_FILE)).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
    }
}
