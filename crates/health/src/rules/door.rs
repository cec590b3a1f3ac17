//! 088: etcd's door, through which orders come in.

use pgstack_topology::NodeId;

use super::scene::{SERVICES, Scene, container, engine, is_young};
use super::trouble::{Trouble, nodes};
use crate::{Etcd, NO_LOGIN, Node, Severity, code};

/// So long after a node came up its deploy may be about to close the door.
const JOINED_S: u64 = 60;
/// The tag of a Patroni that logs in to etcd, which names the user.
const USER_TAG: &str = "etcd_user";

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Trouble> {
    open(scene).into_iter().chain(locked(scene)).collect()
}

/// While nodes are set up the door is open, and beside another trouble the next deploy may close it: only a cluster that
/// is whole is told.
fn open(scene: &Scene<'_>) -> Option<Trouble> {
    let all = &scene.snapshot.nodes;
    if !all.iter().all(|node| is_whole(scene, node)) || has_just_grown(scene) {
        return None;
    }
    let open = ids(scene, Etcd::is_open);
    if open.is_empty() {
        return None;
    }
    let logs_in = |node: &&Node| node.patroni.known().is_some_and(|patroni| patroni.tags.contains_key(USER_TAG));
    let behind: Vec<NodeId> = all.iter().filter(|node| !logs_in(node)).map(|node| node.id).collect();
    let what = "etcd takes orders from everybody who reaches port 2379";
    let mut trouble = Trouble::cluster(code::ETCD_DOOR, Severity::Warning, what)
        .seen(format!("etcd on {}: it answers those who have not logged in", nodes(&open)))
        .because(
            "not every node has been deployed since etcd has users, or something kept the last deploy from closing its \
             door: whoever can write there can name a leader",
        );
    if behind.is_empty() {
        return Some(trouble.safe(None, "./deploy", "closes etcd's door, or says what keeps it open"));
    }
    trouble = trouble.seen(format!("Patroni on {}: no tag {USER_TAG}, so it does not log in", nodes(&behind)));
    for id in behind {
        trouble = trouble.safe(id, "./deploy", "lets its Patroni log in; the last one closes etcd's door");
    }
    Some(trouble)
}

/// Whether a node serves, in the cluster of the others, and has done so for some time.
fn is_whole(scene: &Scene<'_>, node: &Node) -> bool {
    let etcd_is_well = |etcd: &Etcd| {
        let is_main = Some(etcd.cluster_id.as_str()) == scene.main_cluster();
        is_main && etcd.serves && etcd.has_quorum && !etcd.is_learner && etcd.alarms.is_empty()
    };
    let follows = || node.patroni.known().is_some_and(|patroni| patroni.state == "running" && patroni.streams());
    node.reachable
        && node.etcd.known().is_some_and(etcd_is_well)
        && scene.leader().is_some_and(|leader| leader.id == node.id || follows())
        && SERVICES.iter().all(|service| container(node, service).is_some_and(|it| it.status == "running"))
        && engine(node).is_some_and(|local| !local.containers.keys().any(|service| is_young(node, service)))
}

/// Whether a PostgreSQL came up only a moment ago, as some HAProxy saw it.
fn has_just_grown(scene: &Scene<'_>) -> bool {
    let mut servers = scene.proxies().flat_map(|(_, proxy)| &proxy.servers);
    servers.any(|server| server.is_up && server.since_s < JOINED_S)
}

/// Where etcd asks who this is, nobody sees what Patroni keeps there.
fn locked(scene: &Scene<'_>) -> Option<Trouble> {
    let main = scene.main_cluster();
    let mut locked = ids(scene, |etcd| etcd.is_locked() && Some(etcd.cluster_id.as_str()) == main);
    locked.extend(scene.living().filter(|node| node.etcd.why() == Some(NO_LOGIN)).map(|node| node.id));
    if locked.is_empty() {
        return None;
    }
    let from = scene.snapshot.from;
    Some(
        Trouble::of(code::ETCD_DOOR, Severity::Warning, from, format!("etcd knows no login of node {from}"))
            .seen(format!("etcd on {}: it tells its users alone, and node {from} is none of them", nodes(&locked)))
            .because(format!(
                "the passwords in .env of node {from} are others than those that the cluster was deployed with"
            ))
            .by_hand(None, "make the passwords the same in every .env: those that the cluster has")
            .safe(from, "./deploy", "afterwards"),
    )
}

fn ids(scene: &Scene<'_>, fits: impl Fn(&Etcd) -> bool) -> Vec<NodeId> {
    scene.etcds().filter(|(_, etcd)| fits(etcd)).map(|(node, _)| node.id).collect()
}
