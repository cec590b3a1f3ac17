//! What Patroni, etcd, the poolers and their agents say.

use std::time::Duration;

use futures_util::future::join_all;
use pgstack_cluster_view::{Instance, PoolerConsole, Silence};
use pgstack_etcd::DataDir;
use pgstack_etcd::client::{Timeouts, ask_all};
use pgstack_topology::{Node, NodeId};
use serde_json::Value;

use crate::DeployError;
use crate::deploy::{durability, dynamic};
use crate::momentary::SYNC_COUNT;
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
    /// Who may lead.
    pub(super) synchronous: Synchronous,
    /// `synchronous_node_count` as it stands, or as it was before it was changed for a moment; null where Patroni's
    /// default counts.
    pub(super) sync_count: Value,
    /// A switchover that was killed has left it changed.
    pub(super) sync_count_is_kept: bool,
}

/// `synchronous_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Synchronous {
    /// Any replica may lead.
    Off,
    /// Any replica of the quorum may.
    Quorum,
    /// Only those may that Patroni has chosen, `synchronous_node_count` of them.
    Chosen,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) node: NodeId,
    /// `None`: its Patroni does not answer.
    pub(super) instance: Option<Instance>,
    /// It is a synchronous standby, as etcd has it: a replica's Patroni may say so a round too late.
    pub(super) synchronous: bool,
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
    let synchronous = synchronous(config.get("synchronous_mode"));
    let sync = match synchronous {
        Synchronous::Off => None,
        // a large future
        Synchronous::Quorum | Synchronous::Chosen => Box::pin(durability::sync_key(site)).await,
    };
    let standbys = sync.map(|sync| sync.standbys).unwrap_or_default();
    let nodes = nodes.map(|((node, instance), pooler)| {
        let synchronous = standbys.contains(&node.patroni_name());
        Seen { node: node.id(), instance, synchronous, pooler }
    });
    let nodes = nodes.collect();
    let etcd = pgstack_etcd::Observed { my_data: DataDir::Empty, mark: None, running: false, peers };
    let maximum_lag = config.get("maximum_lag_on_failover").and_then(Value::as_u64).unwrap_or(MAXIMUM_LAG);
    let kept = SYNC_COUNT.kept(&config);
    let sync_count_is_kept = kept.is_some();
    let sync_count = kept.unwrap_or_else(|| SYNC_COUNT.current(&config));
    Ok(Observed { nodes, etcd, maximum_lag, synchronous, sync_count, sync_count_is_kept })
}

/// Patroni takes `quorum` and all that YAML and its users call true.
fn synchronous(mode: Option<&Value>) -> Synchronous {
    match mode {
        Some(Value::String(word)) if word.eq_ignore_ascii_case("quorum") => Synchronous::Quorum,
        Some(Value::String(word)) if matches!(word.to_lowercase().as_str(), "on" | "true" | "yes" | "1") => {
            Synchronous::Chosen
        }
        Some(Value::Bool(true)) => Synchronous::Chosen,
        Some(Value::Number(number)) if number.as_u64() != Some(0) => Synchronous::Chosen,
        _ => Synchronous::Off,
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
