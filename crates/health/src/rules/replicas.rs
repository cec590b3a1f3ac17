//! 040 to 043, 047, 049 to 051: the copies of the data.

use super::patroni::is_on;
use super::scene::{Scene, container, is_young};
use super::trouble::Trouble;
use crate::{Node, Patroni, Risk, Severity, code};

/// What Patroni calls a PostgreSQL that it could not bring up, or that went away.
const BROKEN: [&str; 8] = [
    "start failed",
    "restart failed",
    "stop failed",
    "crashed",
    "stopped",
    "initdb failed",
    "custom bootstrap failed",
    "unknown",
];
/// A lag that a second ends is none.
const LAG_S: f64 = 5.0;

/// What a log of Patroni or PostgreSQL says, in the agent's words, and which trouble that is.
const LOG: [(&str, &str); 4] = [
    ("belongs to another cluster", code::OTHER_CLUSTER),
    ("gone another way", code::OTHER_TIMELINE),
    ("dropped the WAL", code::WAL_LOST),
    ("the data here", code::POSTGRES_DOWN),
];

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for node in scene.living() {
        let found = by_log(scene, node).or_else(|| other_cluster(scene, node)).or_else(|| lost_wal(scene, node));
        let found = found.or_else(|| other_timeline(scene, node)).or_else(|| down(scene, node));
        troubles.extend(found.or_else(|| silent(scene, node)));
        troubles.extend(lag(scene, node));
        troubles.extend(paused(node));
        troubles.extend(barred(scene, node));
    }
    troubles
}

/// What Patroni's log says, where it does not serve.
fn said(node: &Node) -> Option<&str> {
    container(node, "patroni")?.trouble.as_deref()
}

fn by_log(scene: &Scene<'_>, node: &Node) -> Option<Trouble> {
    let said = said(node)?;
    let at_work =
        |patroni: &Patroni| patroni.streams() || patroni.takes_writes() || patroni.state == "creating replica";
    // a log tells what was, too: who works, or has only just begun to, is left alone
    let loops = container(node, "patroni").is_some_and(|it| it.status == "restarting" || it.restarts > 2);
    if node.patroni.known().is_some_and(at_work) || scene.settling() || is_young(node, "patroni") && !loops {
        return None;
    }
    let code = LOG.iter().find(|(words, _)| said.contains(words)).map(|(_, code)| *code)?;
    let seen = format!("log of patroni on node {}: {said}", node.id);
    let trouble = match code {
        code::OTHER_CLUSTER => other_data(scene, node),
        code::OTHER_TIMELINE => diverged(node),
        code::WAL_LOST => gone(node),
        _ => broken(scene, node),
    };
    Some(trouble.seen(seen))
}

fn reclone(trouble: Trouble, node: &Node) -> Trouble {
    trouble.mend(
        node.id,
        Risk::Destructive,
        "./scripts/reclone --yes",
        "copies the leader's data; the old data is kept aside, in data/pg.TIME",
    )
}

fn other_data(scene: &Scene<'_>, node: &Node) -> Trouble {
    let id = node.id;
    let what = format!("the data of node {id} belongs to another database cluster");
    let mut trouble = Trouble::of(code::OTHER_CLUSTER, Severity::Warning, id, what)
        .service("patroni")
        .because("it comes from another bootstrap: an older life of this machine, or a node that was set up apart");
    if let Some(id) = scene.dcs().and_then(|dcs| dcs.initialize.as_deref()) {
        trouble = trouble.seen(format!("etcd: initialize is {id}"));
    }
    reclone(trouble, node)
}

fn other_cluster(scene: &Scene<'_>, node: &Node) -> Option<Trouble> {
    let patroni = node.patroni.known()?;
    let right = scene
        .leader()
        .and_then(|leader| leader.patroni.known()?.system_id.as_deref())
        .or_else(|| scene.dcs()?.initialize.as_deref())
        .filter(|id| !id.is_empty())?;
    let mine = patroni.system_id.as_deref().filter(|id| !id.is_empty() && *id != right)?;
    Some(other_data(scene, node).seen(format!("Patroni on node {}: system identifier {mine}", node.id)))
}

fn gone(node: &Node) -> Trouble {
    let id = node.id;
    let what = format!("node {id} needs WAL that the leader no longer has");
    let trouble = Trouble::of(code::WAL_LOST, Severity::Warning, id, what)
        .service("patroni")
        .because("it was away for longer than its slot may hold WAL for it (max_slot_wal_keep_size)");
    reclone(trouble, node)
}

