//! 020 to 029: etcd.

use std::collections::BTreeSet;

use pgstack_topology::{NodeId, port};

use super::scene::{Scene, container, engine, is_young, runs_well};
use super::trouble::{Trouble, nodes};
use crate::{Etcd, Node, Risk, Severity, code};

/// A learner gets its vote within seconds. After so long something keeps it from that.
const LEARNER_MS: u64 = 60_000;
/// A quorum read takes a few milliseconds.
const SLOW_MS: u64 = 500;

const NO_QUORUM_CAUSE: &str = "a majority of the members is down or cannot reach each other: nothing can be written, \
                               nobody can be elected";

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut troubles: Vec<Trouble> = quorum(scene).into_iter().collect();
    troubles.extend(scene.living().filter_map(|node| member_down(scene, node)));
    troubles.extend(voters(scene));
    troubles.extend(learners(scene));
    troubles.extend(alarms(scene));
    troubles.extend(strangers(scene));
    troubles.extend(missing(scene));
    troubles.extend(split(scene));
    troubles.extend(size(scene));
    troubles.extend(slow(scene));
    troubles
}

/// Why a node's etcd counts for nothing, where that is known.
fn lost(node: &Node) -> Option<String> {
    let id = node.id;
    if !node.reachable {
        return Some(format!("node {id} does not answer"));
    }
    if let Some(etcd) = node.etcd.known() {
        let words = if etcd.serves { "a read that takes a quorum fails" } else { "it waits for the others" };
        return (!etcd.has_quorum).then(|| format!("etcd on node {id}: {words}"));
    }
    let status = engine(node).map(|local| local.containers.get("etcd").map(|found| found.status.as_str()));
    status
        .filter(|status| *status != Some("running"))
        .map(|status| format!("Docker on node {id}: container etcd: {}", status.unwrap_or("there is none")))
}

fn quorum(scene: &Scene<'_>) -> Option<Trouble> {
    if scene.dcs().is_some() || scene.etcds().any(|(_, etcd)| etcd.has_quorum) {
        return None;
    }
    let all = &scene.snapshot.nodes;
    let lines: Vec<String> = all.iter().filter_map(lost).collect();
    // a member that runs and waits for the others is as good as they are
    let gone = |node: &&Node| lost(node).is_some() && node.etcd.known().is_none();
    let losses = all.iter().filter(gone).count();
    let waiting = scene.etcds().any(|(_, etcd)| !etcd.has_quorum);
    // a member that waits proves it; without one, a majority must be known to be gone
    if !(waiting || 2 * losses > all.len()) || lines.is_empty() {
        return None;
    }
    let mut trouble = Trouble::cluster(code::QUORUM_LOST, Severity::Critical, "etcd has no quorum")
        .service("etcd")
        .seen_all(lines)
        .because(NO_QUORUM_CAUSE);
    let is_stopped =
        |node: &&Node| engine(node).is_some() && container(node, "etcd").is_none_or(|it| it.status != "running");
    let stopped: Vec<NodeId> = scene.living().filter(is_stopped).map(|node| node.id).collect();
    for id in &stopped {
        trouble = trouble.safe(*id, "docker compose up -d --no-deps etcd", "a majority of the members is enough");
    }
    // where starting what was stopped is enough, nobody is to think of more
    if 2 * (all.len() - losses + stopped.len()) > all.len() {
        return Some(trouble);
    }
    Some(
        trouble
            .by_hand(
                None,
                "bring back the machines that do not answer, or the network between them; nothing is lost by waiting",
            )
            .mend(
                None,
                Risk::Destructive,
                "./scripts/reset-etcd-node1 --yes",
                "the last resort, on one node only, when the others' etcd will never come back: \
                 docs/operations.md, \"etcd's quorum is lost for good\"",
            ),
    )
}

