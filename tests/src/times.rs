//! The times that a running cluster is set to, and what each fault may cost by them. The formulas are
//! those of the components' own code: Patroni's loops, HAProxy's checks, keepalived's adverts.

use std::collections::BTreeMap;
use std::time::Duration;

use pgstack_lab::{Lab, STACK};
use serde_json::Value;

/// What this machine itself may add: three machines share it.
const NOISE: f64 = 2.0;
/// Patroni's own waits in an election, and PostgreSQL's promotion.
const ELECTION: f64 = 3.0;
/// Every Patroni but the new leader's rests for 2 s when the leader's key is given back, then follows.
const FOLLOWS: f64 = 2.5;
/// Before a leader without etcd steps down in failsafe mode, it asks every member twice, for two seconds each.
const FAILSAFE: f64 = 4.0;
/// An etcd that lost its leader, too: its election, and the time since the last renewal.
const ETCD: f64 = 4.0;

/// What an acknowledged row has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The primary's disk.
    Async,
    /// A replica's, too, for as long as there is one.
    Sync,
    /// A replica's, too, or it is not acknowledged.
    Strict,
}

/// All in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times {
    /// Patroni's.
    pub ttl: f64,
    /// Patroni's.
    pub loop_wait: f64,
    /// Patroni's.
    pub retry_timeout: f64,
    /// keepalived's.
    pub advert: f64,
    /// Until keepalived's check has failed often enough.
    pub check_fails: f64,
    /// Until HAProxy sends writes to a node that has begun to take them.
    pub proxy_up: f64,
    /// Until HAProxy cuts a node whose Patroni is silent.
    pub proxy_silent: f64,
    /// PgBouncer's next attempt.
    pub login_retry: f64,
    /// What an acknowledged row has reached.
    pub durability: Durability,
}

impl Times {
    /// Asks Patroni and reads the files that run.
    ///
    /// # Panics
    /// When no machine is on or Patroni does not answer.
    pub async fn of(lab: &Lab) -> Self {
        let machines = lab.machines().await.expect("machines");
        let machine = machines.iter().find(|machine| machine.is_running()).expect("a machine that is on");
        let config =
            machine.sh("curl -sS --noproxy '*' http://127.0.0.1:8008/config").await.expect("Patroni's settings");
        let files = format!("cd {STACK} && cat keepalived/keepalived.conf haproxy/haproxy.cfg pgbouncer/pgbouncer.ini");
        Self::read(&serde_json::from_str(&config).expect("JSON"), &machine.sh(&files).await.expect("files"))
    }

    fn read(config: &Value, files: &str) -> Self {
        let dcs = |name: &str, default: f64| config.get(name).and_then(number).unwrap_or(default);
        let file = |name: &str, default: f64| setting(files, name).unwrap_or(default);
        let server = files.lines().find(|line| line.trim_start().starts_with("default-server")).unwrap_or_default();
        let word = words(server);
        let of = |name: &str, default: f64| word.get(name).and_then(|text| seconds(text)).unwrap_or(default);
        let fast = of("fastinter", of("inter", 2.0));
        let check = file("timeout check", of("inter", 2.0));
        let strict = config.get("synchronous_mode_strict").is_some_and(is_on);
        let durability = match config.get("synchronous_mode") {
            Some(mode) if is_on(mode) && strict => Durability::Strict,
            Some(mode) if is_on(mode) => Durability::Sync,
            _ => Durability::Async,
        };
        Self {
            ttl: dcs("ttl", 30.0),
            loop_wait: dcs("loop_wait", 10.0),
            retry_timeout: dcs("retry_timeout", 10.0),
            advert: file("advert_int", 1.0),
            // a check that hangs is bounded by its own limits, a second or two
            check_fails: file("interval", 1.0) * file("fall", 3.0) + 1.0,
            proxy_up: of("downinter", of("inter", 2.0)) + (of("rise", 2.0) - 1.0) * fast + 0.5,
            proxy_silent: of("inter", 2.0) + check + (of("fall", 3.0) - 1.0) * (fast + check),
            login_retry: file("server_login_retry", 15.0),
            durability,
        }
    }

    /// From a primary that takes writes to a client's next acknowledgement.
    fn serves(&self) -> f64 {
        self.proxy_up + self.login_retry + NOISE
    }

    /// PostgreSQL was killed: Patroni notices, and it starts again or another node takes over.
    pub fn process_killed(&self) -> f64 {
        self.loop_wait + ELECTION + self.serves()
    }

    /// Patroni's container was killed: Docker starts it, or another node takes over.
    pub fn patroni_killed(&self) -> f64 {
        self.process_killed().max(self.leader_gone())
    }

    /// A leader whose key has to run out.
    pub fn leader_gone(&self) -> f64 {
        self.ttl + ELECTION + self.serves()
    }

    /// The same where etcd's leader is gone as well; an election gives every lease its full time again.
    pub fn node_gone(&self, etcd_leader: bool) -> f64 {
        self.leader_gone() + if etcd_leader { ETCD } else { 0.0 }
    }

    /// A leader that has lost etcd, and its members with it, is no primary any more. It tries twice for `retry_timeout`:
    /// to tell of itself at the end of one round, and to renew its key in the next.
    pub fn demoted(&self) -> f64 {
        self.loop_wait + 2.0 * self.retry_timeout + FAILSAFE + NOISE
    }

