//! How fast a failure is noticed: `RTO_PROFILE` as one consistent set of times, and what follows for each event.

use std::time::Duration;

/// `RTO_PROFILE`: how fast the stack takes silence for death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// A network without hiccups: everything at Patroni's lower limits, VRRP below a second.
    Fast,
    /// What fits most networks; also what counts where `.env` names none.
    #[default]
    Balanced,
    /// Machines or networks that stand still for seconds now and then.
    Tolerant,
}

/// Which VRRP is spoken. Nodes hear each other only under the same version and interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VrrpVersion {
    /// Whole seconds, and a password that stands in every announcement in plain text.
    V2,
    /// Parts of a second, and no password.
    V3,
}

impl VrrpVersion {
    /// As keepalived.conf and announcements say it.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// HAProxy's view of the other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyTimes {
    /// Between two checks of a server that is up.
    pub inter: Duration,
    /// After the first check that failed.
    pub fastinter: Duration,
    /// Between two checks of a server that is down.
    pub downinter: Duration,
    /// For an answer.
    pub check: Duration,
    /// For a connection.
    pub connect: Duration,
    /// How many failed checks in a row count.
    pub fall: u32,
    /// How many good ones.
    pub rise: u32,
}

/// keepalived's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VrrpTimes {
    /// What is spoken.
    pub version: VrrpVersion,
    /// Between two announcements.
    pub advert: Duration,
    /// Between two runs of the check.
    pub check: Duration,
    /// How long a single question of the check may take.
    pub ask: Duration,
    /// How many failed checks in a row take the node out.
    pub fall: u32,
    /// How many good ones let it in.
    pub rise: u32,
    /// How long the kernel keeps the VIP when nobody renews it: when keepalived was killed and stays dead. Four
    /// runs of the check that hang in a row fit in: long before that keepalived itself gives the VIP up.
    pub lease: Duration,
}

impl VrrpTimes {
    /// After this time keepalived ends a run of the check, which asks twice at the most, one after the other.
    pub fn timeout(&self) -> Duration {
        2 * self.ask + ms(1000)
    }
}

/// The pooler's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolerTimes {
    /// Between two attempts to reach the primary.
    pub login_retry: Duration,
    /// For one attempt.
    pub connect: Duration,
    /// How long a query waits for a primary.
    pub query_wait: Duration,
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

impl Profile {
    /// All of them, the fastest first.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Balanced, Self::Tolerant];

    /// As `.env` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Tolerant => "tolerant",
        }
    }

    /// The profile that is called so, in lower case.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == name)
    }

    /// Patroni's times, by their names in the DCS, in seconds. They keep Patroni's own limits: ttl at
    /// least 20, and loop_wait + 2 * retry_timeout no more than ttl.
    pub const fn patroni(self) -> [(&'static str, &'static str); 4] {
        let [ttl, loop_wait, retry_timeout, start] = match self {
            Self::Fast => ["20", "1", "9", "5"],
            Self::Balanced => ["30", "5", "10", "60"],
            Self::Tolerant => ["60", "10", "20", "300"],
        };
        [("ttl", ttl), ("loop_wait", loop_wait), ("retry_timeout", retry_timeout), ("primary_start_timeout", start)]
    }

    /// How HAProxy finds the primary.
    pub const fn proxy(self) -> ProxyTimes {
        match self {
            Self::Fast => ProxyTimes {
                inter: ms(500),
                fastinter: ms(250),
                downinter: ms(250),
                check: ms(1500),
                connect: ms(500),
                fall: 2,
                rise: 1,
            },
            Self::Balanced => ProxyTimes {
                inter: ms(1000),
                fastinter: ms(500),
                downinter: ms(500),
                check: ms(2000),
                connect: ms(2000),
                fall: 3,
                rise: 2,
            },
            Self::Tolerant => ProxyTimes {
                inter: ms(2000),
                fastinter: ms(1000),
                downinter: ms(1000),
                check: ms(4000),
                connect: ms(4000),
                fall: 3,
                rise: 2,
            },
        }
    }

    /// How the VIP moves.
    pub const fn vrrp(self) -> VrrpTimes {
        match self {
            Self::Fast => VrrpTimes {
                version: VrrpVersion::V3,
                advert: ms(200),
                check: ms(500),
                ask: ms(700),
                fall: 2,
                rise: 4,
                lease: ms(12_000),
            },
            Self::Balanced => VrrpTimes {
                version: VrrpVersion::V2,
                advert: ms(1000),
                check: ms(1000),
                ask: ms(1000),
                fall: 2,
                rise: 2,
                lease: ms(16_000),
            },
            Self::Tolerant => VrrpTimes {
                version: VrrpVersion::V2,
                advert: ms(2000),
                check: ms(2000),
                ask: ms(1000),
                fall: 3,
                rise: 2,
                lease: ms(20_000),
            },
        }
    }

    /// How the pooler waits.
    pub const fn pooler(self) -> PoolerTimes {
        match self {
            Self::Fast => PoolerTimes { login_retry: ms(200), connect: ms(2000), query_wait: ms(90_000) },
            Self::Balanced => PoolerTimes { login_retry: ms(1000), connect: ms(3000), query_wait: ms(90_000) },
            Self::Tolerant => PoolerTimes { login_retry: ms(2000), connect: ms(5000), query_wait: ms(180_000) },
        }
    }
}

