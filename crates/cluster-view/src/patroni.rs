//! Patroni's REST API: `GET /cluster`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use pgstack_topology::{Node, port};
use serde::Deserialize;
use serde_json::Value;

use crate::Observer;

/// The cluster as one Patroni describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct View {
    /// All registered members.
    #[serde(default)]
    pub members: Vec<Member>,
}

/// One registered member.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// `patroni1`.
    pub name: String,
    /// What it is at this moment.
    pub role: Role,
    /// `running`, `streaming`, `stopped`, `creating replica`, …
    #[serde(default)]
    pub state: String,
}

/// One PostgreSQL as its own Patroni describes it at this moment; what the others know of it is up
/// to loop_wait old.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Instance {
    /// `primary`, `replica`, …
    #[serde(default)]
    pub role: String,
    /// `running`, `starting`, `creating replica`, …
    #[serde(default)]
    pub state: String,
    /// `streaming`, where it follows the primary closely.
    #[serde(default)]
    pub replication_state: Option<String>,
    /// Whether a changed setting waits for a restart.
    #[serde(default)]
    pub pending_restart: bool,
    /// Which settings these are.
    #[serde(default)]
    pub pending_restart_reason: BTreeMap<String, Difference>,
}

/// What PostgreSQL runs with, and what it will start with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Difference {
    /// Now.
    pub old_value: Value,
    /// After the restart.
    pub new_value: Value,
}

/// `100 -> 200`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        write!(f, "{} -> {}", text(&self.old_value).escape_debug(), text(&self.new_value).escape_debug())
    }
}

impl Instance {
    /// Whether it takes writes.
    pub fn leads(&self) -> bool {
        self.role == "primary" && self.state == "running"
    }

    /// Whether it streams from another PostgreSQL.
    pub fn streams(&self) -> bool {
        self.replication_state.as_deref() == Some("streaming")
    }
}

/// The role of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Holds the leader key.
    Leader,
    /// Leads a standby cluster.
    StandbyLeader,
    /// Follows synchronously.
    SyncStandby,
    /// Follows synchronously as one of a quorum.
    QuorumStandby,
    /// Follows.
    Replica,
    /// A role that this version does not know.
    #[serde(other)]
    Other,
}

impl View {
    /// The member that takes writes: it holds the leader key and its PostgreSQL runs.
    pub fn leader(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.role == Role::Leader && member.state == "running")
    }

    /// The member of that name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Those that stream from the leader.
    pub fn streaming(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.role != Role::Leader && member.state == "streaming")
    }
}

impl Observer {
    /// The PostgreSQL of `node`; `None` where its Patroni does not answer.
    pub async fn instance(&self, node: Node) -> Option<Instance> {
        self.instance_at(node.ip().addr()).await
    }

    /// The same for a machine of which only the address is known.
    pub async fn instance_at(&self, address: Ipv4Addr) -> Option<Instance> {
        let url = format!("http://{address}:{}/patroni", port::PATRONI_REST);
        self.get(&url).await?.json().await.ok()
    }

    /// The cluster as the Patroni of `node` sees it; `None` where it does not answer.
    pub async fn patroni_view(&self, node: Node) -> Option<View> {
        self.patroni_view_at(node.ip().addr()).await
    }

    /// The same for a machine of which only the address is known.
    pub async fn patroni_view_at(&self, address: Ipv4Addr) -> Option<View> {
        let url = format!("http://{address}:{}/cluster", port::PATRONI_REST);
        self.get(&url).await?.json().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_knows_who_leads_and_who_streams() {
        let view: View = serde_json::from_str(
            r#"{"members": [
                {"name": "patroni1", "role": "leader", "state": "running", "host": "192.168.0.152", "port": 5432},
                {"name": "patroni2", "role": "replica", "state": "streaming", "host": "192.168.0.153", "lag": 0},
                {"name": "patroni3", "role": "quorum_standby", "state": "streaming", "lag": "unknown"},
                {"name": "patroni4", "role": "something_new", "state": "stopped"}], "scope": "pg-cluster"}"#,
        )
        .expect("a view");
        assert_eq!(view.leader().map(|member| member.name.as_str()), Some("patroni1"));
        let streaming: Vec<&str> = view.streaming().map(|member| member.name.as_str()).collect();
        assert_eq!(streaming, ["patroni2", "patroni3"]);
    }

    #[test]
    fn an_instance_says_what_waits_for_a_restart() {
        let instance: Instance = serde_json::from_str(
            r#"{"state": "running", "role": "replica", "replication_state": "streaming", "pending_restart": true,
                "pending_restart_reason": {"max_connections": {"old_value": "100", "new_value": "200"}}}"#,
        )
        .expect("an instance");
        assert!(instance.pending_restart && instance.streams() && !instance.leads());
        assert_eq!(instance.pending_restart_reason["max_connections"].to_string(), "100 -> 200");
        let plain: Instance = serde_json::from_str(r#"{"state": "running", "role": "primary"}"#).expect("an instance");
        assert!(!plain.pending_restart && plain.leads());
    }

    #[test]
    fn a_leader_whose_postgresql_does_not_run_takes_no_writes() {
        let view: View =
            serde_json::from_str(r#"{"members": [{"name": "patroni1", "role": "leader", "state": "starting"}]}"#)
                .expect("a view");
        assert_eq!(view.leader(), None);
    }
}
