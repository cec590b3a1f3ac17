//! Removing a member that was asked for by name.

use pgstack_topology::NodeId;

use crate::quorum::{Census, majority};
use crate::{Change, Desired, Member, MemberId, Observed, Plan, Refusal, Step};

/// Who is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The member at the place of a node that the topology still names.
    Node(NodeId),
    /// Any member, as [`crate::Note::Foreign`] reports it.
    Member(MemberId),
}

/// Removes `target`'s member. An empty plan: it is not on the list.
///
/// The target may be dead. Needs a quorum now, and one afterwards among members that answered.
pub fn plan_removal(target: Target, desired: &Desired, observed: &Observed) -> Result<Plan, Refusal> {
    if let Target::Node(node) = target
        && node == desired.me().node
    {
        return Err(Refusal::RemovesItself { node });
    }
    let Some(census) = Census::take(desired, observed)? else {
        return Err(Refusal::NoQuorum);
    };
    let is_target = |member: &&Member| match target {
        Target::Node(node) => desired.seat(node).is_some_and(|seat| member.sits_at(seat)),
        Target::Member(id) => member.id == id,
    };
    let mut plan = Plan { notes: census.notes(desired, observed), ..Plan::default() };
    let Some(member) = census.view.members.iter().find(is_target) else { return Ok(plan) };
    let name = Census::name(desired, member);
    // The target may have been part of the quorum that is proven, so the others are counted.
    if !member.is_learner {
        let voters = census.voters() - 1;
        let live = census.live.iter().filter(|&&(_, id)| id != member.id).count();
        if live < majority(voters) || live == 0 {
            return Err(Refusal::BelowQuorum { name, live, voters });
        }
    }
    plan.steps.push(Step::Change(Change::Remove { id: member.id, name, why: "its removal was asked for" }));
    Ok(plan)
}
