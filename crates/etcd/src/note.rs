//! What a plan has to say beside its steps.

use std::fmt;

use pgstack_topology::NodeId;

use crate::{Alarm, ClusterId, MemberId};

/// Something worth telling that no step mends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A member that no `NODE<n>_IP` names. It is left alone.
    Foreign {
        /// The member.
        id: MemberId,
        /// Its name, possibly empty.
        name: String,
        /// Its peer URLs.
        peer_urls: Vec<String>,
    },
    /// An even number of voters bears no more losses than one fewer.
    EvenVoters {
        /// How many there are.
        voters: usize,
    },
    /// A node serves another cluster than the one with a quorum.
    OtherCluster {
        /// The node.
        node: NodeId,
        /// Its cluster.
        theirs: ClusterId,
        /// The cluster that counts.
        ours: ClusterId,
    },
    /// A raised alarm.
    Alarm {
        /// The member that it concerns.
        member: MemberId,
        /// The alarm.
        alarm: Alarm,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { id, name, peer_urls } => {
                let name = if name.is_empty() { "without a name" } else { name };
                write!(
                    f,
                    "etcd member {id} ({name}, {}) is none of the configured nodes; left alone",
                    peer_urls.join(" ")
                )
            }
            Self::EvenVoters { voters } => {
                let (bears, fewer) = ((voters - 1) / 2, voters - 1);
                write!(f, "{voters} etcd voters bear the loss of {bears}, no more than {fewer} would")
            }
            Self::OtherCluster { node, theirs, ours } => {
                write!(f, "etcd on node {node} belongs to cluster {theirs}, not to {ours}, which has the quorum")
            }
            Self::Alarm { member, alarm: Alarm::NoSpace } => {
                write!(f, "etcd member {member} raised NOSPACE: its database is full, nothing can be written")
            }
            Self::Alarm { member, alarm: Alarm::Corrupt } => {
                write!(f, "etcd member {member} raised CORRUPT: its database is damaged")
            }
        }
    }
}
