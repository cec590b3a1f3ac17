//! What changed between two draws.

use std::collections::BTreeSet;

use pgstack_topology::NodeId;

use crate::view::{Row, nodes, rows, survival};
use crate::{Finding, Snapshot};

/// What changed from one look to the next, one short line each: `leader: node 1 → node 2`.
pub fn changes(before: (&Snapshot, &[Finding]), after: (&Snapshot, &[Finding])) -> Vec<String> {
    let mut changes = Vec::new();
    let mut tell = |what: &str, old: String, new: String| {
        if old != new {
            changes.push(format!("{what}: {old} → {new}"));
        }
    };
    let leader = |snapshot: &Snapshot| snapshot.leader().map_or("nobody".to_owned(), |node| nodes(&[node.id]));
    tell("leader", leader(before.0), leader(after.0));
    let (old, new) = (rows(before.0), rows(after.0));
    let owner = |rows: &[Row]| match rows.iter().filter(|row| row.owns_vip).map(|row| row.id).collect::<Vec<NodeId>>() {
        owners if owners.is_empty() => "nobody".to_owned(),
        owners => nodes(&owners),
    };
    tell("VIP", owner(&old), owner(&new));
    let headline = |snapshot: &Snapshot| survival(snapshot).headline();
    tell("survives", headline(before.0), headline(after.0));
    for row in &new {
        match old.iter().find(|old| old.id == row.id) {
            None => changes.push(format!("node {} is new in .env", row.id)),
            Some(old) => changes.extend(of_node(old, row)),
        }
    }
    for row in old.iter().filter(|old| new.iter().all(|row| row.id != old.id)) {
        changes.push(format!("node {} is no longer in .env", row.id));
    }
    // a finding's words may hold numbers that change from look to look: it is the same one all the same
    let known = |findings: &[Finding]| -> BTreeSet<(&str, Option<NodeId>)> {
        findings.iter().map(|finding| (finding.code, finding.node)).collect()
    };
    let (old, new) = (known(before.1), known(after.1));
    let appeared = after.1.iter().filter(|finding| !old.contains(&(finding.code, finding.node)));
    changes.extend(appeared.map(|finding| format!("new: {} {}", finding.code, finding.what)));
    let gone = before.1.iter().filter(|finding| !new.contains(&(finding.code, finding.node)));
    changes.extend(gone.map(|finding| format!("gone: {} {}", finding.code, finding.what)));
    changes
}

fn of_node(old: &Row, new: &Row) -> Vec<String> {
    match (old.reachable, new.reachable) {
        (true, false) => return vec![format!("node {} does not answer any more", new.id)],
        (false, true) => return vec![format!("node {} answers again", new.id)],
        _ => {}
    }
    let facts = [
        ("PostgreSQL", &old.postgres, &new.postgres),
        ("timeline", &old.timeline, &new.timeline),
        ("etcd", &old.etcd, &new.etcd),
        ("HAProxy", &old.haproxy, &new.haproxy),
        ("pooler", &old.pooler, &new.pooler),
    ];
    let changed = facts.iter().filter(|(_, old, new)| old.text != new.text);
    changed.map(|(fact, old, now)| format!("node {}: {fact} {} → {}", new.id, old.text, now.text)).collect()
}
