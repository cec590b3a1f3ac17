//! 070 to 074: who holds the VIP.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use pgstack_topology::NodeId;

use super::scene::{Scene, container, engine};
use super::trouble::{Trouble, nodes};
use crate::{Node, Risk, Severity, code};

const KEEPALIVED: &str = "docker compose --profile with-vip up -d --no-deps keepalived";

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut troubles: Vec<Trouble> = two(scene).into_iter().collect();
    troubles.extend(none(scene));
    troubles.extend(scene.snapshot.vip_holders().filter_map(|node| dead(scene, node)));
    troubles.extend(foreign(scene));
    troubles.extend(without(scene));
    troubles
}

/// Who announces itself to whom.
fn heard<'a>(scene: &Scene<'a>) -> impl Iterator<Item = (NodeId, Ipv4Addr)> + use<'a> {
    scene.locals().flat_map(|(node, local)| local.vip_heard_from.iter().map(move |from| (node.id, *from)))
}

fn two(scene: &Scene<'_>) -> Option<Trouble> {
    let vip = scene.snapshot.vip;
    let mut holders: BTreeSet<NodeId> = scene.snapshot.vip_holders().map(|node| node.id).collect();
    let mut lines: Vec<String> = holders.iter().map(|id| format!("kernel of node {id}: holds {vip}")).collect();
    // one that cannot be asked, but announces itself to a holder, holds it as well
    for (hearer, from) in heard(scene).collect::<Vec<_>>() {
        let silent = scene.node_at(from).filter(|node| node.local.known().is_none());
        if let Some(node) = silent.filter(|_| scene.holds_vip(hearer)) {
            holders.insert(node.id);
            lines.push(format!("node {hearer} hears node {} announce itself as the owner", node.id));
        }
    }
    if holders.len() < 2 {
        return None;
    }
    let ids: Vec<NodeId> = holders.into_iter().collect();
    let answers = scene.snapshot.vip_answers.known();
    // whoever is heard to announce itself is keepalived's choice; the others let go
    let heard_by = |id: &NodeId| {
        let address = scene.snapshot.node(*id).map(|node| node.address);
        heard(scene).filter(|(_, from)| Some(*from) == address).count()
    };
    let keep = ids.iter().copied().max_by_key(|id| (heard_by(id), Reverse(*id)));
    let mut trouble = Trouble::cluster(
        code::TWO_OWNERS,
        Severity::Critical,
        format!("the VIP {vip} is held by {}", nodes(&ids)),
    )
    .about(ids.iter().copied())
    .seen_all(lines)
    .seen_all(answers.map(|id| format!("HAProxy at {vip}: that of node {id}")))
    .because(
        "they do not hear each other's VRRP (a firewall drops protocol 112, another KEEPALIVED_AUTH_PASS, router id \
                 or RTO_PROFILE), keepalived was killed a moment ago (its address goes with its lease, within 20 s), \
                 or somebody added the address by hand",
    )
    .by_hand(None, "let protocol 112 pass between all nodes, and compare KEEPALIVED_* in every .env");
    for id in ids.into_iter().filter(|id| Some(*id) != keep) {
        trouble = trouble.mend(
            id,
            Risk::Disturbing,
            "docker restart keepalived",
            "lets go of the VIP there; its clients come back on the other node",
        );
    }
    Some(trouble)
}

fn none(scene: &Scene<'_>) -> Option<Trouble> {
    let vip = scene.snapshot.vip;
    let unknown = scene.living().any(|node| node.local.known().is_none());
    let asked: Vec<NodeId> = scene.locals().map(|(node, _)| node.id).collect();
    if !scene.with_vip()
        || unknown
        || asked.is_empty()
        || scene.snapshot.vip_answers.known().is_some()
        || scene.snapshot.vip_holders().next().is_some()
        || heard(scene).next().is_some()
    {
        return None;
    }
    let mut trouble = Trouble::cluster(code::NO_OWNER, Severity::Critical, format!("no node holds the VIP {vip}"))
        .about(asked.iter().copied())
        .seen(format!("kernel of {}: does not hold {vip}", nodes(&asked)))
        .seen(format!("HAProxy at {vip}: no answer"))
        .because("no keepalived may take it: its check fails (HAProxy, PgBouncer), or its interface is down");
    for id in asked {
        trouble = trouble.safe(id, "./deploy", "starts what does not run, keepalived last");
    }
    Some(trouble.by_hand(
        None,
        "`docker exec keepalived bash /config/check_haproxy.sh` on each node says why it may not hold the VIP",
    ))
}

