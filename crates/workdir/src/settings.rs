//! Reading `.env` from the stack directory.

use std::path::PathBuf;

use pgstack_diagnostics::Hint;
use pgstack_env::{EnvErrors, Loaded};

use crate::{ENV_FILE, StackDir, WorkdirError};

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no `.env`.
    #[error("there is no {}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It has problems.
    #[error(transparent)]
    Invalid(#[from] EnvErrors),
    /// It could not be read.
    #[error(transparent)]
    Workdir(#[from] WorkdirError),
}

impl Hint for SettingsError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { .. } => vec![
                "run deploy or bootstrap: it creates one with fresh passwords, to edit and to copy to the other nodes"
                    .to_owned(),
            ],
            Self::Invalid(errors) => errors.hints(),
            Self::Workdir(error) => error.hints(),
        }
    }
}

impl StackDir {
    /// The settings of this node, with what deserves a warning. A key that `.env` does not set
    /// may come from the process environment, as for Compose; what the file sets, wins.
    pub fn settings(&self) -> Result<Loaded, SettingsError> {
        let path = self.path(ENV_FILE);
        // reading a pipe would wait for ever
        if std::fs::metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            return Err(WorkdirError::InTheWay { path }.into());
        }
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(SettingsError::Missing { path }),
            Err(source) => return Err(WorkdirError::Read { path, source }.into()),
        };
        Ok(pgstack_env::load(&text, &|name| std::env::var(name).ok())?)
    }
}
