//! What is refused, who is chosen, what is paused.

use std::collections::BTreeMap;

use pgstack_cluster_view::{Instance, Xlog};
use pgstack_diagnostics::Hint as _;
use pgstack_etcd::{Answer, ClusterId, DataDir, MemberId, Peer, View};
use pgstack_topology::NodeId;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::SwitchoverRefusal;
use super::observe::{Observed, Pooler, Seen, Synchronous};
use super::plan::{Order, Plan, Unfit, Wish, plan};

const ANY: Wish = Wish { to: None, unpaused: false };

fn id(number: u8) -> NodeId {
    NodeId::new(number).expect("a number")
}

fn to(number: u8) -> Wish {
    Wish { to: Some(id(number)), unpaused: false }
}

fn primary(at: u64) -> Instance {
    Instance {
        role: "primary".to_owned(),
        state: "running".to_owned(),
        timeline: Some(3),
        xlog: Some(Xlog { location: Some(at), ..Xlog::default() }),
        ..Instance::default()
    }
}

fn replica(at: u64) -> Instance {
    Instance {
        role: "replica".to_owned(),
        state: "running".to_owned(),
        replication_state: Some("streaming".to_owned()),
        timeline: Some(3),
        xlog: Some(Xlog { replayed_location: Some(at), ..Xlog::default() }),
        ..Instance::default()
    }
}

/// Node 1 leads, all others stream, etcd leads on node `etcd`.
fn healthy(nodes: u8, etcd: u8) -> Observed {
    let seen = |number: u8| Seen {
        node: id(number),
        instance: Some(if number == 1 { primary(10_000_000) } else { replica(10_000_000) }),
        synchronous: false,
        pooler: Pooler::Open,
    };
    let peer = |number: u8| {
        let view = View {
            cluster_id: ClusterId(7),
            responder: MemberId(u64::from(number)),
            members: Vec::new(),
            leader: Some(MemberId(u64::from(etcd))),
            linearizable: true,
            alarms: Vec::new(),
        };
        Peer { node: id(number), answer: Answer::Serving(view) }
    };
    Observed {
        nodes: (1..=nodes).map(seen).collect(),
        etcd: pgstack_etcd::Observed {
            my_data: DataDir::Empty,
            mark: None,
            running: false,
            peers: (1..=nodes).map(peer).collect(),
        },
        maximum_lag: 1_048_576,
        synchronous: Synchronous::Off,
        sync_count: Value::Null,
        sync_count_is_kept: false,
    }
}

fn ordered(wish: Wish, observed: &Observed) -> Order {
    match plan(wish, observed) {
        Ok(Plan::Move(order)) => order,
        other => unreachable!("{other:?}"),
    }
}

fn said(observed: &mut Observed, number: u8) -> &mut Instance {
    observed.nodes[usize::from(number) - 1].instance.as_mut().expect("it answers")
}

#[test]
fn all_poolers_are_paused_and_etcd_leads_elsewhere() {
    let order = ordered(ANY, &healthy(3, 2));
    assert_eq!((order.from, order.to, order.etcd_to), (id(1), id(2), Some(id(3))));
    assert_eq!(order.pause, [id(1), id(2), id(3)]);
    assert_eq!(ordered(to(3), &healthy(3, 2)).etcd_to, None);
    assert!(order.to_string().contains("- etcd: node 3 leads instead of node 2\n"));
}

#[test]
fn the_leader_itself_is_no_change_and_an_unknown_node_none_either() {
    assert_eq!(plan(to(1), &healthy(3, 1)), Ok(Plan::Leads(id(1))));
    assert_eq!(plan(to(4), &healthy(3, 1)), Err(SwitchoverRefusal::Unknown { node: id(4) }));
}