fn member_down(scene: &Scene<'_>, node: &Node) -> Option<Trouble> {
    let id = node.id;
    let found = container(node, "etcd");
    let runs = found.is_none_or(|container| container.status == "running");
    let unhealthy = found.is_some_and(|container| container.health.as_deref() == Some("unhealthy"));
    let seen = match node.etcd.known() {
        _ if !runs || is_young(node, "etcd") => return None,
        // it reads nothing that takes a quorum before it has its vote: PGS-023
        Some(etcd) if etcd.is_learner => return None,
        Some(etcd) if etcd.serves && etcd.has_quorum => return None,
        // it is well for its own machine: PGS-004
        Some(etcd) if !etcd.serves && runs_well(node, "etcd") => return None,
        Some(etcd) if etcd.serves => format!("etcd on node {id}: a read that takes a quorum fails"),
        Some(_) => format!("etcd on node {id}: it runs, but serves no clients"),
        None if unhealthy => {
            format!("etcd on node {id}: {}", node.etcd.why().unwrap_or("no answer"))
        }
        None => return None,
    };
    let mut trouble = Trouble::of(
        code::MEMBER_DOWN,
        Severity::Warning,
        id,
        format!("etcd on node {id} does not serve"),
    )
    .service("etcd")
    .seen(seen)
    .because("it cannot reach the other members (port 2380), its data does not fit the cluster, or its disk is stuck");
    let hangs = unhealthy && found.is_some_and(|container| container.trouble.is_none());
    if hangs && others_have_a_quorum(scene, id) {
        trouble = trouble.safe(id, "docker restart etcd", "ends a process that hangs; the others have a quorum");
    }
    trouble = trouble
        .safe(id, "./deploy", "finds out which, and lets it join anew where its data is lost or outdated")
        .by_hand(id, "`docker logs --tail 50 etcd` tells in its own words");
    if let Some(said) = found.and_then(|container| container.trouble.clone()) {
        trouble = trouble.seen(format!("log of etcd on node {id}: {said}")).because(said);
    }
    Some(trouble)
}

/// Whether the voters on other nodes that serve with a quorum are a majority without this one.
fn others_have_a_quorum(scene: &Scene<'_>, id: NodeId) -> bool {
    let Some((_, etcd)) = scene.quorate() else { return false };
    let voters: Vec<_> = etcd.members.iter().filter(|member| !member.is_learner).collect();
    let serving = scene.etcds().filter(|(node, etcd)| node.id != id && etcd.serves && etcd.has_quorum);
    let serving = serving.filter(|(node, _)| voters.iter().any(|member| member.node == Some(node.id))).count();
    2 * serving > voters.len()
}

fn voters(scene: &Scene<'_>) -> Option<Trouble> {
    let (node, etcd) = scene.quorate()?;
    let count = etcd.members.iter().filter(|member| !member.is_learner).count();
    // one that is about to get its vote makes it odd
    let joining = etcd.members.iter().any(|member| member.is_learner);
    (count > 0 && count % 2 == 0 && !joining).then(|| {
        let bears = (count - 1) / 2;
        let what = format!("etcd has {count} voters, which bear no more losses than {}", count - 1);
        Trouble::cluster(code::EVEN_VOTERS, Severity::Notice, what)
            .seen(format!("etcd on node {}: {count} members with a vote; a majority is {}", node.id, count / 2 + 1))
            .because(format!("with {count} voters etcd bears the loss of {bears}, and so it does with {}", count - 1))
            .by_hand(
                None,
                "run 3 or 5 nodes: add one (docs/operations.md, \"Add a node\") or take one out (\"Remove a node\")",
            )
    })
}

/// For how long a node's etcd container has run, where that is known.
fn age_ms(node: &Node) -> Option<u64> {
    let local = node.local.known()?;
    let started = local.containers.get("etcd")?.started_at_ms;
    (started > 0 && local.clock_ms > 0).then(|| local.clock_ms.saturating_sub(started))
}

fn learners(scene: &Scene<'_>) -> Vec<Trouble> {
    let Some((from, etcd)) = scene.quorate() else { return Vec::new() };
    let learner = |member: &crate::EtcdMember| {
        let node = scene.snapshot.node(member.node?)?;
        let id = node.id;
        if !member.is_learner || age_ms(node).is_none_or(|age| age < LEARNER_MS) {
            return None;
        }
        Some(
            Trouble::of(code::LEARNER_STUCK, Severity::Warning, id, format!("etcd on node {id} never got its vote"))
                .service("etcd")
                .seen(format!("etcd on node {}: member {} ({}) is a learner", from.id, member.id, member.name))
                .seen(format!("Docker on node {id}: its etcd has run for {} s", age_ms(node).unwrap_or(0) / 1000))
                .because("the deploy that let it join was broken off before it gave the vote, or it cannot get in sync")
                .safe(id, "./deploy", "gives it the vote as soon as it is in sync"),
        )
    };
    etcd.members.iter().filter_map(learner).collect()
}

