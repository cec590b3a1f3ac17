//! A node's PostgreSQL, asked directly with a role of the stack.

use std::error::Error as _;
use std::time::Duration;

use pgstack_topology::{Node, NodeId, Secret, port};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// How long the connection and each statement may take.
const LIMIT: Duration = Duration::from_secs(5);
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

/// A connection to the PostgreSQL of one node, past HAProxy and PgBouncer.
pub struct Postgres {
    client: Client,
    node: NodeId,
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

/// PostgreSQL did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostgresError {
    /// It knows the role under another password.
    #[error("PostgreSQL on node {node} refuses the password")]
    Password {
        /// The node that was asked.
        node: NodeId,
    },
    /// Anything else.
    #[error("PostgreSQL on node {node}: {reason}")]
    Other {
        /// The node that was asked.
        node: NodeId,
        /// Its words, or that there were none.
        reason: String,
    },
}

impl Postgres {
    /// Logs in to the database `postgres`.
    pub async fn connect(node: Node, login: Login<'_>) -> Result<Self, PostgresError> {
        let id = node.id();
        let mut config = Config::new();
        config
            .host(node.ip().to_string())
            .port(port::POSTGRES)
            .user(login.role)
            .password(login.password.expose())
            .dbname("postgres")
            .application_name("patroni-stack")
            .connect_timeout(LIMIT);
        let connected = timeout(LIMIT, config.connect(NoTls)).await.map_err(|_| late(id))?;
        let (client, connection) = connected.map_err(|error| told(id, &error))?;
        // ends when the client is dropped; what goes wrong meanwhile, the client's own calls report
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, node: id })
    }

    /// The rows that statements answer with, every value as text.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, PostgresError> {
        self.ask(sql, LIMIT).await
    }

    /// Writes to disk what is in memory, which may take as long as `limit`. Takes a superuser.
    pub async fn checkpoint(&self, limit: Duration) -> Result<(), PostgresError> {
        self.ask("CHECKPOINT", limit).await.map(drop)
    }

    /// How much data it holds. Takes a superuser.
    pub async fn sizes(&self) -> Result<Sizes, PostgresError> {
        let rows = self.ask(SIZES, SLOW).await?;
        let number = |column: usize| rows.first()?.get(column)?.as_ref()?.parse().ok();
        match (number(0), number(1)) {
            (Some(databases), Some(wal)) => Ok(Sizes { databases, wal }),
            _ => Err(PostgresError::Other { node: self.node, reason: "no sizes in its answer".to_owned() }),
        }
    }

    async fn ask(&self, sql: &str, limit: Duration) -> Result<Vec<Vec<Option<String>>>, PostgresError> {
        let answer = timeout(limit, self.client.simple_query(sql)).await.map_err(|_| late(self.node))?;
        let messages = answer.map_err(|error| told(self.node, &error))?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
            _ => None,
        });
        Ok(rows.collect())
    }
}

fn late(node: NodeId) -> PostgresError {
    PostgresError::Other { node, reason: "no answer in time".to_owned() }
}

/// The database's own words where it spoke, else the system's.
fn told(node: NodeId, error: &tokio_postgres::Error) -> PostgresError {
    let reason = match (error.as_db_error(), error.source()) {
        (Some(db), _) if *db.code() == SqlState::INVALID_PASSWORD => return PostgresError::Password { node },
        (Some(db), _) => format!("{} ({})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    };
    PostgresError::Other { node, reason }
}
