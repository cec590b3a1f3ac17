//! Anything that speaks PostgreSQL's protocol and answers with rows: PostgreSQL, and PgBouncer's console.

use std::net::Ipv4Addr;

use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::{Login, Silence};

/// Where to ask.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The machine.
    pub address: Ipv4Addr,
    /// The port there.
    pub port: u16,
    /// The database.
    pub database: &'a str,
    /// Settings for the session, as in `-c statement_timeout=2s`.
    pub options: Option<&'a str>,
}

/// A connection that answers until its deadline, whatever happens.
pub struct Sql {
    client: Client,
    connection: JoinHandle<()>,
    deadline: Instant,
}

/// One row; every value as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row(Vec<(String, String)>);

impl Row {
    /// The value in the column of that name; `None` where there is none, or NULL.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == column).map(|(_, value)| value.as_str())
    }

    /// The value in the first column.
    pub fn first(&self) -> Option<&str> {
        self.0.first().map(|(_, value)| value.as_str())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Row {
    fn from(columns: [(&str, &str); N]) -> Self {
        Self(columns.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }
}

impl Sql {
    /// Connects and logs in.
    pub async fn connect(source: Source<'_>, login: Login<'_>, deadline: Instant) -> Result<Self, Silence> {
        let stream = match timeout_at(deadline, TcpStream::connect((source.address, source.port))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Silence::from(&error)),
            Err(_) => return Err(Silence::Late),
        };
        let mut config = Config::new();
        config.user(login.role).password(login.password.expose()).dbname(source.database);
        config.application_name("patroni-stack");
        if let Some(options) = source.options {
            config.options(options);
        }
        let logged_in = timeout_at(deadline, config.connect_raw(stream, NoTls)).await.map_err(|_| Silence::Mute)?;
        let (client, connection) = logged_in.map_err(|error| Silence::from_sql(&error))?;
        // ends when the client is dropped; what goes wrong meanwhile, the client's own calls report
        let connection = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, connection, deadline })
    }

    /// It answers until then, instead of the deadline that it had.
    pub fn until(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Waits, beyond any deadline, until the other side ends the connection.
    pub async fn ended(&mut self) {
        // an error: the task was broken off, and the connection with it
        let _ = (&mut self.connection).await;
    }

    /// The rows that a statement answers with.
    pub async fn rows(&self, statement: &str) -> Result<Vec<Row>, Silence> {
        let answer = timeout_at(self.deadline, self.client.simple_query(statement)).await.map_err(|_| Silence::Mute)?;
        let messages = answer.map_err(|error| Silence::from_sql(&error))?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let columns = row.columns().iter().enumerate();
                let filled =
                    columns.filter_map(|(at, column)| Some((column.name().to_owned(), row.get(at)?.to_owned())));
                Some(Row(filled.collect()))
            }
            _ => None,
        });
        Ok(rows.collect())
    }
}
