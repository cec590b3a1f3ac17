//! 084, 085, 087: what should be the same on every node.

use std::collections::{BTreeMap, BTreeSet};

use pgstack_topology::NodeId;

use super::Scene;
use crate::rules::trouble::{Trouble, nodes};
use crate::{Node, Severity, code};

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut troubles = settings(scene);
    troubles.extend(dcs(scene));
    troubles.extend(versions(scene));
    troubles
}

/// Keys that live in the DCS: PGS-085 speaks of them.
fn is_dcs(key: &str) -> bool {
    key.starts_with("PATRONI_") && key != "PATRONI_IMAGE" || key.starts_with("POSTGRES_") || key == "DURABILITY"
}

/// What a node says, and those who say the same.
type Camps<T> = Vec<(T, Vec<NodeId>)>;

/// Puts those who say the same together, the largest camp first; of two that are as large, the one with the
/// first node.
fn camps<T: Ord>(said: impl IntoIterator<Item = (NodeId, T)>) -> Camps<T> {
    let mut camps: BTreeMap<T, Vec<NodeId>> = BTreeMap::new();
    for (node, what) in said {
        camps.entry(what).or_default().push(node);
    }
    let mut camps: Camps<T> = camps.into_iter().collect();
    camps.sort_by(|(_, left), (_, right)| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
    camps
}

/// Whether there are two camps, and neither is larger: then nobody knows which one is right.
fn is_tie<T>(camps: &Camps<T>) -> bool {
    matches!(camps.as_slice(), [(_, first), (_, second), ..] if first.len() == second.len())
}

/// The fingerprint of a node's `.env`: by its agent, or what its HAProxy was given.
fn fingerprint(node: &Node) -> Option<&str> {
    match node.local.known() {
        Some(local) => local.settings.known().map(|settings| settings.agreement.as_str()),
        None => node.haproxy.known().map(|proxy| proxy.settings.as_str()),
    }
    .filter(|print| !print.is_empty())
}

/// Keys that are no secret, as a node has them.
fn shared(node: &Node) -> Option<&BTreeMap<String, String>> {
    Some(&node.local.known()?.settings.known()?.shared)
}

/// Shared keys that not all have the same, with who has what.
fn differing(scene: &Scene<'_>, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, Camps<String>> {
    let known: Vec<_> = scene.living().filter_map(|node| Some((node.id, shared(node)?))).collect();
    let keys: BTreeSet<&String> = known.iter().flat_map(|(_, keys)| keys.keys()).filter(|key| wanted(key)).collect();
    keys.into_iter()
        .map(|key| {
            let value =
                |keys: &BTreeMap<String, String>| keys.get(key).cloned().unwrap_or_else(|| "(not set)".to_owned());
            (key.clone(), camps(known.iter().map(|(id, keys)| (*id, value(keys)))))
        })
        .filter(|(_, camps)| camps.len() > 1)
        .collect()
}

fn describe(key: &str, camps: &Camps<String>) -> String {
    let each: Vec<String> = camps.iter().map(|(value, ids)| format!("{value} on {}", nodes(ids))).collect();
    format!(".env: {key} is {}", each.join(", "))
}

fn settings(scene: &Scene<'_>) -> Vec<Trouble> {
    let prints = camps(scene.living().filter_map(|node| Some((node.id, fingerprint(node)?))));
    let keys = differing(scene, |key| !is_dcs(key));
    let mut lines: Vec<String> = keys.iter().map(|(key, camps)| describe(key, camps)).collect();
    let mut odd: BTreeSet<NodeId> =
        keys.values().flat_map(|camps| camps.iter().skip(1)).flat_map(|(_, ids)| ids.clone()).collect();
    let mut tie = keys.values().any(is_tie);
    if prints.len() > 1 {
        odd.extend(prints.iter().skip(1).flat_map(|(_, ids)| ids.clone()));
        tie |= is_tie(&prints);
        lines.extend(prints.iter().map(|(print, ids)| format!(".env of {}: fingerprint {print}", nodes(ids))));
        if keys.is_empty() {
            lines.push("no key that may be shown differs, so it is a password".to_owned());
        }
    }
    if odd.is_empty() {
        return Vec::new();
    }
    let named =
        if keys.is_empty() { "a password".to_owned() } else { keys.keys().cloned().collect::<Vec<_>>().join(", ") };
    let because = "it was edited on some nodes only: nodes that disagree hold keepalived and new passwords back";
    let finish = |trouble: Trouble| {
        trouble.seen_all(lines.clone()).because(because).by_hand(
            None,
            format!(
                "make {named} the same in every .env (NODE_ID, NODE_IP and KEEPALIVED_INTERFACE stay each node's own)"
            ),
        )
    };
    if tie {
        // nobody knows which side is right
        let all: Vec<NodeId> = scene.living().filter(|node| fingerprint(node).is_some()).map(|node| node.id).collect();
        let what = format!("the .env files of {} differ in {named}", nodes(&all));
        let trouble = Trouble::cluster(code::ENV_DIFFERS, Severity::Warning, what).about(all);
        return vec![finish(trouble).by_hand(None, "afterwards ./deploy on each node")];
    }
    let one = |id: NodeId| {
        let what = format!("the .env of node {id} differs from the others' in {named}");
        let trouble = Trouble::of(code::ENV_DIFFERS, Severity::Warning, id, what).several("the .env files differ");
        finish(trouble).safe(id, "./deploy", "afterwards, on each node whose .env was changed")
    };
    odd.into_iter().map(one).collect()
}

fn dcs(scene: &Scene<'_>) -> Vec<Trouble> {
    let print = |node: &Node| match node.local.known() {
        Some(local) => local.settings.known().map(|settings| settings.dcs.clone()),
        None => node.haproxy.known().map(|proxy| proxy.dcs_settings.clone()),
    };
    let prints = camps(scene.living().filter_map(|node| Some((node.id, print(node)?))));
    let keys = differing(scene, is_dcs);
    if prints.len() < 2 && keys.is_empty() {
        return Vec::new();
    }
    let mut lines: Vec<String> = keys.iter().map(|(key, camps)| describe(key, camps)).collect();
    if prints.len() > 1 {
        lines.extend(prints.iter().map(|(print, ids)| {
            let print = print.as_ref().map_or_else(|| "none named".to_owned(), |print| format!("fingerprint {print}"));
            format!(".env of {}: settings for the DCS: {print}", nodes(ids))
        }));
    }
    let mut odd: BTreeSet<NodeId> = prints.iter().skip(1).flat_map(|(_, ids)| ids.clone()).collect();
    odd.extend(keys.values().flat_map(|camps| camps.iter().skip(1)).flat_map(|(_, ids)| ids.clone()));
    let named: Vec<&str> = keys.keys().map(String::as_str).collect();
    // a line of RTO_PROFILE stands for four of them
    let by_profile = named.iter().any(|key| key.starts_with("PATRONI_"));
    let named = if named.is_empty() { "PATRONI_*, POSTGRES_* or DURABILITY".to_owned() } else { named.join(", ") };
    let what = format!("the .env files name different settings for the DCS: {named}");
    let mut trouble = Trouble::cluster(code::DCS_ENV_DIFFERS, Severity::Notice, what)
        .about(odd)
        .seen_all(lines)
        .because(
            "it was edited on some nodes only: each node's next deploy sets its own values, so they go back and forth",
        )
        .by_hand(
            None,
            if by_profile {
                format!(
                    "make RTO_PROFILE, which stands for four of Patroni's times, and {named} the same in every .env"
                )
            } else {
                format!("make {named} the same in every .env")
            },
        );
    for node in scene.living().filter(|node| shared(node).is_some()) {
        trouble = trouble.safe(node.id, "./deploy", "afterwards, on each node");
    }
    vec![trouble]
}

fn versions(scene: &Scene<'_>) -> Option<Trouble> {
    let mut lines = Vec::new();
    let mut odd: BTreeSet<NodeId> = BTreeSet::new();
    let mut compare = |what: &str, said: Vec<(NodeId, String)>| {
        let camps = camps(said.into_iter().filter(|(_, version)| !version.is_empty()));
        if camps.len() > 1 {
            let each: Vec<String> = camps.iter().map(|(version, ids)| format!("{version} on {}", nodes(ids))).collect();
            lines.push(format!("{what}: {}", each.join(", ")));
            odd.extend(camps.iter().skip(1).flat_map(|(_, ids)| ids.clone()));
        }
    };
    let living = || scene.living();
    compare("Patroni", living().filter_map(|node| Some((node.id, node.patroni.known()?.version.clone()))).collect());
    compare(
        "PostgreSQL",
        living().filter_map(|node| Some((node.id, node.postgres.known()?.version.clone()))).collect(),
    );
    compare("etcd", living().filter_map(|node| Some((node.id, node.etcd.known()?.version.clone()))).collect());
    compare(
        "PgBouncer",
        living().filter_map(|node| Some((node.id, node.pgbouncer.known()?.version.clone()))).collect(),
    );
    let services: BTreeSet<&String> = scene.locals().flat_map(|(_, local)| local.containers.keys()).collect();
    for service in services {
        let images =
            scene.locals().filter_map(|(node, local)| Some((node.id, local.containers.get(service)?.image.clone())));
        compare(&format!("image of {service}"), images.collect());
    }
    if lines.is_empty() {
        return None;
    }
    let ids: Vec<NodeId> = odd.into_iter().collect();
    let what = format!("{} run other versions than the others", nodes(&ids));
    let what = if ids.len() == 1 { what.replacen(" run ", " runs ", 1) } else { what };
    let mut trouble = Trouble::cluster(code::VERSIONS_DIFFER, Severity::Notice, what)
        .about(ids.iter().copied())
        .seen_all(lines)
        .because("an upgrade has reached some nodes only, or an image was built anew under the same name");
    for id in ids {
        trouble = trouble.mend(
            id,
            crate::Risk::Disturbing,
            "./deploy",
            "with the same images and *_IMAGE lines in .env as on the others; restarts what changes",
        );
    }
    Some(trouble)
}
