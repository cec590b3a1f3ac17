//! Patroni's REST API: `GET /cluster`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use pgstack_topology::{Node, port};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{Answer, Observer, Silence};

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
    /// How many bytes it is behind the leader, where that is known.
    #[serde(default, deserialize_with = "bytes")]
    pub lag: Option<u64>,
}

/// A number; Patroni also says `unknown`.
fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(serde_json::Value::deserialize(from)?.as_u64())
}

/// One PostgreSQL as its own Patroni describes it at this moment; what the others know of it is up
/// to loop_wait old.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "Patroni's own")]
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
    /// PostgreSQL's timeline, where it runs.
    #[serde(default)]
    pub timeline: Option<u64>,
    /// The identifier that all copies of one database cluster share; `None` where there is no data.
    #[serde(default)]
    pub database_system_identifier: Option<String>,
    /// Maintenance mode: Patroni looks on and does nothing.
    #[serde(default)]
    pub pause: bool,
    /// When it last heard of etcd, in seconds since 1970.
    #[serde(default)]
    pub dcs_last_seen: u64,
    /// How far its WAL goes, while it runs.
    #[serde(default)]
    pub xlog: Option<Xlog>,
    /// Whether a changed setting waits for a restart.
    #[serde(default)]
    pub pending_restart: bool,
    /// Which settings these are.
    #[serde(default)]
    pub pending_restart_reason: BTreeMap<String, Difference>,
    /// It goes on without etcd, because all members still see each other.
    #[serde(default)]
    pub failsafe_mode_is_active: bool,
    /// It follows synchronously.
    #[serde(default)]
    pub sync_standby: bool,
    /// It follows synchronously as one of a quorum.
    #[serde(default)]
    pub quorum_standby: bool,
    /// `nofailover`, `noloadbalance`, …
    #[serde(default)]
    pub tags: BTreeMap<String, Value>,
    /// Patroni itself.
    #[serde(default)]
    pub patroni: About,
}

/// What a Patroni says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct About {
    /// `4.1.5`.
    #[serde(default)]
    pub version: String,
}

/// Positions in the WAL, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Xlog {
    /// Where a primary writes.
    #[serde(default)]
    pub location: Option<u64>,
    /// What a replica has received.
    #[serde(default)]
    pub received_location: Option<u64>,
    /// What a replica has replayed.
    #[serde(default)]
    pub replayed_location: Option<u64>,
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
    /// Whether it is the primary, whatever its state.
    pub fn is_primary(&self) -> bool {
        // before Patroni 4 it was called master
        matches!(self.role.as_str(), "primary" | "master")
    }

    /// Whether it takes writes now.
    pub fn takes_writes(&self) -> bool {
        self.is_primary() && self.state == "running"
    }

    /// Timeline and WAL position: whoever has the greatest lacks nothing that the others have.
    pub fn position(&self) -> Option<(u64, u64)> {
        let xlog = self.xlog.as_ref()?;
        let reached = [xlog.location, xlog.received_location, xlog.replayed_location].into_iter().flatten().max()?;
        Some((self.timeline?, reached))
    }

    /// Whether it has data, or might have: all that is known is what its Patroni says.
    pub fn may_have_data(&self) -> bool {
        self.database_system_identifier.as_ref().is_some_and(|id| !id.is_empty()) || self.role != "uninitialized"
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

    /// The same and the clock of its machine, or why it is not known.
    pub async fn instance_said(&self, address: Ipv4Addr) -> Result<(Instance, Option<String>), Silence> {
        let url = format!("http://{address}:{}/patroni", port::PATRONI_REST);
        let Answer { text, date } = self.ask(&url, None).await?;
        let instance = serde_json::from_str(&text).map_err(|_| Silence::words("something else answers there"))?;
        Ok((instance, date))
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
        let lags: Vec<Option<u64>> = view.members.iter().map(|member| member.lag).collect();
        assert_eq!(lags, [None, Some(0), None, None]);
    }

    #[test]
    fn an_instance_knows_how_far_its_wal_goes() {
        let instance = |text: &str| serde_json::from_str::<Instance>(text).expect("an instance");
        let primary = instance(
            r#"{"state": "running", "role": "primary", "xlog": {"location": 83886080}, "timeline": 3,
                "database_system_identifier": "7400000000000000000", "dcs_last_seen": 1700000000}"#,
        );
        assert!(primary.takes_writes() && primary.may_have_data());
        assert_eq!(primary.position(), Some((3, 83_886_080)));
        let replica = instance(
            r#"{"state": "running", "role": "replica", "timeline": 3, "xlog": {"received_location": 9,
                "replayed_location": 7, "replayed_timestamp": null, "paused": false}}"#,
        );
        assert_eq!(replica.position(), Some((3, 9)));
        let empty = instance(r#"{"state": "stopped", "role": "uninitialized"}"#);
        assert!(!empty.may_have_data());
        assert_eq!(empty.position(), None);
    }

    #[test]
    fn an_instance_says_what_waits_for_a_restart() {
        let instance: Instance = serde_json::from_str(
            r#"{"state": "running", "role": "replica", "replication_state": "streaming", "pending_restart": true,
                "pending_restart_reason": {"max_connections": {"old_value": "100", "new_value": "200"}}}"#,
        )
        .expect("an instance");
        assert!(instance.pending_restart && instance.streams() && !instance.takes_writes());
        assert_eq!(instance.pending_restart_reason["max_connections"].to_string(), "100 -> 200");
        let plain: Instance = serde_json::from_str(r#"{"state": "running", "role": "primary"}"#).expect("an instance");
        assert!(!plain.pending_restart && plain.takes_writes());
    }

    #[test]
    fn a_leader_whose_postgresql_does_not_run_takes_no_writes() {
        let view: View =
            serde_json::from_str(r#"{"members": [{"name": "patroni1", "role": "leader", "state": "starting"}]}"#)
                .expect("a view");
        assert_eq!(view.leader(), None);
    }
}
