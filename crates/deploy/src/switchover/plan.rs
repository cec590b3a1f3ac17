//! Who is to lead, and what has to happen for it. Pure: same input, same plan.

use std::fmt;

use pgstack_cluster_view::Instance;
use pgstack_topology::NodeId;
use serde_json::Value;

use super::SwitchoverRefusal;
use super::observe::{Observed, Pooler, Seen, Synchronous};
use crate::momentary::SYNC_COUNT;

/// What the user asked for, as far as it decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) to: Option<NodeId>,
    pub(super) unpaused: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// That node leads already.
    Leads(NodeId),
    Move(Order),
}

/// Everything that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    /// How many standbys are made synchronous for this moment, so that the new primary is one of them.
    pub(super) sync_count: Option<u64>,
    /// Where etcd's leader goes, when it is on the new primary's node.
    pub(super) etcd_to: Option<NodeId>,
    /// The poolers to pause.
    pub(super) pause: Vec<NodeId>,
    /// Poolers that stay as they are, and why.
    pub(super) unpaused: Vec<(NodeId, String)>,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, sync_count, etcd_to, pause, unpaused } = self;
        if let Some(count) = sync_count {
            writeln!(f, "- Patroni: {SYNC_COUNT} is {count} meanwhile, so that node {to} follows synchronously, too")?;
        }
        if let Some(etcd_to) = etcd_to {
            writeln!(f, "- etcd: node {etcd_to} leads instead of node {to}")?;
        }
        for (node, why) in unpaused {
            writeln!(f, "- the pooler on node {node} cannot be paused ({why})")?;
        }
        let nodes: Vec<String> = pause.iter().map(ToString::to_string).collect();
        if !nodes.is_empty() {
            writeln!(f, "- pause the poolers on nodes {}, for 9 s at most", nodes.join(", "))?;
        }
        writeln!(f, "- PostgreSQL: node {to} leads instead of node {from}")?;
        writeln!(f, "- resume each pooler as soon as node {to} takes writes and its HAProxy knows it")?;
        writeln!(f, "- wait until node {from} streams from node {to}")
    }
}

/// Who is to lead, and how.
pub(super) fn plan(wish: Wish, observed: &Observed) -> Result<Plan, SwitchoverRefusal> {
    if let Some(to) = wish.to
        && !observed.nodes.iter().any(|seen| seen.node == to)
    {
        return Err(SwitchoverRefusal::Unknown { node: to });
    }
    let leaders: Vec<(&Seen, &Instance)> = with_instance(observed).filter(|(_, said)| said.takes_writes()).collect();
    let [(leader, primary)] = leaders[..] else {
        let nodes = leaders.iter().map(|(seen, _)| seen.node).collect();
        return Err(SwitchoverRefusal::NotOneLeader { nodes });
    };
    let from = leader.node;
    if wish.to == Some(from) {
        return Ok(Plan::Leads(from));
    }
    if with_instance(observed).any(|(_, said)| said.pause) {
        return Err(SwitchoverRefusal::Maintenance);
    }
    if observed.etcd_voters().next().is_none() || primary.failsafe_mode_is_active {
        return Err(SwitchoverRefusal::NoQuorum);
    }
    let to = candidate(wish.to, from, primary, observed)?;
    let sync_count = sync_count(to, from, primary, observed);
    let mut order = Order { from, to, sync_count, etcd_to: None, pause: Vec::new(), unpaused: Vec::new() };
    if observed.etcd_leader() == Some(to) {
        let others = observed.etcd_voters().map(|(node, _)| node).filter(|node| *node != to);
        // the former primary's node comes last: it has most to do
        order.etcd_to = others.min_by_key(|node| (*node == from, *node));
    }
    for seen in &observed.nodes {
        match &seen.pooler {
            Pooler::Open => order.pause.push(seen.node),
            Pooler::Absent => {}
            Pooler::Paused => return Err(SwitchoverRefusal::PoolerPaused { node: seen.node }),
            Pooler::Unreachable(why) if wish.unpaused => order.unpaused.push((seen.node, why.clone())),
            Pooler::Unreachable(why) => {
                return Err(SwitchoverRefusal::PoolerUnreachable { node: seen.node, reason: why.clone() });
            }
        }
    }
    Ok(Plan::Move(order))
}

fn with_instance(observed: &Observed) -> impl Iterator<Item = (&Seen, &Instance)> {
    observed.nodes.iter().filter_map(|seen| Some((seen, seen.instance.as_ref()?)))
}

