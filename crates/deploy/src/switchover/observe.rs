//! What Patroni, etcd, the poolers and their agents say.

use std::time::Duration;

use futures_util::future::join_all;
use pgstack_cluster_view::{Instance, PoolerConsole, Silence};
use pgstack_etcd::DataDir;
use pgstack_etcd::client::{Timeouts, ask_all};
use pgstack_topology::{Node, NodeId};
use serde_json::Value;

use crate::DeployError;
use crate::deploy::dynamic;
use crate::site::Site;

/// How long a pooler may take to say how it is.
const ANSWER: Duration = Duration::from_secs(2);
/// Patroni's own default.
const MAXIMUM_LAG: u64 = 1024 * 1024;

/// Everything that a plan rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Observed {
    /// Every node of `.env`, in order.
    pub(super) nodes: Vec<Seen>,
    /// What etcd says; nothing about this machine's own data.
    pub(super) etcd: pgstack_etcd::Observed,
    /// `maximum_lag_on_failover`.
    pub(super) maximum_lag: u64,
    /// Only a replica that follows synchronously may lead.
    pub(super) synchronous: bool,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) node: NodeId,
    /// `None`: its Patroni does not answer.
    pub(super) instance: Option<Instance>,
    pub(super) pooler: Pooler,
}

/// One pooler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pooler {
    /// It serves, and its agent would pause it.
    Open,
    /// Nobody listens there, so no client waits there either.
    Absent,
    /// Somebody has paused it.
    Paused,
    /// It may serve, and cannot be paused.
    Unreachable(String),
}

impl Observed {
    /// The node whose etcd leads.
    pub(super) fn etcd_leader(&self) -> Option<NodeId> {
        self.etcd_voters().find(|(_, leads)| *leads).map(|(node, _)| node)
    }

    /// The nodes whose etcd serves with a quorum behind it, and whether it leads.
    pub(super) fn etcd_voters(&self) -> impl Iterator<Item = (NodeId, bool)> {
        let serving = self.etcd.views().filter(|(_, view)| view.linearizable);
        serving.map(|(node, view)| (node, view.leader == Some(view.responder)))
    }
}

/// Looks at everything at once.
pub(super) async fn observe(site: &Site<'_>) -> Result<Observed, DeployError> {
    let poolers = join_all(site.env.local.topology().nodes().map(|node| pooler(site, node)));
    let (instances, peers, config, poolers) = tokio::join!(
        dynamic::instances(site),
        ask_all(&site.desired, Timeouts::default()),
        dynamic::config(site),
        poolers
    );
    let config = config?;
    let nodes = instances.into_iter().zip(poolers);
    let nodes = nodes.map(|((node, instance), pooler)| Seen { node: node.id(), instance, pooler }).collect();
    let etcd = pgstack_etcd::Observed { my_data: DataDir::Empty, mark: None, running: false, peers };
    let maximum_lag = config.get("maximum_lag_on_failover").and_then(Value::as_u64).unwrap_or(MAXIMUM_LAG);
    Ok(Observed { nodes, etcd, maximum_lag, synchronous: is_on(config.get("synchronous_mode")) })
}

/// Patroni takes `quorum` and all that YAML and its users call true.
fn is_on(mode: Option<&Value>) -> bool {
    match mode {
        Some(Value::Bool(on)) => *on,
        Some(Value::String(word)) => matches!(word.to_lowercase().as_str(), "on" | "true" | "yes" | "1" | "quorum"),
        Some(Value::Number(number)) => number.as_u64() != Some(0),
        _ => false,
    }
}

async fn pooler(site: &Site<'_>, node: Node) -> Pooler {
    let state = async { PoolerConsole::connect(node.ip().addr(), site.superuser(), ANSWER).await?.is_paused().await };
    let agent = site.observer.pooler_can_be_paused(node, &site.env.agent_token);
    match tokio::join!(state, agent) {
        (Err(Silence::Refused), _) | (Err(Silence::Late | Silence::NoRoute), Err(_)) => Pooler::Absent,
        (Err(why), _) => Pooler::Unreachable(format!("its console: {why}")),
        (Ok(true), _) => Pooler::Paused,
        (Ok(false), Err(why)) => Pooler::Unreachable(format!("its agent: {why}")),
        (Ok(false), Ok(())) => Pooler::Open,
    }
}
