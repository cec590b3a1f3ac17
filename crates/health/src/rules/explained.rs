//! What follows from what: one root cause, one finding. Every dependency between troubles is in the
//! table here and nowhere else. A few troubles are told beside the containers that do not run and made them, as they are
//! worse: no quorum, no leader, no synchronous standby, no owner of the VIP.

use super::scene::Scene;
use super::trouble::Trouble;
#[allow(clippy::wildcard_imports, reason = "the tables are made of codes, and of nothing else")]
use crate::code::*;

/// How far a cause reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Troubles about its own node.
    Node,
    /// The same, but only those about the same service.
    Service,
    /// The whole cluster.
    Cluster,
    /// Its node; the whole cluster where that node leads.
    NodeOrFollowers,
}
use Reach::{Cluster, Node, NodeOrFollowers, Service};

/// Every trouble.
const EVERYTHING: &[&str] = &["*"];

/// A cause (where one is named, of this service only), how far it reaches, and what it explains there.
const CAUSES: &[(&str, &str, Reach, &[&str])] = &[
    // who does not answer at all explains whatever is odd about that node
    (NODE_SILENT, "", Node, EVERYTHING),
    (AGENT_REFUSES, "", Node, &[ENV_DIFFERS, PASSWORD_REFUSED, DCS_ENV_DIFFERS]),
    (AGENT_SILENT, "", Node, &[SLOT]),
    // a port that is shut explains what others miss behind it
    (PORT_BLOCKED, "etcd", NodeOrFollowers, &[FAILSAFE_ACTIVE, MEMBER_DOWN]),
    (PORT_BLOCKED, "patroni", NodeOrFollowers, &[NOT_STREAMING, WRITES_ASTRAY, PROXY_MISSES_REPLICA, SLOT, LAGGING]),
    (PORT_BLOCKED, "haproxy", Node, &[CLIENTS_WAIT]),
    // a container that does not run explains its service, and what that service does for others
    (CONTAINER_DOWN, "etcd", Node, &[MEMBER_DOWN, FAILSAFE_ACTIVE, LEARNER_STUCK]),
    (
        CONTAINER_DOWN,
        "patroni",
        Node,
        &[
            NOT_STREAMING,
            OTHER_CLUSTER,
            OTHER_TIMELINE,
            POSTGRES_DOWN,
            WAL_LOST,
            SLOT,
            LAGGING,
            NEVER_PRIMARY,
            ADDRESS_WRONG,
        ],
    ),
    (CONTAINER_DOWN, "haproxy", Node, &[CLIENTS_WAIT]),
    (CONTAINER_DOWN, "", Service, &[CONTAINER_OUTDATED, FILES_UNREAD]),
    (OUT_OF_MEMORY, "", Service, &[CONTAINER_DOWN, CONTAINER_FAILS]),
    (CONTAINER_FAILS, "etcd", Node, &[FAILSAFE_ACTIVE]),
    (CONTAINER_FAILS, "patroni", Node, &[NOT_STREAMING, SLOT, LAGGING]),
    (CONTAINER_FAILS, "haproxy", Node, &[CLIENTS_WAIT, WRITES_ASTRAY, PROXY_MISSES_REPLICA]),
    (CONTAINER_FOREIGN, "", Service, &[CONTAINER_OUTDATED, FILES_UNREAD, CONTAINER_FAILS]),
    (CONTAINER_FOREIGN, "", Node, &[FILE_ODD]),
    (CONTAINER_OUTDATED, "", Node, &[FILES_UNREAD, VERSIONS_DIFFER]),
    // without a quorum nobody is elected, and Patroni and etcd complain about it
    (
        QUORUM_LOST,
        "",
        Cluster,
        &[MEMBER_DOWN, NO_LEADER, FAILSAFE_ACTIVE, ETCD_SLOW, CLIENTS_WAIT, NO_OWNER, POSTGRES_DOWN],
    ),
    (QUORUM_LOST, "etcd", Cluster, &[CONTAINER_FAILS, PORT_BLOCKED]),
    (ETCD_FULL, "", Cluster, &[ETCD_SLOW, FAILSAFE_ACTIVE, NO_LEADER, MEMBER_DOWN]),
    (ETCD_FULL, "etcd", Cluster, &[CONTAINER_FAILS]),
    (ETCD_CORRUPT, "", Cluster, &[FAILSAFE_ACTIVE, ETCD_SLOW, NO_LEADER]),
    (ETCD_CORRUPT, "", Node, &[MEMBER_DOWN]),
    (ETCD_CORRUPT, "etcd", Cluster, &[CONTAINER_FAILS]),
    // a Patroni that is started there would believe the wrong etcd: what does not run waits, and the mend starts it
    (
        ETCD_SPLIT,
        "",
        Node,
        &[MEMBER_DOWN, MEMBER_MISSING, FAILSAFE_ACTIVE, CONTAINER_FAILS, CONTAINER_DOWN, MEMBER_FOREIGN],
    ),
    (MEMBER_DOWN, "etcd", Service, &[CONTAINER_FAILS]),
    (MEMBER_DOWN, "", Node, &[FAILSAFE_ACTIVE]),
    // who is counted among the voters and should not be, or the other way round
    (MEMBER_FOREIGN, "", Cluster, &[EVEN_VOTERS]),
    (MEMBER_MISSING, "", Cluster, &[EVEN_VOTERS]),
    (MEMBER_MISSING, "etcd", Service, &[MEMBER_DOWN, CONTAINER_FAILS, CONTAINER_DOWN]),
    (LEARNER_STUCK, "", Cluster, &[EVEN_VOTERS]),
    (LEARNER_STUCK, "etcd", Service, &[CONTAINER_FAILS, MEMBER_DOWN]),
    // who leads, and where
    (NO_LEADER, "", Cluster, &[NOT_STREAMING, CLIENTS_WAIT, WRITES_ASTRAY, FAILSAFE_ACTIVE, NO_SYNC_STANDBY]),
    (ADDRESS_WRONG, "patroni", NodeOrFollowers, &[NOT_STREAMING, LAGGING, SLOT, FAILSAFE_ACTIVE, CONTAINER_FAILS]),
    (INITIALIZE_STALE, "", Cluster, &[NO_LEADER, OTHER_CLUSTER, POSTGRES_DOWN, NOT_STREAMING, CONTAINER_FAILS]),
    (TWO_PRIMARIES, "", Cluster, &[OTHER_TIMELINE, NOT_STREAMING, WRITES_ASTRAY, PROXY_TWO_PRIMARIES, SLOT]),
    // why a replica does not follow
    (OTHER_CLUSTER, "", Node, &[NOT_STREAMING, OTHER_TIMELINE, POSTGRES_DOWN, SLOT, CONTAINER_FAILS]),
    (OTHER_TIMELINE, "", Node, &[NOT_STREAMING, POSTGRES_DOWN, SLOT, CONTAINER_FAILS]),
    (WAL_LOST, "", Node, &[NOT_STREAMING, SLOT, LAGGING, CONTAINER_FAILS]),
    (POSTGRES_DOWN, "", Node, &[SLOT, CONTAINER_FAILS, CLIENTS_WAIT]),
    (NOT_STREAMING, "", Node, &[SLOT, LAGGING]),
    (REPLAY_PAUSED, "", Node, &[LAGGING]),
    (LAGGING, "", Node, &[SLOT, PROXY_MISSES_REPLICA]),
    // clients that wait
    (CONNECTIONS, "", Cluster, &[CLIENTS_WAIT]),
    (WRITES_ASTRAY, "", Node, &[CLIENTS_WAIT]),
    (PROXY_TWO_PRIMARIES, "", Node, &[CLIENTS_WAIT]),
    (POOLER_PAUSED, "", Node, &[CLIENTS_WAIT]),
    (PASSWORD_REFUSED, "", Node, &[CLIENTS_WAIT]),
    (PASSWORD_REFUSED, "replication", NodeOrFollowers, &[NOT_STREAMING, SLOT, LAGGING]),
    (PASSWORD_REFUSED, "pgbouncer", Service, &[CONTAINER_FAILS]),
    // the VIP
    (OWNER_DEAD, "", Service, &[CONTAINER_DOWN, CONTAINER_FAILS]),
    (VIP_FOREIGN, "", Cluster, &[NO_OWNER]),
    // files
    (FILE_ODD, "", Node, &[FILES_UNREAD, WRITES_ASTRAY, PROXY_MISSES_REPLICA]),
    (FILE_ODD, "docker-compose.yaml", Node, &[CONTAINER_OUTDATED]),
    (FILES_UNREAD, "haproxy", Node, &[WRITES_ASTRAY, PROXY_MISSES_REPLICA]),
    (ENV_INVALID, "", Node, &[FILE_ODD, ADDRESS_NOT_HERE]),
    (ENV_DIFFERS, "", Node, &[FILE_ODD, PASSWORD_REFUSED, NO_KEEPALIVED, VERSIONS_DIFFER, ETCD_DOOR]),
    (DCS_ENV_DIFFERS, "", Node, &[FILE_ODD, FILES_UNREAD]),
    (ADDRESS_NOT_HERE, "", Node, &[ADDRESS_WRONG, FILE_ODD, NO_KEEPALIVED]),
    (DISK, "", Node, &[ETCD_SLOW]),
];

