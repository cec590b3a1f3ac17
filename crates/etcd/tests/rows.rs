//! Every row of the design's table, with the text that `--dry-run` shows.

use pgstack_diagnostics::report;
use pgstack_etcd::{
    Alarm, Answer, ClusterId, DataDir, Desired, Mark, Member, MemberId, Observed, Overdue, Peer, Refusal, Step, Target,
    View, Wait, plan, plan_removal,
};
use pgstack_testing::example_node;
use pgstack_topology::NodeId;

const CLUSTER: ClusterId = ClusterId(0xc1);
const OTHER: ClusterId = ClusterId(0xd1);

fn node(id: u8) -> NodeId {
    NodeId::new(id).expect("a number")
}

fn desired(me: u8, size: u8) -> Desired {
    Desired::from(&example_node(me, size).local)
}

/// Member `id` at the place of node `id`.
fn member(id: u8) -> Member {
    let address = 151 + id;
    Member {
        id: MemberId(u64::from(id)),
        name: format!("etcd{id}"),
        peer_urls: vec![format!("http://192.168.0.{address}:2380")],
        client_urls: vec![format!("http://192.168.0.{address}:2379")],
        is_learner: false,
    }
}

fn never_started(id: u8) -> Member {
    Member { client_urls: Vec::new(), ..member(id) }
}

fn view(responder: u8, members: Vec<Member>) -> View {
    View {
        cluster_id: CLUSTER,
        responder: MemberId(u64::from(responder)),
        members,
        leader: Some(MemberId(2)),
        linearizable: true,
        alarms: Vec::new(),
    }
}

/// Nodes 1 to `size`: the given ones answer, the others do not.
fn observed(size: u8, my_data: DataDir, answers: &[(u8, Answer)]) -> Observed {
    let silence = || Answer::Unreachable { reason: "refused".to_owned() };
    let answer = |id| answers.iter().find(|(at, _)| *at == id).map_or_else(silence, |(_, answer)| answer.clone());
    Observed {
        my_data,
        mark: None,
        running: false,
        peers: (1..=size).map(|id| Peer { node: node(id), answer: answer(id) }).collect(),
    }
}

fn serving(ids: &[u8], members: &[Member]) -> Vec<(u8, Answer)> {
    ids.iter().map(|&id| (id, Answer::Serving(view(id, members.to_vec())))).collect()
}

fn without_quorum(mut answers: Vec<(u8, Answer)>) -> Vec<(u8, Answer)> {
    for (_, answer) in &mut answers {
        if let Answer::Serving(view) = answer {
            view.linearizable = false;
        }
    }
    answers
}

fn data(id: u8, cluster: ClusterId) -> DataDir {
    DataDir::Initialised { member_id: Some(MemberId(u64::from(id))), cluster_id: Some(cluster) }
}

fn mark(id: u8) -> Mark {
    Mark {
        cluster_id: CLUSTER,
        member_id: MemberId(u64::from(id)),
        peer_url: format!("http://192.168.0.{}:2380", 151 + id),
    }
}

fn text(me: u8, size: u8, observed: &Observed) -> String {
    match plan(&desired(me, size), observed) {
        Ok(plan) => plan.to_string(),
        Err(refusal) => report(&refusal),
    }
}

#[test]
fn first_boot_starts_with_the_static_list() {
    assert_eq!(
        text(3, 3, &observed(3, DataDir::Empty, &[])),
        "- start etcd, new cluster: etcd1=http://192.168.0.152:2380,etcd2=http://192.168.0.153:2380,\
         etcd3=http://192.168.0.154:2380\n\
         - wait for etcd's first quorum: 2 nodes must run it; nodes 1 and 2 do not answer\n"
    );
}

#[test]
fn lost_data_never_becomes_a_new_cluster() {
    let mut seen = observed(3, DataDir::Empty, &[]);
    seen.mark = Some(mark(3));
    assert_eq!(
        text(3, 3, &seen),
        "- wait for a quorum of the other etcd members, since this node's data is gone; nodes 1 and 2 do not answer\n"
    );
    seen.running = true;
    seen.my_data = DataDir::Remains;
    assert_eq!(
        text(3, 3, &seen),
        "- stop etcd here: its data directory is empty\n\
         - move etcd's data aside: remains without a write-ahead log, which etcd would mix with what it joins\n"
    );
}

