//! What is known about a machine before a deploy.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use pgstack_topology::NodeId;
use serde::Serialize;

use crate::{Disk, Fact};

/// What is known about a machine before a deploy. Where `.env` is missing or wrong, the facts that
/// need it are unknown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Which node it is to be; `None`: `.env` does not say.
    pub node: Option<NodeId>,
    /// The command runs as root.
    pub is_root: bool,
    /// Folders and programs of the stack directory that cannot be used, one sentence each.
    pub unusable: Fact<Vec<String>>,
    /// The Docker engine.
    pub engine: Fact<Tool>,
    /// Compose.
    pub compose: Fact<Tool>,
    /// Those of the stack's ports that somebody listens at, by port.
    pub ports: Fact<BTreeMap<u16, Holder>>,
    /// `NODE_IP` and `KEEPALIVED_INTERFACE`, as the kernel sees them.
    pub place: Fact<Place>,
    /// The other nodes.
    pub peers: Fact<Vec<Peer>>,
    /// Whether the clock is kept right by somebody.
    pub clock: Fact<Clock>,
    /// The file system on which data/ lies or will lie.
    pub disk: Fact<Disk>,
    /// How long the disk takes to have something safe.
    pub fsync: Fact<Fsync>,
    /// Limits of the kernel and of the engine.
    pub kernel: Fact<Kernel>,
    /// The images that `.env` names, and whether the engine has them.
    pub images: Fact<BTreeMap<String, bool>>,
    /// Who has the VIP.
    pub vip: Fact<VipUse>,
}

impl Machine {
    /// `NODE_IP`, where this machine has it.
    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        match self.place.known()? {
            Place::Right { address, .. } => Some(*address),
            Place::WrongAddress(_) | Place::WrongInterface(_) => None,
        }
    }
}

/// A program that the stack needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    /// It answers, with this version.
    Answers(String),
    /// It does not.
    Broken {
        /// What is wrong: `no Docker engine answers`.
        what: String,
        /// The system's own words, where there are any.
        detail: Option<String>,
        /// What to do about it.
        hint: String,
    },
}

/// Who listens at a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// `nginx (pid 812)`, `the container web`.
    pub name: String,
    /// It is a container of this very stack directory.
    pub ours: bool,
}

/// `NODE_IP` and `KEEPALIVED_INTERFACE`, as the kernel sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The interface holds the address.
    Right {
        /// `NODE_IP`.
        address: Ipv4Addr,
        /// `KEEPALIVED_INTERFACE`.
        interface: String,
    },
    /// `NODE_IP` is not an address that others reach this machine at.
    WrongAddress(Wrong),
    /// The interface does not exist, or is not the one that holds `NODE_IP`.
    WrongInterface(Wrong),
}

/// What is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// Another node, as it can be reached from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Its number.
    pub node: NodeId,
    /// Its address.
    pub address: Ipv4Addr,
    /// What came back from each port of the stack.
    pub ports: BTreeMap<u16, Way>,
    /// Whether keepalived's packets can get there and back.
    pub vrrp: Fact<Vrrp>,
    /// How far its clock is ahead of this one, in milliseconds.
    pub clock_offset_ms: Fact<i64>,
}

/// What came back from a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Somebody listens there.
    Open,
    /// Nobody listens there, says the machine itself: the way is free.
    Refused,
    /// A firewall refuses.
    Rejected,
    /// Nothing came back.
    Silent,
    /// The network says that there is no such machine.
    Unreachable,
}

impl Way {
    /// Whether packets get there and back.
    pub fn is_free(self) -> bool {
        matches!(self, Self::Open | Self::Refused)
    }
}

/// Whether keepalived's packets get to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Vrrp {
    /// Something came back, or its announcements are heard.
    Reaches,
    /// A firewall refuses.
    Rejected,
    /// Nothing came back, though nothing of the stack runs there, and other ICMP does come back.
    Silent,
    /// Nothing came back, and no other ICMP either: it may be that alone that is held back.
    Unanswered,
}

/// Whether somebody keeps the clock right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// Whether it is right by a time server.
    pub synchronised: bool,
    /// Who says so: `timedatectl`.
    pub by: String,
}

/// How long the disk takes to have 8 kB safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fsync {
    /// Half of the writes took no longer, in microseconds.
    pub median_us: u64,
    /// The slowest one, in microseconds.
    pub worst_us: u64,
}

/// Limits of the kernel and of the engine, those that have stopped a PostgreSQL, an etcd or a
/// HAProxy before. `None`: it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// The machine's memory, in bytes.
    pub memory: Option<u64>,
    /// What PostgreSQL takes of it, in bytes: POSTGRES_SHARED_BUFFERS.
    pub shared_buffers: Option<u64>,
    /// With `vm.overcommit_memory=2`: what may still be promised, in bytes.
    pub commit_left: Option<u64>,
    /// How many files a container may be allowed to open at most.
    pub open_files: Option<u64>,
    /// The ports that outgoing connections may take, first and last.
    pub ephemeral: Option<(u16, u16)>,
    /// The ports that they may not take nevertheless (`net.ipv4.ip_local_reserved_ports`).
    pub reserved: Vec<(u16, u16)>,
}

/// Who has the VIP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VipUse {
    /// Nobody answers there.
    Free {
        /// The address.
        address: Ipv4Addr,
    },
    /// A node of this cluster serves there.
    Ours {
        /// The address.
        address: Ipv4Addr,
        /// Which node.
        node: NodeId,
    },
    /// Somebody answers there who is not this cluster's keepalived.
    Foreign {
        /// The address.
        address: Ipv4Addr,
        /// Who, as far as that is known: `node 3`, `the machine with the hardware address 02:42:…`.
        who: Option<String>,
        /// What came back from there.
        evidence: Vec<String>,
    },
}
