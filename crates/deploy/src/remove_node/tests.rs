//! The plan of a removal: what it refuses, and how it ends when each step does its work.

use std::collections::BTreeSet;

use pgstack_cluster_view::{Member as PatroniMember, Role, View as PatroniView};
use pgstack_etcd::{Answer, Change, ClusterId, DataDir, Desired, Member, MemberId, Note, Peer, Seat, View};
use pgstack_topology::NodeId;
use serde_json::{Value, json};

use super::observe::{Observed, Primary};
use super::plan::{Plan, Step, plan};
use super::{RemovalRefusal, Sign};

fn id(node: u8) -> NodeId {
    NodeId::new(node).expect("1 to 6")
}

fn seat(node: u8) -> Seat {
    Seat {
        node: id(node),
        name: format!("etcd{node}"),
        peer_url: format!("http://10.0.0.{node}:2380"),
        client_url: format!("http://10.0.0.{node}:2379"),
    }
}

/// Seen from node 1.
fn desired(size: u8) -> Desired {
    Desired::new((1..=size).map(seat).collect(), id(1)).expect("a seat")
}

fn member(node: u8) -> Member {
    Member {
        id: MemberId(u64::from(node)),
        name: format!("etcd{node}"),
        peer_urls: vec![seat(node).peer_url],
        client_urls: vec![seat(node).client_url],
        is_learner: false,
    }
}

fn names(nodes: impl IntoIterator<Item = u8>) -> BTreeSet<String> {
    nodes.into_iter().map(|node| format!("patroni{node}")).collect()
}

/// Node 1 leads, all `size` nodes are members; those of `dead` are silent, and so is the target.
fn observed(size: u8, dead: &[u8]) -> Observed {
    let view = |node: u8| View {
        cluster_id: ClusterId(7),
        responder: MemberId(u64::from(node)),
        members: (1..=size).map(member).collect(),
        leader: None,
        linearizable: true,
        alarms: Vec::new(),
    };
    let answer = |node: u8| {
        if dead.contains(&node) {
            Answer::Unreachable { reason: "refused".to_owned() }
        } else {
            Answer::Serving(view(node))
        }
    };
    let patroni = |node: u8| PatroniMember {
        name: format!("patroni{node}"),
        role: if node == 1 { Role::Leader } else { Role::Replica },
        state: if node == 1 { "running" } else { "streaming" }.to_owned(),
        lag: Some(u64::from(10 - node)),
    };
    Observed {
        etcd: pgstack_etcd::Observed {
            my_data: DataDir::Empty,
            mark: None,
            running: false,
            peers: (1..=size).map(|node| Peer { node: id(node), answer: answer(node) }).collect(),
        },
        view: Some(PatroniView { members: (1..=size).map(patroni).collect() }),
        signs: Vec::new(),
        vip_holder: Some(id(1)),
        registered: names(1..=size),
        retained: names(2..=size),
        primary: Some(Primary { node: id(1), has_slot: true, slots_ttl: Value::Null, kept_slots_ttl: None }),
    }
}

fn leads(observed: &mut Observed, node: u8) {
    for member in &mut observed.view.as_mut().expect("a view").members {
        let is = member.name == format!("patroni{node}");
        member.role = if is { Role::Leader } else { Role::Replica };
        member.state = if is { "running" } else { "streaming" }.to_owned();
    }
    if let Some(primary) = &mut observed.primary {
        primary.node = id(node);
    }
}

fn etcd_lists(observed: &mut Observed, change: impl Fn(&mut Vec<Member>)) {
    for peer in &mut observed.etcd.peers {
        if let Answer::Serving(view) = &mut peer.answer {
            change(&mut view.members);
        }
    }
}

