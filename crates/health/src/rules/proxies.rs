//! 060 to 065: what HAProxy and PgBouncer do with clients, and passwords that are refused.

use pgstack_topology::NodeId;

use super::patroni::is_on;
use super::scene::{Scene, Silence, is_young, silence};
use super::trouble::Trouble;
use crate::{DbServer, Haproxy, Node, Patroni, Pgbouncer, Severity, code};

/// So long may a proxy take to agree with Patroni.
const SLOW_S: u64 = 10;
/// A client that waits for so long notices.
const WAIT_MS: u64 = 5_000;
/// HAProxy itself takes a replica out that lags by more (haproxy.cfg).
const UNFIT_BYTES: u64 = 100_000_000;

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for (node, proxy) in scene.proxies() {
        troubles.extend(writes(scene, node, proxy));
        if !scene.settling() && !is_young(node, "haproxy") {
            troubles.extend(reads(scene, node, proxy));
        }
    }
    for node in scene.living() {
        if let Some(pooler) = node.pgbouncer.known() {
            troubles.extend(paused(scene, node, pooler));
            troubles.extend(waiting(scene, node, pooler));
        }
        troubles.extend(password(scene, node));
    }
    troubles
}

/// Clients come in where the VIP is; elsewhere nobody notices yet.
fn severity(scene: &Scene<'_>, id: NodeId) -> Severity {
    let nobody = scene.snapshot.vip_holders().next().is_none();
    if nobody || scene.holds_vip(id) { Severity::Critical } else { Severity::Warning }
}

fn servers<'a>(proxy: &'a Haproxy, backend: &'a str) -> impl Iterator<Item = &'a DbServer> {
    proxy.servers.iter().filter(move |server| server.backend == backend)
}

fn describe(id: NodeId, server: &DbServer) -> String {
    let DbServer { backend, name, status, check, since_s, .. } = server;
    format!("HAProxy on node {id}: {name} in {backend} is {status} ({check}) for {since_s} s")
}

fn writes(scene: &Scene<'_>, node: &Node, proxy: &Haproxy) -> Option<Trouble> {
    let id = node.id;
    let up: Vec<&DbServer> = servers(proxy, "primary").filter(|server| server.is_up).collect();
    if up.len() > 1 {
        let what = format!("HAProxy on node {id} sees {} primaries, and refuses writes", up.len());
        return (up.iter().all(|server| server.since_s >= SLOW_S)).then(|| {
            Trouble::of(code::PROXY_TWO_PRIMARIES, severity(scene, id), id, what)
                .several("HAProxy sees more than one primary, and refuses writes")
                .service("haproxy")
                .seen_all(up.iter().map(|server| describe(id, server)))
                .because("several Patronis say that they hold the leader lock: they do not see the same etcd")
                .by_hand(None, "compare `curl -s http://NODE:8008/patroni` of these nodes with `patronictl list`")
        });
    }
    let leader = scene.leader()?;
    let name = leader.id.patroni_name();
    let seen = match (up.first(), servers(proxy, "primary").find(|server| server.name == name)) {
        (Some(other), _) if other.name != name && other.since_s >= SLOW_S => describe(id, other),
        (None, Some(server)) if server.since_s >= SLOW_S && !is_young(node, "haproxy") => describe(id, server),
        (None, None) if !proxy.servers.is_empty() => format!("HAProxy on node {id}: knows no server {name}"),
        _ => return None,
    };
    if scene.settling() {
        return None;
    }
    let place = up.first().map_or_else(|| "nowhere".to_owned(), |server| format!("to {}", server.name));
    let what = format!("HAProxy on node {id} sends writes {place}, not to the leader {name}");
    Some(
        Trouble::of(code::WRITES_ASTRAY, severity(scene, id), id, what)
            .several("HAProxy does not send writes to the leader")
            .service("haproxy")
            .about([leader.id])
            .seen(seen)
            .seen(leader_says(scene, leader))
            .because("that HAProxy cannot reach the leader's Patroni (port 8008), or runs with an older file")
            .safe(id, "./deploy", "makes its file anew and lets HAProxy read it")
            .by_hand(id, format!("does `curl -i http://{}:8008/primary` answer 200 from there?", leader.address)),
    )
}

