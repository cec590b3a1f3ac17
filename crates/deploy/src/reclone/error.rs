//! Why a node gets no fresh copy.

use pgstack_diagnostics::Hint;
use pgstack_etcd::client::StoreError;
use pgstack_topology::NodeId;

use super::observe::Proof;
use crate::bytes::Bytes;
use crate::patroni_keys::INITIALIZE;

/// Why a node gets no fresh copy. Nothing of its data has been touched.
#[derive(Debug, thiserror::Error)]
pub enum RecloneError {
    /// The data to copy would be this node's own.
    #[error("this node leads: {proof}")]
    Leads {
        /// Who says so.
        proof: Proof,
    },
    /// Patroni only looks on.
    #[error("Patroni is in maintenance mode, in which it copies nothing")]
    Paused,
    /// Nobody has data to copy.
    #[error("no node leads, so there is nobody to copy from")]
    NoLeader,
    /// A leader that `.env` does not name.
    #[error("etcd says that `{name}` leads, and that is no node of this .env")]
    UnknownLeader {
        /// Its name.
        name: String,
    },
    /// A leader at another address than `.env` says.
    #[error("node {node} leads from {registered}, but NODE{node}_IP is {configured}")]
    LeaderElsewhere {
        /// The leader's node.
        node: NodeId,
        /// NODE*_IP.
        configured: String,
        /// What it registered in etcd; empty for nothing.
        registered: String,
    },
    /// Patroni could ask the wrong one.
    #[error("the etcd of node {one} and that of node {other} are not of the same cluster")]
    TwoStores {
        /// A node.
        one: NodeId,
        /// Another one.
        other: NodeId,
    },
    /// It holds the leader key and says nothing.
    #[error("node {node} leads, but its Patroni does not answer")]
    SilentLeader {
        /// The leader's node.
        node: NodeId,
    },
    /// It holds the leader key and takes no writes.
    #[error("node {node} leads, but its PostgreSQL is {state} as {role}")]
    NotPrimary {
        /// The leader's node.
        node: NodeId,
        /// Its role, in Patroni's words.
        role: String,
        /// Its state, in Patroni's words.
        state: String,
    },
    /// Nothing says which data is the cluster's.
    #[error("etcd holds no system identifier of this cluster ({INITIALIZE})")]
    NoIdentity,
    /// The leader's data is not what etcd describes.
    #[error("node {node} leads with data of the system identifier {leader}, but the cluster's is {cluster}")]
    OtherIdentity {
        /// The leader's node.
        node: NodeId,
        /// The identifier of its data.
        leader: String,
        /// The identifier in etcd.
        cluster: String,
    },
    /// The leader's PostgreSQL cannot be asked.
    #[error("the PostgreSQL of node {node}, which leads, cannot be asked: {reason}")]
    NoPostgres {
        /// The leader's node.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// The copy could not log in.
    #[error("the PostgreSQL of node {node}, which leads, refuses the password of `{role}`")]
    WrongPassword {
        /// The leader's node.
        node: NodeId,
        /// The role.
        role: &'static str,
        /// The key in `.env`.
        key: &'static str,
    },
    /// A rename would move the link, or fail.
    #[error("{path} is a link or a disk of its own, so it cannot be moved aside")]
    Apart {
        /// The folder.
        path: String,
    },
    /// The disk would be full before the copy is complete.
    #[error(
        "the copy takes {}, and there is room for {}: {} are missing",
        Bytes(*needed),
        Bytes(*room),
        Bytes(needed.saturating_sub(*room))
    )]
    NoRoom {
        /// How much the copy takes.
        needed: u64,
        /// How much may be written.
        room: u64,
        /// The size of the old data, while it is to be kept.
        old: Option<u64>,
        /// What earlier runs have kept, with its size.
        kept: Vec<(String, u64)>,
    },
    /// Between the plan and its first change the node was no longer as it had been.
    #[error("this node changed while it was asked about; its data was not touched")]
    Changed,
    /// etcd.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for RecloneError {
    fn hints(&self) -> Vec<String> {
        let one = |hint: &str| vec![hint.to_owned()];
        match self {
            Self::Leads { .. } => {
                one("a leader's data is the cluster's. When it is this node that is broken, move the \
                 leadership away first: docker exec -it patroni patronictl -c /config/patroni.yml switchover")
            }
            Self::Paused => {
                one("end it on any node: docker exec patroni patronictl -c /config/patroni.yml resume --wait; \
                 then run this again")
            }
            Self::NoLeader => {
                one("this node's data may be the best there is, so it was left alone; run `deploy` on the \
                 other nodes and wait until one leads: docker exec patroni patronictl -c /config/patroni.yml list")
            }
            Self::UnknownLeader { .. } | Self::LeaderElsewhere { .. } => one(
                "make NODE1_IP, NODE2_IP, … in .env what they are on the other nodes; when the registered address is \
                 the wrong one, run ./scripts/fix-patroni-connect-address on the leader's node",
            ),
            Self::TwoStores { .. } => one("one of them has data of another life: `deploy` on its node names it, \
                 `deploy --wipe-etcd` moves that aside"),
            Self::SilentLeader { node } => vec![format!(
                "look after node {node}, and open TCP 8008 between the nodes; if it is dead, another node takes over \
                 within a minute: run this again then"
            )],
            Self::NotPrimary { node, .. } => vec![format!(
                "wait until it takes writes, then run this again; `docker logs patroni` on node {node} says what it does"
            )],
            Self::NoIdentity => {
                one("the leader's Patroni writes it by itself within seconds: run this again; `docker \
                 logs patroni` on the leader's node says what keeps it")
            }
            Self::OtherIdentity { .. } => one("which of the two is right has to be known before anything is copied: \
                 `docker logs patroni` on the leader's node says more"),
            Self::NoPostgres { node, .. } => {
                vec![format!("open TCP 5432 between the nodes; `docker logs patroni` on node {node} may say more")]
            }
            Self::WrongPassword { key, .. } => vec![format!("make {key} in .env what it is on the other nodes")],
            Self::Apart { path } => vec![format!(
                "--delete-old-data empties it in place; to keep the old data, stop Patroni (docker compose stop patroni), \
                 move what is in {path} elsewhere, and run this again"
            )],
            Self::NoRoom { needed, room, old, kept } => room_hints(*needed, *room, *old, kept),
            Self::Changed => one("run it again"),
            Self::Store(error) => error.hints(),
        }
    }
}

fn room_hints(needed: u64, room: u64, old: Option<u64>, kept: &[(String, u64)]) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(old) = old {
        let enough = if room.saturating_add(old) >= needed { "enough" } else { "still not enough" };
        hints.push(format!("--delete-old-data frees {}, which is {enough}", Bytes(old)));
    }
    for (path, size) in kept {
        hints.push(format!("{path} was kept by an earlier run and takes {}: delete it if you can", Bytes(*size)));
    }
    if hints.is_empty() {
        hints.push("make room on that disk, then run this again".to_owned());
    }
    hints
}
