//! What only a node itself knows; its agent tells the others.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::Fact;

/// What a node's agent says about its machine. No secret is in it, and nothing that would help to guess one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Local {
    /// The version of the agent.
    pub version: String,
    /// The machine's clock when it answered, in milliseconds since 1970.
    pub clock_ms: u64,
    /// The stack's containers by service (`etcd`, `patroni`, …); a service without one is missing here. Where
    /// [`Local::engine`] is empty, nothing is known about any.
    pub containers: BTreeMap<String, Container>,
    /// Whether its kernel holds the VIP.
    pub holds_vip: bool,
    /// Who has announced itself as the VIP's owner within the last seconds, other than this node.
    pub vip_heard_from: Vec<Ipv4Addr>,
    /// The file systems below data/.
    pub disks: Vec<Disk>,
    /// What its `.env` says, or what is wrong with it.
    pub settings: Fact<Settings>,
    /// Generated files that are not as its `.env` would make them now.
    pub odd_files: Vec<OddFile>,
    /// Files with secrets that everybody on the machine can read.
    pub readable_by_all: Vec<String>,
    /// Warnings about its `.env`, by key: weak, default or equal passwords, … (never a value).
    pub warnings: BTreeMap<String, String>,
    /// A switchover or the end of the primary's PostgreSQL has paused the pooler a few seconds ago, and the pause ends by
    /// itself.
    pub pooler_leased: bool,
    /// What is wrong with NODE_IP or KEEPALIVED_INTERFACE on this machine.
    pub address_problem: Option<String>,
    /// The Docker engine's version; empty where the engine does not answer.
    pub engine: String,
}

/// What a node's `.env` says, as far as nodes compare it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The fingerprint of addresses, VIP and passwords.
    pub agreement: String,
    /// The fingerprint of what it names of the DCS.
    pub dcs: Option<String>,
    /// Keys that are no secret and must be the same everywhere, with their values: `VIP`, `NODE1_IP`, …
    pub shared: BTreeMap<String, String>,
}

impl Default for Fact<Settings> {
    fn default() -> Self {
        Self::unknown("not asked")
    }
}

/// One container of the stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// `running`, `exited`, `restarting`, `paused`, `created`, `dead`.
    pub status: String,
    /// What its health check says: `healthy`, `unhealthy`, `starting`; none without one.
    pub health: Option<String>,
    /// When it was last started, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// How often the engine has restarted it by itself.
    pub restarts: u64,
    /// The exit code of the last run, where it does not run.
    pub exit_code: Option<i64>,
    /// The kernel killed it for its memory.
    pub oom_killed: bool,
    /// The image that it was made from, as Compose named it.
    pub image: String,
    /// The folder in which Compose made it, where that is not this stack directory; `something else` where not Compose did.
    pub made_elsewhere: Option<String>,
    /// It was made from another docker-compose.yaml than the one on disk (or another image of that name).
    pub outdated: bool,
    /// Its configuration files are newer than what it has read.
    pub unread: bool,
    /// What its log says about why it does not serve, in our words; only asked where it does not.
    pub trouble: Option<String>,
}

/// One file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// What lies on it: `data/pg`, `data/etcd`.
    pub path: String,
    /// Its size, in bytes.
    pub size: u64,
    /// What a service may still write, in bytes.
    pub free: u64,
}

/// A generated file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OddFile {
    /// `haproxy/haproxy.cfg`.
    pub path: String,
    /// What is odd about it.
    pub state: FileState,
}

/// What is odd about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// It is not there.
    Missing,
    /// It holds something else: somebody edited it, or `.env` changed since.
    Differs,
    /// Its owner or mode is not as it should be.
    Access,
}
