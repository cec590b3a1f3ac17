//! Every refusal, and every history of killed runs.

use std::collections::BTreeMap;

use pgstack_cluster_view::Sizes;
use pgstack_topology::{NodeId, Topology, Vip};
use proptest::prelude::*;

use super::super::local::Local;
use super::super::observe::Dcs;
use super::*;

const CLUSTER: &str = "7576000000000000001";
const GB: u64 = 1 << 30;

fn topology() -> Topology {
    let ip = |last: u8| format!("192.168.0.{last}").parse().expect("an address");
    Topology::new([ip(1), ip(2), ip(3)], Vip::new(ip(9), 24).expect("a prefix")).expect("a topology")
}

fn node(id: u8) -> Node {
    topology().node(NodeId::new(id).expect("a number")).expect("a node")
}

fn instance(role: &str, state: &str) -> Instance {
    Instance {
        role: role.to_owned(),
        state: state.to_owned(),
        timeline: Some(4),
        database_system_identifier: Some(CLUSTER.to_owned()),
        ..Instance::default()
    }
}

fn streaming() -> Instance {
    Instance { replication_state: Some("streaming".to_owned()), ..instance("replica", "running") }
}

/// Node 3, whose Patroni is down, beside node 1, which leads, and node 2, which streams.
fn seen() -> Observed {
    let hosts = (1..=3).map(|id| (node(id).patroni_name(), node(id).ip().to_string()));
    Observed {
        me: node(3),
        dcs: Dcs {
            leader: Some("patroni1".to_owned()),
            identity: Some(CLUSTER.to_owned()),
            paused: false,
            hosts: hosts.collect::<BTreeMap<_, _>>(),
        },
        leader: Some(Leader {
            node: node(1),
            instance: Some(instance("primary", "running")),
            sizes: Ok(Sizes { databases: 9 * GB, wal: GB }),
            replication: Ok(()),
        }),
        mine: None,
        streaming: vec![node(2).id()],
        local: Local {
            data: Data::Old,
            marked: false,
            identity: Some(CLUSTER.to_owned()),
            entries: vec![("data".to_owned(), 8 * GB)],
            apart: false,
            room: 100 * GB,
            kept: Vec::new(),
        },
    }
}

fn with(change: impl FnOnce(&mut Observed)) -> Observed {
    let mut seen = seen();
    change(&mut seen);
    seen
}

fn wrong_password() -> PostgresError {
    PostgresError::Password { node: node(1).id() }
}

fn silent() -> PostgresError {
    PostgresError::Other { node: node(1).id(), reason: "refused".to_owned() }
}

fn leading(change: impl FnOnce(&mut Leader)) -> Observed {
    with(|seen| change(seen.leader.as_mut().expect("a leader")))
}

fn refusal(seen: &Observed) -> String {
    let refusal = plan(seen, false).expect_err("a refusal");
    assert!(!pgstack_diagnostics::Hint::hints(&refusal).is_empty(), "{refusal}: no hint");
    refusal.to_string()
}

#[test]
fn old_data_is_put_aside_and_somebody_is_asked() {
    let plan = plan(&seen(), false).expect("a plan");
    let text: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "stop Patroni and PostgreSQL on this node",
            "move data/pg (8.0 GB) aside, to data/pg.TIME, where it is kept",
            "make data/pg anew, for uid 999 alone",
            "start Patroni",
            "wait until Patroni has copied 9.0 GB from node 1 and this node streams from it",
        ]
    );
    assert!(plan.asks && plan.notes.is_empty(), "{plan:?}");
}

#[test]
fn what_is_deleted_is_listed() {
    let seen = with(|seen| {
        seen.local.entries = vec![("PG_VERSION".to_owned(), 3), ("data".to_owned(), 8 * GB)];
    });
    let plan = plan(&seen, true).expect("a plan");
    assert!(plan.asks);
    assert_eq!(plan.steps[1].to_string(), "DELETE what is in data/pg:\n    PG_VERSION (3 bytes)\n    data (8.0 GB)");
}

