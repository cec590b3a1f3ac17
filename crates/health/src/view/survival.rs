//! How many more nodes the cluster can lose.
//!
//! etcd: (voters that serve) − (a majority of all voters). Where a read with a quorum succeeded, a majority serves,
//! whoever answers here.
//!
//! PostgreSQL: (nodes that can lead) − 1, where these are the leader that takes writes and every replica that Patroni
//! would promote: it streams, on the leader's timeline, lags by no more than `maximum_lag_on_failover`, is not tagged
//! `nofailover` and, in synchronous mode, is a synchronous standby or could become one once there is any. In maintenance
//! mode and without etcd's quorum Patroni promotes nobody: 0. The losses are counted one after the other.

use pgstack_topology::NodeId;

use super::node::{lag_bytes, streams, tolerated};
use crate::{Dcs, Etcd, EtcdMember, Fact, Node, Patroni, Snapshot};

/// How many more losses are survived, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Margin {
    /// So many more.
    Losses {
        /// How many.
        count: usize,
        /// `3 of 3 voters serve, 2 are needed`.
        why: String,
    },
    /// It does not work even now.
    Broken {
        /// Why.
        why: String,
    },
    /// Nobody can tell.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Margin {
    /// How many more losses, where that is known: none and "does not work" are both 0.
    pub(crate) fn count(&self) -> Option<usize> {
        match self {
            Self::Losses { count, .. } => Some(*count),
            Self::Broken { .. } => Some(0),
            Self::Unknown { .. } => None,
        }
    }

    /// `1 more loss`, `no more loss`, `does not work now`, `unknown`.
    pub(crate) fn headline(&self) -> String {
        match self {
            Self::Losses { count: 0, .. } => "no more loss".to_owned(),
            Self::Losses { count: 1, .. } => "1 more loss".to_owned(),
            Self::Losses { count, .. } => format!("{count} more losses"),
            Self::Broken { .. } => "broken now".to_owned(),
            Self::Unknown { .. } => "unknown".to_owned(),
        }
    }

    /// Why it is so.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Losses { why, .. } | Self::Broken { why } | Self::Unknown { why } => why,
        }
    }
}

/// What the two halves of the cluster survive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survival {
    /// A primary that takes writes.
    pub(crate) postgres: Margin,
    /// A quorum.
    pub(crate) etcd: Margin,
}

impl Survival {
    /// `the loss of 1 more node`: the smaller of both, as a lost node costs one of each.
    pub(crate) fn headline(&self) -> String {
        if matches!(self.postgres, Margin::Broken { .. }) || matches!(self.etcd, Margin::Broken { .. }) {
            return "nothing: it is broken now".to_owned();
        }
        match (self.postgres.count(), self.etcd.count()) {
            (Some(postgres), Some(etcd)) => match postgres.min(etcd) {
                0 => "no more loss of a node".to_owned(),
                1 => "the loss of 1 more node".to_owned(),
                count => format!("the loss of {count} more nodes"),
            },
            _ => "unknown".to_owned(),
        }
    }
}

/// What the cluster survives.
pub(crate) fn survival(snapshot: &Snapshot) -> Survival {
    let etcd = etcd(snapshot);
    Survival { postgres: postgres(snapshot, &etcd), etcd }
}

/// The members of etcd, by the word of one that has a quorum, if there is any.
pub(super) fn members(snapshot: &Snapshot) -> Option<&[EtcdMember]> {
    let known = || snapshot.nodes.iter().filter_map(|node| node.etcd.known()).filter(|etcd| !etcd.members.is_empty());
    let best = known().max_by_key(|etcd| (etcd.has_quorum, etcd.serves))?;
    Some(&best.members)
}

fn etcd(snapshot: &Snapshot) -> Margin {
    let Some(members) = members(snapshot) else {
        return Margin::Unknown { why: "no etcd tells its members".to_owned() };
    };
    let voters: Vec<&EtcdMember> = members.iter().filter(|member| !member.is_learner).collect();
    let serves = |id: NodeId| snapshot.node(id).and_then(|node| node.etcd.known()).is_some_and(|etcd| etcd.serves);
    let live = voters.iter().filter(|voter| voter.node.is_some_and(serves)).count();
    let needed = voters.len() / 2 + 1;
    let has_quorum = |etcd: &Etcd| etcd.has_quorum;
    let why = format!("{live} of {} voters serve, {needed} are needed", voters.len());
    if snapshot.nodes.iter().any(|node| node.etcd.known().is_some_and(has_quorum)) {
        let why = if live < needed { format!("a quorum serves, but from here {why}") } else { why };
        return Margin::Losses { count: live.saturating_sub(needed), why };
    }
    Margin::Broken { why: format!("no quorum: {why}") }
}

