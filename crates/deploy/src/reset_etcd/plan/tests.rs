//! Every refusal, and a model of the disk on which the reset dies between any two steps.

use pgstack_etcd::{Mark, Member, Peer};
use pgstack_testing::example_node;
use proptest::prelude::*;

use super::*;

const OLD: ClusterId = ClusterId(0xc1);
const NEW: ClusterId = ClusterId(0xc2);

fn node(id: u8) -> NodeId {
    NodeId::new(id).expect("a number")
}

fn desired(size: u8) -> Desired {
    Desired::from(&example_node(1, size).local)
}

fn url(id: u8) -> String {
    format!("http://192.168.0.{}:2380", 151 + id)
}

fn members(ids: &[u8]) -> Vec<Member> {
    let member = |&id: &u8| Member {
        id: MemberId(u64::from(id)),
        name: format!("etcd{id}"),
        peer_urls: vec![url(id)],
        client_urls: vec!["http://x:2379".to_owned()],
        is_learner: false,
    };
    ids.iter().map(member).collect()
}

fn serving(responder: u8, cluster_id: ClusterId, ids: &[u8], linearizable: bool) -> Answer {
    let responder = MemberId(u64::from(responder));
    Answer::Serving(View {
        cluster_id,
        responder,
        members: members(ids),
        leader: None,
        linearizable,
        alarms: Vec::new(),
    })
}

fn process(cluster: ClusterId, ids: &[u8]) -> EtcdProcess {
    let member = |&id: &u8| EtcdMember { id: u64::from(id), peer_urls: vec![url(id)], ..EtcdMember::default() };
    EtcdProcess { cluster_id: cluster.0, members: ids.iter().map(member).collect() }
}

fn mark() -> Mark {
    Mark { cluster_id: OLD, member_id: MemberId(1), peer_url: url(1) }
}

fn old_data() -> DataDir {
    DataDir::Initialised { member_id: Some(MemberId(1)), cluster_id: Some(OLD) }
}

/// Node 1 of so many has its data, runs no etcd, and hears nobody.
fn alone(size: u8) -> Seen {
    let silence = |id| Peer { node: node(id), answer: Answer::Unreachable { reason: "refused".to_owned() } };
    Seen {
        etcd: Observed {
            my_data: old_data(),
            mark: Some(mark()),
            running: false,
            peers: (1..=size).map(silence).collect(),
        },
        processes: Vec::new(),
        copy: Copy::None,
        in_place: false,
    }
}

fn answers(mut seen: Seen, id: u8, answer: Answer) -> Seen {
    seen.etcd.peers[usize::from(id) - 1].answer = answer;
    seen
}

const WHOLE: [Step; 5] = [Step::Rebuild(Source::Data), Step::MoveAside, Step::PutInPlace, Step::Start, Step::Finish];

#[test]
fn the_last_one_with_data_makes_a_cluster_of_itself() {
    assert_eq!(plan(&desired(3), &alone(3), false), Ok(WHOLE.to_vec()));
    let mut running = alone(3);
    running.etcd.running = true;
    running.processes.push((node(1), process(OLD, &[1, 2, 3])));
    let steps = plan(&desired(3), &running, false).expect("a plan");
    assert_eq!(steps[0], Step::Stop);
    assert_eq!(steps[1..], WHOLE);
}

#[test]
fn a_quorum_anywhere_is_a_refusal() {
    for (id, ids) in [(1, &[1, 2, 3][..]), (2, &[2, 3]), (2, &[2]), (3, &[1, 2, 3])] {
        let seen = answers(alone(3), id, serving(id, OLD, ids, true));
        let refused = plan(&desired(3), &seen, true);
        assert_eq!(refused, Err(ResetRefusal::QuorumExists { node: node(id), members: ids.len() }));
    }
}

