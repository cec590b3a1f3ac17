//! What a plan may have to wait for, and what to say when it did not come.

use std::fmt;

use pgstack_diagnostics::Hint;
use pgstack_topology::NodeId;

use crate::MemberId;

/// A state of the others or of this machine that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// A first quorum: a majority of the nodes has to start etcd.
    FirstQuorum {
        /// How many members must run.
        needed: usize,
        /// The nodes that do not answer, without this one.
        silent: Vec<NodeId>,
    },
    /// The members that have data make a quorum again, this machine among them.
    Quorum {
        /// The nodes that do not answer, without this one.
        silent: Vec<NodeId>,
    },
    /// This machine lost its data; the others must have a quorum before it can be replaced.
    QuorumOfOthers {
        /// The nodes that do not answer, without this one.
        silent: Vec<NodeId>,
    },
    /// This machine's etcd serves, in a cluster that serves.
    Joined,
    /// Another node's learner is promoted: etcd takes one learner at a time.
    OtherLearner {
        /// The learner.
        member: MemberId,
        /// Its node, where the topology names it.
        node: Option<NodeId>,
    },
}

/// `node 2`, `nodes 2 and 3`, `nodes 2, 3 and 4`; `no other node` for none.
fn nodes(nodes: &[NodeId]) -> String {
    match nodes {
        [] => "no other node".to_owned(),
        [one] => format!("node {one}"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(ToString::to_string).collect();
            format!("nodes {} and {last}", first.join(", "))
        }
    }
}

/// `; node 2 does not answer`.
fn silence(silent: &[NodeId]) -> String {
    match silent {
        [] => String::new(),
        [_] => format!("; {} does not answer", nodes(silent)),
        _ => format!("; {} do not answer", nodes(silent)),
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstQuorum { needed, silent } => {
                write!(f, "etcd's first quorum: {needed} nodes must run it{}", silence(silent))
            }
            Self::Quorum { silent } => write!(f, "etcd's quorum{}", silence(silent)),
            Self::QuorumOfOthers { silent } => {
                write!(f, "a quorum of the other etcd members, since this node's data is gone{}", silence(silent))
            }
            Self::Joined => f.write_str("etcd on this node to serve"),
            Self::OtherLearner { member, node: Some(node) } => {
                write!(f, "node {node} to finish joining etcd (learner {member})")
            }
            Self::OtherLearner { member, node: None } => write!(f, "etcd learner {member} to be promoted"),
        }
    }
}

/// A wait that did not end in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("after {seconds} s still waiting for {wait}")]
pub struct Overdue {
    /// What did not come.
    pub wait: Wait,
    /// How long it was waited for, in seconds.
    pub seconds: u64,
}

impl Hint for Overdue {
    fn hints(&self) -> Vec<String> {
        match &self.wait {
            Wait::FirstQuorum { silent, .. } => vec![
                format!("run `deploy` on {} too; then it ends here by itself, or run it here again", nodes(silent)),
                "open TCP 2379 and 2380 between the nodes".to_owned(),
                "if this machine belonged to another cluster before, run `clean` on it".to_owned(),
            ],
            Wait::Quorum { silent } => vec![
                format!("start etcd on {} (`deploy`); one more member may be enough", nodes(silent)),
                "when those machines are lost for good: `reset-etcd-node1` makes a new quorum of this node alone, from its data"
                    .to_owned(),
            ],
            Wait::QuorumOfOthers { silent } => vec![
                format!("start etcd on {} first, then run `deploy` here again", nodes(silent)),
                "this node was a member before, so it may not form a new cluster; when too many nodes lost their data \
                 for a quorum, run `reset-etcd-node1` on one that still has data/etcd"
                    .to_owned(),
            ],
            Wait::Joined => vec!["`docker logs etcd` on this node says what keeps it".to_owned()],
            Wait::OtherLearner { node: Some(node), member } => {
                vec![format!(
                    "finish `deploy` on node {node}, or take it out: `docker exec etcd etcdctl member remove {member}`"
                )]
            }
            Wait::OtherLearner { member, node: None } => vec![format!(
                "no configured node is that learner: `docker exec etcd etcdctl member remove {member}`, or `member promote` on \
                 the node of etcd's leader"
            )],
        }
    }
}