/// Plays the world's part.
fn happen(step: &Step, node: u8, observed: &mut Observed) {
    let name = format!("patroni{node}");
    match step {
        Step::Switchover { to, .. } => leads(observed, to.get()),
        Step::AwaitSilence { .. } => observed.signs.clear(),
        Step::Etcd(Change::Remove { id, .. }) => {
            etcd_lists(observed, |members| members.retain(|member| member.id != *id));
        }
        Step::DeleteKey { .. } => drop(observed.registered.remove(&name)),
        Step::AwaitForgotten { .. } => drop(observed.retained.remove(&name)),
        Step::ShortenRetention { was } => {
            let primary = observed.primary.as_mut().expect("a primary");
            (primary.kept_slots_ttl, primary.slots_ttl) = (Some(was.clone()), json!(1));
        }
        Step::RestoreRetention { was } => {
            let primary = observed.primary.as_mut().expect("a primary");
            (primary.kept_slots_ttl, primary.slots_ttl) = (None, was.clone());
        }
        Step::DropSlot { .. } => {
            assert!(!observed.retained.contains(&name), "Patroni would make the slot anew");
            observed.primary.as_mut().expect("a primary").has_slot = false;
        }
        Step::Etcd(other) => unreachable!("{other}"),
    }
}

/// One step and another look, as often as it takes; what was done.
fn to_the_end(node: u8, switchover: bool, size: u8, observed: &mut Observed) -> Vec<String> {
    let mut done = Vec::new();
    loop {
        let plan = plan(id(node), switchover, &desired(size), observed).expect("a plan");
        let Some(step) = plan.steps.first() else { return done };
        happen(step, node, observed);
        done.push(step.to_string());
        assert!(done.len() < 20, "no end: {done:#?}");
    }
}

fn refused(node: u8, size: u8, observed: &Observed) -> RemovalRefusal {
    plan(id(node), false, &desired(size), observed).expect_err("a refusal")
}

#[test]
fn a_dead_node_goes_step_by_step_and_the_second_time_nothing_is_left() {
    let mut world = observed(4, &[4]);
    let all = plan(id(4), false, &desired(4), &world).expect("a plan").to_string();
    assert_eq!(
        all,
        "- remove etcd member 4 (etcd4): its removal was asked for\n\
         - delete Patroni's member key of patroni4\n\
         - set member_slots_ttl to 1 s for a moment (it is Patroni's default)\n\
         - wait until Patroni no longer keeps the slot patroni4\n\
         - set member_slots_ttl back to Patroni's default\n\
         - drop the replication slot patroni4\n"
    );
    let done = to_the_end(4, false, 4, &mut world);
    assert_eq!(done.len(), 6, "{done:#?}");
    assert_eq!(plan(id(4), false, &desired(4), &world), Ok(Plan::default()));
}

#[test]
fn whatever_a_killed_removal_left_behind_the_next_one_finishes() {
    let total = to_the_end(4, false, 4, &mut observed(4, &[4])).len();
    for killed_after in 0..=total {
        let mut world = observed(4, &[4]);
        world.primary.as_mut().expect("a primary").slots_ttl = json!("1h");
        for _ in 0..killed_after {
            let plan = plan(id(4), false, &desired(4), &world).expect("a plan");
            happen(&plan.steps[0], 4, &mut world);
        }
        // in between, the removal of another node is begun and ends, too
        to_the_end(3, false, 4, &mut world.clone());
        to_the_end(4, false, 4, &mut world);
        let primary = world.primary.expect("a primary");
        assert_eq!((primary.slots_ttl, primary.kept_slots_ttl), (json!("1h"), None), "after {killed_after}");
    }
}