#[test]
fn where_a_majority_runs_the_quorum_is_not_lost() {
    // node 2 answers clients, and says that it has no leader
    let seen = answers(alone(3), 2, serving(2, OLD, &[1, 2, 3], false));
    let refused = plan(&desired(3), &seen, false).expect_err("refused");
    assert_eq!(
        refused.to_string(),
        "etcd has no quorum at this moment, but could have one: 2 of its 3 voters run, on nodes 1 and 2"
    );
    // node 2 waits for a quorum with its client port closed
    let mut seen = alone(3);
    seen.processes.push((node(2), process(OLD, &[1, 2, 3])));
    assert!(matches!(plan(&desired(3), &seen, false), Err(ResetRefusal::MajorityRuns { voters: 3, .. })));
    // two of five are none
    let mut seen = alone(5);
    seen.processes.push((node(2), process(OLD, &[1, 2, 3, 4, 5])));
    assert_eq!(plan(&desired(5), &seen, false), Ok(WHOLE.to_vec()));
    seen.processes.push((node(4), process(OLD, &[1, 2, 3, 4, 5])));
    assert!(matches!(plan(&desired(5), &seen, false), Err(ResetRefusal::MajorityRuns { voters: 5, .. })));
    // a member of another cluster does not count
    let mut seen = alone(3);
    seen.processes.push((node(2), process(NEW, &[1, 2, 3])));
    assert_eq!(plan(&desired(3), &seen, false), Ok(WHOLE.to_vec()));
}

#[test]
fn data_that_is_not_this_nodes_is_a_refusal() {
    let with = |my_data: DataDir, mark: Option<Mark>, without: bool| {
        let mut seen = alone(3);
        seen.etcd.my_data = my_data;
        seen.etcd.mark = mark;
        plan(&desired(3), &seen, without)
    };
    let nameless = || DataDir::Initialised { member_id: None, cluster_id: None };
    assert_eq!(with(DataDir::Empty, None, true), Err(ResetRefusal::NeverMember));
    assert_eq!(with(DataDir::Empty, Some(mark()), false), Err(ResetRefusal::DataLost));
    assert_eq!(with(nameless(), None, true), Err(ResetRefusal::OfNobody));
    assert_eq!(with(DataDir::Remains, None, true), Err(ResetRefusal::OfNobody));
    let unknown = DataDir::Unknown { reason: "denied".to_owned() };
    assert!(matches!(with(unknown, Some(mark()), true), Err(ResetRefusal::DataUnknown { .. })));
    // the mark says whose it is
    assert_eq!(with(nameless(), Some(mark()), false), Ok(WHOLE.to_vec()));
    let empty = [Step::Rebuild(Source::Nothing), Step::PutInPlace, Step::Start, Step::Finish];
    assert_eq!(with(DataDir::Empty, Some(mark()), true), Ok(empty.to_vec()));
    // a cloned machine: member 2, which node 3's list has on node 2
    let mut seen = alone(5);
    seen.etcd.my_data = DataDir::Initialised { member_id: Some(MemberId(2)), cluster_id: Some(OLD) };
    seen.processes.push((node(3), process(OLD, &[1, 2, 3, 4, 5])));
    let refused = plan(&desired(5), &seen, true);
    assert_eq!(refused, Err(ResetRefusal::DataOfAnotherNode { member: MemberId(2), node: node(2) }));
}

#[test]
fn a_node_that_is_a_cluster_of_its_own_has_nothing_to_do() {
    let mut seen = answers(alone(3), 1, serving(1, NEW, &[1], true));
    assert_eq!(plan(&desired(3), &seen, false), Ok(Vec::new()));
    seen.in_place = true;
    assert_eq!(plan(&desired(3), &seen, false), Ok(vec![Step::Finish]));
}

/// What lies in data/etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    Lost,
    Remains,
    Old,
    New,
}

#[derive(Debug, Clone)]
struct World {
    data: Data,
    in_place: bool,
    copy: Copy,
    kept: bool,
    running: bool,
}

impl World {
    fn seen(&self) -> Seen {
        let mut seen = alone(3);
        seen.etcd.my_data = match self.data {
            Data::Lost => DataDir::Empty,
            Data::Remains => DataDir::Remains,
            Data::Old => old_data(),
            Data::New => DataDir::Initialised { member_id: Some(MemberId(9)), cluster_id: Some(NEW) },
        };
        seen.etcd.running = self.running;
        (seen.copy, seen.in_place) = (self.copy, self.in_place);
        match self.data {
            Data::Old if self.running => seen.processes.push((node(1), process(OLD, &[1, 2, 3]))),
            Data::New if self.running => seen = answers(seen, 1, serving(1, NEW, &[1], true)),
            _ => {}
        }
        seen
    }

