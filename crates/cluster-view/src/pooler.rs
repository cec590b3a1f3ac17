//! PgBouncer's pauses: asked for at a node's agent, as leases that end by themselves; ended at its own console.

use std::net::Ipv4Addr;
use std::time::Duration;

use pgstack_topology::{Node, Secret, port};
use tokio::time::Instant;

use crate::{Login, Observer, Silence, Source, Sql};

/// When a pause begins, counted from the order: long enough for every agent to have got ready, so that all poolers stop at
/// one moment.
pub const PAUSE_NOTICE: Duration = Duration::from_millis(800);
/// How long the agent's own work and the way may take on top of that and of what `PAUSE` waits.
const MARGIN: Duration = Duration::from_millis(1500);

/// A pooler is not paused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPaused {
    /// Transactions have not ended in time.
    #[error("transactions did not end in time")]
    Busy,
    /// A person or another switchover has paused it; it is as it was.
    #[error("it is paused by somebody else")]
    Already,
    /// Anything else. It may be paused all the same, until the lease ends.
    #[error("{0}")]
    Failed(String),
}

impl Observer {
    /// Whether the agent of `node` would pause its pooler for us; why not, where it would not.
    pub async fn pooler_can_be_paused(&self, node: Node, token: &Secret) -> Result<(), String> {
        let url = format!("http://{}:{}/pooler", node.ip(), port::AGENT);
        let answer = self.http.get(url).timeout(self.limit).bearer_auth(token.expose()).send().await;
        match answer.map_err(|error| Silence::from_http(&error).to_string())?.status().as_u16() {
            204 => Ok(()),
            code => Err(refusal(code)),
        }
    }

    /// Pauses the pooler of `node` for at most `seconds`, of which `PAUSE` may wait `wait` for transactions.
    pub async fn pause_pooler(&self, node: Node, token: &Secret, seconds: u64, wait: u64) -> Result<(), NotPaused> {
        let url = format!("http://{}:{}/pooler/pause?seconds={seconds}&wait={wait}", node.ip(), port::AGENT);
        let limit = Duration::from_secs(wait) + PAUSE_NOTICE + MARGIN;
        let answer = self.http.post(url).timeout(limit).bearer_auth(token.expose()).send().await;
        let answer = answer.map_err(|error| NotPaused::Failed(Silence::from_http(&error).to_string()))?;
        match answer.status().as_u16() {
            200 => Ok(()),
            408 => Err(NotPaused::Busy),
            409 => Err(NotPaused::Already),
            code @ (401 | 403 | 404 | 405 | 503) => Err(NotPaused::Failed(refusal(code))),
            code => {
                let said = answer.text().await.unwrap_or_default();
                Err(NotPaused::Failed(format!("its agent answers {code}: {}", said.trim().escape_debug())))
            }
        }
    }

    /// Lets the clients of the pooler of `node` wait until a primary takes writes, for some seconds at most. Best effort.
    pub async fn hold_pooler(&self, node: Node, token: &Secret) {
        let url = format!("http://{}:{}/pooler/hold", node.ip(), port::AGENT);
        drop(self.http.post(url).timeout(self.limit).bearer_auth(token.expose()).send().await);
    }

    /// The names of the members that the HAProxy of `node` sends writes to, or may; `None` where it does not tell.
    pub async fn haproxy_primaries(&self, node: Node, password: &Secret) -> Option<Vec<String>> {
        Some(primaries(&self.haproxy_statistics(node.ip().addr(), password).await.ok()?))
    }
}

fn refusal(code: u16) -> String {
    match code {
        401 | 403 => "its agent refuses the token: the passwords in .env differ".to_owned(),
        404 | 405 => "its agent is older than this program".to_owned(),
        503 => "its agent cannot read its .env".to_owned(),
        code => format!("its agent answers {code}"),
    }
}

/// Servers of the backend `primary` that are up, or on their way down: `UP`, `UP 1/3`.
fn primaries(csv: &str) -> Vec<String> {
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    let Some(at) = header.iter().position(|name| *name == "status") else { return Vec::new() };
    let up = lines.filter_map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let [backend, server, ..] = fields[..] else { return None };
        let is_up = fields.get(at)?.starts_with("UP");
        (backend == "primary" && server != "BACKEND" && server != "FRONTEND" && is_up).then(|| server.to_owned())
    });
    up.collect()
}

/// The console of one PgBouncer. It answers while clients are paused.
pub struct PoolerConsole {
    sql: Sql,
}

impl PoolerConsole {
    /// Logs in; answers until `limit` has passed.
    pub async fn connect(address: Ipv4Addr, login: Login<'_>, limit: Duration) -> Result<Self, Silence> {
        let source = Source { address, port: port::POOLER, database: "pgbouncer", options: None };
        Ok(Self { sql: Sql::connect(source, login, Instant::now() + limit).await? })
    }

    /// Whether all clients are paused.
    pub async fn is_paused(&self) -> Result<bool, Silence> {
        let rows = self.sql.rows("SHOW STATE").await?;
        let stops = |key: Option<&str>| matches!(key, Some("paused" | "suspended"));
        Ok(rows.iter().any(|row| stops(row.get("key")) && row.get("value") == Some("yes")))
    }

    /// It answers for so long from now on.
    pub fn answers_for(&mut self, limit: Duration) {
        self.sql.until(Instant::now() + limit);
    }

    /// Makes the clients wait; ends when none is in the middle of something.
    pub async fn pause(&self) -> Result<(), NotPaused> {
        match self.sql.rows("PAUSE").await.map(drop) {
            Err(Silence::Mute) => Err(NotPaused::Busy),
            Err(Silence::Words(words)) if words.contains("already") => Err(NotPaused::Already),
            other => other.map_err(|why| NotPaused::Failed(why.to_string())),
        }
    }

    /// Lets the clients go on. One that is not paused is left as it is.
    pub async fn resume(&self) -> Result<(), Silence> {
        let over = ["not paused", "shutting down"];
        match self.sql.rows("RESUME").await {
            Err(Silence::Words(words)) if over.iter().any(|known| words.contains(known)) => Ok(()),
            other => other.map(drop),
        }
    }

    /// The process ids, in PostgreSQL, of the connections that are in the middle of something.
    pub async fn busy(&self) -> Result<Vec<u32>, Silence> {
        let rows = self.sql.rows("SHOW SERVERS").await?;
        let active = rows.iter().filter(|row| row.get("state") == Some("active"));
        Ok(active.filter_map(|row| row.get("remote_pid")?.parse().ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gets_the_writes_is_read_from_the_statistics() {
        let csv = "# pxname,svname,qcur,status,weight\nwrite,FRONTEND,,OPEN,\nprimary,patroni1,0,UP 1/3,1\n\
                   primary,patroni2,0,UP,1\nprimary,patroni3,0,DOWN 1/2,1\nprimary,BACKEND,0,UP,3\nreplicas,patroni3,0,UP,1\n";
        assert_eq!(primaries(csv), ["patroni1", "patroni2"]);
        for other in ["", "<html>", "# pxname,svname\nprimary,patroni1\n"] {
            assert!(primaries(other).is_empty(), "{other}");
        }
    }
}
