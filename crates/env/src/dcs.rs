//! The settings that live in the DCS after the first boot: what each is called, what it may be, what it is by itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::{Durability, key};

/// Where a setting lives within the DCS's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Patroni's own: at the top.
    Patroni,
    /// PostgreSQL's: below `postgresql.parameters`.
    Parameter,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// A whole number.
    Number,
    /// A whole number with kB, MB, GB or TB. Where PostgreSQL gets a bare number, that counts in
    /// units of so many kB.
    Size {
        /// The unit of a bare number, in kB.
        unit: u64,
    },
    /// The same, and -1 for no limit.
    SizeOrNone {
        /// The unit of a bare number, in kB.
        unit: u64,
    },
    /// One of a few words, a switch among them.
    Word(&'static [&'static str]),
}

/// One setting of the DCS that `.env` can name.
#[derive(Debug, PartialEq, Eq)]
pub struct DcsSetting {
    /// What `.env` calls it.
    pub key: &'static str,
    /// Where it lives.
    pub place: Place,
    /// What it is called there.
    pub name: &'static str,
    /// How it is written.
    pub notation: Notation,
    /// What a new cluster gets where `.env` does not name it.
    pub default: &'static str,
    /// The least and the most: the number itself, or kB.
    range: (u64, u64),
    /// The same in words.
    pub(crate) expected: &'static str,
}

const TB: u64 = 1 << 30;

const fn patroni(
    key: &'static str,
    name: &'static str,
    default: &'static str,
    range: (u64, u64),
    expected: &'static str,
) -> DcsSetting {
    DcsSetting { key, place: Place::Patroni, name, notation: Notation::Number, default, range, expected }
}

const fn size(
    key: &'static str,
    name: &'static str,
    default: &'static str,
    unit: u64,
    range: (u64, u64),
    expected: &'static str,
) -> DcsSetting {
    let notation = Notation::Size { unit };
    DcsSetting { key, place: Place::Parameter, name, notation, default, range, expected }
}

/// All of them. The ranges are Patroni's and PostgreSQL's own, but for max_connections: with fewer
/// the poolers of six nodes have nothing left to share, and HAProxy lets no more through.
pub static ALL: [DcsSetting; 12] = [
    patroni(key::PATRONI_TTL, "ttl", "30", (20, 3600), "20-3600 seconds"),
    patroni(key::PATRONI_LOOP_WAIT, "loop_wait", "5", (1, 3600), "1-3600 seconds"),
    patroni(key::PATRONI_RETRY_TIMEOUT, "retry_timeout", "10", (3, 3600), "3-3600 seconds"),
    patroni(key::PATRONI_PRIMARY_START_TIMEOUT, "primary_start_timeout", "60", (0, 3600), "0-3600 seconds"),
    patroni(
        key::PATRONI_MAXIMUM_LAG_ON_FAILOVER,
        "maximum_lag_on_failover",
        "1048576",
        (0, 1 << 50),
        "a number of bytes, 0 or more",
    ),
    DcsSetting {
        key: key::POSTGRES_MAX_CONNECTIONS,
        place: Place::Parameter,
        name: "max_connections",
        notation: Notation::Number,
        default: "100",
        range: (50, 5000),
        expected: "50-5000",
    },
    size(key::POSTGRES_SHARED_BUFFERS, "shared_buffers", "256MB", 8, (128, 4 * TB), "128kB to 4TB"),
    size(key::POSTGRES_EFFECTIVE_CACHE_SIZE, "effective_cache_size", "1GB", 8, (8, 8 * TB), "8kB to 8TB"),
    size(key::POSTGRES_WORK_MEM, "work_mem", "4MB", 1, (64, TB), "64kB to 1TB"),
    size(key::POSTGRES_MAINTENANCE_WORK_MEM, "maintenance_work_mem", "64MB", 1, (1024, TB), "1MB to 1TB"),
    size(key::POSTGRES_MAX_WAL_SIZE, "max_wal_size", "4GB", 1024, (32 * 1024, 1024 * TB), "32MB to 1024TB"),
    DcsSetting {
        key: key::POSTGRES_MAX_SLOT_WAL_KEEP_SIZE,
        place: Place::Parameter,
        name: "max_slot_wal_keep_size",
        notation: Notation::SizeOrNone { unit: 1024 },
        default: "8GB",
        range: (32 * 1024, 1024 * TB),
        expected: "32MB to 1024TB, or -1 for no limit",
    },
];

const fn durability(place: Place, name: &'static str, default: &'static str, notation: Notation) -> DcsSetting {
    DcsSetting { key: key::DURABILITY, place, name, notation, default, range: (1, 5), expected: "" }
}

/// What `DURABILITY` stands for: no key of `.env` names one of these alone.
pub static DURABILITY: [DcsSetting; 5] = [
    durability(Place::Patroni, "synchronous_mode", "false", Notation::Word(&["false", "true", "quorum"])),
    durability(Place::Patroni, "synchronous_mode_strict", "false", Notation::Word(&["false", "true"])),
    durability(Place::Patroni, "synchronous_node_count", "1", Notation::Number),
    durability(
        Place::Parameter,
        "synchronous_commit",
        "on",
        Notation::Word(&["off", "on", "local", "remote_write", "remote_apply"]),
    ),
    durability(Place::Parameter, "wal_sender_timeout", "30s", Notation::Word(&["30s", "10s"])),
];

