//! The settings of the DCS, and whether they fit together.

use super::reader::{Given, Reader};
use crate::dcs::{ALL, DcsSettings};
use crate::problem::ProblemKind;
use crate::{Durability, Profile, key};

/// The profile and what the file names; what is wrong was reported.
pub(super) fn read(reader: &mut Reader<'_>) -> (Profile, DcsSettings) {
    let mut settings = DcsSettings::default();
    let mut given: Vec<Given> = Vec::new();
    for setting in &ALL {
        let Some(value) = reader.optional(setting.key) else { continue };
        let allowed = |text: &str| if settings.name(setting, text) { Ok(()) } else { Err(()) };
        let expected = setting.expected;
        if reader.parse(&value, allowed, |(), got| ProblemKind::NotOneOf { expected, got }).is_some() {
            given.push(value);
        }
    }
    let profile = reader.optional(key::RTO_PROFILE);
    let named = profile.as_ref().and_then(|given| reader.choose(given, "fast, balanced or tolerant", Profile::find));
    if let Some(profile) = named {
        settings.name_together(&profile.patroni());
    }
    let durability = reader.optional(key::DURABILITY);
    if let Some(mode) =
        durability.as_ref().and_then(|given| reader.choose(given, "async, sync or strict", Durability::find))
    {
        settings.name_together(mode.settings());
    }
    let first_of = |keys: &[&str]| given.iter().find(|given| keys.contains(&given.key));
    let number = |name: &str| settings.value(name).parse::<u64>().unwrap_or_default();
    let (ttl, loop_wait, retry_timeout) = (number("ttl"), number("loop_wait"), number("retry_timeout"));
    if let Some(given) = first_of(&[key::PATRONI_TTL, key::PATRONI_LOOP_WAIT, key::PATRONI_RETRY_TIMEOUT])
        && loop_wait + 2 * retry_timeout > ttl
    {
        reader.refuse(given, ProblemKind::Timing { loop_wait, retry_timeout, ttl });
    }
    let [most, kept] = [key::POSTGRES_MAX_WAL_SIZE, key::POSTGRES_MAX_SLOT_WAL_KEEP_SIZE];
    if let Some(given) = first_of(&[most, kept])
        && let Some((wal, keep)) = crate::dcs::find(most).zip(crate::dcs::find(kept))
    {
        let [got, keep_text] = [wal, keep].map(|setting| settings.at_birth(setting).to_owned());
        let limit = keep.meaning(&keep_text).filter(|&limit| limit >= 0);
        if limit.is_some_and(|limit| wal.meaning(&got) > Some(limit)) {
            reader.warn(given, ProblemKind::KeepsTooLittle { got, keep: keep_text });
        }
    }
    (named.unwrap_or_default(), settings)
}