fn lost_wal(scene: &Scene<'_>, node: &Node) -> Option<Trouble> {
    if node.patroni.known().is_some_and(Patroni::streams) {
        return None;
    }
    let leader = scene.leader()?;
    let slots = &leader.postgres.known()?.slots;
    let slot = slots.iter().find(|slot| slot.name == node.id.patroni_name() && slot.wal_status == "lost")?;
    Some(gone(node).seen(format!("PostgreSQL on node {}: slot {} has lost its WAL", leader.id, slot.name)))
}

fn diverged(node: &Node) -> Trouble {
    let id = node.id;
    let what = format!("the data of node {id} has gone another way than the leader's");
    let trouble = Trouble::of(code::OTHER_TIMELINE, Severity::Warning, id, what).service("patroni").because(
        "it wrote something, as a primary, that the new leader never got, and pg_rewind could not take it back",
    );
    reclone(trouble, node)
}

/// A replica that runs, does not stream, and had the time to begin to.
fn stands_still<'a>(scene: &Scene<'a>, node: &'a Node) -> Option<(&'a Patroni, &'a Node)> {
    let patroni = node.patroni.known()?;
    let leader = scene.leader().filter(|leader| leader.id != node.id)?;
    let still = !patroni.is_primary() && patroni.state == "running" && !patroni.streams();
    (still && !scene.settling() && !is_young(node, "patroni")).then_some((patroni, leader))
}

fn other_timeline(scene: &Scene<'_>, node: &Node) -> Option<Trouble> {
    let (patroni, leader) = stands_still(scene, node)?;
    let of = |node: &Node, patroni: Option<&Patroni>| {
        patroni.and_then(|patroni| patroni.timeline).or_else(|| Some(node.postgres.known()?.timeline))
    };
    let (mine, theirs) = (of(node, Some(patroni))?, of(leader, leader.patroni.known())?);
    (mine != theirs).then(|| {
        diverged(node)
            .seen(format!("Patroni on node {}: timeline {mine}, does not stream", node.id))
            .seen(format!("Patroni on node {}: leads on timeline {theirs}", leader.id))
    })
}

fn broken(scene: &Scene<'_>, node: &Node) -> Trouble {
    let id = node.id;
    let severity = if scene.leads(id) { Severity::Critical } else { Severity::Warning };
    let what = format!("PostgreSQL on node {id} does not run, though its Patroni does");
    let trouble = Trouble::of(code::POSTGRES_DOWN, severity, id, what)
        .service("patroni")
        .because(said(node).unwrap_or(
            "it cannot start: owner or mode of its files, an older layout, a full disk or damage; Patroni's log tells",
        ))
        .by_hand(id, "`docker logs --tail 50 patroni` tells in its own words")
        .mend(
            id,
            Risk::Safe,
            "chown -R 999:999 data/pg && ./deploy",
            "where the log speaks of ownership or permissions; `deploy` sets the mode of the folder",
        );
    // an owner that is wrong is no reason to copy everything
    let owner = said(node).is_some_and(|said| said.contains("chown"));
    if owner || scene.leads(id) { trouble } else { reclone(trouble, node) }
}

fn down(scene: &Scene<'_>, node: &Node) -> Option<Trouble> {
    let patroni = node.patroni.known()?;
    let empty = patroni.role == "uninitialized";
    // without a leader an empty node has nothing to copy
    let broken_now = BROKEN.contains(&patroni.state.as_str()) && (!empty || scene.leader().is_some());
    // in maintenance mode Patroni leaves it as it is, which PGS-033 tells; who is demoted stops for a moment
    let left_alone = patroni.state == "stopped" && (patroni.paused || scene.settling());
    (broken_now && !left_alone && !is_young(node, "patroni"))
        .then(|| broken(scene, node).seen(format!("Patroni on node {}: {}, {}", node.id, patroni.role, patroni.state)))
}