#[test]
fn a_peer_without_a_quorum_is_reason_enough_not_to_start() {
    for members in [[member(1), member(2), member(3)], [member(1), member(2), never_started(3)]] {
        let seen = observed(3, DataDir::Empty, &without_quorum(serving(&[1], &members)));
        assert_eq!(text(3, 3, &seen), "- wait for etcd's quorum; node 2 does not answer\n");
    }
}

#[test]
fn a_member_that_never_started_joins_with_the_clusters_own_list() {
    let mut unnamed = never_started(4);
    unnamed.name.clear();
    let mut renamed = member(2);
    renamed.name = "db-two".to_owned();
    let seen = observed(4, DataDir::Empty, &serving(&[1, 2], &[member(1), renamed, member(3), unnamed]));
    assert_eq!(
        text(4, 4, &seen),
        "- start etcd, joining: etcd1=http://192.168.0.152:2380,db-two=http://192.168.0.153:2380,\
         etcd3=http://192.168.0.154:2380,etcd4=http://192.168.0.155:2380\n\
         - wait for etcd on this node to serve\n\
         note: 4 etcd voters bear the loss of 1, no more than 3 would\n"
    );
}

#[test]
fn a_foreign_member_with_my_name_is_listed_under_another() {
    let mut foreign = member(3);
    foreign.id = MemberId(0xf);
    foreign.peer_urls = vec!["http://10.1.1.1:2380".to_owned()];
    let seen = observed(3, DataDir::Empty, &serving(&[1, 2], &[member(1), member(2), foreign, never_started(3)]));
    let plan = plan(&desired(3, 3), &seen).expect("a plan");
    assert_eq!(
        plan.start().map(|start| start.initial_cluster.as_str()),
        Some(
            "etcd1=http://192.168.0.152:2380,etcd2=http://192.168.0.153:2380,member-f=http://10.1.1.1:2380,\
             etcd3=http://192.168.0.154:2380"
        )
    );
}

#[test]
fn a_member_that_lost_its_data_is_replaced_not_restarted() {
    let members = [member(1), member(2), member(3)];
    let mut seen = observed(3, DataDir::Empty, &serving(&[1, 2], &members));
    let replaced = "- remove etcd member 3 (etcd3): its data is lost, so it must not come back under its old id\n\
                    - then add this node to etcd as a learner\n\
                    - then start etcd, joining the cluster\n\
                    - then promote this node to a voter when it is in sync\n";
    assert_eq!(text(3, 3, &seen), replaced);
    // one peer that passed a quorum read proves the quorum
    seen.peers[1].answer = Answer::Unreachable { reason: "late".to_owned() };
    assert_eq!(text(3, 3, &seen), replaced);
    seen.running = true;
    assert_eq!(
        text(3, 3, &seen),
        "- stop etcd here: its data directory is empty\n\
         - then remove this node's old member from etcd\n\
         - then add this node to etcd as a learner\n\
         - then start etcd, joining the cluster\n\
         - then promote this node to a voter when it is in sync\n"
    );
}

#[test]
fn the_mark_is_believed_against_starting() {
    let members = [member(1), member(2), never_started(3)];
    let mut seen = observed(3, DataDir::Empty, &serving(&[1, 2], &members));
    assert!(text(3, 3, &seen).starts_with("- start etcd, joining: "));
    seen.mark = Some(mark(3));
    assert!(text(3, 3, &seen).starts_with("- remove etcd member 3 "));
}

#[test]
fn growth_adds_a_learner_starts_it_and_promotes_it() {
    let mut members = vec![member(1), member(2), member(3)];
    assert_eq!(
        text(4, 4, &observed(4, DataDir::Empty, &serving(&[1, 2, 3], &members))),
        "- add etcd4 (http://192.168.0.155:2380) to etcd as a learner\n\
         - then start etcd, joining the cluster\n\
         - then promote this node to a voter when it is in sync\n"
    );
    members.push(Member { is_learner: true, ..never_started(4) });
    let joining = text(4, 4, &observed(4, DataDir::Empty, &serving(&[1, 2, 3], &members)));
    assert!(joining.starts_with("- start etcd, joining: "), "{joining}");
    assert!(joining.ends_with("- then promote this node to a voter when it is in sync\n"), "{joining}");
    members[3] = Member { is_learner: true, ..member(4) };
    let mut answers = serving(&[1, 2, 3], &members);
    answers.push((4, Answer::Learner { cluster_id: CLUSTER, member_id: MemberId(4) }));
    assert_eq!(
        text(4, 4, &observed(4, data(4, CLUSTER), &answers)),
        "- promote etcd member 4 (etcd4) to a voter when it is in sync\n"
    );
    let waits = text(5, 5, &observed(5, DataDir::Empty, &serving(&[1, 2, 3], &members)));
    assert!(waits.starts_with("- wait for node 4 to finish joining etcd (learner 4)\n"), "{waits}");
}

