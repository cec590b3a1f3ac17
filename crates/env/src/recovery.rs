//! How long each event may keep clients from writing, at the most: from a profile's times and Patroni's.
//!
//! The formulas follow the components' own code; `docs/recovery-times.md` explains them and holds the table that
//! [`table`] makes. What no setting decides is in [`ASSUMED`]: where a disk is slower, so is the recovery.

use std::fmt::Write as _;
use std::time::Duration;

use crate::dcs::DcsSettings;
use crate::profile::Profile;

/// What no setting decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assumed {
    /// PostgreSQL stops: it polls each second, and may sleep one more.
    pub stop: Duration,
    /// Its crash recovery.
    pub recovery: Duration,
    /// The replicas agree on who leads.
    pub race: Duration,
    /// In a race, a node that does not answer at all is waited for.
    pub dead_member: Duration,
    /// The chosen one ends its recovery.
    pub promote: Duration,
    /// etcd ends a lease in steps.
    pub lease: Duration,
    /// etcd elects a leader, and renews every lease by that.
    pub etcd_election: Duration,
    /// PgBouncer looks at what waits three times a second.
    pub pooler_round: Duration,
    /// The check of keepalived, where it is refused at once.
    pub check_run: Duration,
    /// A client whose packets went nowhere sends them again 0.2, 0.6, 1.4, 3 … s after the first.
    pub resend: Duration,
}

/// A machine of the lab, with room to spare.
pub const ASSUMED: Assumed = Assumed {
    stop: Duration::from_secs(2),
    recovery: Duration::from_secs(1),
    race: Duration::from_millis(500),
    dead_member: Duration::from_secs(2),
    promote: Duration::from_millis(500),
    lease: Duration::from_millis(500),
    etcd_election: Duration::from_secs(3),
    pooler_round: Duration::from_millis(334),
    check_run: Duration::from_millis(300),
    resend: Duration::from_millis(200),
};

/// keepalived's smallest priority by node number, and so the longest wait.
const LEAST_PRIORITY: u32 = 98;

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// `kill -9` of PostgreSQL, which starts again.
    ProcessKilled,
    /// The same, and its crash recovery does not end.
    RecoveryTooLong,
    /// A planned switchover.
    Switchover,
    /// An orderly shutdown of the leader's machine, which holds the VIP as well.
    Shutdown,
    /// The leader's machine loses power, or its network.
    LeaderLost,
    /// The same, and it had etcd's leader as well.
    LeaderLostWithEtcd,
    /// The machine that holds the VIP loses power, and does not lead.
    HolderLost,
    /// HAProxy or PgBouncer on the VIP's holder stays dead.
    ProxyDead,
    /// keepalived is killed on the holder, and stays dead: until the stale address is gone.
    KeepalivedKilled,
    /// Patroni on the leader's node stands still: until HAProxy lets nobody through to it.
    PatroniFrozen,
}

impl Event {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::ProcessKilled,
        Self::RecoveryTooLong,
        Self::Switchover,
        Self::Shutdown,
        Self::LeaderLost,
        Self::LeaderLostWithEtcd,
        Self::HolderLost,
        Self::ProxyDead,
        Self::KeepalivedKilled,
        Self::PatroniFrozen,
    ];

    /// In words, and the formula.
    pub const fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::ProcessKilled => ("PostgreSQL is killed (`kill -9`) and starts again", "L + recovery + q"),
            Self::RecoveryTooLong => {
                ("PostgreSQL is killed and its recovery does not end", "2L + P + stop + race + promote + up + q")
            }
            Self::Switchover => ("planned switchover", "stop + race + promote + up + q"),
            Self::Shutdown => (
                "orderly shutdown of the leader's machine, which holds the VIP, too",
                "the same + skew, doubled, + resend",
            ),
            Self::LeaderLost => {
                ("the leader's machine loses power or its network", "T + lease + race + dead member + promote + up + q")
            }
            Self::LeaderLostWithEtcd => ("the same, and etcd's leader was on it", "the same + L + etcd election"),
            Self::HolderLost => ("the VIP's machine loses power and does not lead", "takeover, doubled, + resend"),
            Self::ProxyDead => {
                ("HAProxy or PgBouncer dies on the VIP's machine and stays dead", "fall × check + run + skew + resend")
            }
            Self::KeepalivedKilled => {
                ("keepalived is killed on the VIP's machine: its address is gone after", "lease of the address")
            }
            Self::PatroniFrozen => (
                "Patroni stands still on the leader: HAProxy cuts it after",
                "inter + answer + (fall − 1)(fastinter + answer)",
            ),
        }
    }
}

/// Until the others take the VIP of a node that is silent: three announcements and the skew.
pub fn takeover(profile: Profile) -> Duration {
    3 * profile.vrrp().advert + skew(profile)
}

/// Until they take it of one that gives it up.
fn skew(profile: Profile) -> Duration {
    profile.vrrp().advert * (256 - LEAST_PRIORITY) / 256
}

/// Patroni's times as the DCS has them where `.env` is enforced.
fn patroni(settings: &DcsSettings, name: &str) -> Duration {
    Duration::from_secs(settings.value(name).parse().unwrap_or_default())
}

