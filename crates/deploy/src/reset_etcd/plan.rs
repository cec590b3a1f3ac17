//! What `reset-etcd-node1` has to do, from what was seen. Pure: same input, same plan.

use std::fmt;

use pgstack_cluster_view::{EtcdMember, EtcdProcess};
use pgstack_etcd::{Answer, ClusterId, DataDir, Desired, MemberId, Observed, Seat, View};
use pgstack_topology::NodeId;

use super::refusal::ResetRefusal;

/// The folder in which the new cluster's data is made ready, relative to the stack directory.
pub(crate) const COPY: &str = "data/etcd.reset";

/// Everything that the plan rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// This node's data, and what each endpoint for clients says.
    pub(crate) etcd: Observed,
    /// What each etcd says at its port for peers, which is open without a quorum, too.
    pub(crate) processes: Vec<(NodeId, EtcdProcess)>,
    /// What lies in [`COPY`].
    pub(crate) copy: Copy,
    /// The data is a finished copy; the reset that put it there was not ended.
    pub(crate) in_place: bool,
}

/// The new cluster's data, beside the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copy {
    /// There is none.
    None,
    /// A reset was killed while it made one.
    Unfinished,
    /// It is complete, and has served.
    Finished,
}

/// One step. Each may be cut off in the middle; planning again goes on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Stop etcd on this node.
    Stop,
    /// Make the new cluster's data ready in [`COPY`].
    Rebuild(Source),
    /// Give the old data another name.
    MoveAside,
    /// Give the copy the data's name.
    PutInPlace,
    /// Start etcd on it, and wait until it serves alone.
    Start,
    /// Remove what is left of the work.
    Finish,
}

/// What the new cluster is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The data on this node, as far as it can be read.
    Data,
    /// Nothing: the data is lost.
    Nothing,
}

/// The steps in order; none where this node is a healthy cluster of its own and nothing is left over.
pub(crate) fn plan(desired: &Desired, seen: &Seen, without_data: bool) -> Result<Vec<Step>, ResetRefusal> {
    let me = desired.me();
    let is_left_over = seen.in_place || seen.copy != Copy::None;
    let joined = |view: &View| view.linearizable && view.members.len() > 1;
    if is_left_over && seen.etcd.views().any(|(node, view)| node == me.node && joined(view)) {
        // others have joined since; a later reset must not take this for its own
        return Ok(vec![Step::Finish]);
    }
    if let Some((node, view)) = seen.etcd.views().find(|(node, view)| view.linearizable && *node != me.node) {
        return Err(ResetRefusal::QuorumExists { node, members: view.members.len() });
    }
    if let Some((node, view)) = seen.etcd.views().find(|(_, view)| view.linearizable) {
        if view.members.iter().any(|member| member.id != view.responder) {
            return Err(ResetRefusal::QuorumExists { node, members: view.members.len() });
        }
        return Ok(if is_left_over { vec![Step::Finish] } else { Vec::new() });
    }
    if seen.in_place {
        return Ok(vec![Step::Start, Step::Finish]);
    }
    if let Some((nodes, voters)) = majority(desired, seen) {
        return Err(ResetRefusal::MajorityRuns { nodes, voters });
    }
    let mut steps = Vec::new();
    if seen.etcd.running {
        steps.push(Step::Stop);
    }
    match (&seen.etcd.my_data, &seen.etcd.mark) {
        (DataDir::Unknown { reason }, _) => return Err(ResetRefusal::DataUnknown { reason: reason.clone() }),
        // moved aside, and then the reset was killed
        (DataDir::Empty, _) if seen.copy == Copy::Finished => {}
        (DataDir::Remains, _) if seen.copy == Copy::Finished => steps.push(Step::MoveAside),
        (DataDir::Empty, None) => return Err(ResetRefusal::NeverMember),
        (DataDir::Empty, Some(_)) if !without_data => return Err(ResetRefusal::DataLost),
        (DataDir::Empty, Some(_)) => steps.push(Step::Rebuild(Source::Nothing)),
        (DataDir::Remains | DataDir::Initialised { member_id: None, .. }, None) => return Err(ResetRefusal::OfNobody),
        (DataDir::Initialised { member_id: Some(id), .. }, _) if seat_of(desired, seen, *id).is_some() => {
            let node = seat_of(desired, seen, *id).unwrap_or(me.node);
            return Err(ResetRefusal::DataOfAnotherNode { member: *id, node });
        }
        (DataDir::Remains | DataDir::Initialised { .. }, _) => {
            steps.extend([Step::Rebuild(Source::Data), Step::MoveAside]);
        }
    }
    steps.extend([Step::PutInPlace, Step::Start, Step::Finish]);
    Ok(steps)
}