#[test]
fn a_member_with_its_data_starts_on_it_and_needs_nothing_once_it_serves() {
    let members = [member(1), member(2), member(3)];
    let mut seen = observed(3, data(3, CLUSTER), &serving(&[1, 2], &members));
    assert_eq!(text(3, 3, &seen), "- start etcd on its data\n- wait for etcd on this node to serve\n");
    seen.running = true;
    assert_eq!(text(3, 3, &seen), "- wait for etcd on this node to serve\n");
    seen.peers[2].answer = Answer::Serving(view(3, members.to_vec()));
    assert_eq!(text(3, 3, &seen), "- remember membership: member 3 of cluster c1\n");
    seen.mark = Some(mark(3));
    assert_eq!(plan(&desired(3, 3), &seen).map(|plan| plan.is_done()), Ok(true));
}

#[test]
fn a_member_with_its_data_waits_for_the_others() {
    let mut seen = observed(3, data(3, CLUSTER), &[]);
    assert_eq!(
        text(3, 3, &seen),
        "- start etcd on its data\n\
         - wait for etcd's first quorum: 2 nodes must run it; nodes 1 and 2 do not answer\n"
    );
    seen.mark = Some(mark(3));
    assert_eq!(text(3, 3, &seen), "- start etcd on its data\n- wait for etcd's quorum; nodes 1 and 2 do not answer\n");
    seen.running = true;
    let wait = Wait::Quorum { silent: vec![node(1), node(2)] };
    assert_eq!(plan(&desired(3, 3), &seen).map(|plan| plan.steps), Ok(vec![Step::Await(wait.clone())]));
    assert_eq!(
        report(&Overdue { wait, seconds: 120 }),
        "error: after 120 s still waiting for etcd's quorum; nodes 1 and 2 do not answer\n\n\
         hint: start etcd on nodes 1 and 2 (`deploy`); one more member may be enough\n\
         hint: when those machines are lost for good: `reset-etcd-node1` makes a new quorum of this node alone, from its data\n"
    );
}

#[test]
fn data_of_another_cluster_is_refused_unless_wiping_is_allowed() {
    let seen = observed(3, data(9, OTHER), &serving(&[1, 2], &[member(1), member(2), member(3)]));
    assert_eq!(
        text(3, 3, &seen),
        "error: etcd's data on this node belongs to cluster d1, but the cluster that serves is c1\n\n\
         hint: when cluster d1 is no longer needed: `deploy --wipe-etcd` moves data/etcd of this node aside and \
         joins the serving cluster; PostgreSQL's data is not touched\n"
    );
    let allowed = plan(&desired(3, 3).allow_wiping(true), &seen).map(|plan| plan.to_string());
    assert_eq!(
        allowed.as_deref().map(|text| text.lines().next()),
        Ok(Some("- move etcd's data aside: it belongs to something else, and wiping was allowed"))
    );
}

#[test]
fn a_cluster_of_ones_own_is_refused_unless_wiping_is_allowed() {
    let mut mine = view(9, vec![member(3)]);
    mine.cluster_id = OTHER;
    let mut answers = serving(&[1, 2], &[member(1), member(2), member(3)]);
    answers.push((3, Answer::Serving(mine)));
    let mut seen = observed(3, data(9, OTHER), &answers);
    seen.running = true;
    assert_eq!(
        plan(&desired(3, 3), &seen),
        Err(Refusal::TwoClusters { first: CLUSTER, first_node: node(1), second: OTHER, second_node: node(3) })
    );
    let allowed = plan(&desired(3, 3).allow_wiping(true), &seen).map(|plan| plan.steps.len());
    assert_eq!(allowed, Ok(2), "stop, move aside");
}