fn every() -> impl Iterator<Item = &'static DcsSetting> {
    ALL.iter().chain(&DURABILITY)
}

/// The setting that `.env` calls `key`.
pub fn find(key: &str) -> Option<&'static DcsSetting> {
    ALL.iter().find(|setting| setting.key == key)
}

impl DcsSetting {
    /// What a fingerprint calls it: the key where it has one of its own.
    fn label(&self) -> &'static str {
        if self.key == key::DURABILITY { self.name } else { self.key }
    }

    /// Whether `.env` may say so.
    pub fn allows(&self, text: &str) -> bool {
        // YAML takes 010 for 8
        let plain = |text: &str| text == "0" || !text.starts_with('0');
        let digits = |text: &str| {
            plain(text) && (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let value = match self.notation {
            Notation::SizeOrNone { .. } if text == "-1" => return true,
            Notation::Word(words) => return words.contains(&text),
            Notation::Number if digits(text) => text.parse().ok(),
            Notation::Number => None,
            // a bare number is refused: nobody knows by heart in which units it counts
            Notation::Size { .. } | Notation::SizeOrNone { .. } => split(text).and_then(|(number, factor)| {
                let number: u64 = if digits(number) { number.parse().ok()? } else { return None };
                number.checked_mul(factor)
            }),
        };
        value.is_some_and(|value| (self.range.0..=self.range.1).contains(&value))
    }

    /// What a text that `.env` or the DCS holds stands for: the number itself, or kB, in the steps
    /// in which PostgreSQL counts. `None` where it is neither.
    pub fn meaning(&self, text: &str) -> Option<i128> {
        let text = text.trim();
        let unit = match self.notation {
            Notation::Size { unit } | Notation::SizeOrNone { unit } => unit,
            Notation::Number => return text.parse().ok(),
            Notation::Word(words) => return word(words, text),
        };
        let unit = i128::from(unit);
        let Some((number, factor)) = split(text) else {
            // -1 is no number of pages
            return text
                .parse::<i128>()
                .ok()
                .map(|number| if number < 0 { number } else { number.saturating_mul(unit) });
        };
        let number = number.trim_end();
        let factor = i128::from(factor);
        if let Ok(number) = number.parse::<i128>() {
            return Some(number.checked_mul(factor)?.checked_add(unit / 2)? / unit * unit);
        }
        // 1.5GB, exactly: PostgreSQL rounds to its unit only in the end
        let (whole, fraction) = number.split_once('.')?;
        if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok().filter(|whole| *whole >= 0)? };
        let tens = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
        let fraction: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        let scaled = whole.checked_mul(tens)?.checked_add(fraction)?.checked_mul(factor)?;
        Some((scaled + unit * tens / 2) / (unit * tens) * unit)
    }
}

/// The place of a word among the others. Patroni and PostgreSQL know several for a switch.
fn word(words: &[&str], text: &str) -> Option<i128> {
    let text = text.to_ascii_lowercase();
    let switch = |text: &str| match text {
        "true" | "on" | "yes" | "1" => Some(1),
        "false" | "off" | "no" | "0" => Some(0),
        _ => None,
    };
    switch(&text).or_else(|| i128::try_from(words.iter().position(|word| *word == text)?).ok())
}

/// The number before a unit, and how many kB that unit is.
fn split(text: &str) -> Option<(&str, u64)> {
    [("kB", 1), ("MB", 1 << 10), ("GB", 1 << 20), ("TB", TB)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
}

/// What `.env` says about the settings of the DCS. A setting that it does not name is left to
/// `patronictl edit-config`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DcsSettings {
    named: BTreeMap<&'static str, String>,
}

impl DcsSettings {
    /// Names a setting; false, and nothing happens, where it may not be that.
    pub fn name(&mut self, setting: &'static DcsSetting, value: &str) -> bool {
        let allowed = setting.allows(value);
        if allowed {
            self.named.insert(setting.name, value.to_owned());
        }
        allowed
    }

    /// Names what a profile or a mode stands for, but for what was named before.
    pub fn name_together(&mut self, settings: &[(&'static str, &'static str)]) {
        for (name, value) in settings {
            if let Some(setting) = every().find(|setting| setting.name == *name)
                && !self.named.contains_key(name)
            {
                self.name(setting, value);
            }
        }
    }

    /// The settings that `.env` names, with their values.
    pub fn named(&self) -> impl Iterator<Item = (&'static DcsSetting, &str)> {
        every().filter_map(|setting| Some((setting, self.named.get(setting.name)?.as_str())))
    }

    /// The mode of durability that `.env` names: one word for several settings.
    pub fn durability(&self) -> Option<Durability> {
        let names = |(name, value): &(&str, &str)| self.named.get(name).is_some_and(|named| named == value);
        Durability::ALL.into_iter().find(|mode| mode.settings().iter().all(names))
    }

