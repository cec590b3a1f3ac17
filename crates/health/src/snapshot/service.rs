//! What a node's services say, each asked over the network. A field that is missing in JSON is taken for empty, so
//! that an older reader's or writer's answer still counts.

use std::collections::BTreeMap;

use pgstack_topology::NodeId;
use serde::{Deserialize, Serialize};

/// One etcd.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Etcd {
    /// Whether it serves clients. A member that waits for a quorum does not, and answers its peers only.
    pub serves: bool,
    /// Whether a read that takes a quorum succeeded.
    pub has_quorum: bool,
    /// Whether it takes orders from those who have not logged in: `open`, `closed`, or `locked`, where it knows no login of
    /// the node that asked, either. None where no read that takes a quorum was answered.
    pub door: Option<String>,
    /// The id of its cluster, hexadecimal, as etcd prints it.
    pub cluster_id: String,
    /// Its own id; empty where it does not serve.
    pub member_id: String,
    /// The id of the leader that it follows.
    pub leader: Option<String>,
    /// It gets the log but has no vote.
    pub is_learner: bool,
    /// The members as it knows them.
    pub members: Vec<EtcdMember>,
    /// Raised alarms.
    pub alarms: Vec<EtcdAlarm>,
    /// The size of its database file, in bytes.
    pub db_size: u64,
    /// How much of that is used; a defragmentation gives the rest back.
    pub db_in_use: u64,
    /// The size at which it stops to write, in bytes.
    pub db_quota: u64,
    /// How long the read that takes a quorum took, in milliseconds.
    pub latency_ms: u64,
    /// `3.5.16`.
    pub version: String,
}

impl Etcd {
    /// Whether it takes orders from everybody.
    pub fn is_open(&self) -> bool {
        self.door.as_deref() == Some("open")
    }

    /// Whether it takes none from the node that asked, and tells it nothing of what it keeps.
    pub fn is_locked(&self) -> bool {
        self.door.as_deref() == Some("locked")
    }
}

/// One member, as an etcd lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EtcdMember {
    /// Its id, hexadecimal.
    pub id: String,
    /// Empty until it has started.
    pub name: String,
    /// Where the others reach it.
    pub peer_urls: Vec<String>,
    /// The node whose address that is, where it is one of ours.
    pub node: Option<NodeId>,
    /// It has no vote.
    pub is_learner: bool,
    /// Whether it has ever started.
    pub has_started: bool,
}

/// A raised alarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EtcdAlarm {
    /// The member that raised it.
    pub member: String,
    /// `NOSPACE`, `CORRUPT`.
    pub alarm: String,
}

/// One Patroni, which describes its PostgreSQL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Patroni {
    /// `4.1.5`.
    pub version: String,
    /// `primary`, `replica`, `uninitialized`, …
    pub role: String,
    /// `running`, `starting`, `creating replica`, …
    pub state: String,
    /// `streaming`, `in archive recovery`, where it follows another one.
    pub replication_state: Option<String>,
    /// PostgreSQL's timeline.
    pub timeline: Option<u64>,
    /// The identifier of its database cluster.
    pub system_id: Option<String>,
    /// Maintenance mode: it looks on and does nothing.
    pub paused: bool,
    /// It goes on without etcd, because all members still see each other.
    pub failsafe: bool,
    /// Settings that wait for a restart: `max_connections` → `100 -> 200`.
    pub pending_restart: BTreeMap<String, String>,
    /// When it last heard of etcd, in seconds since 1970 by its own clock.
    pub dcs_last_seen: u64,
    /// Where its WAL is, in bytes: what a primary has written, what a replica has received.
    pub wal_position: Option<u64>,
    /// What a replica has replayed.
    pub replayed: Option<u64>,
    /// It is a synchronous standby.
    pub sync_standby: bool,
    /// How many bytes it is behind the primary, for a replica, as Patroni counts it in etcd: up to loop_wait old, and
    /// unknown without a quorum.
    pub lag_bytes: Option<u64>,
    /// `nofailover`, `noloadbalance`, … where set.
    pub tags: BTreeMap<String, String>,
}

