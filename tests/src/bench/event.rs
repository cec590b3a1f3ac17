//! What `bench-failover` does, and under which settings.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What happens to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A planned switchover.
    Switchover,
    /// kill -9 of the leader's postmaster.
    Kill9,
    /// HAProxy killed for good on the VIP's holder, which does not lead.
    Haproxy,
    /// The machine of the VIP's holder, which does not lead, loses power.
    HolderOff,
    /// The leader's machine, which holds the VIP, is shut down in order.
    Shutdown,
    /// The leader's machine, which holds the VIP, loses power; etcd's leader is elsewhere.
    LeaderOff,
    /// The leader's machine, which holds the VIP, is cut off from the other two and not from the clients.
    Partition,
}

impl Event {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Switchover,
        Self::Kill9,
        Self::Haproxy,
        Self::HolderOff,
        Self::Shutdown,
        Self::LeaderOff,
        Self::Partition,
    ];

    /// As the table names it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Switchover => "planned switchover",
            Self::Kill9 => "kill -9 of the postmaster",
            Self::Haproxy => "HAProxy killed on the VIP's holder",
            Self::HolderOff => "machine of the VIP's holder (not leader) off",
            Self::Shutdown => "machine of the leader (and VIP) shut down in order",
            Self::LeaderOff => "machine of the leader (and VIP) off",
            Self::Partition => "leader (and VIP) cut off from the other two",
        }
    }

    /// What the fast profile is to reach, in seconds.
    pub fn target(self) -> Option<f64> {
        match self {
            Self::Switchover | Self::Kill9 | Self::Haproxy | Self::HolderOff => Some(2.0),
            Self::Shutdown => Some(4.0),
            Self::LeaderOff => Some(23.0),
            Self::Partition => None,
        }
    }

    /// How many clients write meanwhile.
    pub fn clients(self) -> u16 {
        if self == Self::Switchover { 100 } else { 10 }
    }

    /// Whether the leader holds the VIP when it happens: the harder case where a machine goes.
    pub fn hits_both(self) -> bool {
        matches!(self, Self::Shutdown | Self::LeaderOff | Self::Partition)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, self)
    }
}

/// What the cluster is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Set {
    /// The times that the shell version generated.
    Seed,
    /// `RTO_PROFILE=fast`
    Fast,
    /// `RTO_PROFILE=balanced`
    Balanced,
    /// `RTO_PROFILE=tolerant`
    Tolerant,
}

impl Set {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Seed, Self::Fast, Self::Balanced, Self::Tolerant];

    /// The keys of `.env` that any set uses.
    pub const KEYS: [&'static str; 5] =
        ["RTO_PROFILE", "PATRONI_TTL", "PATRONI_LOOP_WAIT", "PATRONI_RETRY_TIMEOUT", "PATRONI_PRIMARY_START_TIMEOUT"];

    /// As the table names it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Seed => "seed's settings",
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Tolerant => "tolerant",
        }
    }

    /// What belongs into `.env`; the seed's have parts that no key names, see `seed.rs`.
    pub fn of_env(self) -> Vec<(&'static str, &'static str)> {
        let [profile, ttl, loop_wait, retry_timeout, start] = Self::KEYS;
        match self {
            Self::Seed => {
                vec![(profile, "balanced"), (ttl, "30"), (loop_wait, "10"), (retry_timeout, "10"), (start, "300")]
            }
            Self::Fast | Self::Balanced | Self::Tolerant => vec![(profile, self.title())],
        }
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, self)
    }
}

fn write_name(f: &mut fmt::Formatter<'_>, value: &impl ValueEnum) -> fmt::Result {
    value.to_possible_value().map_or(Ok(()), |name| f.write_str(name.get_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_on_the_command_line_and_in_the_record() {
        for event in Event::ALL {
            assert_eq!(serde_json::to_string(&event).expect("JSON"), format!("\"{event}\""));
        }
        for set in Set::ALL {
            assert_eq!(serde_json::to_string(&set).expect("JSON"), format!("\"{set}\""));
        }
    }

    #[test]
    fn every_key_that_a_set_writes_is_taken_out_again() {
        for set in Set::ALL {
            assert!(set.of_env().iter().all(|(key, _)| Set::KEYS.contains(key)));
        }
    }
}
