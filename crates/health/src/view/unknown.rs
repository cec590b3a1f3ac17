//! Which facts are unknown, and why: grouped, so that a dead node is one line.

use pgstack_topology::NodeId;

use crate::{Node, Snapshot};

/// Facts that are unknown for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// `node 3: everything`.
    pub(crate) what: String,
    /// `no answer in time`.
    pub(crate) why: String,
}

/// What is unknown.
pub(crate) fn unknown(snapshot: &Snapshot) -> Vec<Unknown> {
    let mut groups: Vec<(Vec<NodeId>, String, String)> = Vec::new();
    for node in &snapshot.nodes {
        for (facts, why) in of_node(node) {
            match groups.iter_mut().find(|(_, what, reason)| *what == facts && *reason == why) {
                Some((ids, _, _)) => ids.push(node.id),
                None => groups.push((vec![node.id], facts, why)),
            }
        }
    }
    let of_nodes =
        groups.into_iter().map(|(ids, facts, why)| Unknown { what: format!("{}: {facts}", super::nodes(&ids)), why });
    let keys = snapshot.dcs.why().map(|why| ("Patroni's keys in etcd", why));
    let vip = snapshot.vip_answers.why().filter(|_| snapshot.with_vip).map(|why| ("who answers at the VIP", why));
    let of_cluster =
        keys.into_iter().chain(vip).map(|(what, why)| Unknown { what: what.to_owned(), why: why.to_owned() });
    of_nodes.chain(of_cluster).collect()
}

/// What is unknown about a node, by reason.
fn of_node(node: &Node) -> Vec<(String, String)> {
    let local = node.local.known();
    let facts = [
        ("etcd", node.etcd.why()),
        ("Patroni", node.patroni.why()),
        ("PostgreSQL", node.postgres.why()),
        ("HAProxy", node.haproxy.why()),
        ("HAProxy's servers", node.haproxy.known().and_then(|haproxy| haproxy.servers_unknown.as_deref())),
        ("PgBouncer", node.pgbouncer.why()),
        ("containers, files and disks", node.local.why()),
        // the clock is told by the agent's answer: one reason for both
        ("clock", node.clock_offset_ms.why().filter(|_| local.is_some())),
        (".env", local.and_then(|local| local.settings.why())),
    ];
    let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
    for (fact, why) in facts.iter().filter_map(|(fact, why)| Some((*fact, (*why)?))) {
        match groups.iter_mut().find(|(_, reason)| *reason == why) {
            Some((facts, _)) => facts.push(fact),
            None => groups.push((vec![fact], why)),
        }
    }
    if groups.iter().map(|(facts, _)| facts.len()).sum::<usize>() >= 6 {
        let mut reasons: Vec<&str> = groups.into_iter().map(|(_, why)| why).collect();
        reasons.sort_unstable();
        return vec![("everything".to_owned(), reasons.join("; "))];
    }
    groups.into_iter().map(|(facts, why)| (facts.join(", "), why.to_owned())).collect()
}
