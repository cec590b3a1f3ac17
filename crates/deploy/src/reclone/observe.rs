//! What a fresh copy depends on: what etcd says, the leader, this node's Patroni, its data, its disk.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use pgstack_cluster_view::{Instance, Postgres, PostgresError, Sizes};
use pgstack_containers::Service;
use pgstack_etcd::client::{Entry, Store, Timeouts, ask_all};
use pgstack_etcd::{Answer, ClusterId};
use pgstack_topology::{Node, NodeId};
use serde_json::Value;

use super::error::RecloneError;
use super::local::{self, Local};
use crate::DeployError;
use crate::patroni_keys::ALL;
use crate::site::Site;

/// A Patroni on a disk that is busy with a copy may take a while to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that a plan rests on.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    pub(super) me: Node,
    pub(super) dcs: Dcs,
    /// What the leader says; `None` where etcd names none that `.env` knows.
    pub(super) leader: Option<Leader>,
    /// What this node's own Patroni says.
    pub(super) mine: Option<Instance>,
    /// The other nodes that stream at this moment.
    pub(super) streaming: Vec<NodeId>,
    pub(super) local: Local,
}

/// What stands in etcd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dcs {
    pub(super) leader: Option<String>,
    pub(super) identity: Option<String>,
    pub(super) paused: bool,
    /// The address at which each member's PostgreSQL is registered.
    pub(super) hosts: BTreeMap<String, String>,
}

/// The node that etcd names as the leader.
#[derive(Debug, Clone)]
pub(super) struct Leader {
    pub(super) node: Node,
    pub(super) instance: Option<Instance>,
    pub(super) sizes: Result<Sizes, PostgresError>,
    /// Whether the role that copies may log in.
    pub(super) replication: Result<(), PostgresError>,
}

/// Who says that this node leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The leader key.
    Key,
    /// This node's own Patroni.
    Patroni,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "it holds the leader key in etcd",
            Self::Patroni => "its own Patroni says that its PostgreSQL is the primary",
        })
    }
}

impl Dcs {
    pub(super) fn from_entries(entries: &[Entry]) -> Self {
        let mut dcs = Self::default();
        for Entry { key, value, .. } in entries {
            match key.strip_prefix(ALL).unwrap_or_default() {
                "leader" => dcs.leader = Some(value.clone()).filter(|name| !name.is_empty()),
                "initialize" => dcs.identity = Some(value.clone()).filter(|identity| !identity.is_empty()),
                "config" => {
                    let config: Value = serde_json::from_str(value).unwrap_or_default();
                    dcs.paused = config["pause"] == true;
                }
                other => {
                    if let Some(member) = other.strip_prefix("members/") {
                        dcs.hosts.insert(member.to_owned(), host(value).unwrap_or_default());
                    }
                }
            }
        }
        dcs
    }
}

/// The address in a member's `conn_url`, such as `postgres://10.0.0.1:5432/postgres`.
fn host(member: &str) -> Option<String> {
    let member: Value = serde_json::from_str(member).ok()?;
    let (_, rest) = member["conn_url"].as_str()?.split_once("://")?;
    let authority = rest.split('/').next()?;
    let address = authority.rsplit('@').next()?;
    Some(address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned())
}

pub(super) async fn observe(site: &Site<'_>) -> Result<Observed, DeployError> {
    one_store(site).await?;
    let mut store = Store::open(&site.desired, Timeouts::default()).await.map_err(RecloneError::from)?;
    let dcs = Dcs::from_entries(&store.list(ALL).await.map_err(RecloneError::from)?);
    let me = site.env.local.me();
    let named =
        site.env.local.topology().nodes().find(|node| dcs.leader.as_deref() == Some(node.patroni_name().as_str()));
    let leader = async {
        match named {
            Some(node) => Some(ask_leader(site, node).await),
            None => None,
        }
    };
    let (leader, mine, streaming) = tokio::join!(leader, my_patroni(site), streaming(site));
    Ok(Observed { me, dcs, leader, mine: mine?, streaming, local: local::inspect(site.stack)? })
}

/// Every etcd that answers must be of one cluster: Patroni asks any of them.
async fn one_store(site: &Site<'_>) -> Result<(), DeployError> {
    let answers = ask_all(&site.desired, Timeouts::default()).await;
    let seen: Vec<(NodeId, ClusterId)> = answers
        .iter()
        .filter_map(|peer| match &peer.answer {
            Answer::Serving(view) => Some((peer.node, view.cluster_id)),
            Answer::Learner { cluster_id, .. } => Some((peer.node, *cluster_id)),
            Answer::Unreachable { .. } | Answer::Guarded { .. } => None,
        })
        .collect();
    let Some(&(one, first)) = seen.first() else { return Ok(()) };
    match seen.iter().find(|(_, cluster)| *cluster != first) {
        Some(&(other, _)) => Err(RecloneError::TwoStores { one, other }.into()),
        None => Ok(()),
    }
}

async fn ask_leader(site: &Site<'_>, node: Node) -> Leader {
    let sizes = async { Postgres::connect(node, site.superuser()).await?.sizes().await };
    let replicator = Postgres::connect(node, site.replicator());
    let (instance, sizes, replication) = tokio::join!(site.observer.instance(node), sizes, replicator);
    // who may replicate but not log in elsewhere can still copy: only a wrong password is in the way
    let replication = match replication {
        Err(error @ PostgresError::Password { .. }) => Err(error),
        Ok(_) | Err(PostgresError::Other { .. }) => Ok(()),
    };
    Leader { node, instance, sizes, replication }
}

/// This node's Patroni, asked again for a while where its container runs: what a copy that is under
/// way needs least is to be started anew because its Patroni was slow to answer.
async fn my_patroni(site: &Site<'_>) -> Result<Option<Instance>, DeployError> {
    let began = Instant::now();
    loop {
        if let Some(instance) = site.observer.instance(site.env.local.me()).await {
            return Ok(Some(instance));
        }
        let state = site.engine.inspect(Service::Patroni.name()).await?;
        let runs = state.is_some_and(|state| state.status == "running");
        if !runs || began.elapsed() >= PATIENCE || !site.pause().await {
            return Ok(None);
        }
    }
}

async fn streaming(site: &Site<'_>) -> Vec<NodeId> {
    let asked = site.env.local.peers().map(async |node| {
        let instance = site.observer.instance(node).await?;
        instance.streams().then(|| node.id())
    });
    futures_util::future::join_all(asked).await.into_iter().flatten().collect()
}
