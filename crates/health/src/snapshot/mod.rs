//! Everything that is known about a cluster at one moment. Its JSON is `status --json`, documented in
//! docs/status-json.md: a field is only ever added, or [`SCHEMA`] grows.

mod local;
mod service;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use pgstack_topology::NodeId;
use serde::{Deserialize, Serialize};

pub use local::{Container, Disk, FileState, Local, OddFile, Settings};
pub use service::{DbServer, Etcd, EtcdAlarm, EtcdMember, Haproxy, Patroni, Pgbouncer, Pool, Postgres, Slot, Standby};

use crate::Fact;

/// The version of the JSON.
pub const SCHEMA: u32 = 1;

/// Everything that is known about a cluster at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it was taken, in milliseconds since 1970, by the clock of the node that asked.
    pub taken_at_ms: u64,
    /// How long the asking took, in milliseconds.
    pub took_ms: u64,
    /// The node that asked.
    pub from: NodeId,
    /// The virtual address.
    pub vip: Ipv4Addr,
    /// Whether the node that asked runs keepalived, or is meant to (false after `deploy --no-vip`).
    pub with_vip: bool,
    /// The node whose HAProxy answers at the VIP.
    pub vip_answers: Fact<NodeId>,
    /// All nodes that the asking node's `.env` names, in order.
    pub nodes: Vec<Node>,
    /// What Patroni keeps in etcd, read from a member with a quorum.
    pub dcs: Fact<Dcs>,
}

/// What is known about one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// Its address.
    pub address: Ipv4Addr,
    /// Whether anything came back from there, be it a refusal.
    pub reachable: bool,
    /// What its agent says, which only that machine knows.
    pub local: Fact<Local>,
    /// How far its clock is ahead of the asking node's, in milliseconds, as exactly as the answer's way allows.
    pub clock_offset_ms: Fact<i64>,
    /// Its etcd.
    pub etcd: Fact<Etcd>,
    /// Its Patroni.
    pub patroni: Fact<Patroni>,
    /// Its PostgreSQL, asked with SQL.
    pub postgres: Fact<Postgres>,
    /// Its HAProxy.
    pub haproxy: Fact<Haproxy>,
    /// Its PgBouncer.
    pub pgbouncer: Fact<Pgbouncer>,
}

/// What Patroni keeps in etcd.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Dcs {
    /// The member that holds the leader key: `patroni1`.
    pub leader: Option<String>,
    /// The identifier of the database cluster.
    pub initialize: Option<String>,
    /// The registered members.
    pub members: Vec<DcsMember>,
    /// The member that synchronous replication counts as the primary.
    pub sync_leader: Option<String>,
    /// The synchronous standbys.
    pub sync_standbys: Vec<String>,
    /// Whether a failover or switchover is asked for and not done.
    pub failover_pending: bool,
    /// How many timelines its history knows.
    pub timelines: u32,
    /// The last entries of the history, oldest first: `3: patroni2 at 2026-01-31T04:05:06+00:00`.
    pub history: Vec<String>,
    /// `ttl`, `loop_wait`, `synchronous_mode`, … as Patroni keeps them (JSON): the whole configuration, secrets masked.
    pub config: serde_json::Value,
    /// The members that the primary asks before it goes on without etcd; empty without failsafe_mode.
    #[serde(default)]
    pub failsafe: Vec<String>,
}

/// One registered member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DcsMember {
    /// `patroni1`.
    pub name: String,
    /// Where the others reach its PostgreSQL: `postgres://10.0.0.1:5432/postgres`.
    pub conn_url: String,
    /// Where the others reach its Patroni: `http://10.0.0.1:8008/patroni`.
    pub api_url: String,
    /// `primary`, `replica`, …
    pub role: String,
    /// `running`, `stopped`, …
    pub state: String,
    /// `nofailover: true`, … where there are any.
    pub tags: BTreeMap<String, String>,
}

impl Snapshot {
    /// The node of that number.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The node of a Patroni member: `patroni2` is node 2, where there is one.
    pub fn node_of_member(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id.patroni_name() == name)
    }

    /// The node that leads: by the leader key, or where etcd does not tell, the only one whose Patroni says so.
    pub fn leader(&self) -> Option<&Node> {
        if let Some(dcs) = self.dcs.known() {
            return self.node_of_member(dcs.leader.as_deref()?);
        }
        let mut primaries = self.primaries();
        let first = primaries.next();
        first.filter(|_| primaries.next().is_none())
    }

    /// The nodes whose Patroni calls its PostgreSQL a primary that runs.
    pub fn primaries(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.patroni.known().is_some_and(Patroni::takes_writes))
    }

    /// The nodes whose kernel holds the VIP.
    pub fn vip_holders(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.local.known().is_some_and(|local| local.holds_vip))
    }
}
