//! What has to happen so that nothing knows the node any more. Pure: same input, same plan.

use std::fmt;

use pgstack_cluster_view::View;
use pgstack_etcd::{Change, Desired, Member, MemberId, Note, Target, plan_removal};
use pgstack_topology::{MIN_NODES, NodeId};
use serde_json::Value;

use super::observe::Observed;
use super::{RemovalRefusal, Sign, refusal};
use crate::momentary::SLOTS_TTL;

/// One of the things to do. After each the world is looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Patroni moves the leadership.
    Switchover { from: NodeId, to: NodeId },
    /// The node's operator stops it.
    AwaitSilence { node: NodeId, signs: Vec<Sign> },
    /// etcd's member list.
    Etcd(Change),
    /// Patroni's member key.
    DeleteKey { name: String },
    /// Patroni keeps the slot of a member that is away; for a moment it shall keep none. What the
    /// time was before is kept beside it, in the same write, so that a killed run harms nothing.
    ShortenRetention { was: Value },
    /// Patroni's leader notices, in its next round.
    AwaitForgotten { slot: String },
    /// And the time is what it was.
    RestoreRetention { was: Value },
    /// The slot itself, where Patroni was not faster.
    DropSlot { slot: String },
}

/// Nothing to do is no steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) notes: Vec<String>,
}

/// Removes `node`; with `switchover` also a leader.
pub(super) fn plan(
    node: NodeId,
    switchover: bool,
    desired: &Desired,
    observed: &Observed,
) -> Result<Plan, RemovalRefusal> {
    if node == desired.me().node {
        return Err(pgstack_etcd::Refusal::RemovesItself { node }.into());
    }
    let member = observed.etcd_member(node, desired);
    let target = member.map_or(Target::Node(node), |member| Target::Member(member.id));
    let etcd = plan_removal(target, desired, &observed.etcd)?;
    let name = node.patroni_name();
    let mut plan = Plan { notes: notes(target, &etcd, observed), ..Plan::default() };
    let in_topology = desired.seat(node).is_some();
    let alive = !observed.signs.is_empty();
    if observed.vip_holder == Some(node) {
        return Err(RemovalRefusal::HoldsVip { node });
    }
    if in_topology && alive && desired.seats().len() == MIN_NODES {
        return Err(RemovalRefusal::TooFew { node, signs: observed.signs.clone() });
    }
    if observed.leads(&name) {
        if !switchover {
            return Err(RemovalRefusal::Leads { node });
        }
        let to = successor(node, desired, observed).ok_or(RemovalRefusal::NoCandidate { node })?;
        plan.steps.push(Step::Switchover { from: node, to });
    } else if observed.primary.is_none() {
        return Err(RemovalRefusal::NoLeader);
    }
    let registered = observed.registered.contains(&name);
    if alive {
        plan.steps.push(Step::AwaitSilence { node, signs: observed.signs.clone() });
    }
    plan.steps.extend(etcd.steps.into_iter().filter_map(|step| match step {
        pgstack_etcd::Step::Change(change) => Some(Step::Etcd(change)),
        _ => None,
    }));
    if registered {
        plan.steps.push(Step::DeleteKey { name: name.clone() });
    }
    forget_slot(name, observed, &mut plan);
    Ok(plan)
}

/// What etcd's planner has to tell, about the members as they will be.
fn notes(target: Target, etcd: &pgstack_etcd::Plan, observed: &Observed) -> Vec<String> {
    let is_target = |id: MemberId| target == Target::Member(id);
    let told = etcd.notes.iter().filter(|note| match note {
        Note::Foreign { id, .. } => !is_target(*id),
        Note::EvenVoters { .. } => false,
        Note::OtherCluster { .. } | Note::Alarm { .. } => true,
    });
    let mut notes: Vec<String> = told.map(ToString::to_string).collect();
    let gone = etcd.steps.iter().find_map(|step| match step {
        pgstack_etcd::Step::Change(Change::Remove { id, .. }) => Some(*id),
        _ => None,
    });
    let stays = |member: &&Member| !member.is_learner && Some(member.id) != gone;
    let voters = observed.etcd_members().iter().filter(stays).count();
    if gone.is_some() && voters.is_multiple_of(2) {
        notes.push(Note::EvenVoters { voters }.to_string());
    }
    notes
}

/// The other configured node that streams and is least behind; the lowest number of several.
fn successor(node: NodeId, desired: &Desired, observed: &Observed) -> Option<NodeId> {
    let streaming = observed.view.iter().flat_map(View::streaming);
    let candidates = streaming.filter_map(|member| {
        let seat = desired.seats().iter().find(|seat| seat.node.patroni_name() == member.name)?;
        (seat.node != node).then_some((member.lag.unwrap_or(u64::MAX), seat.node))
    });
    candidates.min().map(|(_, node)| node)
}

/// Patroni's leader remembers the slots of members that are away, and makes a slot anew that is
/// dropped under it. So it has to forget first.
fn forget_slot(slot: String, observed: &Observed, plan: &mut Plan) {
    let retained = observed.retained.contains(&slot);
    let kept = observed.primary.as_ref().and_then(|primary| primary.kept_slots_ttl.clone());
    // these would lose theirs, too
    let away: Vec<&str> = observed
        .retained
        .iter()
        .filter(|name| **name != slot && !observed.registered.contains(*name))
        .map(String::as_str)
        .collect();
    if retained && kept.is_none() && !away.is_empty() {
        plan.notes.push(format!(
            "the replication slot {slot} stays until Patroni drops it by itself ({SLOTS_TTL}, 30 minutes by default): \
             sooner {} would lose its slot, too, and is away",
            away.join(", ")
        ));
        return;
    }
    if retained {
        let was = kept.clone().or_else(|| observed.primary.as_ref().map(|primary| primary.slots_ttl.clone()));
        let was = was.unwrap_or_default();
        if kept.is_none() {
            plan.steps.push(Step::ShortenRetention { was: was.clone() });
        }
        plan.steps.push(Step::AwaitForgotten { slot: slot.clone() });
        plan.steps.push(Step::RestoreRetention { was });
    } else if let Some(was) = kept {
        plan.steps.push(Step::RestoreRetention { was });
    }
    if observed.primary.as_ref().is_some_and(|primary| primary.has_slot) {
        plan.steps.push(Step::DropSlot { slot });
    }
}

impl Step {
    /// Whether Patroni may be keeping slots for a moment only while this step is carried out.
    pub(super) fn is_about_retention(&self) -> bool {
        matches!(self, Self::ShortenRetention { .. } | Self::AwaitForgotten { .. } | Self::RestoreRetention { .. })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |was: &Value| if was.is_null() { "Patroni's default".to_owned() } else { was.to_string() };
        match self {
            Self::Switchover { from, to } => write!(f, "move the leadership from node {from} to node {to}"),
            Self::AwaitSilence { node, signs } => {
                write!(f, "wait until node {node} is stopped; now {}", refusal::list(signs))
            }
            Self::Etcd(change) => change.fmt(f),
            Self::DeleteKey { name } => write!(f, "delete Patroni's member key of {name}"),
            Self::ShortenRetention { was } => {
                write!(f, "set {SLOTS_TTL} to 1 s for a moment (it is {})", time(was))
            }
            Self::AwaitForgotten { slot } => write!(f, "wait until Patroni no longer keeps the slot {slot}"),
            Self::RestoreRetention { was } => write!(f, "set {SLOTS_TTL} back to {}", time(was)),
            Self::DropSlot { slot } => write!(f, "drop the replication slot {slot}"),
        }
    }
}

/// One line per step (`- …`), then the notes (`note: …`).
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "- {step}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}
