//! The fault scenarios: what is done, what must hold, and what it cost. Each begins with a cluster that
//! serves, under load, and ends healed and judged.

mod data;
pub mod judge;
mod network;
mod operator;
mod power;
mod process;
pub mod secrets;
pub mod stage;

use std::time::Duration;

use pgstack_lab::Lab;

use crate::load::Plan;
use judge::{Check, Played};
use stage::Stage;

/// One scenario; its number is that of the list it comes from, letters part it.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// `11`, `14in`.
    pub name: &'static str,
    /// What happens.
    pub fault: &'static str,
    /// What must hold, beside D, W, V and H.
    pub pass: &'static str,
    /// Whether it is short, and shows what no other test does.
    pub quick: bool,
    act: Act,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    KillPostmaster,
    CannotStart,
    KillBackend,
    KillPatroni,
    FreezePatroni,
    KillHaproxy,
    KillPooler,
    KillKeepalived,
    KillEtcdLeader,
    LeaderOff { etcd_too: bool },
    HolderOff,
    StandbysDie,
    ColdStart,
    Partition { long: bool },
    LeaderWithoutEtcd,
    LeaderWithoutReplicas,
    OneWay { inwards: bool },
    EtcdLoss,
    LeaderLoss,
    EtcdMajority,
    CancelledWait,
    Clock { of_leader: bool },
    FullDisk,
    Damage { of_leader: bool },
    Switchover,
    ToolKilled,
    Strangers,
    Frozen { with_vip: bool },
}

/// A row of the table.
const fn row(name: &'static str, act: Act, fault: &'static str, pass: &'static str) -> Scenario {
    Scenario { name, fault, pass, quick: false, act }
}

/// A row that the end-to-end tests play.
const fn quick(name: &'static str, act: Act, fault: &'static str, pass: &'static str) -> Scenario {
    Scenario { name, fault, pass, quick: true, act }
}

/// All of them. Bounds are computed from what the cluster is set to, see `times.rs`.
pub const ALL: &[Scenario] = &[
    quick("1", Act::KillPostmaster, "kill -9 of the leader's postmaster", "gap; at most one promotion"),
    row("2", Act::CannotStart, "the same, and it cannot start again", "another node leads; the broken one never does"),
    row("3", Act::KillBackend, "one backend killed under load, as by the OOM killer", "at most one promotion"),
    row("4", Act::KillPatroni, "Patroni's container killed, started again by Docker", "gap"),
    row("5", Act::FreezePatroni, "Patroni frozen for 60 s, PostgreSQL alive", "HAProxy cuts it; one writer"),
    row("6", Act::LeaderOff { etcd_too: false }, "power-off of the leader's machine", "gap; the VIP moves"),
    row("6etcd", Act::LeaderOff { etcd_too: true }, "the same, with etcd's leader on it", "gap; the VIP moves"),
    row("7", Act::HolderOff, "power-off of a VIP holder that does not lead", "the VIP moves; no promotion"),
    row("8", Act::KillHaproxy, "HAProxy stopped on the VIP holder, and back", "the VIP moves, and not back"),
    quick("9", Act::KillPooler, "PgBouncer killed on the VIP holder", "6432 serves"),
    quick("10", Act::KillKeepalived, "keepalived killed on the VIP holder", "the stale VIP goes; one owner"),
    row(
        "11",
        Act::Partition { long: false },
        "leader cut off from both others",
        "majority writes; old refuses first; rejoins",
    ),
    row(
        "11long",
        Act::Partition { long: true },
        "the same for a minute more, by a leader that held the VIP",
        "no gap while it goes on",
    ),
    row("12", Act::LeaderWithoutEtcd, "leader cut off from etcd alone", "no error (failsafe); no promotion"),
    quick(
        "13",
        Act::LeaderWithoutReplicas,
        "leader cut off from its replicas alone",
        "no promotion; strict: no ack meanwhile",
    ),
    row("14in", Act::OneWay { inwards: true }, "leader speaks and does not hear", "streams ≤ 30 s after healing"),
    row("14out", Act::OneWay { inwards: false }, "leader hears and does not speak", "streams ≤ 30 s after healing"),
    row("15", Act::EtcdLoss, "5 % of the packets between etcd's members lost", "no promotion"),
    row(
        "16",
        Act::LeaderLoss,
        "30 % of the packets of the leader's link lost, each way, 60 s",
        "at most one promotion",
    ),
    quick("17", Act::KillEtcdLeader, "etcd's leader killed", "no failed write"),
    row(
        "18",
        Act::EtcdMajority,
        "etcd's majority stopped; then a replica, too",
        "writes go on; then read-only; recovers",
    ),
    row(
        "19",
        Act::StandbysDie,
        "one standby killed, then both",
        "no stall (strict: a round); strict: no ack without one, resumes",
    ),
    row("20", Act::CancelledWait, "a backend cancelled while it waits for its replicas", "never called acknowledged"),
    row(
        "21lead",
        Act::Clock { of_leader: true },
        "clock of the leader an hour ahead, then an hour behind",
        "no promotion",
    ),
    row(
        "21repl",
        Act::Clock { of_leader: false },
        "clock of a replica an hour ahead, then an hour behind",
        "no promotion",
    ),
    row("22", Act::FullDisk, "disk full on the leader", "at most one promotion; heals by itself when there is room"),
    row(
        "23repl",
        Act::Damage { of_leader: false },
        "data damaged on a replica, re-cloned by the operator",
        "never leads; streams ≤ 600 s",
    ),
    row(
        "23lead",
        Act::Damage { of_leader: true },
        "data damaged on the leader, re-cloned by the operator",
        "another leads; streams ≤ 600 s",
    ),
    row("24", Act::Switchover, "planned switchover under 100 clients", "no error at 6432; gap"),
    row("24kill", Act::ToolKilled, "the switchover tool killed while poolers are paused", "resumed ≤ 10 s"),
    row("25cold", Act::ColdStart, "power loss of all, cold start in every order", "writable ≤ 120 s"),
    row(
        "25open",
        Act::Strangers,
        "unauthenticated PATCH, etcd put, statistics; secrets in sight",
        "all refused; no secret shows (L)",
    ),
    row(
        "26",
        Act::Frozen { with_vip: false },
        "the leader's whole machine frozen for longer than ttl, then thawed",
        "one writer; rejoins",
    ),
    row(
        "26vip",
        Act::Frozen { with_vip: true },
        "the same, and it held the VIP",
        "one writer through the VIP; rejoins",
    ),
];