#[test]
fn a_node_that_is_not_fit_is_named_with_its_reason() {
    type Spoil = fn(&mut Instance);
    let spoil: [(Spoil, Unfit); 7] = [
        (|said| said.replication_state = None, Unfit::DoesNotStream { state: "running".to_owned() }),
        (|said| said.timeline = Some(2), Unfit::OtherTimeline),
        (|said| drop(said.tags.insert("nofailover".to_owned(), Value::Bool(true))), Unfit::Tagged),
        (|said| said.tags = BTreeMap::from([("failover_priority".to_owned(), json!(0))]), Unfit::Tagged),
        (|said| said.xlog = None, Unfit::LagUnknown),
        (
            |said| said.xlog = Some(Xlog { replayed_location: Some(1_000_000), ..Xlog::default() }),
            Unfit::Lags { bytes: 9_000_000, limit: 1_048_576 },
        ),
        (|said| said.timeline = None, Unfit::OtherTimeline),
    ];
    for (change, reason) in spoil {
        let mut observed = healthy(3, 1);
        change(said(&mut observed, 2));
        let refusal = SwitchoverRefusal::NoCandidate { reasons: vec![(id(2), reason)] };
        assert_eq!(plan(to(2), &observed), Err(refusal.clone()));
        assert!(!refusal.hints().is_empty());
        assert_eq!(ordered(ANY, &observed).to, id(3), "another one is fit");
        change(said(&mut observed, 3));
        assert!(matches!(plan(ANY, &observed), Err(SwitchoverRefusal::NoCandidate { reasons }) if reasons.len() == 2));
    }
}

#[test]
fn of_a_quorum_only_a_synchronous_replica_leads() {
    let mut observed = healthy(3, 1);
    observed.synchronous = Synchronous::Quorum;
    assert!(matches!(plan(ANY, &observed), Err(SwitchoverRefusal::NoCandidate { .. })));
    observed.nodes[2].synchronous = true;
    assert_eq!(ordered(ANY, &observed).to, id(3));
    let refusal = plan(to(2), &observed).expect_err("refused");
    assert!(refusal.to_string().contains("does not follow synchronously"), "{refusal}");
    assert!(refusal.passes(), "Patroni takes it in soon");
    said(&mut observed, 2).tags.insert("nosync".to_owned(), Value::Bool(true));
    assert!(!plan(to(2), &observed).expect_err("refused").passes());
}

#[test]
fn where_patroni_chooses_the_chosen_one_leads_and_another_is_made_one_of_them() {
    let mut observed = healthy(6, 1);
    observed.synchronous = Synchronous::Chosen;
    observed.nodes[2].synchronous = true;
    let order = ordered(ANY, &observed);
    assert_eq!((order.to, order.sync_count), (id(3), None));
    assert!(!order.to_string().contains("synchronous"));
    // 4 and 5 come no sooner than 2, and nobody waits for 6, which is far behind
    said(&mut observed, 6).xlog = Some(Xlog { replayed_location: Some(1), ..Xlog::default() });
    let order = ordered(to(2), &observed);
    assert_eq!((order.to, order.sync_count), (id(2), Some(4)));
    assert!(order.to_string().contains("- Patroni: synchronous_node_count is 4 meanwhile, so that node 2 follows"));
    // the chosen one is counted, whatever it is; and never are there fewer than before
    said(&mut observed, 3).replication_state = None;
    assert_eq!(ordered(ANY, &observed).sync_count, Some(4));
    observed.sync_count = json!(5);
    assert_eq!(ordered(ANY, &observed).sync_count, Some(5));
    said(&mut observed, 2).tags.insert("sync_priority".to_owned(), json!(0));
    let refusal = plan(to(2), &observed).expect_err("refused");
    assert!(refusal.to_string().contains("is tagged never to follow synchronously"), "{refusal}");
}

#[test]
fn nobody_moves_without_one_leader_a_quorum_or_in_maintenance() {
    let mut observed = healthy(3, 1);
    said(&mut observed, 1).state = "stopping".to_owned();
    assert_eq!(plan(ANY, &observed), Err(SwitchoverRefusal::NotOneLeader { nodes: Vec::new() }));
    let mut observed = healthy(3, 1);
    *said(&mut observed, 2) = primary(1);
    assert_eq!(plan(ANY, &observed), Err(SwitchoverRefusal::NotOneLeader { nodes: vec![id(1), id(2)] }));
    let mut observed = healthy(3, 1);
    said(&mut observed, 3).pause = true;
    assert_eq!(plan(ANY, &observed), Err(SwitchoverRefusal::Maintenance));
    let mut observed = healthy(3, 1);
    observed.etcd.peers.clear();
    assert_eq!(plan(ANY, &observed), Err(SwitchoverRefusal::NoQuorum));
    let mut observed = healthy(3, 1);
    said(&mut observed, 1).failsafe_mode_is_active = true;
    assert_eq!(plan(ANY, &observed), Err(SwitchoverRefusal::NoQuorum));
}

