//! A model of etcd on several machines, as far as membership goes: what is committed, what each
//! machine's data knows, which processes run and which of them can talk. It plays etcd's part as
//! the arbiter and panics when a promise is broken.

mod deploy;
mod removal;

use std::collections::HashSet;

use pgstack_env::EtcdState;
use pgstack_etcd::{
    Answer, Change, ClusterId, DataDir, Desired, Mark, Member, MemberId, Observed, Peer, Plan, Seat, Start, View,
};
use pgstack_topology::NodeId;

pub(crate) use removal::Gone;

const CLUSTER: ClusterId = ClusterId(0xc);
/// The member that no machine of the topology is. It always runs.
const FOREIGN: u64 = 99;

/// One entry of the committed member list.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    id: u64,
    peer_url: String,
    started: bool,
    learner: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Data {
    Empty,
    Remains,
    /// A member of the cluster that has applied the list of that version.
    Member {
        id: u64,
        applied: usize,
    },
    /// A member of another cluster.
    Foreign,
}

#[expect(clippy::struct_excessive_bools, reason = "they vary independently")]
#[derive(Debug)]
struct Machine {
    powered: bool,
    isolated: bool,
    data: Data,
    mark: Option<Mark>,
    file: Option<Start>,
    /// The file is for a start without data, and no `deploy` has come by since.
    first_file: bool,
    running: bool,
    /// The client port: closed until the process has seen a quorum.
    open: bool,
    /// Made from an earlier look, not yet carried out.
    pending: Option<Plan>,
    /// The same for a removal.
    removing: Option<(Gone, Plan)>,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    machines: Vec<Machine>,
    desired: Vec<Desired>,
    /// Every version of the committed list.
    lists: Vec<Vec<Entry>>,
    /// A first quorum has been there.
    formed: bool,
    /// Members that have served.
    served: HashSet<u64>,
    /// Members whose data has been destroyed.
    lost: HashSet<u64>,
    /// Members that somebody asked to be removed.
    asked: HashSet<u64>,
    next_id: u64,
}

/// How etcd answered a change.
#[derive(Debug, PartialEq)]
pub(crate) enum Arbiter {
    Done,
    Refused,
}

fn seat(node: usize) -> Seat {
    let node = NodeId::new(u8::try_from(node + 1).expect("small")).expect("1 to 6");
    Seat {
        node,
        name: format!("etcd{node}"),
        peer_url: format!("http://10.0.0.{node}:2380"),
        client_url: format!("http://10.0.0.{node}:2379"),
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "formed {} list {:?}", self.formed, self.list())?;
        self.machines.iter().enumerate().try_for_each(|(at, machine)| {
            writeln!(f, "{machine:?}")?;
            match pgstack_etcd::plan(&self.desired[at], &self.observe(at)) {
                Ok(plan) => writeln!(f, "{plan}"),
                Err(refusal) => writeln!(f, "refused: {refusal}"),
            }
        })
    }
}

impl World {
    /// `size` machines whose topology names all of them. The first `formed` of them already are a
    /// cluster that runs (0: none), with one foreign member where asked for.
    pub(crate) fn new(size: usize, formed: usize, foreign: bool) -> Self {
        let seats: Vec<Seat> = (0..size).map(seat).collect();
        let desired: Vec<Desired> =
            seats.iter().map(|me| Desired::new(seats.clone(), me.node).expect("a seat")).collect();
        let entry = |node: usize, started| Entry {
            id: node as u64 + 1,
            peer_url: seats[node].peer_url.clone(),
            started,
            learner: false,
        };
        let mut list: Vec<Entry> = (0..if formed == 0 { size } else { formed }).map(|n| entry(n, formed > 0)).collect();
        if foreign && formed > 0 {
            list.push(Entry {
                id: FOREIGN,
                peer_url: "http://10.9.9.9:2380".to_owned(),
                started: true,
                learner: false,
            });
        }
        let machines = (0..size)
            .map(|n| Machine {
                powered: true,
                isolated: false,
                data: if n < formed { Data::Member { id: n as u64 + 1, applied: 0 } } else { Data::Empty },
                mark: (n < formed).then(|| Mark {
                    cluster_id: CLUSTER,
                    member_id: MemberId(n as u64 + 1),
                    peer_url: seats[n].peer_url.clone(),
                }),
                file: (n < formed).then(|| Start::settled(&desired[n])),
                first_file: false,
                running: n < formed,
                open: n < formed,
                pending: None,
                removing: None,
            })
            .collect();
        let served = (1..=formed as u64).collect();
        let lists = vec![list];
        let mut world = Self {
            machines,
            desired,
            lists,
            formed: formed > 0,
            served,
            lost: HashSet::new(),
            asked: HashSet::new(),
            next_id: 100,
        };
        world.settle();
        world
    }