/// The scenarios that this kernel or this lab cannot produce, and why.
pub const IMPOSSIBLE: &[(&str, &str)] = &[
    (
        "delay and jitter",
        "the kernel has no netem; lost packets are made with iptables, late ones only to one etcd, by a relay \
      (`an_etcd_that_is_slow`)",
    ),
    ("a disk that answers slowly or wrongly", "no device mapper or loop device within a container"),
    (
        "21, etcd's clock",
        "etcd is static and asks the kernel itself, and CLOCK_REALTIME has no namespace; it uses \
      the monotonic clock for leases. Patroni and PostgreSQL get a wrong clock through libfaketime",
    ),
    (
        "25, data lost by a power cut",
        "a killed machine loses its processes and its memory, but this host's page cache \
      keeps what was written without fsync",
    ),
    (
        "25, the deployer killed at each step; hostile passwords",
        "played by the end-to-end tests \
      `a_deploy_that_was_killed_at_random_moments_converges` and, with hostile passwords, by all of them",
    ),
];

/// How a scenario ended.
#[derive(Debug)]
pub enum Verdict {
    /// It was played.
    Played(Played),
    /// It does not apply to this cluster, and why.
    Inapplicable(String),
}

impl Scenario {
    /// Plays it. `hold`: how long faults last that are to show that nothing happens.
    pub async fn play(&self, lab: &Lab, hold: Duration) -> Verdict {
        let clients = if self.act == Act::Switchover { 100 } else { 6 };
        let rest = Duration::from_millis(if clients > 20 { 200 } else { 20 });
        let table: String = self.name.chars().filter(char::is_ascii_alphanumeric).collect();
        let mut stage =
            Stage::set(lab, &format!("scenario_{table}"), Plan { clients, rest, ..Plan::default() }, hold).await;
        stage.say(&format!("scenario {}: {}", self.name, self.fault));
        match self.act(&mut stage).await {
            Ok(()) => Verdict::Played(stage.finish().await),
            Err(why) => {
                stage.finish().await;
                Verdict::Inapplicable(why)
            }
        }
    }

    async fn act(&self, stage: &mut Stage<'_>) -> Result<(), String> {
        match self.act {
            Act::KillPostmaster => process::kill_postmaster(stage).await,
            Act::CannotStart => process::cannot_start(stage).await,
            Act::KillBackend => process::kill_backend(stage).await,
            Act::KillPatroni => process::kill_patroni(stage).await,
            Act::FreezePatroni => process::freeze_patroni(stage).await,
            Act::KillHaproxy => process::haproxy_stopped(stage).await,
            Act::KillPooler => process::kill_pooler(stage).await,
            Act::KillKeepalived => process::kill_keepalived(stage).await,
            Act::KillEtcdLeader => process::kill_etcd_leader(stage).await,
            Act::LeaderOff { etcd_too } => power::leader_off(stage, etcd_too).await,
            Act::HolderOff => power::holder_off(stage).await,
            Act::StandbysDie => power::standbys_die(stage).await,
            Act::ColdStart => power::cold_start(stage).await,
            Act::Frozen { with_vip } => power::frozen(stage, with_vip).await,
            Act::Partition { long } => network::partition(stage, long).await,
            Act::LeaderWithoutEtcd => network::without_etcd(stage).await,
            Act::LeaderWithoutReplicas => network::without_replicas(stage).await,
            Act::OneWay { inwards } => network::one_way(stage, inwards).await,
            Act::EtcdLoss => network::etcd_loss(stage).await,
            Act::LeaderLoss => network::leader_loss(stage).await,
            Act::EtcdMajority => network::etcd_majority(stage).await,
            Act::CancelledWait => return data::cancelled_wait(stage).await,
            Act::Clock { of_leader } => data::clock(stage, of_leader).await,
            Act::FullDisk => data::full_disk(stage).await,
            Act::Damage { of_leader } => data::damage(stage, of_leader).await,
            Act::Switchover => operator::switchover(stage).await,
            Act::ToolKilled => operator::tool_killed(stage).await,
            Act::Strangers => operator::strangers(stage).await,
        }
        Ok(())
    }
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn passed(&self) -> bool {
        match self {
            Self::Played(played) => played.passed(),
            Self::Inapplicable(_) => true,
        }
    }

    /// What was checked.
    pub fn checks(&self) -> &[Check] {
        match self {
            Self::Played(played) => &played.checks,
            Self::Inapplicable(_) => &[],
        }
    }
}
