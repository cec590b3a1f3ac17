//! A node in words.

use std::net::Ipv4Addr;

use pgstack_topology::NodeId;

use crate::{Container, Etcd, Fact, Node, Patroni, Snapshot, Standby};

/// How a word is meant; colour only repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Plain,
    Bad,
    Unknown,
}

impl Mood {
    /// The class that the page gives it.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Plain => "plain",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}

/// A word about a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) mood: Mood,
}

impl Word {
    fn new(text: impl Into<String>, mood: Mood) -> Self {
        Self { text: text.into(), mood }
    }

    fn unknown() -> Self {
        Self::new("?", Mood::Unknown)
    }
}

/// A node in words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Row {
    pub(crate) id: NodeId,
    pub(crate) address: Ipv4Addr,
    pub(crate) reachable: bool,
    /// It holds the leader key.
    pub(crate) leads: bool,
    /// It streams from the leader.
    pub(crate) streams: bool,
    pub(crate) role: Word,
    pub(crate) postgres: Word,
    pub(crate) lag: Word,
    pub(crate) timeline: Word,
    pub(crate) etcd: Word,
    pub(crate) haproxy: Word,
    pub(crate) pooler: Word,
    pub(crate) owns_vip: bool,
}

/// All nodes in words, in order.
pub(crate) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    snapshot.nodes.iter().map(|node| row(snapshot, node)).collect()
}

fn row(snapshot: &Snapshot, node: &Node) -> Row {
    let leads = snapshot.leader().is_some_and(|leader| leader.id == node.id);
    Row {
        id: node.id,
        address: node.address,
        reachable: node.reachable,
        leads,
        streams: streams(snapshot, node),
        role: role(snapshot, node, leads),
        postgres: postgres(node),
        lag: lag(snapshot, node, leads),
        timeline: timeline(node),
        etcd: etcd(snapshot, node),
        haproxy: match &node.haproxy {
            Fact::Known(_) => Word::new("ok", Mood::Good),
            Fact::Unknown { .. } => silent(node, "haproxy"),
        },
        pooler: match &node.pgbouncer {
            Fact::Known(pooler) if !pooler.paused.is_empty() => Word::new("paused", Mood::Bad),
            Fact::Known(_) => Word::new("ok", Mood::Good),
            Fact::Unknown { .. } => silent(node, "pgbouncer"),
        },
        owns_vip: owns_vip(snapshot, node),
    }
}

/// By its own kernel, or where that is unknown, by who answers at the VIP.
fn owns_vip(snapshot: &Snapshot, node: &Node) -> bool {
    match &node.local {
        Fact::Known(local) => local.holds_vip,
        Fact::Unknown { .. } => snapshot.vip_answers.known() == Some(&node.id),
    }
}

/// A service that does not answer: down, if its machine says so, or unknown.
fn silent(node: &Node, service: &str) -> Word {
    if is_down(node, service) { Word::new("down", Mood::Bad) } else { Word::unknown() }
}

fn is_down(node: &Node, service: &str) -> bool {
    let runs = |container: &Container| container.status == "running";
    node.local.known().is_some_and(|local| !local.containers.get(service).is_some_and(runs))
}

fn role(snapshot: &Snapshot, node: &Node, leads: bool) -> Word {
    let patroni = node.patroni.known();
    if leads {
        return Word::new("leader", Mood::Good);
    }
    if patroni.is_some_and(Patroni::is_primary) {
        return Word::new("primary", Mood::Bad);
    }
    let sync = patroni.is_some_and(|patroni| patroni.sync_standby)
        || snapshot.dcs.known().is_some_and(|dcs| dcs.sync_standbys.contains(&node.id.patroni_name()));
    match patroni.map(|patroni| patroni.role.as_str()) {
        Some("replica") | None if sync => Word::new("sync", Mood::Plain),
        Some("replica") => Word::new("replica", Mood::Plain),
        // `standby_leader`, `uninitialized`
        Some(other) => Word::new(other, Mood::Plain),
        None => match node.postgres.known() {
            Some(postgres) if postgres.in_recovery => Word::new("replica", Mood::Plain),
            Some(_) => Word::new("primary", Mood::Bad),
            None => Word::unknown(),
        },
    }
}

fn postgres(node: &Node) -> Word {
    let Some(patroni) = node.patroni.known() else {
        return match node.postgres.known() {
            Some(_) => Word::new("running", Mood::Plain),
            None => silent(node, "patroni"),
        };
    };
    match (patroni.state.as_str(), patroni.replication_state.as_deref()) {
        ("running" | "streaming", Some("streaming")) => Word::new("streaming", Mood::Good),
        ("running" | "in archive recovery", Some("in archive recovery")) => Word::new("no stream", Mood::Bad),
        ("running", _) if patroni.is_primary() => Word::new("running", Mood::Good),
        ("running", _) => Word::new("no stream", Mood::Bad),
        ("creating replica", _) => Word::new("cloning", Mood::Plain),
        ("start failed", _) => Word::new("failed", Mood::Bad),
        ("starting", _) => Word::new("starting", Mood::Plain),
        (other, _) => Word::new(other, Mood::Bad),
    }
}