fn alarms(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut told = BTreeSet::new();
    let mut troubles = Vec::new();
    for (from, etcd) in scene.etcds() {
        for raised in &etcd.alarms {
            if !told.insert((raised.alarm.as_str(), raised.member.as_str())) {
                continue;
            }
            let node = node_of(scene, &raised.member);
            let place = node.map_or_else(|| format!("member {}", raised.member), |node| format!("node {node}"));
            let seen = format!("etcd on node {}: alarm {} of {place}", from.id, raised.alarm);
            match raised.alarm.as_str() {
                "NOSPACE" => troubles.push(full(scene, &place, node).seen(seen)),
                "CORRUPT" => troubles.push(corrupt(scene, &damage(etcd, &raised.member, node), &place).seen(seen)),
                _ => {}
            }
        }
    }
    troubles
}

/// The node of a member, by its id.
fn node_of(scene: &Scene<'_>, member: &str) -> Option<NodeId> {
    let own = scene.etcds().find(|(_, etcd)| etcd.member_id == member).map(|(node, _)| node.id);
    own.or_else(|| {
        let mut members = scene.etcds().flat_map(|(_, etcd)| &etcd.members);
        members.find(|listed| listed.id == member)?.node
    })
}

/// Forgets what nobody can ask for any more; the revision is etcd's own newest.
const COMPACT: &str = "docker exec etcd sh -c 'rev=$(etcdctl endpoint status --write-out=fields | sed -n \
                       \"s/^\\\"Revision\\\" : //p\") && etcdctl compact --physical \"$rev\" || true'";
/// Gives the room back on all members that serve, one after the other.
fn defrag(scene: &Scene<'_>) -> String {
    let serving = scene.etcds().filter(|(_, etcd)| etcd.serves);
    let endpoints: Vec<String> = serving.map(|(node, _)| format!("{}:{}", node.address, port::ETCD_CLIENT)).collect();
    format!("docker exec etcd etcdctl --endpoints={} --command-timeout=60s defrag", endpoints.join(","))
}
const DISARM: &str = "docker exec etcd etcdctl alarm disarm";

fn full(scene: &Scene<'_>, place: &str, node: Option<NodeId>) -> Trouble {
    let what = format!("etcd of {place} is full: no member takes writes");
    let mut trouble = match node {
        Some(id) => Trouble::of(code::ETCD_FULL, Severity::Critical, id, what),
        None => Trouble::cluster(code::ETCD_FULL, Severity::Critical, what),
    };
    let sizes = scene.etcds().filter(|(_, etcd)| etcd.db_quota > 0);
    trouble = trouble.seen_all(sizes.map(|(node, etcd)| {
        format!(
            "etcd on node {}: {} of {} used, {} of it by data",
            node.id,
            mib(etcd.db_size),
            mib(etcd.db_quota),
            mib(etcd.db_in_use)
        )
    }));
    trouble = trouble
        .service("etcd")
        .because("old revisions were never compacted, or something other than Patroni writes into this etcd")
        .safe(None, COMPACT, "first, once: forgets old revisions");
    trouble = trouble.safe(None, defrag(scene), "then, once: gives the room back, on one member after the other");
    // it lowers every alarm, and that of a damaged member must stay until it is replaced
    if scene.etcds().any(|(_, etcd)| etcd.alarms.iter().any(|raised| raised.alarm == "CORRUPT")) {
        return trouble.by_hand(None, "last, when the damaged member is replaced: `etcdctl alarm disarm`");
    }
    trouble.safe(None, DISARM, "last, once: lets etcd write again")
}

/// Whose data an alarm CORRUPT means.
enum Damage {
    /// That of a node.
    Node(NodeId),
    /// That of a member which is none of the nodes.
    Foreign,
    /// That of a member which has been removed since.
    Gone,
    /// etcd found that the members differ, and does not know which one is right.
    Somebody,
}