impl Patroni {
    /// Whether it is the primary, whatever its state.
    pub fn is_primary(&self) -> bool {
        matches!(self.role.as_str(), "primary" | "master")
    }

    /// Whether it takes writes.
    pub fn takes_writes(&self) -> bool {
        self.is_primary() && self.state == "running"
    }

    /// Whether it streams from another PostgreSQL.
    pub fn streams(&self) -> bool {
        self.replication_state.as_deref() == Some("streaming")
    }
}

/// One PostgreSQL, asked with SQL.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Postgres {
    /// `17.6`.
    pub version: String,
    /// It replays another one's WAL.
    pub in_recovery: bool,
    /// Its timeline.
    pub timeline: u64,
    /// The identifier of its database cluster.
    pub system_id: String,
    /// Whether its pages carry checksums.
    pub data_checksums: bool,
    /// Client connections, and how many there may be.
    pub connections: u32,
    /// `max_connections`.
    pub max_connections: u32,
    /// For how long the last replayed commit has been behind the newest one received, in seconds; none where nothing is behind.
    pub replay_lag_s: Option<f64>,
    /// Somebody stopped its replay.
    pub replay_paused: bool,
    /// `synchronous_standby_names`.
    pub synchronous_standby_names: String,
    /// Those that stream from it.
    pub standbys: Vec<Standby>,
    /// Its replication slots.
    pub slots: Vec<Slot>,
    /// Roles of the stack, beside the superuser, whose password in `.env` it refuses. Only a primary is asked.
    pub refused_roles: Vec<String>,
}

/// One that streams from a PostgreSQL.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standby {
    /// `application_name`: `patroni2`.
    pub name: String,
    /// `streaming`, `catchup`, `backup`.
    pub state: String,
    /// `async`, `sync`, `quorum`, `potential`.
    pub sync_state: String,
    /// How many bytes it has yet to replay.
    pub lag_bytes: u64,
    /// The same as a time, in seconds.
    pub lag_s: Option<f64>,
}

/// One replication slot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slot {
    /// `patroni2`.
    pub name: String,
    /// Whether somebody uses it.
    pub active: bool,
    /// How much WAL it holds, in bytes.
    pub holds_bytes: u64,
    /// `reserved`, `extended`, `unreserved`, `lost`.
    pub wal_status: String,
}

/// One HAProxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Haproxy {
    /// The fingerprint of the settings that must be the same on every node, as it was given them.
    pub settings: String,
    /// The fingerprint of what its `.env` names of the DCS.
    pub dcs_settings: Option<String>,
    /// The servers of its two backends.
    pub servers: Vec<DbServer>,
    /// Why these are not known, where it did not show them: `the password is refused`.
    pub servers_unknown: Option<String>,
}

/// One server of a HAProxy, as that proxy sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DbServer {
    /// `primary` or `replicas`.
    pub backend: String,
    /// `patroni1`.
    pub name: String,
    /// Whether connections may go there.
    pub is_up: bool,
    /// `UP`, `DOWN`, `UP 1/3`, …
    pub status: String,
    /// What its last check said: `L7STS/503`.
    pub check: String,
    /// For how many seconds it has been so.
    pub since_s: u64,
}

/// One PgBouncer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pgbouncer {
    /// `1.24.1`.
    pub version: String,
    /// The databases that are paused; one called `*` stands for all of them.
    pub paused: Vec<String>,
    /// The databases that are disabled.
    pub disabled: Vec<String>,
    /// Its pools, without its own console's.
    pub pools: Vec<Pool>,
}

/// The connections of one role to one database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// Clients that have a connection to PostgreSQL.
    pub clients_active: u32,
    /// Clients that wait for one.
    pub clients_waiting: u32,
    /// For how long the first of them has waited, in milliseconds.
    pub max_wait_ms: u64,
    /// Connections to PostgreSQL that work for a client.
    pub servers_active: u32,
    /// Connections to PostgreSQL that are free.
    pub servers_idle: u32,
}
