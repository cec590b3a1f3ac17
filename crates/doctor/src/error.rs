//! What can stop a look at the cluster.

use std::io;

use pgstack_diagnostics::Hint;
use pgstack_workdir::{SettingsError, WorkdirError};

/// What can stop a look at the cluster. What does not answer is no error but an unknown fact.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// `.env` is missing or wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The stack directory.
    #[error(transparent)]
    Workdir(#[from] WorkdirError),
    /// No threads.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    /// Nothing can be served there.
    #[error("cannot listen at {address}")]
    Listen {
        /// What was asked for.
        address: String,
        /// The system's words.
        source: io::Error,
    },
    /// Not an address to serve at.
    #[error("cannot serve at \"{address}\": that is neither a port nor an address with one")]
    Place {
        /// What was asked for.
        address: String,
    },
    /// A chosen token that is too weak, or would not survive a header.
    #[error("PGSTACK_STATUS_TOKEN must be 16 or more characters of a-z, A-Z, 0-9, '-', '.', '_' and '~'")]
    Token,
    /// A snapshot that is no JSON.
    #[error("cannot write JSON")]
    Json(#[source] serde_json::Error),
}

impl Hint for DoctorError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Settings(error) => error.hints(),
            Self::Workdir(error) => error.hints(),
            Self::Place { .. } => vec!["such as --serve 8406, or --serve 10.0.0.1:8406".to_owned()],
            Self::Token => vec!["make one: openssl rand -hex 16".to_owned()],
            Self::Listen { .. } | Self::Runtime(_) | Self::Json(_) => Vec::new(),
        }
    }
}