    /// What a new cluster gets.
    pub fn at_birth(&self, setting: &'static DcsSetting) -> &str {
        self.named.get(setting.name).map_or(setting.default, String::as_str)
    }

    /// The value of the setting that the DCS calls `name`, at birth; empty where there is none.
    pub fn value(&self, name: &str) -> &str {
        every().find(|setting| setting.name == name).map_or("", |setting| self.at_birth(setting))
    }

    /// How many connections PostgreSQL is to have.
    pub fn max_connections(&self) -> usize {
        self.value("max_connections").parse().unwrap_or(100)
    }

    /// A fingerprint of what is named, 16 hexadecimal digits, for nodes to compare: two that name
    /// different values would overwrite each other's. `None` where nothing is named.
    pub fn fingerprint(&self) -> Option<String> {
        if self.named.is_empty() {
            return None;
        }
        let mut hasher = Sha256::new();
        for (setting, value) in self.named() {
            // the same value in another notation is no difference
            let value = setting.meaning(value).map_or_else(|| value.to_owned(), |meaning| meaning.to_string());
            hasher.update(format!("{}={value}\n", setting.label()));
        }
        Some(hasher.finalize()[..8].iter().fold(String::new(), |mut hex, byte| {
            // write! to a String cannot fail
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(key: &str, text: &str) -> Option<i128> {
        find(key).expect("a setting").meaning(text)
    }

    #[test]
    fn every_default_is_allowed() {
        for setting in every() {
            assert!(setting.allows(setting.default), "{}", setting.key);
        }
    }

    #[test]
    fn one_value_in_several_notations_means_the_same() {
        for (key, left, right) in [
            (key::POSTGRES_WORK_MEM, "64MB", "65536kB"),
            (key::POSTGRES_WORK_MEM, "64MB", "65536"),
            (key::POSTGRES_WORK_MEM, "64MB", " 64 MB "),
            (key::POSTGRES_WORK_MEM, "1536MB", "1.5GB"),
            (key::POSTGRES_SHARED_BUFFERS, "256MB", "32768"),
            (key::POSTGRES_SHARED_BUFFERS, "1GB", "1048576kB"),
            (key::POSTGRES_SHARED_BUFFERS, "128kB", "129kB"),
            (key::POSTGRES_MAX_WAL_SIZE, "4GB", "4096"),
            (key::POSTGRES_MAX_SLOT_WAL_KEEP_SIZE, "-1", "-1"),
            (key::POSTGRES_MAX_CONNECTIONS, "200", " 200"),
        ] {
            assert!(meaning(key, left).is_some(), "{key} {left}");
            assert_eq!(meaning(key, left), meaning(key, right), "{key}: {left} and {right}");
        }
        for (key, left, right) in [
            (key::POSTGRES_WORK_MEM, "64MB", "64"),
            (key::POSTGRES_SHARED_BUFFERS, "256MB", "256GB"),
            (key::POSTGRES_MAX_SLOT_WAL_KEEP_SIZE, "-1", "1024MB"),
        ] {
            assert_ne!(meaning(key, left), meaning(key, right), "{key}: {left} and {right}");
        }
        for odd in ["", "x", "4 mb", "1.GBx", "--1MB", "1..5GB", "99999999999999999999999999999999999999TB", "é"] {
            assert_eq!(meaning(key::POSTGRES_WORK_MEM, odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_switch_has_many_words_and_a_mode_is_none_of_them() {
        let mode = &DURABILITY[0];
        for (left, right) in [("false", "off"), ("true", "on"), ("quorum", "Quorum"), ("true", "yes")] {
            assert!(mode.meaning(left).is_some() && mode.meaning(left) == mode.meaning(right), "{left} {right}");
        }
        assert_ne!(mode.meaning("true"), mode.meaning("quorum"));
        let commit = &DURABILITY[3];
        let meanings: Vec<_> =
            ["off", "on", "local", "remote_write", "remote_apply"].map(|word| commit.meaning(word)).into();
        assert!((0..5).all(|at| meanings[at].is_some() && !meanings[..at].contains(&meanings[at])), "{meanings:?}");
        assert_eq!(commit.meaning("perhaps"), None);
    }

    #[test]
    fn what_was_named_by_itself_wins_over_what_is_named_together() {
        let mut settings = DcsSettings::default();
        assert!(settings.name(find(key::PATRONI_TTL).expect("a setting"), "45"));
        settings.name_together(&crate::Profile::Fast.patroni());
        assert_eq!((settings.value("ttl"), settings.value("loop_wait")), ("45", "1"));
        assert_eq!(settings.named().count(), 4);
    }

    #[test]
    fn the_same_settings_have_the_same_fingerprint_in_any_notation() {
        let of = |value: &str| {
            let mut settings = DcsSettings::default();
            assert!(settings.name(find(key::POSTGRES_WORK_MEM).expect("a setting"), value));
            settings.fingerprint()
        };
        assert_eq!(DcsSettings::default().fingerprint(), None);
        assert_eq!(of("64MB"), of("65536kB"));
        assert_ne!(of("64MB"), of("65MB"));
        assert_eq!(of("64MB").map(|print| print.len()), Some(16));
    }
}