/// The node that was asked for, if it is fit; else the fit one that follows synchronously, lacks least, has the
/// smallest number.
fn candidate(
    wished: Option<NodeId>,
    from: NodeId,
    primary: &Instance,
    observed: &Observed,
) -> Result<NodeId, SwitchoverRefusal> {
    let mut reasons = Vec::new();
    let mut fit = Vec::new();
    for seen in observed.nodes.iter().filter(|seen| seen.node != from && wished.is_none_or(|to| to == seen.node)) {
        if let Some(why) = unfit(seen, primary, observed) {
            reasons.push((seen.node, why));
            continue;
        }
        let said = seen.instance.as_ref();
        fit.push((!seen.synchronous, said.and_then(|said| lag(primary, said)), seen.node));
    }
    fit.into_iter().min().map(|(_, _, node)| node).ok_or(SwitchoverRefusal::NoCandidate { reasons })
}

/// How many synchronous standbys Patroni most likely needs so that `to` is one of them: it takes those first that are
/// synchronous already, then those that lack least. `None` where `to` is one, or need not be.
fn sync_count(to: NodeId, from: NodeId, primary: &Instance, observed: &Observed) -> Option<u64> {
    let replicas = || observed.nodes.iter().filter(|seen| seen.node != from);
    if observed.synchronous != Synchronous::Chosen || replicas().any(|seen| seen.node == to && seen.synchronous) {
        return None;
    }
    // no more than that: commits would wait for one that is far behind, too
    let first = replicas().filter(|seen| seen.synchronous || unfit(seen, primary, observed).is_none());
    let was = observed.sync_count.as_u64().unwrap_or(1);
    u64::try_from(first.count()).ok().map(|count| count.max(was))
}

/// Why a replica may not lead now.
fn unfit(seen: &Seen, primary: &Instance, observed: &Observed) -> Option<Unfit> {
    let Some(said) = &seen.instance else { return Some(Unfit::Silent) };
    let tag = |name: &str| said.tags.get(name).cloned().unwrap_or_default();
    let is_set = |value: &Value| matches!(value, Value::Bool(true)) || value.as_str() == Some("true");
    if is_set(&tag("nofailover")) || tag("failover_priority").as_i64() == Some(0) {
        return Some(Unfit::Tagged);
    }
    if !said.streams() {
        return Some(Unfit::DoesNotStream { state: said.state.clone() });
    }
    if said.timeline != primary.timeline {
        return Some(Unfit::OtherTimeline);
    }
    let never = is_set(&tag("nosync")) || tag("sync_priority").as_i64() == Some(0);
    match observed.synchronous {
        Synchronous::Quorum | Synchronous::Chosen if never && !seen.synchronous => {
            return Some(Unfit::NeverSynchronous);
        }
        // Patroni takes it in within its next rounds
        Synchronous::Quorum if !seen.synchronous => return Some(Unfit::NotSynchronous),
        _ => {}
    }
    match lag(primary, said) {
        None => Some(Unfit::LagUnknown),
        Some(bytes) if bytes > observed.maximum_lag => Some(Unfit::Lags { bytes, limit: observed.maximum_lag }),
        Some(_) => None,
    }
}

/// How many bytes of WAL a replica still has to replay.
fn lag(primary: &Instance, replica: &Instance) -> Option<u64> {
    Some(primary.xlog.as_ref()?.location?.saturating_sub(replica.xlog.as_ref()?.replayed_location?))
}

/// Why a replica may not lead now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// Its Patroni does not answer.
    Silent,
    /// Its tags forbid it.
    Tagged,
    /// It does not stream.
    DoesNotStream {
        /// What its PostgreSQL does instead.
        state: String,
    },
    /// It is on another timeline.
    OtherTimeline,
    /// Only synchronous replicas may lead, and its tags forbid it to be one.
    NeverSynchronous,
    /// Only synchronous replicas may lead.
    NotSynchronous,
    /// It does not say how much it lacks.
    LagUnknown,
    /// It lacks too much.
    Lags {
        /// How much.
        bytes: u64,
        /// What Patroni allows.
        limit: u64,
    },
}

impl Unfit {
    /// Whether it may pass by itself within seconds.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::NotSynchronous | Self::LagUnknown | Self::Lags { .. })
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("does not answer"),
            Self::Tagged => f.write_str("is tagged never to lead (nofailover or failover_priority 0)"),
            Self::DoesNotStream { state } => write!(f, "does not stream ({})", state.escape_debug()),
            Self::OtherTimeline => f.write_str("is on another timeline than the primary"),
            Self::NeverSynchronous => {
                f.write_str("is tagged never to follow synchronously (nosync or sync_priority 0)")
            }
            Self::NotSynchronous => f.write_str("does not follow synchronously, which synchronous_mode asks for"),
            Self::LagUnknown => f.write_str("does not say how far it is behind"),
            Self::Lags { bytes, limit } => {
                write!(f, "is {bytes} bytes behind; maximum_lag_on_failover allows {limit}")
            }
        }
    }
}
