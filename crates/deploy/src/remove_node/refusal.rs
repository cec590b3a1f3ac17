//! When a node is not removed, and what the user can do about it.

use std::fmt;

use pgstack_diagnostics::Hint;
use pgstack_topology::NodeId;

/// What shows that a node is still alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Its Patroni answers, and would register the node again.
    Patroni,
    /// Its PostgreSQL answers.
    Postgres,
    /// Its HAProxy answers, so it could get the VIP.
    Haproxy,
    /// Its etcd answers, so the others could still need its vote.
    Etcd,
    /// The primary sends it its WAL. After a power cut PostgreSQL takes a minute to notice.
    Replication,
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Patroni => "Patroni answers",
            Self::Postgres => "PostgreSQL answers",
            Self::Haproxy => "HAProxy answers",
            Self::Etcd => "etcd answers",
            Self::Replication => "the primary has a replication connection to it, for up to a minute after a power cut",
        })
    }
}

/// `Patroni answers, PostgreSQL answers`.
pub(super) fn list(signs: &[Sign]) -> String {
    signs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Why a node is not removed. Nothing has been changed, but for a switchover that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemovalRefusal {
    /// etcd's membership may not be changed: this machine, no quorum, too few voters left.
    #[error(transparent)]
    Etcd(#[from] pgstack_etcd::Refusal),
    /// Nothing knows that node.
    #[error("node {node} is not in .env, and neither etcd nor Patroni nor PostgreSQL knows it")]
    Unknown {
        /// The node that was to go.
        node: NodeId,
    },
    /// The node leads.
    #[error("node {node} leads PostgreSQL")]
    Leads {
        /// The node that was to go.
        node: NodeId,
    },
    /// The node leads, and nobody can take over.
    #[error("node {node} leads PostgreSQL, and no other node streams from it")]
    NoCandidate {
        /// The node that was to go.
        node: NodeId,
    },
    /// Nobody leads.
    #[error("no node of .env leads PostgreSQL at this moment")]
    NoLeader,
    /// The node holds the VIP.
    #[error("node {node} holds the VIP")]
    HoldsVip {
        /// The node that was to go.
        node: NodeId,
    },
    /// The node is alive, and one of only three.
    #[error("three nodes are the fewest, and node {node} is alive ({})", list(signs))]
    TooFew {
        /// The node that was to go.
        node: NodeId,
        /// What shows that it is alive.
        signs: Vec<Sign>,
    },
    /// Its operator did not stop it in time.
    #[error("after {seconds} s node {node} is still alive ({})", list(signs))]
    StillAlive {
        /// The node that was to go.
        node: NodeId,
        /// How long it was waited for, in seconds.
        seconds: u64,
        /// What shows that it is alive.
        signs: Vec<Sign>,
    },
}

impl Hint for RemovalRefusal {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Etcd(refusal) => refusal.hints(),
            Self::Unknown { .. } => vec![
                "`docker exec etcd etcdctl member list` and `docker exec patroni patronictl -c /config/patroni.yml list` \
                 show who there is"
                    .to_owned(),
            ],
            Self::Leads { node } => vec![
                format!(
                    "`remove-node {node} --switchover` first moves the leadership to the replica that is least behind"
                ),
                "if its machine has just died, another node leads within a minute; then run this again".to_owned(),
            ],
            Self::NoCandidate { .. } => {
                vec!["bring another node up first (`deploy` there) and wait until it streams".to_owned()]
            }
            Self::NoLeader => {
                vec!["wait until a node leads, then run this again; `docker logs patroni` says why none does".to_owned()]
            }
            Self::HoldsVip { node } => vec![format!(
                "move it first: `docker compose stop keepalived` on node {node}; another node has it within seconds"
            )],
            Self::TooFew { node, .. } => vec![format!(
                "to put another machine in its place, run `./clean` on node {node} or switch its machine off, then run \
                 this again"
            )],
            Self::StillAlive { node, .. } => vec![format!(
                "it would come back by itself: run `./clean` on node {node}, or switch its machine off, then run this again"
            )],
        }
    }
}
