//! Who is alive in the cluster that serves.

use pgstack_topology::NodeId;

use crate::{ClusterId, Desired, Member, MemberId, Note, Observed, Refusal, View};

/// How many of `voters` decide.
pub(crate) fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// The cluster with a quorum, as its own current list and the endpoints that answered show it.
///
/// That there is one proves the quorum: a majority took part in the quorum read. Members whose
/// process is down, such as one that lost its data, were not among them.
pub(crate) struct Census<'a> {
    /// The current list: a quorum read succeeded where it comes from.
    pub(crate) view: &'a View,
    /// Nodes whose member is a voter on that list and passed a quorum read itself.
    pub(crate) live: Vec<(NodeId, MemberId)>,
}

impl<'a> Census<'a> {
    /// `None` where no endpoint passed a quorum read: whatever the others say may be outdated.
    pub(crate) fn take(desired: &Desired, observed: &'a Observed) -> Result<Option<Self>, Refusal> {
        // With leave to wipe, a machine that is a cluster of its own does not count.
        let others = |node| !desired.wiping_allowed() || node != desired.me().node;
        let any_other = observed.views().any(|(node, view)| view.linearizable && node != desired.me().node);
        let confirmed = || observed.views().filter(|&(node, view)| view.linearizable && (!any_other || others(node)));
        let Some((first_node, first)) = confirmed().next() else { return Ok(None) };
        if let Some((second_node, second)) = confirmed().find(|(_, view)| view.cluster_id != first.cluster_id) {
            return Err(Refusal::TwoClusters {
                first: first.cluster_id,
                first_node,
                second: second.cluster_id,
                second_node,
            });
        }
        // Both came from one cluster, and each goes on alone: their lists share no member that serves.
        let strange = |view: &View, other: &View| view.members.iter().all(|member| member.id != other.responder);
        if let Some((second_node, _)) = confirmed().find(|(_, view)| strange(first, view) && strange(view, first)) {
            return Err(Refusal::Split { cluster: first.cluster_id, nodes: (first_node, second_node) });
        }
        // Reads succeed one after the other, so lists may differ by one change. The one that does
        // not know this machine, or knows it as started, allows the least.
        let me = desired.me();
        let caution = |view: &View| match view.members.iter().find(|member| member.sits_at(me)) {
            None => 0,
            Some(member) if member.has_started() => 1,
            Some(_) => 2,
        };
        let view = confirmed().map(|(_, view)| view).min_by_key(|view| caution(view)).unwrap_or(first);
        let is_voter = |id| view.members.iter().any(|member| member.id == id && !member.is_learner);
        let live = confirmed().map(|(node, view)| (node, view.responder)).filter(|&(_, id)| is_voter(id)).collect();
        Ok(Some(Self { view, live }))
    }

    pub(crate) fn cluster(&self) -> ClusterId {
        self.view.cluster_id
    }

    pub(crate) fn voters(&self) -> usize {
        self.view.members.iter().filter(|member| !member.is_learner).count()
    }

    /// How a member is called to people: its seat's name, else its own.
    pub(crate) fn name(desired: &Desired, member: &Member) -> String {
        let seat = desired.seats().iter().find(|seat| member.sits_at(seat));
        match seat {
            Some(seat) => seat.name.clone(),
            None if member.name.is_empty() => member.peer_urls.join(" "),
            None => member.name.clone(),
        }
    }

    /// What has to be told about it.
    pub(crate) fn notes(&self, desired: &Desired, observed: &Observed) -> Vec<Note> {
        let mut notes = Vec::new();
        for (node, view) in observed.views().filter(|(_, view)| view.cluster_id != self.cluster()) {
            notes.push(Note::OtherCluster { node, theirs: view.cluster_id, ours: self.cluster() });
        }
        for member in &self.view.members {
            if !desired.seats().iter().any(|seat| member.sits_at(seat)) {
                notes.push(Note::Foreign {
                    id: member.id,
                    name: member.name.clone(),
                    peer_urls: member.peer_urls.clone(),
                });
            }
        }
        if self.voters().is_multiple_of(2) {
            notes.push(Note::EvenVoters { voters: self.voters() });
        }
        notes.extend(self.view.alarms.iter().map(|&(member, alarm)| Note::Alarm { member, alarm }));
        notes
    }
}