fn leader_says(scene: &Scene<'_>, leader: &Node) -> String {
    let id = leader.id;
    match scene.dcs().and_then(|dcs| dcs.leader.as_deref()) {
        Some(name) => format!("etcd: the leader is {name}, and its Patroni says that it takes writes"),
        None => format!("Patroni on node {id}: primary, running"),
    }
}

fn reads(scene: &Scene<'_>, node: &Node, proxy: &Haproxy) -> Vec<Trouble> {
    let id = node.id;
    let fit = |patroni: &Patroni| {
        let kept_out = patroni.tags.get("noloadbalance").is_some_and(|value| is_on(value));
        patroni.streams()
            && patroni.state == "running"
            && !kept_out
            && patroni.lag_bytes.is_none_or(|lag| lag < UNFIT_BYTES)
    };
    let replicas = scene.patronis().filter(|(replica, patroni)| fit(patroni) && !is_young(replica, "patroni"));
    let missed = replicas.filter_map(|(replica, _)| {
        let name = replica.id.patroni_name();
        let seen = match servers(proxy, "replicas").find(|server| server.name == name) {
            Some(server) if !server.is_up && server.since_s >= SLOW_S => describe(id, server),
            None if !proxy.servers.is_empty() => format!("HAProxy on node {id}: knows no server {name}"),
            _ => return None,
        };
        let what = format!("HAProxy on node {id} sends no reads to node {}, which streams", replica.id);
        Some(
            Trouble::of(code::PROXY_MISSES_REPLICA, Severity::Warning, id, what)
                .several("HAProxy sends no reads to a replica that streams")
                .service("haproxy")
                .about([replica.id])
                .seen(seen)
                .seen(format!("Patroni on node {}: replica, streaming", replica.id))
                .because("that HAProxy cannot reach the replica's Patroni (port 8008), or runs with an older file")
                .safe(id, "./deploy", "makes its file anew and lets HAProxy read it")
                .by_hand(id, format!("does `curl -i http://{}:8008/replica` answer 200 from there?", replica.address)),
        )
    });
    missed.collect()
}

/// How PgBouncer's console is asked, without a password: its own user, through its socket.
fn console(command: &str) -> String {
    format!("docker exec pgbouncer psql -h /tmp -p 6432 -U pgbouncer pgbouncer -c '{command}'")
}

/// A database's name as PgBouncer's console takes it; it is quoted once more by the shell.
fn database(name: &str) -> String {
    if name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\"").replace('\'', "'\\''"))
}

/// Whether an agent has paused the pooler for some seconds.
fn is_leased(node: &Node) -> bool {
    node.local.known().is_some_and(|local| local.pooler_leased)
}

fn paused(scene: &Scene<'_>, node: &Node, pooler: &Pgbouncer) -> Option<Trouble> {
    let id = node.id;
    // a switchover pauses it for seconds, and who resumes it earlier spoils that
    if is_leased(node) || pooler.paused.is_empty() && pooler.disabled.is_empty() {
        return None;
    }
    let all = pooler.paused.iter().any(|name| name == "*");
    let (state, hang) = if pooler.paused.is_empty() { ("disabled", "are refused") } else { ("paused", "hang") };
    let what = format!("the pooler of node {id} is {state}: clients on port 6432 {hang}");
    let mut trouble = Trouble::of(code::POOLER_PAUSED, severity(scene, id), id, what)
        .service("pgbouncer")
        .because("somebody paused it and has not resumed");
    for name in &pooler.paused {
        let which = if name == "*" { "everything".to_owned() } else { format!("database \"{name}\"") };
        trouble = trouble.seen(format!("PgBouncer on node {id}: {which} is paused"));
    }
    for name in &pooler.disabled {
        trouble = trouble.seen(format!("PgBouncer on node {id}: database \"{name}\" is disabled"));
    }
    if all {
        trouble = trouble.safe(id, console("RESUME"), "lets the clients go on");
    } else {
        for name in &pooler.paused {
            trouble = trouble.safe(id, console(&format!("RESUME {}", database(name))), "lets the clients go on");
        }
    }
    for name in &pooler.disabled {
        trouble = trouble.safe(id, console(&format!("ENABLE {}", database(name))), "lets clients in again");
    }
    Some(trouble)
}