#[test]
fn a_leader_is_refused_and_with_a_switchover_the_replica_that_is_least_behind_takes_over() {
    let mut world = observed(4, &[]);
    leads(&mut world, 4);
    assert_eq!(refused(4, 4, &world), RemovalRefusal::Leads { node: id(4) });
    let members = &mut world.view.as_mut().expect("a view").members;
    members[1].lag = Some(3);
    members[2].lag = None;
    members[0].lag = Some(4);
    let done = to_the_end(4, true, 4, &mut world);
    assert_eq!(done[0], "move the leadership from node 4 to node 2");
    for member in &mut world.view.as_mut().expect("a view").members {
        member.state = "stopped".to_owned();
    }
    leads(&mut world, 4);
    world.view.as_mut().expect("a view").members.retain(|member| member.name == "patroni4");
    assert_eq!(
        plan(id(4), true, &desired(4), &world),
        Err(RemovalRefusal::NoCandidate { node: id(4) }),
        "nobody streams"
    );
}

#[test]
fn a_living_node_is_waited_for_before_anything_is_changed() {
    let mut world = observed(4, &[]);
    world.signs = vec![Sign::Patroni, Sign::Postgres];
    let plan = plan(id(4), false, &desired(4), &world).expect("a plan");
    assert_eq!(plan.steps[0].to_string(), "wait until node 4 is stopped; now Patroni answers, PostgreSQL answers");
    assert_eq!(
        refused(3, 3, &{
            let mut three = observed(3, &[]);
            three.signs = vec![Sign::Postgres];
            three
        }),
        RemovalRefusal::TooFew { node: id(3), signs: vec![Sign::Postgres] }
    );
}

#[test]
fn the_holder_of_the_vip_and_this_very_node_are_refused() {
    let mut world = observed(4, &[]);
    world.vip_holder = Some(id(4));
    assert_eq!(refused(4, 4, &world), RemovalRefusal::HoldsVip { node: id(4) });
    assert_eq!(refused(1, 4, &world), RemovalRefusal::Etcd(pgstack_etcd::Refusal::RemovesItself { node: id(1) }));
}

#[test]
fn without_a_quorum_before_or_after_or_without_a_leader_nothing_is_planned() {
    assert_eq!(refused(3, 3, &observed(3, &[1, 2, 3])), RemovalRefusal::Etcd(pgstack_etcd::Refusal::NoQuorum));
    assert!(matches!(
        refused(3, 3, &observed(3, &[2])),
        RemovalRefusal::Etcd(pgstack_etcd::Refusal::BelowQuorum { live: 1, voters: 2, .. })
    ));
    let mut world = observed(4, &[4]);
    world.primary = None;
    assert_eq!(refused(4, 4, &world), RemovalRefusal::NoLeader);
}

#[test]
fn a_dead_node_of_three_may_go_and_what_that_means_is_told() {
    let plan = plan(id(3), false, &desired(3), &observed(3, &[3])).expect("a plan");
    assert_eq!(plan.notes, [Note::EvenVoters { voters: 2 }.to_string()]);
    assert!(matches!(plan.steps[0], Step::Etcd(Change::Remove { .. })));
}

#[test]
fn a_node_that_env_no_longer_names_is_found_by_its_name() {
    let mut world = observed(4, &[4]);
    world.etcd.peers.truncate(3);
    let done = to_the_end(4, false, 3, &mut world.clone());
    assert_eq!(done[0], "remove etcd member 4 (etcd4): its removal was asked for");
    // NODE3_IP has been given the address of a new machine already
    let mut moved = observed(3, &[3]);
    etcd_lists(&mut moved, |members| members[2].peer_urls = vec!["http://10.0.0.33:2380".to_owned()]);
    assert!(to_the_end(3, false, 3, &mut moved)[0].starts_with("remove etcd member 3"));
}

#[test]
fn another_node_that_is_away_keeps_its_slot() {
    let mut world = observed(5, &[5]);
    world.registered.remove("patroni4");
    let done = to_the_end(5, false, 5, &mut world);
    assert_eq!(done.len(), 2, "{done:#?}");
    let plan = plan(id(5), false, &desired(5), &world).expect("a plan");
    assert!(plan.notes[0].contains("patroni4 would lose its slot"), "{plan}");
}