fn silent(scene: &Scene<'_>, node: &Node) -> Option<Trouble> {
    let (patroni, leader) = stands_still(scene, node)?;
    let id = node.id;
    let state = patroni.replication_state.as_deref().unwrap_or("none");
    let mut trouble =
        Trouble::of(code::NOT_STREAMING, Severity::Warning, id, format!("node {id} does not stream from the leader"))
            .service("patroni")
            .seen(format!("Patroni on node {id}: {}, {}, replication: {state}", patroni.role, patroni.state))
            .because("it cannot reach the leader's PostgreSQL, is refused there, or what it needs is gone")
            .by_hand(id, "`docker logs --tail 50 patroni` tells in PostgreSQL's own words")
            .safe(leader.id, "./deploy", "mends the role under which replicas log in")
            .safe(id, "./deploy", "mends its files and address, and says what the log means")
            .by_hand(
                id,
                "only where the log says that WAL is gone or the data has gone another way: ./scripts/reclone",
            );
    if let Some(postgres) = leader.postgres.known() {
        let name = id.patroni_name();
        let listed = postgres.standbys.iter().find(|standby| standby.name == name);
        let state = listed.map_or("not among those that stream", |standby| standby.state.as_str());
        trouble = trouble.seen(format!("PostgreSQL on node {}: {name} is {state}", leader.id));
    }
    if let Some(said) = said(node) {
        trouble = trouble.seen(format!("log of patroni on node {id}: {said}")).because(said);
    }
    Some(trouble)
}

fn lag(scene: &Scene<'_>, node: &Node) -> Option<Trouble> {
    let patroni = node.patroni.known().filter(|patroni| patroni.streams())?;
    let leader = scene.leader().filter(|leader| leader.id != node.id)?;
    let name = node.id.patroni_name();
    let standby = leader.postgres.known().and_then(|it| it.standbys.iter().find(|standby| standby.name == name));
    let bytes = standby.map(|standby| standby.lag_bytes).or(patroni.lag_bytes)?;
    // the leader's figure is that of the last answer: it stands still where the replay does
    let seconds = [standby.and_then(|standby| standby.lag_s), node.postgres.known().and_then(|it| it.replay_lag_s)];
    let seconds = seconds.into_iter().flatten().reduce(f64::max);
    let max = scene.number("maximum_lag_on_failover", 1_048_576);
    if bytes <= max || seconds.is_some_and(|seconds| seconds < LAG_S) || scene.settling() {
        return None;
    }
    let id = node.id;
    let time = seconds.map(|seconds| format!(", {seconds:.0} s")).unwrap_or_default();
    Some(
        Trouble::of(code::LAGGING, Severity::Warning, id, format!("node {id} is too far behind to be elected"))
            .service("patroni")
            .seen(format!("PostgreSQL on node {}: {name} is {bytes} bytes behind{time}", leader.id))
            .seen(format!("etcd: maximum_lag_on_failover is {max} bytes"))
            .because("its disk or the network cannot keep up, or a long query there holds the replay up")
            .by_hand(id, "`iostat -x 1`, and pg_stat_activity there: what is slow, and which query is old?")
            .by_hand(None, "wait, when a bulk load runs: it catches up by itself"),
    )
}

fn paused(node: &Node) -> Option<Trouble> {
    let id = node.id;
    node.postgres.known().filter(|postgres| postgres.in_recovery && postgres.replay_paused)?;
    Some(
        Trouble::of(code::REPLAY_PAUSED, Severity::Warning, id, format!("the replay on node {id} is paused"))
            .service("patroni")
            .seen(format!("PostgreSQL on node {id}: pg_is_wal_replay_paused() is true"))
            .because("somebody called pg_wal_replay_pause(): the node receives, but shows old data")
            .mend(
                id,
                Risk::Disturbing,
                "docker exec patroni psql -U postgres -c 'SELECT pg_wal_replay_resume()'",
                "lets it go on, which cannot be undone: not while somebody rescues older rows from it",
            ),
    )
}

fn barred(scene: &Scene<'_>, node: &Node) -> Option<Trouble> {
    let id = node.id;
    let member = scene.dcs().and_then(|dcs| dcs.members.iter().find(|member| member.name == id.patroni_name()));
    let own = node.patroni.known().map(|patroni| &patroni.tags);
    let tags = own.into_iter().chain(member.map(|member| &member.tags));
    let barred = tags.flatten().find(|(tag, value)| {
        tag.as_str() == "nofailover" && is_on(value) || tag.as_str() == "failover_priority" && value.trim() == "0"
    });
    let (tag, value) = barred?;
    Some(
        Trouble::of(code::NEVER_PRIMARY, Severity::Notice, id, format!("node {id} may never become the primary"))
            .service("patroni")
            .seen(format!("Patroni on node {id}: tag {tag}: {value}"))
            .because("patroni.yml was edited by hand; with it the cluster bears one loss less")
            .safe(id, "./deploy", "makes patroni.yml anew, without this tag"),
    )
}
