//! What can go wrong with the stack directory.

use std::io;
use std::path::PathBuf;

use pgstack_diagnostics::Hint;

/// What can go wrong with the stack directory. After any of these every old file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum WorkdirError {
    /// The stack directory is something else.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// That place.
        path: PathBuf,
    },
    /// Something lies where a folder of data must be: a file, or a link that leads nowhere.
    #[error("{} must be a folder, and is something else", path.display())]
    NoFolder {
        /// That place.
        path: PathBuf,
    },
    /// Another tool works in it.
    #[error("another command is changing {} at this moment", path.display())]
    Busy {
        /// The stack directory.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// That file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// That file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Something that is no file lies where a file must be written.
    #[error("{} is in the way: it is not a regular file", path.display())]
    InTheWay {
        /// That place.
        path: PathBuf,
    },
    /// Giving a file or folder to the containers' user needs root.
    #[error("cannot give {} to uid/gid {id}", path.display())]
    Owner {
        /// That file or folder.
        path: PathBuf,
        /// The wanted owner.
        id: u32,
        /// The system's word.
        source: io::Error,
    },
    /// A file that must be new is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// That file.
        path: PathBuf,
    },
}

impl Hint for WorkdirError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Owner { .. } => vec![
                "run it as root (sudo): the containers read their secrets as uid 999, and nobody else may".to_owned(),
            ],
            Self::Busy { .. } => vec!["wait for it to end, then run this again".to_owned()],
            Self::Read { source, .. } | Self::Write { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                vec!["run it as root (sudo)".to_owned()]
            }
            Self::Read { source, .. } | Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                vec!["make room on that disk, then run this again: every old file is as it was".to_owned()]
            }
            Self::Write { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                vec!["that disk is mounted for reading only: `dmesg` says whether it failed".to_owned()]
            }
            Self::NoFolder { path } => vec![format!(
                "look at {0}: a link leads nowhere while its disk is not mounted (findmnt); anything else move away",
                path.display()
            )],
            Self::InTheWay { path } => vec![format!(
                "look at {} and move it away; Docker makes a folder where a file that it should mount is missing",
                path.display()
            )],
            _ => Vec::new(),
        }
    }
}
