//! When etcd may not be reset, and what to do instead.

use pgstack_diagnostics::Hint;
use pgstack_etcd::MemberId;
use pgstack_topology::NodeId;

use crate::bytes::Bytes;

/// Why etcd is not reset. Nothing has been changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResetRefusal {
    /// A quorum is there.
    #[error("etcd has a quorum: node {node} serves a cluster of {members} member(s)")]
    QuorumExists {
        /// A node that serves it.
        node: NodeId,
        /// How many members it has.
        members: usize,
    },
    /// Enough members run for a quorum.
    #[error("etcd has no quorum at this moment, but could have one: {} of its {voters} voters run, on {}", nodes.len(), list(nodes))]
    MajorityRuns {
        /// Where they run, or can run.
        nodes: Vec<NodeId>,
        /// How many voters the cluster has.
        voters: usize,
    },
    /// No data and no mark.
    #[error("this node has no etcd data and has never been a member")]
    NeverMember,
    /// A mark and no data.
    #[error("etcd's data on this node is lost, too")]
    DataLost,
    /// Data without an identity, and no mark.
    #[error("nothing tells whose data lies in data/etcd: its log names no member, and there is no etcd/member.json")]
    OfNobody,
    /// The data directory could not be looked at.
    #[error("cannot tell what is in etcd's data directory: {reason}")]
    DataUnknown {
        /// Why, in the system's words.
        reason: String,
    },
    /// The data of another node's member, as after cloning a machine.
    #[error("etcd's data on this node is that of member {member}, which is node {node}")]
    DataOfAnotherNode {
        /// The member.
        member: MemberId,
        /// Its node.
        node: NodeId,
    },
    /// The disk would be full, and PostgreSQL stop.
    #[error("a copy of etcd's data takes {}, and there is room for {}", Bytes(*needed), Bytes(*room))]
    NoRoom {
        /// How much the copy takes.
        needed: u64,
        /// How much may be written.
        room: u64,
    },
    /// The nodes hold the data of different database clusters.
    #[error("PostgreSQL's system identifier is {id} on node {first}, but {other} on node {second}")]
    IdentifiersDiffer {
        /// A node.
        first: NodeId,
        /// Its identifier.
        id: String,
        /// Another node.
        second: NodeId,
        /// Its identifier.
        other: String,
    },
}

/// `node 2`, `nodes 2 and 3`, `nodes 2, 3 and 4`.
pub(super) fn list(nodes: &[NodeId]) -> String {
    let numbers: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    match numbers.as_slice() {
        [] => "no node".to_owned(),
        [one] => format!("node {one}"),
        [first @ .., last] => format!("nodes {} and {last}", first.join(", ")),
    }
}

impl Hint for ResetRefusal {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::QuorumExists { .. } => {
                vec!["nothing has to be reset: run `deploy` on the nodes that are missing, they join by themselves".to_owned()]
            }
            Self::MajorityRuns { nodes, .. } => vec![
                "give them half a minute, and check that TCP 2380 is open between them; `docker logs etcd` on each says \
                 what keeps them"
                    .to_owned(),
                format!(
                    "only when they can never be a quorum again: decide whose data is the newest, run `docker stop etcd` \
                     on the others of {}, then run this on that one",
                    list(nodes)
                ),
            ],
            Self::NeverMember => vec![
                "run it on a node that has data in data/etcd; a new node joins with `deploy` as soon as there is a quorum"
                    .to_owned(),
            ],
            Self::DataLost => vec![
                "run it on a node that still has data in data/etcd".to_owned(),
                "when no node has: `reset-etcd-node1 --without-data`, on the node of the PostgreSQL primary, makes an \
                 empty etcd, and Patroni writes its keys anew; PostgreSQL's data is not touched"
                    .to_owned(),
            ],
            Self::OfNobody => vec!["put etcd/member.json back from a copy, or run it on another node".to_owned()],
            Self::DataUnknown { .. } => vec!["run as root, and check that data/etcd can be read".to_owned()],
            Self::NoRoom { .. } => vec!["make room on the disk of data/, then run this again".to_owned()],
            Self::IdentifiersDiffer { .. } => vec![
                "decide whose data is right, stop Patroni on the others (`docker stop patroni`), and run this again"
                    .to_owned(),
            ],
            Self::DataOfAnotherNode { .. } => {
                vec!["a cloned machine? move data/etcd away, and run it on a node with data of its own".to_owned()]
            }
        }
    }
}