fn pooler() -> impl Strategy<Value = Pooler> {
    prop_oneof![
        4 => Just(Pooler::Open),
        1 => Just(Pooler::Absent),
        1 => Just(Pooler::Paused),
        1 => Just(Pooler::Unreachable("its agent: no answer in time".to_owned())),
    ]
}

fn instance() -> impl Strategy<Value = Option<Instance>> {
    let shape = (any::<bool>(), 0_u8..8, prop_oneof![Just(3_u64), Just(2)], 8_000_000_u64..10_100_000);
    prop_oneof![
        1 => Just(None),
        6 => shape.prop_map(|(streams, tagged, timeline, at)| {
            let mut said = replica(at);
            said.timeline = Some(timeline);
            if !streams && tagged < 4 {
                said.replication_state = None;
            }
            if tagged == 0 {
                said.tags.insert("nofailover".to_owned(), Value::Bool(true));
            }
            Some(said)
        }),
    ]
}

proptest! {
    #[test]
    fn whatever_is_seen_only_a_healthy_replica_is_chosen_and_no_pooler_of_somebody_else_is_touched(
        replicas in prop::collection::vec((instance(), any::<bool>()), 2..=5),
        poolers in prop::collection::vec(pooler(), 6),
        etcd in 1_u8..=6,
        synchronous in prop_oneof![Just(Synchronous::Off), Just(Synchronous::Quorum), Just(Synchronous::Chosen)],
        unpaused in any::<bool>(),
        wished in prop::option::of(1_u8..=6),
    ) {
        let mut observed = healthy(u8::try_from(replicas.len()).expect("few") + 1, etcd);
        for (seen, (instance, synchronous)) in observed.nodes[1..].iter_mut().zip(replicas) {
            (seen.instance, seen.synchronous) = (instance, synchronous);
        }
        for (seen, pooler) in observed.nodes.iter_mut().zip(poolers) {
            seen.pooler = pooler;
        }
        observed.synchronous = synchronous;
        let wish = Wish { to: wished.map(id), unpaused };
        let planned = plan(wish, &observed);
        prop_assert_eq!(&planned, &plan(wish, &observed), "the same again");
        match planned {
            Ok(Plan::Leads(node)) => prop_assert!(node == id(1) && wished == Some(1)),
            Err(SwitchoverRefusal::Unknown { node }) => prop_assert!(wished == Some(node.get())),
            Err(refusal) => prop_assert!(!refusal.hints().is_empty()),
            Ok(Plan::Move(order)) => {
                prop_assert!(order.to != order.from && wish.to.is_none_or(|to| to == order.to));
                let chosen = observed.nodes.iter().find(|seen| seen.node == order.to).expect("a node");
                let said = chosen.instance.as_ref().expect("it answers");
                prop_assert!(said.streams() && said.timeline == Some(3) && said.tags.is_empty());
                prop_assert!(chosen.synchronous || synchronous != Synchronous::Quorum);
                let made = order.sync_count.is_some_and(|count| (1..=5).contains(&count));
                prop_assert_eq!(made, synchronous == Synchronous::Chosen && !chosen.synchronous);
                let replayed = said.xlog.as_ref().and_then(|xlog| xlog.replayed_location).expect("a position");
                prop_assert!(replayed + observed.maximum_lag >= 10_000_000);
                prop_assert!(observed.etcd_leader() != Some(order.to) || order.etcd_to.is_some_and(|other| other != order.to));
                for seen in &observed.nodes {
                    prop_assert!(seen.pooler != Pooler::Paused, "somebody's pause is a refusal");
                    prop_assert_eq!(order.pause.contains(&seen.node), seen.pooler == Pooler::Open);
                    let told = order.unpaused.iter().any(|(node, _)| *node == seen.node);
                    prop_assert_eq!(told, matches!(seen.pooler, Pooler::Unreachable(_)));
                    prop_assert!(!told || unpaused);
                }
            }
        }
    }
}
