//! When nothing may be done, and what the user can do about it.

use pgstack_diagnostics::Hint;
use pgstack_topology::NodeId;

use crate::{ClusterId, MemberId};

/// Why there is no plan. Nothing has been changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This machine's data belongs to another cluster than the one that serves.
    #[error("etcd's data on this node belongs to cluster {mine}, but the cluster that serves is {serving}")]
    OtherCluster {
        /// The cluster of the data.
        mine: ClusterId,
        /// The cluster with a quorum.
        serving: ClusterId,
    },
    /// Two clusters serve, each with a quorum of its own.
    #[error("two etcd clusters serve: {first} on node {first_node} and {second} on node {second_node}")]
    TwoClusters {
        /// The first one.
        first: ClusterId,
        /// A node that serves it.
        first_node: NodeId,
        /// The second one.
        second: ClusterId,
        /// A node that serves it.
        second_node: NodeId,
    },
    /// Two nodes serve one cluster, each without the other: each was made a cluster of its own.
    #[error("etcd cluster {cluster} serves twice: on node {} and, without it, on node {}", nodes.0, nodes.1)]
    Split {
        /// The id that both have kept.
        cluster: ClusterId,
        /// Where they serve.
        nodes: (NodeId, NodeId),
    },
    /// This machine's data is that of another node's member, as after cloning a machine.
    #[error("etcd's data on this node is that of member {member}, which is node {node}")]
    DataOfAnotherNode {
        /// The member.
        member: MemberId,
        /// The node whose member it is.
        node: NodeId,
    },
    /// etcd answers on this machine, but its data directory is empty.
    #[error("etcd serves on this node, but its data directory is empty")]
    ServesWithoutData,
    /// The data directory could not be looked at.
    #[error("cannot tell what is in etcd's data directory: {reason}")]
    DataUnknown {
        /// Why, in the system's words.
        reason: String,
    },
    /// This machine's member is on the list under another address.
    #[error("etcd knows this node's member {member} as {listed}, not as {peer_url}")]
    AddressChanged {
        /// The member.
        member: MemberId,
        /// Its peer URLs on the list.
        listed: String,
        /// What the topology says.
        peer_url: String,
    },
    /// Removal needs a quorum that is known to be one.
    #[error("no etcd member answers with a quorum")]
    NoQuorum,
    /// The remaining members would not be a quorum.
    #[error("without {name} only {live} of {voters} etcd voters would be alive, too few for a quorum")]
    BelowQuorum {
        /// The member that was to go.
        name: String,
        /// Live voters afterwards.
        live: usize,
        /// Voters afterwards.
        voters: usize,
    },
    /// Removal of this machine's own member.
    #[error("node {node} is this machine")]
    RemovesItself {
        /// This machine.
        node: NodeId,
    },
}

impl Hint for Refusal {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::OtherCluster { mine, .. } => vec![format!(
                "when cluster {mine} is no longer needed: `deploy --wipe-etcd` moves data/etcd of this node aside \
                 and joins the serving cluster; PostgreSQL's data is not touched"
            )],
            Self::TwoClusters { first, first_node, second, second_node } => vec![
                format!("compare NODE1_IP … on nodes {first_node} and {second_node}: they must be the same everywhere"),
                format!(
                    "decide whether {first} or {second} stays, then run `deploy --wipe-etcd` on the nodes of the other"
                ),
            ],
            Self::Split { nodes, .. } => vec![format!(
                "reset-etcd-node1 was run on both: decide whether node {} or node {} stays, then run `docker stop etcd` and \
                 `deploy` on the other one",
                nodes.0, nodes.1
            )],
            Self::DataOfAnotherNode { .. } => vec![
                "a cloned machine? `deploy --wipe-etcd` moves data/etcd of this node aside and joins anew".to_owned(),
            ],
            Self::ServesWithoutData => vec![
                "when data/etcd was deleted under a running etcd: `docker stop etcd`, then run `deploy` again"
                    .to_owned(),
                "else see where `docker inspect etcd` says that /var/lib/etcd is mounted from".to_owned(),
            ],
            Self::DataUnknown { .. } => vec!["run as root, and check that data/etcd can be read".to_owned()],
            Self::AddressChanged { member, peer_url, .. } => vec![
                format!(
                    "tell etcd the new address: `docker exec etcd etcdctl member update {member} --peer-urls={peer_url}`"
                ),
                "or put the old address back into `.env`".to_owned(),
            ],
            Self::NoQuorum => {
                vec![
                    "bring a majority of the etcd members up first; members can only be changed with a quorum"
                        .to_owned(),
                ]
            }
            Self::BelowQuorum { .. } => {
                vec!["start etcd on the other nodes first, so that they are a quorum without it".to_owned()]
            }
            Self::RemovesItself { .. } => vec!["run it on another node".to_owned()],
        }
    }
}