/// The troubles that no other one explains.
pub(super) fn causes(scene: &Scene<'_>, troubles: Vec<Trouble>) -> Vec<Trouble> {
    let explained: Vec<bool> = (0..troubles.len())
        .map(|at| {
            let trouble = &troubles[at];
            let others = troubles.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other);
            let mut others = others.filter(|other| other.finding.code != trouble.finding.code);
            others.any(|cause| explains(scene, cause, trouble))
        })
        .collect();
    let kept = troubles.into_iter().zip(explained).filter(|(_, explained)| !explained);
    kept.map(|(trouble, _)| trouble).collect()
}

fn explains(scene: &Scene<'_>, cause: &Trouble, trouble: &Trouble) -> bool {
    let of = CAUSES.iter().filter(|(code, ..)| *code == cause.finding.code);
    let mut of = of.filter(|(_, service, ..)| service.is_empty() || has(cause, service));
    of.any(|(_, service, reach, consequences)| {
        let named = *consequences == EVERYTHING || consequences.contains(&trouble.finding.code);
        // what is about the whole cluster is explained only by all nodes that it names
        let near = || match trouble.finding.node {
            Some(_) => trouble.about.iter().any(|id| cause.about.contains(id)),
            None => !trouble.about.is_empty() && trouble.about.iter().all(|id| cause.about.contains(id)),
        };
        named
            && match reach {
                // a container's complaint is explained by its own service's trouble only
                Reach::Cluster => service.is_empty() || has(trouble, service),
                Reach::Node => near(),
                Reach::Service => near() && trouble.services.iter().all(|service| has(cause, service)),
                Reach::NodeOrFollowers => near() || cause.about.iter().any(|id| scene.leads(*id)),
            }
    })
}

fn has(trouble: &Trouble, service: &str) -> bool {
    trouble.services.iter().any(|named| named == service)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether one code can explain another, over however many steps.
    fn leads_to(from: &str, to: &str, depth: usize) -> bool {
        depth > 0
            && CAUSES.iter().filter(|(code, ..)| *code == from).any(|(.., consequences)| {
                consequences.contains(&to) || consequences.iter().any(|next| leads_to(next, to, depth - 1))
            })
    }

    #[test]
    fn no_trouble_explains_itself_in_the_end() {
        for (code, ..) in CAUSES {
            assert!(!leads_to(code, code, 6), "{code}");
        }
    }
}