fn damage(etcd: &Etcd, member: &str, node: Option<NodeId>) -> Damage {
    match node {
        Some(id) => Damage::Node(id),
        None if member == "0" || etcd.members.is_empty() => Damage::Somebody,
        None if etcd.members.iter().any(|listed| listed.id == member) => Damage::Foreign,
        None => Damage::Gone,
    }
}

/// How many members that are still there etcd has found to be damaged.
fn damaged(scene: &Scene<'_>) -> usize {
    let members = scene.etcds().flat_map(|(_, etcd)| {
        let raised = etcd.alarms.iter().filter(|raised| raised.alarm == "CORRUPT").map(|raised| raised.member.as_str());
        raised.filter(|member| !matches!(damage(etcd, member, node_of(scene, member)), Damage::Gone))
    });
    members.collect::<BTreeSet<_>>().len()
}

/// Lowering alarms lets damaged members serve again: that comes when the last one is replaced, and never by itself.
fn corrupt(scene: &Scene<'_>, damage: &Damage, place: &str) -> Trouble {
    let (what, cause) = match damage {
        Damage::Node(_) => (
            format!("etcd of {place} found that its data differs from the others'"),
            "a disk or a crash damaged it; etcd takes no writes until it is replaced",
        ),
        Damage::Gone => (
            format!("etcd of {place}, which is gone, has left an alarm behind: its data was damaged"),
            "the damaged member was replaced; until its alarm is lowered, etcd takes no writes",
        ),
        Damage::Foreign | Damage::Somebody => (
            "etcd found that its members' data differs".to_owned(),
            "a disk or a crash damaged one of them; etcd takes no writes until it is replaced",
        ),
    };
    let trouble = match damage {
        Damage::Node(id) => Trouble::of(code::ETCD_CORRUPT, Severity::Critical, *id, what),
        _ => Trouble::cluster(code::ETCD_CORRUPT, Severity::Critical, what),
    };
    let trouble = trouble.service("etcd").because(cause);
    match damage {
        Damage::Node(id) if others_have_a_quorum(scene, *id) => {
            let replace = "docker compose stop etcd && mv data/etcd data/etcd.$(date +%s) && ./deploy";
            let last = if damaged(scene) == 1 { format!(" && {DISARM}") } else { String::new() };
            trouble.mend(
                *id,
                Risk::Destructive,
                format!("{replace}{last}"),
                "on that node alone: it joins anew with a fresh copy, and etcd serves again; the old data is kept",
            )
        }
        Damage::Node(_) => trouble
            .by_hand(None, "first bring the other members back: without it they are no majority")
            .by_hand(None, "then ask doctor again: it prints what replaces the damaged one"),
        Damage::Gone if damaged(scene) == 0 => trouble.safe(None, DISARM, "once"),
        Damage::Gone => trouble.by_hand(None, "when the last damaged member is replaced: `etcdctl alarm disarm`"),
        Damage::Foreign | Damage::Somebody => trouble.by_hand(
            None,
            "which one differs: `docker exec etcd etcdctl endpoint hashkv --cluster`; that one is replaced, and then \
             the alarm is lowered: docs/troubleshooting.md, PGS-025",
        ),
    }
}

fn strangers(scene: &Scene<'_>) -> Vec<Trouble> {
    let Some((from, etcd)) = scene.quorate() else { return Vec::new() };
    let strange = etcd.members.iter().filter(|member| member.node.is_none() && !member.peer_urls.is_empty());
    strange
        .map(|member| {
            let name = if member.name.is_empty() { "never started" } else { member.name.as_str() };
            let what = format!("etcd has a member that .env does not name: {} ({name})", member.peer_urls.join(" "));
            Trouble::cluster(code::MEMBER_FOREIGN, Severity::Warning, what)
                .seen(format!(
                    "etcd on node {}: member {} ({name}) at {}",
                    from.id,
                    member.id,
                    member.peer_urls.join(" ")
                ))
                .seen(".env: no NODEn_IP has that address".to_owned())
                .because(
                    "a node was taken out of .env without remove-node, has another address now, or was added by hand",
                )
                .by_hand(
                    None,
                    "is it a node of this cluster? Then put it into every .env and run ./deploy on each node",
                )
                .mend(
                    None,
                    Risk::Destructive,
                    format!("docker exec etcd etcdctl member remove {}", member.id),
                    "where it is gone for good; while it counts, each loss weighs more",
                )
        })
        .collect()
}

