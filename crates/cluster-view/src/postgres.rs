//! A node's PostgreSQL, asked directly as the superuser.

use std::error::Error as _;
use std::time::Duration;

use pgstack_topology::{Node, NodeId, Secret, port};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// How long the connection and each statement may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A connection to the PostgreSQL of one node, past HAProxy and PgBouncer.
pub struct Postgres {
    client: Client,
    node: NodeId,
}

/// PostgreSQL did not do it.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL on node {node}: {reason}")]
pub struct PostgresError {
    /// The node that was asked.
    pub node: NodeId,
    /// Its words, or that there were none.
    pub reason: String,
}

impl Postgres {
    /// Connects as `postgres`, with this password.
    pub async fn connect(node: Node, password: &Secret) -> Result<Self, PostgresError> {
        let failed = |reason: String| PostgresError { node: node.id(), reason };
        let mut config = Config::new();
        config
            .host(node.ip().to_string())
            .port(port::POSTGRES)
            .user("postgres")
            .password(password.expose())
            .dbname("postgres")
            .application_name("patroni-stack")
            .connect_timeout(LIMIT);
        let (client, connection) = match timeout(LIMIT, config.connect(NoTls)).await {
            Ok(Ok(pair)) => pair,
            Ok(Err(error)) => return Err(failed(words(&error))),
            Err(_) => return Err(failed("no answer in time".to_owned())),
        };
        // ends when the client is dropped; what goes wrong meanwhile, the client's own calls report
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, node: node.id() })
    }

    /// The rows that statements answer with, every value as text.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, PostgresError> {
        let failed = |reason: String| PostgresError { node: self.node, reason };
        let messages = match timeout(LIMIT, self.client.simple_query(sql)).await {
            Ok(Ok(messages)) => messages,
            Ok(Err(error)) => return Err(failed(words(&error))),
            Err(_) => return Err(failed("no answer in time".to_owned())),
        };
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
            _ => None,
        });
        Ok(rows.collect())
    }
}

/// The database's own words where it spoke, else the system's.
fn words(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(db), _) => format!("{} ({})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}