    fn list(&self) -> &[Entry] {
        self.lists.last().expect("a first list")
    }

    fn entry(&self, id: u64) -> Option<&Entry> {
        self.list().iter().find(|entry| entry.id == id)
    }

    /// The machine that runs this member and can talk to the others.
    fn alive(&self, id: u64) -> bool {
        id == FOREIGN
            || self.machines.iter().any(|machine| {
                machine.running
                    && !machine.isolated
                    && matches!(machine.data, Data::Member { id: mine, .. } if mine == id)
            })
    }

    fn voters(list: &[Entry]) -> impl Iterator<Item = &Entry> {
        list.iter().filter(|entry| !entry.learner)
    }

    fn live_majority(&self, list: &[Entry]) -> bool {
        let live = Self::voters(list).filter(|entry| self.alive(entry.id)).count();
        live > Self::voters(list).count() / 2
    }

    /// Lets etcd do what it does by itself: elect, replicate, announce, stop removed members.
    fn settle(&mut self) {
        if !self.live_majority(self.list()) {
            return;
        }
        self.formed = true;
        let newest = self.lists.len() - 1;
        for at in 0..self.machines.len() {
            let machine = &mut self.machines[at];
            let Data::Member { id, applied } = &mut machine.data else { continue };
            if !machine.running || machine.isolated {
                continue;
            }
            let id = *id;
            if let Some(entry) = self.lists[newest].iter_mut().find(|entry| entry.id == id) {
                *applied = newest;
                machine.open = true;
                entry.started = true;
                self.served.insert(id);
            } else {
                machine.running = false;
                machine.open = false;
            }
        }
    }

    fn answer(&self, from: usize, to: usize) -> Answer {
        let machine = &self.machines[to];
        let cut = from != to && (machine.isolated || self.machines[from].isolated);
        let Data::Member { id, applied } = machine.data else {
            return Answer::Unreachable { reason: "refused".to_owned() };
        };
        if cut || !machine.running || !machine.open {
            return Answer::Unreachable { reason: "refused".to_owned() };
        }
        let list = &self.lists[applied];
        if list.iter().any(|entry| entry.id == id && entry.learner) {
            return Answer::Learner { cluster_id: CLUSTER, member_id: MemberId(id) };
        }
        Answer::Serving(View {
            cluster_id: CLUSTER,
            responder: MemberId(id),
            members: list
                .iter()
                .map(|entry| Member {
                    id: MemberId(entry.id),
                    name: if entry.started { format!("m{}", entry.id) } else { String::new() },
                    peer_urls: vec![entry.peer_url.clone()],
                    client_urls: if entry.started { vec!["http://client".to_owned()] } else { Vec::new() },
                    is_learner: entry.learner,
                })
                .collect(),
            leader: None,
            linearizable: !machine.isolated && applied + 1 == self.lists.len() && self.live_majority(self.list()),
            alarms: Vec::new(),
        })
    }

    /// What machine `from` sees.
    pub(crate) fn observe(&self, from: usize) -> Observed {
        let machine = &self.machines[from];
        Observed {
            my_data: match machine.data {
                Data::Empty => DataDir::Empty,
                Data::Remains => DataDir::Remains,
                Data::Member { id, .. } => {
                    DataDir::Initialised { member_id: Some(MemberId(id)), cluster_id: Some(CLUSTER) }
                }
                Data::Foreign => {
                    DataDir::Initialised { member_id: Some(MemberId(7)), cluster_id: Some(ClusterId(0xd)) }
                }
            },
            mark: machine.mark.clone(),
            running: machine.running,
            peers: (0..self.machines.len())
                .map(|to| Peer { node: self.desired[to].me().node, answer: self.answer(from, to) })
                .collect(),
        }
    }