fn waiting(scene: &Scene<'_>, node: &Node, pooler: &Pgbouncer) -> Option<Trouble> {
    let id = node.id;
    let slow = pooler.pools.iter().filter(|pool| pool.clients_waiting > 0 && pool.max_wait_ms > WAIT_MS);
    let lines: Vec<String> = slow
        .map(|pool| {
            format!(
                "PgBouncer on node {id}: {}/{}: {} wait, the first for {} s; {} work, {} connections to PostgreSQL work, {} are free",
                pool.database,
                pool.user,
                pool.clients_waiting,
                pool.max_wait_ms / 1000,
                pool.clients_active,
                pool.servers_active,
                pool.servers_idle
            )
        })
        .collect();
    // they wait for a primary, and for a few seconds
    if lines.is_empty() || is_leased(node) {
        return None;
    }
    let what = format!("clients of the pooler of node {id} wait long for a connection");
    Some(
        Trouble::of(code::CLIENTS_WAIT, severity(scene, id), id, what)
            .service("pgbouncer")
            .seen_all(lines)
            .because("all connections of the pool work on long transactions, or PostgreSQL lets no new ones in")
            .by_hand(
                None,
                "what takes so long: `docker exec patroni psql -U postgres -c 'SELECT pid, usename, state, now() - \
                 xact_start AS since, left(query, 60) FROM pg_stat_activity WHERE xact_start IS NOT NULL ORDER BY 4 \
                 DESC'` on the leader's node",
            )
            .by_hand(
                None,
                "end one with pg_terminate_backend(PID), or raise POSTGRES_MAX_CONNECTIONS in every .env and ./deploy",
            ),
    )
}

fn password(scene: &Scene<'_>, node: &Node) -> Option<Trouble> {
    let id = node.id;
    let (mut lines, mut services) = (Vec::new(), Vec::new());
    if silence(&node.pgbouncer) == Some(Silence::Password) {
        lines.push(format!("PgBouncer on node {id}: role postgres: the password is refused"));
        services.push(("PgBouncer", "pgbouncer"));
    }
    let superuser = (silence(&node.postgres) == Some(Silence::Password)).then_some("postgres");
    let others = node.postgres.known().into_iter().flat_map(|postgres| &postgres.refused_roles).map(String::as_str);
    let refused: Vec<&str> = superuser.into_iter().chain(others).collect();
    if !refused.is_empty() {
        lines.extend(
            refused.iter().map(|role| format!("PostgreSQL on node {id}: role {role}: the password is refused")),
        );
        services.push(("PostgreSQL", "patroni"));
    }
    // what explains replicas that do not stream
    let replication = refused.contains(&"replicator").then_some("replication");
    let names: Vec<&str> = services.iter().map(|(name, _)| *name).collect();
    let verb = if names.len() == 1 { "refuses" } else { "refuse" };
    let what = format!("{} on node {id} {verb} a password of .env", names.join(" and "));
    let mut trouble = Trouble::of(code::PASSWORD_REFUSED, Severity::Warning, id, what)
        .several("passwords of .env are refused")
        .seen_all(lines)
        .because("it was changed in .env or with SQL, and `deploy` has not finished since on every node");
    // any other would wait for the leader's
    let leader = scene.leader().map(|leader| leader.id);
    if let Some(leader) = leader {
        trouble = trouble.safe(leader, "./deploy", "makes PostgreSQL's roles as .env says, which is enough after SQL");
    }
    if leader != Some(id) {
        trouble = trouble.safe(id, "./deploy", "makes its files anew");
    }
    let trouble = trouble.by_hand(None, "after a change of .env on all nodes at once, as each waits until all agree");
    let of_services = services.iter().map(|(_, service)| *service).chain(replication);
    let of_services = of_services.fold(trouble, Trouble::service);
    (!services.is_empty()).then_some(of_services)
}