fn missing(scene: &Scene<'_>) -> Vec<Trouble> {
    let Some((from, etcd)) = scene.quorate() else { return Vec::new() };
    if etcd.members.is_empty() {
        return Vec::new();
    }
    let unknown =
        scene.snapshot.nodes.iter().filter(|node| !etcd.members.iter().any(|member| member.node == Some(node.id)));
    unknown
        .map(|node| {
            let id = node.id;
            Trouble::of(code::MEMBER_MISSING, Severity::Warning, id, format!("etcd does not know node {id}"))
                .service("etcd")
                .seen(format!("etcd on node {}: no member at {}:2380", from.id, node.address))
                .because("it was never deployed, or its member was removed")
                .safe(id, "./deploy", "lets it join; old etcd data is moved aside, not deleted")
        })
        .collect()
}

fn split(scene: &Scene<'_>) -> Vec<Trouble> {
    let Some(main) = scene.main_cluster() else { return Vec::new() };
    let members: Vec<NodeId> =
        scene.etcds().filter(|(_, etcd)| etcd.cluster_id == main).map(|(node, _)| node.id).collect();
    let odd = scene.etcds().filter(|(_, etcd)| !etcd.cluster_id.is_empty() && etcd.cluster_id != main);
    odd.map(|(node, etcd)| {
        let id = node.id;
        let what = format!("etcd on node {id} is in another cluster than that of {}", nodes(&members));
        Trouble::of(code::ETCD_SPLIT, Severity::Critical, id, what)
            .service("etcd")
            .seen(format!("etcd on node {id}: cluster {}", etcd.cluster_id))
            .seen(format!("etcd on {}: cluster {main}", nodes(&members)))
            .because("its data comes from another life, or it was started with ETCD_INITIAL_CLUSTER_STATE=new by hand")
            .mend(
                id,
                Risk::Destructive,
                "./deploy --wipe-etcd",
                "moves its etcd data aside (data/etcd.TIME) and joins the others; first make sure that theirs is the right one",
            )
    })
    .collect()
}

fn size(scene: &Scene<'_>) -> Vec<Trouble> {
    let near = scene.etcds().filter(|(_, etcd)| etcd.db_quota > 0 && etcd.db_size / 4 >= etcd.db_quota / 5);
    near.map(|(node, etcd)| {
        let id = node.id;
        let Etcd { db_size, db_quota, db_in_use, .. } = etcd;
        let what = format!("etcd's database on node {id} is nearly full");
        Trouble::of(code::ETCD_SLOW, Severity::Warning, id, what)
            .several("etcd's database is nearly full")
            .service("etcd")
            .seen(format!(
                "etcd on node {id}: {} of {}, {} of it in use",
                mib(*db_size),
                mib(*db_quota),
                mib(*db_in_use)
            ))
            .because("old revisions were not compacted or given back; when it is full, nothing can be written any more")
            .safe(None, COMPACT, "first, once: forgets old revisions")
            .safe(None, defrag(scene), "then, once: gives the room back, on one member after the other")
    })
    .collect()
}

fn slow(scene: &Scene<'_>) -> Vec<Trouble> {
    let slow = scene.etcds().filter(|(_, etcd)| etcd.has_quorum && etcd.latency_ms > SLOW_MS);
    slow.map(|(node, etcd)| {
        let id = node.id;
        Trouble::of(code::ETCD_SLOW, Severity::Warning, id, format!("etcd on node {id} is slow"))
            .several("etcd is slow")
            .service("etcd")
            .seen(format!("etcd on node {id}: a read that takes a quorum took {} ms", etcd.latency_ms))
            .because("its disk takes long to write (fsync), or the network between the nodes is slow or loses packets")
            .by_hand(id, "`iostat -x 1` and `ping` between the nodes: who else uses that disk? etcd wants an SSD")
    })
    .collect()
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
