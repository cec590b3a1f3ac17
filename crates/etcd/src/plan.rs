//! What has to happen next, from what was seen. Pure: same input, same plan.

use pgstack_topology::NodeId;

use crate::quorum::{Census, majority};
use crate::{
    Answer, Change, ClusterId, DataDir, Desired, Later, Member, MemberId, Observed, Plan, Refusal, Start, Step, Wait,
};

const REMAINS: &str = "remains without a write-ahead log, which etcd would mix with what it joins";
const REMOVED: &str = "this member was removed from the cluster, its data is outdated";
const ALLOWED: &str = "it belongs to something else, and wiping was allowed";
const NO_DATA: &str = "its data directory is empty";
const DATA_LOST: &str = "its data is lost, so it must not come back under its old id";

/// The next steps towards this machine being a voter of the cluster that serves.
///
/// Unknown changes nothing, and members that the topology does not name are never touched.
pub fn plan(desired: &Desired, observed: &Observed) -> Result<Plan, Refusal> {
    let planner = Planner { desired, observed };
    let census = Census::take(desired, observed)?;
    let notes = census.as_ref().map(|census| census.notes(desired, observed)).unwrap_or_default();
    let (steps, later) = match (&observed.my_data, &census) {
        (DataDir::Unknown { reason }, _) => return Err(Refusal::DataUnknown { reason: reason.clone() }),
        (DataDir::Initialised { .. }, None) => planner.start_and(planner.quorum()),
        (DataDir::Initialised { member_id, cluster_id }, Some(census)) => {
            planner.with_data(*cluster_id, *member_id, census)?
        }
        (DataDir::Empty | DataDir::Remains, _) if planner.serves() => return Err(Refusal::ServesWithoutData),
        (DataDir::Empty | DataDir::Remains, None) => planner.nobody_serves(),
        (DataDir::Empty | DataDir::Remains, Some(census)) => planner.without_data(census),
    };
    Ok(Plan { steps, later, notes })
}

type Steps = (Vec<Step>, Vec<Later>);

struct Planner<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
}

