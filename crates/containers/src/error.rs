//! What can go wrong between us, the engine and the Compose command.

use pgstack_diagnostics::Hint;

/// What can go wrong between us, the engine and the Compose command.
#[derive(Debug, thiserror::Error)]
pub enum ContainersError {
    /// No engine answers.
    #[error("no Docker engine answers")]
    NoEngine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine refused.
    #[error("the Docker engine could not {what}")]
    Engine {
        /// What was asked of it: `inspect etcd`.
        what: String,
        /// Its answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no `docker` command.
    #[error("there is no `docker` command")]
    NoDockerCommand,
    /// There is no Compose v2.
    #[error("Docker Compose v2 is needed, found {found}")]
    NoComposeV2 {
        /// What there is instead.
        found: String,
    },
    /// The Compose command failed.
    #[error("`{command}` failed: {detail}")]
    Compose {
        /// The command as a user would type it.
        command: String,
        /// Its last words.
        detail: String,
    },
}

impl Hint for ContainersError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoEngine(_) => vec![
                "start it (systemctl start docker), and run this as root or as a member of the group docker".to_owned(),
            ],
            Self::NoDockerCommand => {
                vec!["install Docker; on Debian 13: apt-get install docker.io docker-cli docker-compose".to_owned()]
            }
            Self::NoComposeV2 { .. } => vec![
                "install the Compose plugin (Debian 13: docker-compose; Docker's own packages: \
                 docker-compose-plugin), so that `docker compose version` works; the old `docker-compose` 1.x \
                 cannot read the generated file"
                    .to_owned(),
            ],
            Self::Compose { detail, .. } if detail.contains("fifo") => {
                vec!["a passing fault of the Docker runtime: run it again, or restart the Docker service".to_owned()]
            }
            Self::Compose { detail, .. }
                if detail.contains("port is already allocated") || detail.contains("address already in use") =>
            {
                vec!["another program holds that port on this machine: `./doctor --preflight` names it".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}
