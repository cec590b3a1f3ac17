//! A client of the cluster, as an application would be.

use std::fmt;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use crate::LabError;

/// Where a client connects to, and as whom.
#[derive(Clone)]
pub struct Endpoint {
    /// The address, usually the VIP.
    pub address: Ipv4Addr,
    /// 5000, 5001, 6432 or 5432.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// A connection and its notices.
#[derive(Debug)]
pub struct Session {
    /// Asks.
    pub client: Client,
    /// Warnings and notices; those of a statement are there before its answer.
    pub notices: mpsc::UnboundedReceiver<String>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.address, self.port)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({} as {})", self, self.user)
    }
}

impl Endpoint {
    /// A new connection; it must stand within `limit`.
    pub async fn connect(&self, limit: Duration) -> Result<Client, LabError> {
        Ok(self.session(limit).await?.client)
    }

    /// The same, together with what the database says beside its answers.
    pub async fn session(&self, limit: Duration) -> Result<Session, LabError> {
        let mut config = Config::new();
        config
            .host(self.address.to_string())
            .port(self.port)
            .user(&self.user)
            .password(&self.password)
            .dbname("postgres")
            .connect_timeout(limit);
        let connected = tokio::time::timeout(limit, config.connect(NoTls)).await;
        let (client, mut connection) = match connected {
            Ok(Ok(pair)) => pair,
            Ok(Err(error)) => return Err(self.failed(&error)),
            Err(_) => {
                return Err(LabError::Client { endpoint: self.to_string(), detail: "no answer in time".to_owned() });
            }
        };
        let (tell, notices) = mpsc::unbounded_channel();
        // ends when the client is dropped; what goes wrong meanwhile, the client's own calls report
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notice(notice) = message {
                    // nobody need listen
                    let _ = tell.send(notice.message().to_owned());
                }
            }
        });
        Ok(Session { client, notices })
    }

    /// The first column of the first row of a statement's answer, over a new connection. The
    /// simple protocol, so that several statements may stand in a row.
    pub async fn query(&self, sql: &str, limit: Duration) -> Result<Option<String>, LabError> {
        let client = self.connect(limit).await?;
        let answer = tokio::time::timeout(limit, client.simple_query(sql)).await;
        let messages = match answer {
            Ok(Ok(messages)) => messages,
            Ok(Err(error)) => return Err(self.failed(&error)),
            Err(_) => {
                return Err(LabError::Client { endpoint: self.to_string(), detail: "no answer in time".to_owned() });
            }
        };
        Ok(messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    fn failed(&self, error: &tokio_postgres::Error) -> LabError {
        // the database's own words are in the source
        let detail =
            error.as_db_error().map_or_else(|| chain(error), |db| format!("{}: {}", db.code().code(), db.message()));
        LabError::Client { endpoint: self.to_string(), detail }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
}