#[test]
fn every_broken_precondition_is_a_refusal_with_a_hint() {
    let cases = [
        (with(|seen| seen.dcs.leader = Some("patroni3".to_owned())), "this node leads: it holds the leader key"),
        (with(|seen| seen.mine = Some(instance("primary", "running"))), "this node leads: its own Patroni"),
        (with(|seen| seen.mine = Some(instance("master", "running"))), "this node leads: its own Patroni"),
        (with(|seen| seen.dcs.paused = true), "maintenance mode"),
        (with(|seen| seen.dcs.leader = None), "no node leads"),
        (
            with(|seen| {
                seen.dcs.leader = None;
                seen.mine = Some(instance("primary", "running"));
            }),
            "this node leads",
        ),
        (
            with(|seen| {
                seen.dcs.leader = Some("patroni4".to_owned());
                seen.leader = None;
            }),
            "`patroni4` leads, and that is no node of this .env",
        ),
        (
            with(|seen| {
                seen.dcs.hosts.insert("patroni1".to_owned(), "172.18.0.3".to_owned());
            }),
            "node 1 leads from 172.18.0.3, but NODE1_IP is 192.168.0.1",
        ),
        (leading(|leader| leader.instance = None), "its Patroni does not answer"),
        (leading(|leader| leader.instance = Some(instance("replica", "running"))), "is running as replica"),
        (leading(|leader| leader.instance = Some(instance("primary", "starting"))), "is starting as primary"),
        (with(|seen| seen.dcs.identity = None), "no system identifier"),
        (with(|seen| seen.dcs.identity = Some("1".to_owned())), "leads with data of the system identifier"),
        (leading(|leader| leader.sizes = Err(silent())), "cannot be asked: refused"),
        (leading(|leader| leader.sizes = Err(wrong_password())), "refuses the password of `postgres`"),
        (leading(|leader| leader.replication = Err(wrong_password())), "refuses the password of `replicator`"),
        (with(|seen| seen.local.apart = true), "cannot be moved aside"),
        (with(|seen| seen.local.room = 9 * GB), "takes 10.0 GB, and there is room for 9.0 GB: 1.0 GB are missing"),
    ];
    for (seen, want) in cases {
        let said = refusal(&seen);
        assert!(said.contains(want), "{said:?} does not say {want:?}");
    }
}

#[test]
fn where_there_is_no_room_for_both_the_hint_says_what_deleting_frees() {
    let seen = with(|seen| {
        seen.local.room = 3 * GB;
        seen.local.kept = vec![("/opt/x/data/pg.17".to_owned(), 5 * GB)];
    });
    let hints = pgstack_diagnostics::Hint::hints(&plan(&seen, false).expect_err("no room"));
    assert_eq!(hints[0], "--delete-old-data frees 8.0 GB, which is enough");
    assert!(hints[1].contains("/opt/x/data/pg.17"), "{hints:?}");
    assert!(plan(&seen, true).is_ok(), "it is");
    let less = with(|seen| seen.local.room = GB);
    assert!(plan(&less, true).is_err());
}

#[test]
fn a_disk_of_its_own_is_emptied_in_place() {
    assert!(plan(&with(|seen| seen.local.apart = true), true).is_ok());
}

#[test]
fn nobody_gives_a_healthy_replica_up_by_mistake() {
    let healthy = plan(&with(|seen| seen.mine = Some(streaming())), false).expect("a plan");
    assert!(healthy.asks && healthy.notes[0].contains("looks healthy"), "{:?}", healthy.notes);
    let last = plan(&with(|seen| seen.streaming.clear()), false).expect("a plan");
    assert!(last.notes[0].contains("node 1 alone has the data"), "{:?}", last.notes);
    let foreign = plan(&with(|seen| seen.local.identity = Some("42".to_owned())), true).expect("a plan");
    assert!(foreign.notes[0].contains("another cluster") && foreign.notes[0].contains("lost for good"));
}

#[test]
fn a_copy_that_is_under_way_is_waited_for() {
    for (data, marked, state) in [
        (Data::Copy, true, "creating replica"),
        (Data::Copy, true, "starting"),
        (Data::Old, false, "creating replica"),
        (Data::Old, true, "running"),
        (Data::None, true, "stopped"),
    ] {
        let seen = with(|seen| {
            (seen.local.data, seen.local.marked) = (data, marked);
            seen.mine = Some(instance("replica", state));
        });
        let plan = plan(&seen, true).expect("a plan");
        assert!(matches!(plan.steps.as_slice(), [Step::Await(_)]), "{data:?} {marked} {state}: {:?}", plan.steps);
        assert!(!plan.asks);
    }
}