#[test]
fn two_nodes_that_each_go_on_alone_are_told_apart_whatever_id_they_have() {
    let alone = |id: u8| (id, Answer::Serving(view(id, vec![member(id)])));
    let seen = observed(3, DataDir::Empty, &[alone(1), alone(2)]);
    assert_eq!(plan(&desired(3, 3), &seen), Err(Refusal::Split { cluster: CLUSTER, nodes: (node(1), node(2)) }));
    // a list that is one change behind is no second cluster
    let joined = (2, Answer::Serving(view(2, vec![member(1), member(2)])));
    assert!(plan(&desired(3, 3), &observed(3, DataDir::Empty, &[alone(1), joined])).is_ok());
}

#[test]
fn a_removed_members_data_is_moved_aside() {
    let seen = observed(3, data(3, CLUSTER), &serving(&[1, 2], &[member(1), member(2)]));
    assert!(
        text(3, 3, &seen)
            .starts_with("- move etcd's data aside: this member was removed from the cluster, its data is outdated\n")
    );
}

#[test]
fn a_cloned_machine_and_a_changed_address_are_told_apart() {
    let members = [member(1), member(2), member(3)];
    assert_eq!(
        plan(&desired(3, 3), &observed(3, data(1, CLUSTER), &serving(&[1, 2], &members))),
        Err(Refusal::DataOfAnotherNode { member: MemberId(1), node: node(1) })
    );
    let mut moved = member(3);
    moved.peer_urls = vec!["http://192.168.0.200:2380".to_owned()];
    let seen = observed(3, data(3, CLUSTER), &serving(&[1, 2], &[member(1), member(2), moved]));
    assert!(matches!(plan(&desired(3, 3), &seen), Err(Refusal::AddressChanged { member: MemberId(3), .. })));
}

#[test]
fn what_cannot_be_known_changes_nothing() {
    let unknown = DataDir::Unknown { reason: "permission denied".to_owned() };
    let seen = observed(3, unknown, &serving(&[1, 2], &[member(1), member(2), member(3)]));
    assert!(matches!(plan(&desired(3, 3), &seen), Err(Refusal::DataUnknown { .. })));
    let seen = observed(3, DataDir::Empty, &serving(&[1, 2, 3], &[member(1), member(2), member(3)]));
    assert_eq!(plan(&desired(3, 3), &seen), Err(Refusal::ServesWithoutData));
}

#[test]
fn alarms_and_foreign_members_are_told() {
    let mut foreign = member(5);
    foreign.name.clear();
    let mut mine = view(3, vec![member(1), member(2), member(3), foreign]);
    mine.alarms = vec![(MemberId(1), Alarm::NoSpace)];
    let mut seen = observed(3, data(3, CLUSTER), &[(3, Answer::Serving(mine))]);
    seen.mark = Some(mark(3));
    seen.running = true;
    assert_eq!(
        text(3, 3, &seen),
        "note: etcd member 5 (without a name, http://192.168.0.156:2380) is none of the configured nodes; left alone\n\
         note: 4 etcd voters bear the loss of 1, no more than 3 would\n\
         note: etcd member 1 raised NOSPACE: its database is full, nothing can be written\n"
    );
}

#[test]
fn removal_by_name_keeps_a_quorum() {
    let members = [member(1), member(2), member(3), member(4)];
    let removal = |target, live: &[u8]| {
        plan_removal(target, &desired(1, 4), &observed(4, data(1, CLUSTER), &serving(live, &members)))
    };
    let target = Target::Node(node(4));
    let text = removal(target, &[1, 2, 3]).map(|plan| plan.to_string()).unwrap_or_default();
    assert!(text.starts_with("- remove etcd member 4 (etcd4): its removal was asked for\n"), "{text}");
    // node 4 lives, but two of the others do not
    assert_eq!(removal(target, &[1, 4]), Err(Refusal::BelowQuorum { name: "etcd4".to_owned(), live: 1, voters: 3 }));
    assert_eq!(removal(target, &[]), Err(Refusal::NoQuorum));
    assert_eq!(removal(Target::Node(node(1)), &[1, 2, 3]), Err(Refusal::RemovesItself { node: node(1) }));
    assert_eq!(removal(Target::Member(MemberId(77)), &[1, 2, 3]).map(|plan| plan.is_done()), Ok(true));
}
