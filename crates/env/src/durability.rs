//! `DURABILITY`: how many machines have a row before it is acknowledged.

/// What an acknowledgement is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The primary has it; a failover can lose the last moments.
    Async,
    /// A standby has it, too, as long as there is one that streams.
    Sync,
    /// A standby has it, or nothing is acknowledged.
    Strict,
}

impl Durability {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Async, Self::Sync, Self::Strict];

    /// As `.env` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Sync => "sync",
            Self::Strict => "strict",
        }
    }

    /// The mode that is called so, in lower case.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }

    /// What it names in the DCS. Quorum, for `sync`: any one standby's word is enough, and Patroni lets only those
    /// lead that provably have what was acknowledged when they looked; no commit waits when a standby dies. But where
    /// the old leader's Patroni stands still, its PostgreSQL goes on and takes the word of those who lost the race, too.
    /// For `strict` Patroni chooses one standby: its word alone counts, and nobody else may lead, so that nothing
    /// depends on what the old leader does. Commits wait while the leader has not noticed that this one is dead, so it gives
    /// a silent stream up sooner. `synchronous_commit` stands with it, so that no forgotten `off` in the DCS takes the
    /// promise back.
    pub const fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Async => &[("synchronous_mode", "false"), ("synchronous_mode_strict", "false")],
            Self::Sync => &[
                ("synchronous_mode", "quorum"),
                ("synchronous_mode_strict", "false"),
                ("synchronous_node_count", "1"),
                ("synchronous_commit", "on"),
            ],
            Self::Strict => &[
                ("synchronous_mode", "true"),
                ("synchronous_mode_strict", "true"),
                ("synchronous_node_count", "1"),
                ("synchronous_commit", "on"),
                ("wal_sender_timeout", "10s"),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcs;

    #[test]
    fn every_mode_names_settings_that_there_are_with_values_that_they_may_have() {
        for mode in Durability::ALL {
            assert_eq!(Durability::find(mode.as_str()), Some(mode));
            for (name, value) in mode.settings() {
                let setting = dcs::DURABILITY.iter().find(|setting| setting.name == *name).expect("a setting");
                assert!(setting.allows(value), "{name} {value}");
                assert!(mode != Durability::Async || setting.default == *value, "the default is async's");
            }
            let mut settings = dcs::DcsSettings::default();
            assert_eq!(settings.durability(), None);
            settings.name_together(mode.settings());
            assert_eq!(settings.durability(), Some(mode), "and back");
        }
    }
}
