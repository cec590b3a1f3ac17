//! PostgreSQL itself, asked over its own protocol with a role of the stack.

use std::time::Duration;

use pgstack_topology::{Node, Secret, port};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::{Observer, TIMEOUT};

/// Sizes are added up file by file, which takes a while where there are many.
const SLOW: Duration = Duration::from_secs(60);

/// What a fresh copy weighs. A replica holds about as much WAL as its primary.
const SIZES: &str = "SELECT (SELECT coalesce(sum(pg_catalog.pg_database_size(oid)), 0) FROM pg_catalog.pg_database), \
                     (SELECT coalesce(sum(size), 0) FROM pg_catalog.pg_ls_waldir())";

/// Who logs in.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The role.
    pub role: &'a str,
    /// Its password.
    pub password: &'a Secret,
}

/// How much there is on disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// All databases.
    pub databases: u64,
    /// The write-ahead log.
    pub wal: u64,
}

impl Sizes {
    /// Both together.
    pub fn total(self) -> u64 {
        self.databases.saturating_add(self.wal)
    }
}

/// PostgreSQL did not answer the question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// It knows the role under another password.
    #[error("it refuses the password")]
    Password,
    /// Anything else, in its own words.
    #[error("{0}")]
    Other(String),
}

impl Observer {
    /// How much data the PostgreSQL of `node` holds. Takes a superuser.
    pub async fn data_sizes(&self, node: Node, login: Login<'_>) -> Result<Sizes, LoginError> {
        let client = self.log_in(node, login).await?;
        let answer = timeout(SLOW, client.simple_query(SIZES)).await.map_err(|_| late())?;
        let row = answer.map_err(|error| told(&error))?.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let number = |column| row.as_ref()?.get(column)?.parse().ok();
        match (number(0), number(1)) {
            (Some(databases), Some(wal)) => Ok(Sizes { databases, wal }),
            _ => Err(LoginError::Other("no sizes in its answer".to_owned())),
        }
    }

    /// Whether the role may log in there.
    pub async fn accepts(&self, node: Node, login: Login<'_>) -> Result<(), LoginError> {
        self.log_in(node, login).await.map(drop)
    }

    async fn log_in(&self, node: Node, login: Login<'_>) -> Result<Client, LoginError> {
        let mut config = Config::new();
        config
            .host(node.ip().to_string())
            .port(port::POSTGRES)
            .user(login.role)
            .password(login.password.expose())
            .dbname("postgres")
            .application_name("patroni-stack")
            .connect_timeout(TIMEOUT);
        // the answer to the password takes a busy machine longer than a plain question
        let connected = timeout(2 * TIMEOUT, config.connect(NoTls)).await.map_err(|_| late())?;
        let (client, connection) = connected.map_err(|error| told(&error))?;
        // ends when the client is dropped; what goes wrong meanwhile, the client's own calls report
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

fn late() -> LoginError {
    LoginError::Other("no answer in time".to_owned())
}

fn told(error: &tokio_postgres::Error) -> LoginError {
    match error.as_db_error() {
        Some(db) if *db.code() == SqlState::INVALID_PASSWORD => LoginError::Password,
        Some(db) => LoginError::Other(format!("{}: {}", db.code().code(), db.message())),
        None => {
            let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
            LoginError::Other(format!("{error}{source}"))
        }
    }
}