/// One machine: what lies in `data/pg`, and how its Patroni fares.
#[derive(Debug, Clone)]
struct World {
    data: Data,
    marked: bool,
    patroni: Patroni,
    kept: usize,
    /// How often PostgreSQL went down again on a complete copy: that is data like any other.
    lost: usize,
    /// The first data, wherever it is.
    old_exists: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patroni {
    Down,
    /// On data that it cannot use.
    Stuck,
    Copies,
    Streams,
}

impl World {
    fn observed(&self) -> Observed {
        with(|seen| {
            (seen.local.data, seen.local.marked) = (self.data, self.marked);
            seen.mine = match self.patroni {
                Patroni::Down => None,
                Patroni::Stuck => Some(instance("replica", "start failed")),
                Patroni::Copies => Some(instance("replica", "creating replica")),
                Patroni::Streams => Some(streaming()),
            };
        })
    }

    fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Stop => self.patroni = Patroni::Down,
            Step::MoveAside { .. } => {
                assert_eq!(self.patroni, Patroni::Down, "nothing is moved under a running PostgreSQL");
                assert_eq!(self.data, Data::Old, "an unfinished copy is not kept");
                self.kept += 1;
                (self.data, self.marked) = (Data::None, false);
            }
            Step::Delete { .. } => {
                assert_eq!(self.patroni, Patroni::Down, "nothing is deleted under a running PostgreSQL");
                (self.data, self.marked, self.old_exists) = (Data::None, false, false);
            }
            Step::DeleteCopy { .. } => {
                assert_eq!((self.patroni, self.data), (Patroni::Down, Data::Copy), "only a copy goes unasked");
                self.data = Data::None;
            }
            Step::Prepare => {
                assert_eq!(self.data, Data::None, "nothing is prepared over data");
                self.marked = true;
            }
            Step::Start => self.patroni = Patroni::Copies,
            Step::Await(_) => {
                assert_ne!(self.patroni, Patroni::Down, "nothing is waited for that does not run");
                (self.data, self.patroni, self.marked) = (Data::Old, Patroni::Streams, false);
            }
            Step::Finish => self.marked = false,
        }
    }

    /// What happens while no command runs.
    fn meanwhile(&mut self, event: u8) {
        match (event, self.patroni) {
            // the copy has begun
            (0, Patroni::Copies) => self.data = Data::Copy,
            // it is complete
            (1, Patroni::Copies) => (self.data, self.patroni) = (Data::Old, Patroni::Streams),
            // power fails in the middle of it
            (2, Patroni::Copies) => (self.data, self.patroni) = (Data::Copy, Patroni::Stuck),
            // or the container goes down
            (3, _) => {
                self.lost += usize::from(self.patroni == Patroni::Streams);
                self.patroni = Patroni::Down;
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn killed_at_any_moments_it_ends_streaming_with_the_old_data_kept_once(
        history in prop::collection::vec((0_usize..6, 0_u8..6), 0..6),
    ) {
        let mut world =
            World { data: Data::Old, marked: false, patroni: Patroni::Stuck, kept: 0, lost: 0, old_exists: true };
        for (killed_after, event) in history {
            let goal = plan(&world.observed(), false).expect("a plan");
            if world.kept > 0 && world.patroni == Patroni::Streams && !world.marked {
                break;
            }
            for step in goal.steps.iter().take(killed_after) {
                world.carry_out(step);
            }
            world.meanwhile(event);
        }
        for _ in 0..3 {
            if world.patroni == Patroni::Streams && !world.marked && world.kept > 0 {
                break;
            }
            for step in &plan(&world.observed(), false).expect("a plan").steps {
                world.carry_out(step);
            }
        }
        prop_assert_eq!(world.patroni, Patroni::Streams);
        prop_assert!(!world.marked && world.old_exists);
        prop_assert!((1..=1 + world.lost).contains(&world.kept));
    }
}