    /// etcd starts on machine `at` with what its file says.
    fn boot(&mut self, at: usize) {
        let Some(start) = self.machines[at].file.clone() else { return };
        let machine = &mut self.machines[at];
        machine.open = false;
        machine.running = true;
        if matches!(machine.data, Data::Member { .. } | Data::Foreign) {
            return self.settle();
        }
        let my_url = self.desired[at].me().peer_url.clone();
        let mut urls: Vec<&str> =
            start.initial_cluster.split(',').filter_map(|member| Some(member.split_once('=')?.1)).collect();
        urls.sort_unstable();
        // A peer that has data serves its list to joining members whether its client port is open or not.
        let peer = (0..self.machines.len()).filter(|&peer| peer != at).find_map(|peer| {
            let other = &self.machines[peer];
            let reachable = other.running && !other.isolated && !self.machines[at].isolated;
            match other.data {
                Data::Member { applied, .. }
                    if reachable && urls.contains(&self.desired[peer].me().peer_url.as_str()) =>
                {
                    Some(applied)
                }
                _ => None,
            }
        });
        let id = match (start.state, peer) {
            (EtcdState::New, Some(applied))
                if self.lists[applied].iter().any(|entry| entry.peer_url == my_url && entry.started) =>
            {
                None // "has already been bootstrapped"
            }
            (EtcdState::New, _) => Some(at as u64 + 1),
            (EtcdState::Existing, None) => None, // "could not retrieve cluster information"
            (EtcdState::Existing, Some(applied)) => {
                let list = &self.lists[applied];
                let mut known: Vec<&str> = list.iter().map(|entry| entry.peer_url.as_str()).collect();
                known.sort_unstable();
                let mine = list.iter().find(|entry| entry.peer_url == my_url);
                if known == urls { mine.map(|entry| entry.id) } else { None } // "member count is unequal"
            }
        };
        let Some(id) = id else {
            self.machines[at].running = false;
            self.machines[at].data = Data::Remains;
            return;
        };
        let mut first: Vec<&str> = self.lists[0].iter().map(|entry| entry.peer_url.as_str()).collect();
        first.sort_unstable();
        if start.state == EtcdState::New && first != urls {
            // another list makes another cluster id: it can never form, nor join
            self.machines[at].data = Data::Foreign;
            return;
        }
        assert!(!self.served.contains(&id), "member {id} starts under its old id without its data: {start:?}");
        assert!(
            start.state == EtcdState::Existing
                || self.lists.len() == 1
                || self.entry(id).is_some()
                // the others have nothing to do with it any more, and it stops when it hears of that
                || self.asked.contains(&id),
            "a second cluster is made: {start:?}"
        );
        self.machines[at].data = Data::Member { id, applied: 0 };
        self.settle();
    }

    /// etcd decides about a change that machine `from` asks for; `asked`: whose removal was asked for by name.
    fn arbitrate(&mut self, from: usize, change: &Change, asked: Option<Gone>) -> Arbiter {
        let list = self.list().to_vec();
        if self.machines[from].isolated || !self.live_majority(&list) {
            return Arbiter::Refused;
        }
        let mut next = list.clone();
        match change {
            Change::AddLearner { peer_url, .. } => {
                let taken = list.iter().any(|entry| entry.learner || entry.peer_url == *peer_url);
                let healthy = Self::voters(&list).all(|entry| self.alive(entry.id));
                if taken || !healthy {
                    return Arbiter::Refused;
                }
                next.push(Entry { id: self.next_id, peer_url: peer_url.clone(), started: false, learner: true });
                self.next_id += 1;
            }
            Change::Promote { id, .. } => {
                let Some(entry) = next.iter_mut().find(|entry| entry.id == id.0 && entry.learner) else {
                    return Arbiter::Refused;
                };
                entry.learner = false;
                if !self.alive(id.0) {
                    return Arbiter::Refused; // "in sync with leader"
                }
            }
            Change::Remove { id, .. } => {
                let Some(gone) = list.iter().find(|entry| entry.id == id.0) else { return Arbiter::Refused };
                match asked {
                    Some(Gone::Foreign) => assert_eq!(gone.id, FOREIGN),
                    Some(Gone::Machine(at)) => assert_eq!(gone.peer_url, self.desired[at].me().peer_url),
                    None => {
                        let mine = &self.desired[from].me().peer_url;
                        assert_eq!(gone.peer_url, *mine, "another node's member is removed");
                        let no_data = self.lost.contains(&id.0) || !self.served.contains(&id.0);
                        assert!(no_data, "a member with data is removed");
                    }
                }
                next.retain(|entry| entry.id != id.0);
                let started = Self::voters(&next).filter(|entry| entry.started).count();
                if !gone.learner && started <= Self::voters(&next).count() / 2 {
                    return Arbiter::Refused;
                }
                // a member that runs is part of the majority: without it, the others must be one
                if !gone.learner && self.alive(id.0) && !self.live_majority(&next) {
                    return Arbiter::Refused;
                }
                if asked.is_some() {
                    self.asked.insert(id.0);
                }
            }
        }
        assert!(self.live_majority(&next), "{change} leaves no live majority");
        assert!(next.iter().filter(|entry| entry.learner).count() <= 1, "two learners");
        self.lists.push(next);
        self.settle();
        Arbiter::Done
    }
}