fn dead(scene: &Scene<'_>, node: &Node) -> Option<Trouble> {
    let id = node.id;
    // where another node holds it as well, that is the trouble
    if scene.snapshot.vip_holders().count() > 1 {
        return None;
    }
    let vip = scene.snapshot.vip;
    let down: Vec<&str> = ["haproxy", "pgbouncer"]
        .into_iter()
        .filter(|service| {
            engine(node).is_some() && container(node, service).is_none_or(|container| container.status != "running")
        })
        .collect();
    if down.is_empty() {
        return None;
    }
    let list = down.join(" and ");
    let mut trouble = Trouble::of(
        code::OWNER_DEAD,
        Severity::Critical,
        id,
        format!("node {id} holds the VIP, but its {list} is dead"),
    )
    .seen(format!("kernel of node {id}: holds {vip}"))
    .because("keepalived there does not notice (its check hangs or was edited), so the VIP does not move");
    for service in &down {
        let state = container(node, service).map_or("there is none", |container| container.status.as_str());
        trouble = trouble.seen(format!("Docker on node {id}: container {service}: {state}")).service(service);
    }
    Some(
        trouble
            .safe(id, format!("docker compose up -d --no-deps {}", down.join(" ")), "clients get through again")
            .mend(
                id,
                Risk::Disturbing,
                "docker compose stop keepalived",
                "where it cannot start: moves the VIP to another node",
            )
            .safe(id, "./deploy", "makes keepalived's check anew"),
    )
}

fn foreign(scene: &Scene<'_>) -> Option<Trouble> {
    let vip = scene.snapshot.vip;
    let strangers: BTreeSet<(NodeId, Ipv4Addr)> =
        heard(scene).filter(|(_, from)| scene.node_at(*from).is_none()).collect();
    let mut lines: Vec<String> = strangers
        .iter()
        .map(|(hearer, from)| format!("node {hearer} hears {from} announce itself as the owner of {vip}"))
        .collect();
    let why = scene.snapshot.vip_answers.why().unwrap_or_default();
    // a refusal comes from a machine that has the address, and none of ours does
    let ours = scene.snapshot.vip_holders().next().is_some()
        || scene.snapshot.nodes.iter().any(|node| node.local.known().is_none());
    if why.contains("something else") || why.contains("connection refused") && !ours {
        lines.push(format!("{vip}: {why}"));
    }
    (!lines.is_empty()).then(|| {
        let what = format!("a machine that is none of the nodes answers at the VIP {vip}");
        Trouble::cluster(code::VIP_FOREIGN, Severity::Critical, what)
            .seen_all(lines)
            .because("another machine has that address, or a removed node's keepalived still runs")
            .by_hand(None, format!("which one: `arping -c 3 {vip}` shows its MAC address"))
            .by_hand(
                None,
                "a former node: ./clean on it; another one: give it another address, or change VIP in every .env",
            )
    })
}

fn without(scene: &Scene<'_>) -> Vec<Trouble> {
    if !scene.with_vip() {
        return Vec::new();
    }
    let (with, without): (Vec<_>, Vec<_>) =
        scene.engines().partition(|(_, local)| local.containers.contains_key("keepalived"));
    let with: Vec<NodeId> = with.into_iter().map(|(node, _)| node.id).collect();
    let have = if with.is_empty() { "no node".to_owned() } else { nodes(&with) };
    without
        .into_iter()
        .map(|(node, _)| {
            let id = node.id;
            let what = format!("node {id} can never take the VIP over: it has no keepalived");
            Trouble::of(code::NO_KEEPALIVED, Severity::Warning, id, what)
                .several("nodes can never take the VIP over: they have no keepalived")
                .service("keepalived")
                .seen(format!("Docker on node {id}: there is no container keepalived"))
                .seen(format!("it runs on: {have}"))
                .because("it was deployed with --no-vip, or its deploy waits for the other nodes to agree")
                .safe(id, "./deploy", "starts it when all nodes agree about addresses and passwords")
                .safe(id, KEEPALIVED, "where ./deploy has done so and it was removed by hand")
        })
        .collect()
}