fn postgres(snapshot: &Snapshot, etcd: &Margin) -> Margin {
    let Some(leader) = snapshot.leader() else {
        if snapshot.nodes.iter().all(|node| node.patroni.known().is_none()) {
            return Margin::Unknown { why: "no Patroni answers".to_owned() };
        }
        return Margin::Broken { why: "nobody leads, so nobody takes writes".to_owned() };
    };
    match &leader.patroni {
        Fact::Unknown { .. } => {
            return Margin::Unknown { why: format!("the leader, node {}, does not answer", leader.id) };
        }
        Fact::Known(patroni) if !patroni.takes_writes() => {
            return Margin::Broken { why: format!("the leader, node {}, does not take writes", leader.id) };
        }
        Fact::Known(patroni) if patroni.paused => {
            return Margin::Losses { count: 0, why: "maintenance mode: Patroni promotes nobody".to_owned() };
        }
        Fact::Known(_) => {}
    }
    if !matches!(etcd, Margin::Losses { .. }) {
        return Margin::Losses { count: 0, why: "without etcd's quorum nobody is promoted".to_owned() };
    }
    let others = snapshot.nodes.iter().filter(|node| node.id != leader.id);
    let refused: Vec<(NodeId, &str)> =
        others.filter_map(|node| Some((node.id, hindrance(snapshot, leader, node)?))).collect();
    if let Some(why) = chosen_in_vain(snapshot, &refused) {
        return Margin::Losses { count: 0, why };
    }
    let able = snapshot.nodes.len() - refused.len();
    let mut why = format!("{able} of {} nodes can lead", snapshot.nodes.len());
    why.extend(refused.iter().map(|(id, hindrance)| format!("; node {id} {hindrance}")));
    Margin::Losses { count: able - 1, why }
}

/// Why Patroni would not promote a node.
fn hindrance(snapshot: &Snapshot, leader: &Node, node: &Node) -> Option<&'static str> {
    let Some(patroni) = node.patroni.known() else {
        return Some("does not answer");
    };
    if never_leads(patroni) {
        return Some("is tagged nofailover");
    }
    if !streams(snapshot, node) {
        return Some("does not stream");
    }
    if let (Some(here), Some(there)) = (patroni.timeline, leader.patroni.known().and_then(|patroni| patroni.timeline))
        && here != there
    {
        return Some("is on another timeline");
    }
    if lag_bytes(snapshot, node).is_some_and(|lag| lag > tolerated(snapshot)) {
        return Some("lags too much");
    }
    // as long as there is one synchronous standby, another streaming replica takes its place after a failover
    let lacks_sync = snapshot.dcs.known().is_some_and(|dcs| is_synchronous(dcs) && dcs.sync_standbys.is_empty());
    lacks_sync.then_some("is not synchronous")
}

fn never_leads(patroni: &Patroni) -> bool {
    let is = |tag: &str, value: &str| patroni.tags.get(tag).is_some_and(|is| is.eq_ignore_ascii_case(value));
    is("nofailover", "true") || is("failover_priority", "0")
}

/// Without a quorum only those may lead that Patroni has chosen: another one is chosen in its next rounds, not yet.
fn chosen_in_vain(snapshot: &Snapshot, refused: &[(NodeId, &str)]) -> Option<String> {
    let dcs = snapshot.dcs.known().filter(|dcs| is_synchronous(dcs) && dcs.config["synchronous_mode"] != "quorum")?;
    let chosen = refused.iter().filter(|(id, _)| dcs.sync_standbys.contains(&id.patroni_name()));
    let chosen: Vec<String> = chosen.map(|(id, hindrance)| format!("node {id} {hindrance}")).collect();
    let all = !chosen.is_empty() && chosen.len() == dcs.sync_standbys.len();
    all.then(|| format!("nobody but a synchronous standby may lead now, and {}", chosen.join("; ")))
}

fn is_synchronous(dcs: &Dcs) -> bool {
    match dcs.config.get("synchronous_mode") {
        Some(serde_json::Value::Bool(on)) => *on,
        Some(serde_json::Value::String(mode)) => matches!(mode.as_str(), "quorum" | "on" | "true"),
        _ => false,
    }
}
