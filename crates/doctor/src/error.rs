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
}

impl Hint for DoctorError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Settings(error) => error.hints(),
            Self::Workdir(error) => error.hints(),
            Self::Listen { .. } | Self::Runtime(_) => Vec::new(),
        }
    }
}