fn timeline(node: &Node) -> Word {
    let patroni = node.patroni.known().and_then(|patroni| patroni.timeline);
    let timeline = patroni.or_else(|| node.postgres.known().map(|postgres| postgres.timeline));
    timeline.map_or_else(Word::unknown, |timeline| Word::new(timeline.to_string(), Mood::Plain))
}

fn lag(snapshot: &Snapshot, node: &Node, leads: bool) -> Word {
    if leads {
        return Word::new("–", Mood::Plain);
    }
    let Some(bytes) = lag_bytes(snapshot, node) else {
        return Word::unknown();
    };
    // a second and more is what people notice; below, the bytes say it all
    let text = match lag_seconds(snapshot, node) {
        Some(seconds) if seconds >= 1.0 && bytes > 0 => format!("{} {}", super::size(bytes), duration(seconds)),
        _ => super::size(bytes),
    };
    Word::new(text, if bytes > tolerated(snapshot) { Mood::Bad } else { Mood::Plain })
}

/// `4s`, `17m`, `3h`, `12d`.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0}s"),
        s if s < 7_200.0 => format!("{:.0}m", s / 60.0),
        s if s < 172_800.0 => format!("{:.0}h", s / 3_600.0),
        s => format!("{:.0}d", (s / 86_400.0).min(9_999.0)),
    }
}

/// How much a replica may lag and still become the leader.
pub(super) fn tolerated(snapshot: &Snapshot) -> u64 {
    let dcs = snapshot.dcs.known();
    dcs.and_then(|dcs| dcs.config.get("maximum_lag_on_failover")?.as_u64()).unwrap_or(1024 * 1024)
}

/// What the leader says about a replica.
fn standby<'a>(snapshot: &'a Snapshot, node: &Node) -> Option<&'a Standby> {
    let leader = snapshot.leader()?.postgres.known()?;
    leader.standbys.iter().find(|standby| standby.name == node.id.patroni_name())
}

/// Whether a node streams from another one: by its own word, or the leader's.
pub(crate) fn streams(snapshot: &Snapshot, node: &Node) -> bool {
    match &node.patroni {
        Fact::Known(patroni) => !patroni.is_primary() && patroni.streams(),
        Fact::Unknown { .. } => standby(snapshot, node).is_some_and(|standby| standby.state == "streaming"),
    }
}

/// How many bytes a replica has yet to replay. The leader knows best; Patroni's own number is up to `loop_wait` old.
pub(crate) fn lag_bytes(snapshot: &Snapshot, node: &Node) -> Option<u64> {
    // without a leader there is nothing to be behind of
    if snapshot.leader()?.id == node.id {
        return None;
    }
    let by_position = || {
        let written = snapshot.leader()?.patroni.known()?.wal_position?;
        Some(written.saturating_sub(node.patroni.known()?.replayed?))
    };
    let by_patroni = || node.patroni.known()?.lag_bytes;
    standby(snapshot, node).map(|standby| standby.lag_bytes).or_else(by_patroni).or_else(by_position)
}

/// The same as a time.
pub(crate) fn lag_seconds(snapshot: &Snapshot, node: &Node) -> Option<f64> {
    if snapshot.leader().is_some_and(|leader| leader.id == node.id) {
        return None;
    }
    let own = || node.postgres.known()?.replay_lag_s;
    standby(snapshot, node).and_then(|standby| standby.lag_s).or_else(own)
}

fn etcd(snapshot: &Snapshot, node: &Node) -> Word {
    let Some(etcd) = node.etcd.known() else {
        if is_down(node, "etcd") {
            return Word::new("down", Mood::Bad);
        }
        return Word::unknown();
    };
    match etcd {
        Etcd { serves: false, .. } => Word::new("waiting", Mood::Bad),
        Etcd { is_learner: true, .. } => Word::new("learner", Mood::Plain),
        _ if !is_member(snapshot, node) => Word::new("–", Mood::Bad),
        Etcd { leader: Some(leader), member_id, .. } if leader == member_id => Word::new("leader", Mood::Good),
        _ => Word::new("voter", Mood::Good),
    }
}

/// Whether etcd counts this node; where nobody lists members, nobody says no.
fn is_member(snapshot: &Snapshot, node: &Node) -> bool {
    let members = super::survival::members(snapshot);
    members.is_none_or(|members| members.iter().any(|member| member.node == Some(node.id)))
}