/// A duration as keepalived, HAProxy and PgBouncer take it: seconds, with a fraction where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = self.0.as_millis();
        write!(f, "{}", milliseconds / 1000)?;
        if milliseconds.is_multiple_of(1000) {
            return Ok(());
        }
        f.write_str(".")?;
        f.write_str(format!("{:03}", milliseconds % 1000).trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcs;

    #[test]
    fn every_profile_keeps_patronis_limits_and_each_is_slower_than_the_one_before() {
        let number = |profile: Profile, name: &str| {
            let value = profile.patroni().into_iter().find(|(found, _)| *found == name).expect("a time").1;
            value.parse::<u64>().expect("a number")
        };
        for profile in Profile::ALL {
            let [ttl, loop_wait, retry] = ["ttl", "loop_wait", "retry_timeout"].map(|name| number(profile, name));
            assert!(ttl >= 20 && loop_wait >= 1 && retry >= 3 && loop_wait + 2 * retry <= ttl, "{profile:?}");
            for (name, value) in profile.patroni() {
                let setting = dcs::ALL.iter().find(|setting| setting.name == name).expect("a setting");
                assert!(setting.allows(value), "{name} {value}");
                assert!(profile != Profile::Balanced || setting.default == value, "{name}: the default is balanced's");
            }
            assert_eq!(Profile::find(profile.as_str()), Some(profile));
        }
        for pair in Profile::ALL.windows(2) {
            let (fast, slow) = (pair[0], pair[1]);
            assert!(fast.patroni().into_iter().all(|(name, _)| number(fast, name) <= number(slow, name)));
            assert!(fast.proxy().inter < slow.proxy().inter && fast.vrrp().advert < slow.vrrp().advert);
            assert!(fast.pooler().login_retry < slow.pooler().login_retry);
        }
    }

    #[test]
    fn a_living_keepalived_renews_the_lease_long_before_it_ends() {
        for profile in Profile::ALL {
            let vrrp = profile.vrrp();
            // a run begins with the renewal, so two of them are no further apart than this, however busy the machine is
            let apart = vrrp.check + vrrp.timeout();
            assert!(vrrp.lease >= 4 * apart, "{profile:?}: three renewals may be lost");
            assert!(vrrp.lease > vrrp.fall * apart, "{profile:?}: keepalived gives the VIP up before the kernel does");
            assert_eq!(vrrp.lease.subsec_nanos(), 0, "the kernel counts in seconds");
            assert!(vrrp.version == VrrpVersion::V3 || vrrp.advert.subsec_nanos() == 0);
            assert_eq!(vrrp.advert.as_millis() % 10, 0, "VRRP counts in hundredths");
        }
    }

    #[test]
    fn seconds_are_written_without_what_says_nothing() {
        let written = [200, 1000, 1500, 333, 90_000, 0].map(|time| Seconds(ms(time)).to_string());
        assert_eq!(written, ["0.2", "1", "1.5", "0.333", "90", "0"]);
    }
}