impl Planner<'_> {
    /// Data is here, and a cluster serves.
    fn with_data(
        &self,
        cluster_id: Option<ClusterId>,
        member_id: Option<MemberId>,
        census: &Census<'_>,
    ) -> Result<Steps, Refusal> {
        let me = self.desired.me();
        if let Some(mine) = cluster_id.filter(|&mine| mine != census.cluster()) {
            return self.wipe_or(Refusal::OtherCluster { mine, serving: census.cluster() });
        }
        let by_place = || census.view.members.iter().find(|member| member.sits_at(me));
        let by_id = |id| census.view.members.iter().find(|member: &&Member| member.id == id);
        let Some(member) = member_id.map_or_else(by_place, by_id) else {
            return match member_id {
                // A list that differs, or a process that serves under this id: look again.
                Some(id) if self.serves() || self.listed_somewhere(id) => Ok(self.start_and(Wait::Joined)),
                Some(_) => Ok((self.set_aside(REMOVED), vec![Later::AddLearner, Later::Join, Later::Promote])),
                None => Err(Refusal::DataUnknown { reason: "its write-ahead log names no member".to_owned() }),
            };
        };
        if !member.sits_at(me) {
            let listed = member.peer_urls.join(" ");
            return match self.desired.seats().iter().find(|seat| member.sits_at(seat)) {
                Some(seat) => self.wipe_or(Refusal::DataOfAnotherNode { member: member.id, node: seat.node }),
                None => Err(Refusal::AddressChanged { member: member.id, listed, peer_url: me.peer_url.clone() }),
            };
        }
        Ok(match self.observed.answer(me.node) {
            Some(Answer::Learner { .. }) if member.is_learner => {
                let promote = Change::Promote { id: member.id, name: me.name.clone() };
                (vec![Step::Change(promote)], Vec::new())
            }
            Some(Answer::Serving(view)) if view.linearizable => {
                (self.observed.mark_due(me).map(Step::Remember).into_iter().collect(), Vec::new())
            }
            _ => {
                let (steps, mut later) = self.start_and(Wait::Joined);
                if member.is_learner {
                    later.push(Later::Promote);
                }
                (steps, later)
            }
        })
    }

    /// No data, and no cluster serves with a quorum.
    fn nobody_serves(&self) -> Steps {
        let silent = self.silent();
        let exists = self.observed.peers.iter().any(|peer| !matches!(peer.answer, Answer::Unreachable { .. }));
        if self.observed.mark.is_some() || exists {
            // Not even a list on which this machine never started helps: the one that answers may
            // have missed it.
            let wait = match &self.observed.mark {
                Some(_) => Wait::QuorumOfOthers { silent },
                None => Wait::Quorum { silent },
            };
            return self.stopped_or(Step::Await(wait), Vec::new());
        }
        let mut steps = self.clear_remains();
        steps.push(Step::Start(Start::first_boot(self.desired)));
        steps.push(Step::Await(self.quorum()));
        (steps, Vec::new())
    }

    /// The others are needed: for the first time where nothing says that there was one before.
    fn quorum(&self) -> Wait {
        let silent = self.silent();
        match &self.observed.mark {
            Some(_) => Wait::Quorum { silent },
            None => Wait::FirstQuorum { needed: majority(self.desired.seats().len()), silent },
        }
    }

    /// No data, and a cluster serves.
    fn without_data(&self, census: &Census<'_>) -> Steps {
        let me = self.desired.me();
        let members = &census.view.members;
        let Some(member) = members.iter().find(|member| member.sits_at(me)) else {
            return self.join_anew(census);
        };
        if !self.has_started(member, census) {
            let mut steps = self.clear_remains();
            steps.push(Step::Start(Start::join(self.desired, members)));
            steps.push(Step::Await(Wait::Joined));
            let later = if member.is_learner { vec![Later::Promote] } else { Vec::new() };
            return (steps, later);
        }
        let remove = Change::Remove { id: member.id, name: me.name.clone(), why: DATA_LOST };
        self.stopped_or(Step::Change(remove), vec![Later::AddLearner, Later::Join, Later::Promote])
    }

    /// No data, and not on the list.
    fn join_anew(&self, census: &Census<'_>) -> Steps {
        let me = self.desired.me();
        let step = match census.view.members.iter().find(|member| member.is_learner) {
            Some(learner) => {
                let node = self.desired.seats().iter().find(|seat| learner.sits_at(seat)).map(|seat| seat.node);
                Step::Await(Wait::OtherLearner { member: learner.id, node })
            }
            None => {
                Step::Change(Change::AddLearner { node: me.node, name: me.name.clone(), peer_url: me.peer_url.clone() })
            }
        };
        self.stopped_or(step, vec![Later::Join, Later::Promote])
    }

    /// Whether any endpoint with a quorum lists a member of this id.
    fn listed_somewhere(&self, id: MemberId) -> bool {
        let mut lists = self.observed.views().filter(|(_, view)| view.linearizable);
        lists.any(|(_, view)| view.members.iter().any(|member| member.id == id))
    }

    /// Whether the member has ever served, as any endpoint or the mark tells: believed against
    /// starting, never for it.
    fn has_started(&self, member: &Member, census: &Census<'_>) -> bool {
        let marked = self.observed.mark.as_ref().is_some_and(|mark| mark.member_id == member.id);
        let ours = self.observed.views().filter(|(_, view)| view.cluster_id == census.cluster());
        let mut listed = ours.flat_map(|(_, view)| &view.members).filter(|listed| listed.id == member.id);
        marked || member.has_started() || listed.any(Member::has_started)
    }

    /// Whether this machine's own endpoint answers.
    fn serves(&self) -> bool {
        let answer = self.observed.answer(self.desired.me().node);
        matches!(answer, Some(Answer::Serving(_) | Answer::Learner { .. } | Answer::Guarded { .. }))
    }

    /// The other nodes whose endpoint does not answer.
    fn silent(&self) -> Vec<NodeId> {
        let me = self.desired.me().node;
        let silent = |node: &NodeId| {
            !matches!(
                self.observed.answer(*node),
                Some(Answer::Serving(_) | Answer::Learner { .. } | Answer::Guarded { .. })
            )
        };
        self.desired.seats().iter().map(|seat| seat.node).filter(|&node| node != me).filter(silent).collect()
    }

    /// etcd runs on its data; then the wait.
    fn start_and(&self, wait: Wait) -> Steps {
        let mut steps = Vec::new();
        if !self.observed.running {
            steps.push(Step::Start(Start::settled(self.desired)));
        }
        steps.push(Step::Await(wait));
        (steps, Vec::new())
    }

    /// Before a start. An etcd that runs is just making these remains: stopping it each time
    /// would keep it from ever getting through.
    fn clear_remains(&self) -> Vec<Step> {
        if self.observed.my_data == DataDir::Remains && !self.observed.running {
            vec![Step::MoveDataAside { why: REMAINS }]
        } else {
            Vec::new()
        }
    }

    /// `step`, once nothing runs on this machine and no remains are left. A process without data
    /// could join at the wrong moment, or have taken part in the very quorum that was seen.
    fn stopped_or(&self, step: Step, mut later: Vec<Later>) -> Steps {
        let mut steps = Vec::new();
        if self.observed.running {
            steps.push(Step::Stop { why: NO_DATA });
        }
        if self.observed.my_data == DataDir::Remains {
            steps.push(Step::MoveDataAside { why: REMAINS });
        }
        match step {
            step if !self.observed.running => steps.push(step),
            Step::Change(Change::Remove { .. }) => later.insert(0, Later::Replace),
            Step::Change(Change::AddLearner { .. }) => later.insert(0, Later::AddLearner),
            _ => {}
        }
        (steps, later)
    }

    fn set_aside(&self, why: &'static str) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.observed.running {
            steps.push(Step::Stop { why });
        }
        steps.push(Step::MoveDataAside { why });
        steps
    }

    fn wipe_or(&self, refusal: Refusal) -> Result<Steps, Refusal> {
        if self.desired.wiping_allowed() {
            Ok((self.set_aside(ALLOWED), vec![Later::AddLearner, Later::Join, Later::Promote]))
        } else {
            Err(refusal)
        }
    }
}