    /// A leader whose clock jumps ahead takes its key for expired until its next round, and HAProxy believes it.
    pub fn clock_jump(&self) -> f64 {
        self.loop_wait + self.serves()
    }

    /// Writes again after etcd is there again.
    pub fn etcd_back(&self) -> f64 {
        self.loop_wait + ELECTION + self.serves() + ETCD
    }

    /// A planned switchover whose poolers go on when their pause is over.
    pub fn switchover_unresumed(&self) -> f64 {
        10.0 + 2.0 + ELECTION + self.serves()
    }

    /// A planned switchover that resumes the poolers: PostgreSQL stops, another is promoted, HAProxy sees it; until a
    /// standby follows, too, where commits wait for one.
    pub fn switchover(&self) -> f64 {
        let follows = if self.durability == Durability::Async { 0.0 } else { FOLLOWS };
        2.0 + 1.0 + self.proxy_up + follows
    }

    /// Commits wait for a standby whose PostgreSQL died until the leader's next round; where nobody waits, there is none.
    pub fn standby_gone(&self) -> f64 {
        if self.durability == Durability::Async { 1.0 } else { self.loop_wait + 3.0 }
    }

    /// The VIP's next owner where its machine fell silent: three adverts and the skew.
    pub fn owner_silent(&self) -> f64 {
        4.0 * self.advert + 0.5
    }

    /// The VIP's next owner where its check fails: the failures, then the skew.
    pub fn owner_unfit(&self) -> f64 {
        self.check_fails + self.advert + 1.0
    }

    /// How long two may own the VIP: one advert, and what the recorder may be late by.
    pub fn two_owners(&self) -> Duration {
        Duration::from_secs_f64(self.advert + 0.5)
    }

    /// In words.
    pub fn describe(&self) -> String {
        let Self { ttl, loop_wait, retry_timeout, advert, login_retry, durability, .. } = self;
        format!(
            "ttl {ttl}, loop_wait {loop_wait}, retry_timeout {retry_timeout}, adverts every {advert} s, \
             server_login_retry {login_retry}, durability {durability:?}"
        )
        .to_lowercase()
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn is_on(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| matches!(value.as_str(), Some("on" | "quorum" | "true")))
}

/// `name value`, `name = value` or `name 2s` at the beginning of a line.
fn setting(files: &str, name: &str) -> Option<f64> {
    files.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix(name)?;
        seconds(rest.strip_prefix(' ')?.trim_start_matches([' ', '=']).trim_end())
    })
}

fn words(line: &str) -> BTreeMap<&str, &str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// `500ms`, `1s`, `1`.
fn seconds(text: &str) -> Option<f64> {
    if let Some(milliseconds) = text.strip_suffix("ms") {
        return Some(milliseconds.parse::<f64>().ok()? / 1000.0);
    }
    text.strip_suffix('s').unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &str = "vrrp_script check_haproxy {\n    interval 1\n    fall 2\n}\n    advert_int 0.2\n\
        timeout check 2s\n    default-server port 8008 inter 1s fastinter 500ms downinter 1s fall 3 rise 2 x\n\
        server_login_retry = 1\n";

    #[test]
    fn times_are_read_from_what_runs() {
        let config =
            serde_json::json!({"ttl": 20, "loop_wait": "2", "synchronous_mode": true, "synchronous_mode_strict": true});
        let times = Times::read(&config, FILES);
        let read = [times.ttl, times.loop_wait, times.retry_timeout, times.advert, times.check_fails];
        let read = read.map(Duration::from_secs_f64);
        assert_eq!(read, [20_000, 2000, 10_000, 200, 3000].map(Duration::from_millis));
        let read = [times.login_retry, times.proxy_up, times.proxy_silent].map(Duration::from_secs_f64);
        assert_eq!(read, [1000, 2000, 8000].map(Duration::from_millis));
        assert_eq!(times.durability, Durability::Strict);
        assert!((times.standby_gone() - 5.0).abs() < 1e-9);
        let quorum = Times::read(&serde_json::json!({"synchronous_mode": "quorum"}), FILES);
        assert_eq!(quorum.durability, Durability::Sync);
        let plain = Times::read(&serde_json::json!({}), FILES);
        assert_eq!(Duration::from_secs_f64(plain.ttl), Duration::from_secs(30));
        assert_eq!(plain.durability, Durability::Async);
    }

    #[test]
    fn bounds_follow_ttl_and_loop_wait() {
        let [slow, fast] = [30, 20].map(|ttl| Times::read(&serde_json::json!({ "ttl": ttl }), FILES));
        assert!((slow.leader_gone() - fast.leader_gone() - 10.0).abs() < 1e-9);
        assert!(slow.node_gone(true) > slow.node_gone(false));
        let quick = Times::read(&serde_json::json!({ "loop_wait": 2, "retry_timeout": 3 }), FILES);
        assert!((slow.process_killed() - quick.process_killed() - 8.0).abs() < 1e-9);
        assert!((slow.demoted() - quick.demoted() - 22.0).abs() < 1e-9);
    }

    #[test]
    fn a_switchover_may_take_longer_where_commits_wait_for_a_standby() {
        let [plain, waits] =
            [false, true].map(|waits| Times::read(&serde_json::json!({ "synchronous_mode": waits }), FILES));
        assert!((plain.switchover() - 5.0).abs() < 1e-9, "{}", plain.switchover());
        assert!((waits.switchover() - 7.5).abs() < 1e-9, "{}", waits.switchover());
    }
}