    /// Carries a step out, or, where it is cut off, begins it.
    fn carry_out(&mut self, step: Step, cut_off: bool) {
        match step {
            Step::Stop => self.running &= cut_off,
            Step::Rebuild(_) => {
                assert!(!self.running, "a copy of what etcd writes to is no copy");
                self.copy = if cut_off { Copy::Unfinished } else { Copy::Finished };
            }
            Step::MoveAside => {
                assert!(self.copy == Copy::Finished && !self.running, "old data stays until the new is ready");
                if !cut_off {
                    self.kept |= self.data == Data::Old;
                    self.data = Data::Lost;
                }
            }
            Step::PutInPlace => {
                assert!(self.copy == Copy::Finished && self.data == Data::Lost && !self.running);
                if !cut_off {
                    (self.data, self.in_place, self.copy) = (Data::New, true, Copy::None);
                }
            }
            Step::Start => {
                assert!(self.data == Data::New, "only the new data is started");
                self.running |= !cut_off;
            }
            Step::Finish => {
                assert!(self.running && self.data == Data::New);
                self.in_place &= cut_off;
                self.copy = Copy::None;
            }
        }
    }

    /// Runs the command; after so many steps it is killed.
    fn run(&mut self, steps_until_killed: usize) {
        let steps = plan(&desired(3), &self.seen(), true).expect("a plan");
        for (at, step) in steps.into_iter().enumerate() {
            self.carry_out(step, at == steps_until_killed);
            if at == steps_until_killed {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn killed_at_any_step_the_next_run_ends_at_the_goal_and_the_old_data_is_kept(
        runs in prop::collection::vec((0usize..7, 0u8..6), 0..6),
        running: bool,
        lost: bool,
    ) {
        let data = if lost { Data::Lost } else { Data::Old };
        let mut world = World { data, in_place: false, copy: Copy::None, kept: lost, running: running && !lost };
        for (killed_at, event) in runs {
            world.run(killed_at);
            prop_assert!(world.data == Data::Old || world.kept, "the old data is somewhere: {:?}", world);
            match (event, world.data) {
                // a deploy, or a person, starts etcd where it has data
                (0, Data::Old | Data::New) => world.running = true,
                // a restarting container without data leaves remains
                (1, Data::Lost) => world.data = Data::Remains,
                (2, _) => world.running = false,
                _ => {}
            }
        }
        world.run(usize::MAX);
        prop_assert!(world.running && world.data == Data::New && !world.in_place && world.copy == Copy::None);
        prop_assert!(world.kept);
        prop_assert_eq!(plan(&desired(3), &world.seen(), false), Ok(Vec::new()));
    }

    #[test]
    fn with_a_quorum_elsewhere_nothing_is_ever_planned(
        id in 2u8..6,
        cluster in 0u64..3,
        running: bool,
        in_place: bool,
        own in prop::option::of((0u64..3, any::<bool>())),
        without_data: bool,
    ) {
        let mut seen = answers(alone(5), id, serving(id, ClusterId(cluster), &[id], true));
        (seen.etcd.running, seen.in_place) = (running, in_place);
        if let Some((cluster, linearizable)) = own {
            seen = answers(seen, 1, serving(1, ClusterId(cluster), &[1], linearizable));
        }
        let refused = matches!(plan(&desired(5), &seen, without_data), Err(ResetRefusal::QuorumExists { .. }));
        prop_assert!(refused);
    }

    #[test]
    fn what_a_killed_reset_left_goes_as_soon_as_others_have_joined(size in 2u8..6, in_place: bool) {
        let ids: Vec<u8> = (1..=size).collect();
        let mut seen = answers(alone(5), 1, serving(1, OLD, &ids, true));
        seen = answers(seen, 2, serving(2, OLD, &ids, true));
        (seen.in_place, seen.copy) = (in_place, Copy::Finished);
        prop_assert_eq!(plan(&desired(5), &seen, false), Ok(vec![Step::Finish]));
    }

    #[test]
    fn with_a_majority_of_the_voters_alive_the_old_data_is_never_touched(
        size in 3u8..7,
        alive in prop::collection::btree_set(2u8..7, 0..6),
        open in prop::collection::btree_set(2u8..7, 0..6),
    ) {
        let ids: Vec<u8> = (1..=size).collect();
        let mut seen = alone(size);
        let alive: Vec<u8> = alive.into_iter().filter(|id| *id <= size).collect();
        for &id in &alive {
            seen.processes.push((node(id), process(OLD, &ids)));
            if open.contains(&id) {
                seen = answers(seen, id, serving(id, OLD, &ids, false));
            }
        }
        let majority = alive.len() + 1 > usize::from(size) / 2;
        prop_assert_eq!(plan(&desired(size), &seen, true).is_err(), majority && !alive.is_empty());
    }
}
