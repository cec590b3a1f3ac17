//! What lives in the DCS beside what `.env` says: the differences, and the patch that ends them.
//!
//! Only what `.env` names is compared. Everything else in the DCS belongs to `patronictl
//! edit-config` and is neither read nor written.

use std::fmt;

use pgstack_env::dcs::{ALL, DcsSetting, DcsSettings, Notation, Place};
use serde_json::{Map, Value, json};

/// One setting that the DCS has otherwise than `.env` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    setting: &'static DcsSetting,
    /// Its value in the DCS, as text; `None` where it has none.
    old: Option<String>,
    new: String,
    /// The same parameter in other letters (`Work_Mem`), which would make it a matter of chance
    /// which of the two counts.
    twins: Vec<String>,
}

/// Patroni's three times would not fit together; it would shorten two of them without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("loop_wait {loop_wait} + 2 * retry_timeout {retry_timeout} would be more than ttl {ttl}")]
pub struct TimesDoNotFit {
    loop_wait: i128,
    retry_timeout: i128,
    ttl: i128,
}

/// `postgresql.parameters.work_mem: 4MB -> 64MB`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.setting.place == Place::Parameter {
            f.write_str("postgresql.parameters.")?;
        }
        let old = self.old.as_ref().map_or_else(|| "(not set)".to_owned(), |old| old.escape_debug().to_string());
        write!(f, "{}: {old} -> {}", self.setting.name, self.new)
    }
}

impl Change {
    /// Whether PostgreSQL takes it up only when it starts.
    pub fn needs_restart(&self) -> bool {
        needs_restart(self.setting)
    }
}

/// Whether PostgreSQL takes a setting up only when it starts.
pub fn needs_restart(setting: &DcsSetting) -> bool {
    matches!(setting.name, "max_connections" | "shared_buffers")
}

/// Everything that `.env` names and the DCS has otherwise. A value in another notation (64MB and
/// 65536kB, 200 and "200") is no difference.
pub fn changes(wanted: &DcsSettings, dcs: &Value) -> Vec<Change> {
    let of = |(setting, value): (&'static DcsSetting, &str)| {
        let place = level(setting.place, dcs);
        let found = place.and_then(|place| place.get(setting.name));
        let is_twin = |name: &&String| {
            setting.place == Place::Parameter && *name != setting.name && name.eq_ignore_ascii_case(setting.name)
        };
        let twins: Vec<String> = place.into_iter().flat_map(Map::keys).filter(is_twin).cloned().collect();
        let old = found.filter(|found| !found.is_null()).map(text);
        let same = old.as_deref().is_some_and(|old| old == value || is_same(setting, old, value));
        (!same || !twins.is_empty()).then(|| Change { setting, old, new: value.to_owned(), twins })
    };
    wanted.named().filter_map(of).collect()
}

/// What `PATCH /config` takes: a merge patch with the changes and nothing else.
pub fn patch(changes: &[Change]) -> Value {
    let (mut top, mut parameters) = (Map::new(), Map::new());
    for Change { setting, new, twins, .. } in changes {
        let place = if setting.place == Place::Parameter { &mut parameters } else { &mut top };
        place.extend(twins.iter().map(|twin| (twin.clone(), Value::Null)));
        place.insert(setting.name.to_owned(), value(setting, new));
    }
    if !parameters.is_empty() {
        top.insert("postgresql".to_owned(), json!({ "parameters": parameters }));
    }
    Value::Object(top)
}

/// As Patroni wants to have it: a number, a switch of its own, or text.
fn value(setting: &DcsSetting, new: &str) -> Value {
    let number = new.parse::<i64>().ok().filter(|_| setting.notation == Notation::Number || new == "-1");
    let switch = new.parse::<bool>().ok().filter(|_| matches!(setting.notation, Notation::Word(_)));
    number.map(|number| json!(number)).or(switch.map(|switch| json!(switch))).unwrap_or_else(|| json!(new))
}

/// Whether Patroni's times would fit together after the changes. Where none of them changes, that
/// is none of our business.
pub fn times_fit(wanted: &DcsSettings, dcs: &Value) -> Result<(), TimesDoNotFit> {
    let is_time = |name: &str| matches!(name, "ttl" | "loop_wait" | "retry_timeout");
    if !changes(wanted, dcs).iter().any(|change| is_time(change.setting.name)) {
        return Ok(());
    }
    let after = |name: &str| {
        let setting = ALL.iter().find(|setting| setting.name == name)?;
        let named = wanted.named().find(|(named, _)| *named == setting).map(|(_, value)| value.to_owned());
        let found = || dcs.get(name).map(text).filter(|text| setting.meaning(text).is_some());
        setting.meaning(&named.or_else(found).unwrap_or_else(|| setting.default.to_owned()))
    };
    match (after("loop_wait"), after("retry_timeout"), after("ttl")) {
        (Some(loop_wait), Some(retry_timeout), Some(ttl))
            if loop_wait.saturating_add(retry_timeout.saturating_mul(2)) > ttl =>
        {
            Err(TimesDoNotFit { loop_wait, retry_timeout, ttl })
        }
        _ => Ok(()),
    }
}

fn is_same(setting: &DcsSetting, old: &str, value: &str) -> bool {
    setting.meaning(old).is_some() && setting.meaning(old) == setting.meaning(value)
}

/// The object that holds the settings of a place.
fn level(place: Place, dcs: &Value) -> Option<&Map<String, Value>> {
    match place {
        Place::Patroni => dcs.as_object(),
        Place::Parameter => dcs.get("postgresql")?.get("parameters")?.as_object(),
    }
}

/// A value as somebody would write it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