/// The cluster that this node's data belongs to, as far as anything here tells.
pub(crate) fn old_cluster(etcd: &Observed) -> Option<ClusterId> {
    let marked = etcd.mark.as_ref().map(|mark| mark.cluster_id);
    match etcd.my_data {
        DataDir::Initialised { cluster_id, .. } => cluster_id.or(marked),
        _ => marked,
    }
}

/// The nodes whose etcd runs, and the number of voters, where they could still make a quorum:
/// then it is not lost. Every list is believed that anybody shows.
fn majority(desired: &Desired, seen: &Seen) -> Option<(Vec<NodeId>, usize)> {
    let ours = old_cluster(&seen.etcd);
    let is_ours = |cluster: ClusterId| ours.is_none_or(|ours| ours == cluster);
    let me = desired.me();
    let has_data = matches!(seen.etcd.my_data, DataDir::Initialised { .. });
    let runs = |seat: &Seat| {
        let serves = match seen.etcd.answer(seat.node) {
            Some(Answer::Serving(view)) => is_ours(view.cluster_id),
            _ => false,
        };
        let is_there =
            |(node, process): &(NodeId, EtcdProcess)| *node == seat.node && is_ours(ClusterId(process.cluster_id));
        (seat.node == me.node && has_data) || serves || seen.processes.iter().any(is_there)
    };
    let shown = seen.etcd.views().filter(|(_, view)| is_ours(view.cluster_id)).map(|(_, view)| {
        let voters = view.members.iter().filter(|member| !member.is_learner);
        voters.map(|member| member.peer_urls.clone()).collect::<Vec<_>>()
    });
    let told = seen.processes.iter().filter(|(_, process)| is_ours(ClusterId(process.cluster_id)));
    let told = told.map(|(_, process)| {
        let voters = process.members.iter().filter(|member| !member.is_learner);
        voters.map(|member| member.peer_urls.clone()).collect::<Vec<_>>()
    });
    shown.chain(told).find_map(|voters| {
        let seat_of = |urls: &Vec<String>| desired.seats().iter().find(|seat| urls.contains(&seat.peer_url));
        let nodes: Vec<NodeId> =
            voters.iter().filter_map(seat_of).filter(|seat| runs(seat)).map(|seat| seat.node).collect();
        (nodes.len() > voters.len() / 2).then_some((nodes, voters.len()))
    })
}

/// The other node that member `id` belongs to, as any list shows it.
fn seat_of(desired: &Desired, seen: &Seen, id: MemberId) -> Option<NodeId> {
    let me = desired.me();
    let at_home = |urls: &[String]| urls.contains(&me.peer_url);
    let listed = seen.etcd.views().flat_map(|(_, view)| &view.members);
    let listed = listed.filter(|member| member.id == id).map(|member| member.peer_urls.as_slice());
    let told = seen.processes.iter().flat_map(|(_, process)| &process.members);
    let told = told.filter(|member: &&EtcdMember| member.id == id.0).map(|member| member.peer_urls.as_slice());
    let urls = listed.chain(told).find(|urls| !at_home(urls))?;
    desired.seats().iter().find(|seat| urls.contains(&seat.peer_url)).map(|seat| seat.node)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop => f.write_str("stop etcd on this node"),
            Self::Rebuild(Source::Data) => write!(
                f,
                "make a cluster of this node alone out of a copy of data/etcd, in {COPY}: with all keys of Patroni, \
                 as far as the data can be read"
            ),
            Self::Rebuild(Source::Nothing) => {
                write!(f, "make an empty cluster of this node alone, in {COPY}; Patroni writes its keys anew")
            }
            Self::MoveAside => f.write_str("keep the old data as data/etcd.TIME"),
            Self::PutInPlace => write!(f, "put {COPY} in the place of data/etcd"),
            Self::Start => f.write_str("start etcd on it"),
            Self::Finish => {
                f.write_str("remove what is left of the work, and wait until Patroni on this node sees etcd")
            }
        }
    }
}

#[cfg(test)]
mod tests;
