//! When the leadership is not moved, and what the user can do about it.

use pgstack_diagnostics::Hint;
use pgstack_topology::NodeId;

use super::plan::Unfit;

/// Why the leadership is not moved. It is where it was, and every pooler that was paused goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwitchoverRefusal {
    /// `.env` does not name that node.
    #[error("node {node} is not in .env")]
    Unknown {
        /// The node that was to lead.
        node: NodeId,
    },
    /// Nobody leads, or more than one.
    #[error("{}", if nodes.is_empty() { "no node of .env leads PostgreSQL at this moment".to_owned() } else {
        format!("nodes {} all lead PostgreSQL", listed(nodes)) })]
    NotOneLeader {
        /// Those that lead.
        nodes: Vec<NodeId>,
    },
    /// Patroni looks on and does nothing.
    #[error("Patroni is in maintenance mode (paused)")]
    Maintenance,
    /// etcd cannot be written.
    #[error("etcd has no quorum, without which nobody can take over")]
    NoQuorum,
    /// No node is fit.
    #[error("no other node can lead now: {}", why(reasons))]
    NoCandidate {
        /// Each and why not.
        reasons: Vec<(NodeId, Unfit)>,
    },
    /// A pooler is paused.
    #[error("the pooler on node {node} is paused, by somebody or by another switchover")]
    PoolerPaused {
        /// Its node.
        node: NodeId,
    },
    /// A pooler cannot be paused.
    #[error("the pooler on node {node} cannot be paused: {reason}")]
    PoolerUnreachable {
        /// Its node.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// Transactions take too long.
    #[error("transactions at the pooler on node {node} did not end within {seconds} s{}", each(transactions))]
    Busy {
        /// The pooler's node.
        node: NodeId,
        /// How long they were waited for, in seconds.
        seconds: u64,
        /// Who holds them.
        transactions: Vec<String>,
    },
}

fn listed(nodes: &[NodeId]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

fn why(reasons: &[(NodeId, Unfit)]) -> String {
    reasons.iter().map(|(node, unfit)| format!("node {node} {unfit}")).collect::<Vec<_>>().join("; ")
}

fn each(transactions: &[String]) -> String {
    transactions.iter().map(|transaction| format!("\n  {transaction}")).collect()
}

impl SwitchoverRefusal {
    /// Whether it may pass by itself within seconds.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::NoCandidate { reasons } => reasons.iter().any(|(_, unfit)| unfit.passes()),
            Self::PoolerPaused { .. } => true,
            _ => false,
        }
    }
}

impl Hint for SwitchoverRefusal {
    fn hints(&self) -> Vec<String> {
        let one = |hint: &str| vec![hint.to_owned()];
        match self {
            Self::Unknown { .. } => Vec::new(),
            Self::NotOneLeader { .. } | Self::NoQuorum => one("`./doctor` says what is wrong and what mends it"),
            Self::Maintenance => one("end it: docker exec patroni patronictl -c /config/patroni.yml resume"),
            Self::NoCandidate { .. } => one("`./status` shows how the replicas are; run this again once one streams"),
            Self::PoolerPaused { node } => vec![format!(
                "somebody's own pause is left alone; to end it, on node {node}: docker exec pgbouncer \
                 psql -h /tmp -p 6432 -U pgbouncer pgbouncer -c RESUME"
            )],
            Self::PoolerUnreachable { node, .. } => vec![
                format!("bring the agent on node {node} up: `./deploy` there"),
                "or go on with --unpaused: clients of that pooler may see errors".to_owned(),
            ],
            Self::Busy { .. } => vec![
                "let them end, or end them on the primary (SELECT pg_terminate_backend(PID)), then run this again"
                    .to_owned(),
            ],
        }
    }
}