/// The longest time without writes through the pooler.
pub fn bound(event: Event, profile: Profile, settings: &DcsSettings) -> Duration {
    let a = ASSUMED;
    let (proxy, vrrp, pooler) = (profile.proxy(), profile.vrrp(), profile.pooler());
    let [ttl, loop_wait, start] = ["ttl", "loop_wait", "primary_start_timeout"].map(|name| patroni(settings, name));
    let up = proxy.downinter + (proxy.rise - 1) * proxy.fastinter;
    let retry = pooler.login_retry + a.pooler_round;
    let elected = a.race + a.promote + up + retry;
    match event {
        Event::ProcessKilled => loop_wait + a.recovery + retry,
        Event::RecoveryTooLong => 2 * loop_wait + start + a.stop + elected,
        Event::Switchover => a.stop + elected,
        Event::Shutdown => a.stop + elected + 2 * skew(profile) + a.resend,
        Event::LeaderLost => ttl + a.lease + a.dead_member + elected,
        Event::LeaderLostWithEtcd => ttl + a.lease + a.dead_member + elected + loop_wait + a.etcd_election,
        Event::HolderLost => 2 * takeover(profile) + a.resend,
        Event::ProxyDead => vrrp.fall * vrrp.check + a.check_run + skew(profile) + a.resend,
        Event::KeepalivedKilled => vrrp.lease,
        Event::PatroniFrozen => proxy.inter + proxy.check + (proxy.fall - 1) * (proxy.fastinter + proxy.check),
    }
}

/// The bounds of every profile, as a table for people.
pub fn table() -> String {
    let mut out = String::from("| event | formula | fast | balanced | tolerant |\n|---|---|---|---|---|\n");
    for event in Event::ALL {
        let (words, formula) = event.text();
        // write! to a String cannot fail
        let _ = write!(out, "| {words} | {formula} |");
        for profile in Profile::ALL {
            let _ = write!(out, " {:.1} s |", bound(event, profile, &of(profile)).as_secs_f64());
        }
        out.push('\n');
    }
    out
}

/// What each profile sets, as a table for people.
pub fn settings_table() -> String {
    let mut out = String::from("| | fast | balanced | tolerant |\n|---|---|---|---|\n");
    let seconds = |time: Duration| crate::Seconds(time).to_string();
    let mut row = |name: &str, of: &dyn Fn(Profile) -> String| {
        let [fast, balanced, tolerant] = Profile::ALL.map(of);
        let _ = writeln!(out, "| {name} | {fast} | {balanced} | {tolerant} |");
    };
    for (at, letter) in
        ["`ttl` (T)", "`loop_wait` (L)", "`retry_timeout`", "`primary_start_timeout` (P)"].iter().enumerate()
    {
        row(&format!("Patroni {letter}"), &|profile| profile.patroni()[at].1.to_owned());
    }
    row("HAProxy `inter` / `fastinter` / `downinter`", &|profile| {
        let it = profile.proxy();
        format!("{} / {} / {}", seconds(it.inter), seconds(it.fastinter), seconds(it.downinter))
    });
    row("HAProxy `fall` / `rise`", &|profile| format!("{} / {}", profile.proxy().fall, profile.proxy().rise));
    row("HAProxy `timeout check` / `connect`", &|profile| {
        format!("{} / {}", seconds(profile.proxy().check), seconds(profile.proxy().connect))
    });
    row("VRRP version, announcements each", &|profile| {
        let it = profile.vrrp();
        format!("{}, {}", it.version.number(), seconds(it.advert))
    });
    row("keepalived's check each, `fall` / `rise`", &|profile| {
        let it = profile.vrrp();
        format!("{}, {} / {}", seconds(it.check), it.fall, it.rise)
    });
    row("lease of the VIP", &|profile| seconds(profile.vrrp().lease));
    row("PgBouncer `server_login_retry` / `server_connect_timeout`", &|profile| {
        format!("{} / {}", seconds(profile.pooler().login_retry), seconds(profile.pooler().connect))
    });
    row("PgBouncer `query_wait_timeout`", &|profile| seconds(query_wait(profile, &self::of(profile))));
    out
}

fn of(profile: Profile) -> DcsSettings {
    let mut settings = DcsSettings::default();
    settings.name_together(&profile.patroni());
    settings
}

/// How long a query waits in the pooler: longer than any failover, also where `.env` names a long ttl.
pub fn query_wait(profile: Profile, settings: &DcsSettings) -> Duration {
    let longest = bound(Event::LeaderLostWithEtcd, profile, settings) + Duration::from_secs(15);
    profile.pooler().query_wait.max(Duration::from_secs(longest.as_secs() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_keeps_the_goals() {
        let settings = of(Profile::Fast);
        for (event, goal) in [
            (Event::ProxyDead, 2.0),
            (Event::HolderLost, 2.0),
            (Event::KeepalivedKilled, 12.0),
            (Event::Switchover, 4.0),
            (Event::Shutdown, 4.5),
            (Event::PatroniFrozen, 4.0),
            (Event::LeaderLostWithEtcd, 29.0),
            (Event::LeaderLost, 25.0),
        ] {
            let bound = bound(event, Profile::Fast, &settings).as_secs_f64();
            assert!(bound <= goal, "{event:?}: {bound}");
        }
        assert!(takeover(Profile::Fast) < Duration::from_secs(1));
    }

    #[test]
    fn a_faster_profile_is_faster_in_everything() {
        for pair in Profile::ALL.windows(2) {
            for event in Event::ALL {
                assert!(bound(event, pair[0], &of(pair[0])) < bound(event, pair[1], &of(pair[1])), "{event:?}");
            }
        }
    }
}
