//! 044 to 046, 048: PostgreSQL's slots, settings and connections.

use super::scene::Scene;
use super::trouble::Trouble;
use crate::{Node, Postgres, Risk, Severity, Slot, code};

/// So much WAL in one slot deserves a look: the default lets it grow to 8 GB.
const MUCH: u64 = 1 << 30;

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    if let Some((leader, postgres)) = scene.leader().and_then(|node| Some((node, node.postgres.known()?))) {
        troubles.extend(postgres.slots.iter().filter_map(|slot| idle(scene, leader, slot)));
    }
    troubles.extend(pending(scene));
    troubles.extend(checksums(scene));
    troubles.extend(scene.living().filter_map(connections));
    troubles
}

fn idle(scene: &Scene<'_>, leader: &Node, slot: &Slot) -> Option<Trouble> {
    let Slot { name, active, holds_bytes, wal_status } = slot;
    let owner = scene.snapshot.node_of_member(name);
    let much = *holds_bytes >= MUCH || wal_status == "unreserved";
    // Patroni keeps the slot of a member that went away for half an hour, and drops it by itself
    let of_a_member = owner.is_some() || name.strip_prefix("patroni").is_some_and(|id| id.parse::<u8>().is_ok());
    // somebody else's that is used is somebody's business; why a node of ours does not use its own, other
    // rules tell, or it is about to
    if wal_status == "lost" && owner.is_some() || (*active || of_a_member) && !much {
        return None;
    }
    let holds = format!("{} MiB of WAL", holds_bytes >> 20);
    let use_of = if *active { "in use" } else { "not in use" };
    let trouble = match owner {
        Some(node) if node.id == leader.id || scene.settling() => return None,
        Some(node) => {
            let what = format!("the slot of node {} on the leader holds {holds}", node.id);
            Trouble::of(code::SLOT, Severity::Warning, node.id, what)
                .service("patroni")
                .because("that node is away or too slow; PostgreSQL keeps the WAL for it, up to max_slot_wal_keep_size")
                .by_hand(node.id, "bring the node back, or take it out for good: ./scripts/remove-node on another node")
        }
        None => {
            let what = format!("the slot {name} on the leader belongs to no node, and holds {holds}");
            Trouble::cluster(code::SLOT, Severity::Warning, what)
                .because(
                    "a node that is gone, a backup that was broken off or a consumer that was given up left it behind",
                )
                .by_hand(None, "does somebody still need it (a backup, logical replication)? Then start that again")
                .mend(
                    leader.id,
                    Risk::Destructive,
                    format!(
                        "docker exec patroni psql -U postgres -c \"SELECT pg_drop_replication_slot('{}')\"",
                        quoted(name)
                    ),
                    "else: drops the slot, and PostgreSQL may delete the WAL",
                )
        }
    };
    Some(trouble.seen(format!("PostgreSQL on node {}: slot {name}: {use_of}, holds {holds}, {wal_status}", leader.id)))
}

/// PostgreSQL allows only a-z, 0-9 and _ in the name of a slot. What is none of these is left out.
fn quoted(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

fn pending(scene: &Scene<'_>) -> Vec<Trouble> {
    let waiting = scene.patronis().filter(|(_, patroni)| !patroni.pending_restart.is_empty());
    waiting
        .map(|(node, patroni)| {
            let id = node.id;
            let settings: Vec<String> =
                patroni.pending_restart.iter().map(|(name, change)| format!("{name} {change}")).collect();
            let what = format!("PostgreSQL on node {id} waits for a restart to take settings up");
            Trouble::of(code::RESTART_PENDING, Severity::Notice, id, what)
                .several("PostgreSQL waits for a restart to take settings up")
                .service("patroni")
                .seen(format!("Patroni on node {id}: pending restart: {}", settings.join(", ")))
                .because("a setting was changed that PostgreSQL reads only when it starts")
                .mend(
                    None,
                    Risk::Disturbing,
                    "./deploy --restart-pending",
                    "on one node: restarts them one after the other, the primary last; open transactions are cut off",
                )
        })
        .collect()
}

fn checksums(scene: &Scene<'_>) -> Vec<Trouble> {
    let without = scene.living().filter(|node| node.postgres.known().is_some_and(|postgres| !postgres.data_checksums));
    without
        .map(|node| {
            let id = node.id;
            Trouble::of(code::NO_CHECKSUMS, Severity::Notice, id, format!("data checksums are off on node {id}"))
                .several("data checksums are off")
                .service("patroni")
                .seen(format!("PostgreSQL on node {id}: data_checksums is off"))
                .because("the cluster was made without them: damage on a disk would go unnoticed, and be copied")
                .by_hand(
                    None,
                    "pg_checksums switches them on while PostgreSQL is stopped, on every node; plan it: docs/troubleshooting.md",
                )
        })
        .collect()
}

fn connections(node: &Node) -> Option<Trouble> {
    let id = node.id;
    let (used, seen) = if let Some(Postgres { connections, max_connections, .. }) = node.postgres.known() {
        let full = connections.saturating_add(3) >= *max_connections;
        if *max_connections == 0 || u64::from(*connections) * 10 < u64::from(*max_connections) * 9 {
            return None;
        }
        (full, format!("PostgreSQL on node {id}: {connections} of {max_connections} connections"))
    } else {
        let why = node.postgres.why()?;
        if !(why.contains("too many clients") || why.contains("remaining connection slots")) {
            return None;
        }
        (true, format!("PostgreSQL on node {id}: {why}"))
    };
    let severity = if used { Severity::Critical } else { Severity::Warning };
    let what = if used { "has no connection left" } else { "has few connections left" };
    Some(
        Trouble::of(code::CONNECTIONS, severity, id, format!("PostgreSQL on node {id} {what}"))
            .service("patroni")
            .seen(seen)
            .because(
                "applications connect past the pooler (port 5000 or 5432), or hold connections that they do not use",
            )
            .by_hand(
                id,
                "who holds them: `docker exec patroni psql -U postgres -c 'SELECT usename, application_name, state, \
                 count(*) FROM pg_stat_activity GROUP BY 1, 2, 3 ORDER BY 4 DESC'`",
            )
            .by_hand(
                None,
                "let applications use port 6432, or raise POSTGRES_MAX_CONNECTIONS in every .env, ./deploy, \
                            ./deploy --restart-pending",
            ),
    )
}
