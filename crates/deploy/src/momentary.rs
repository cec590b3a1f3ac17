//! A setting that all nodes share and that a tool changes for a moment. What it was is kept beside it, so that whoever comes
//! by after a tool that was killed puts it back.

use std::fmt;

use serde_json::{Value, json};

/// How long Patroni keeps the replication slot of a member that is away: `remove-node` shortens it.
pub(crate) const SLOTS_TTL: Momentary =
    Momentary { name: "member_slots_ttl", kept: "patroni_stack_kept_member_slots_ttl" };
/// How many standbys have a row before it is acknowledged: `switchover` makes more of them synchronous.
pub(crate) const SYNC_COUNT: Momentary =
    Momentary { name: "synchronous_node_count", kept: "patroni_stack_kept_synchronous_node_count" };

/// Kept where there was nothing: a null there would mean that nothing is kept.
const DEFAULT: &str = "default";

/// One such setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Momentary {
    /// Its name in the configuration that all nodes share.
    pub(crate) name: &'static str,
    /// Beside it: what it was before.
    kept: &'static str,
}

impl Momentary {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [SLOTS_TTL, SYNC_COUNT];

    /// What it is; null where Patroni's default counts.
    pub(crate) fn current(self, config: &Value) -> Value {
        config.get(self.name).cloned().unwrap_or_default()
    }

    /// What it was before it was changed for a moment; null stands for Patroni's default.
    pub(crate) fn kept(self, config: &Value) -> Option<Value> {
        let kept = config.get(self.kept)?;
        Some(if *kept == DEFAULT { Value::Null } else { kept.clone() })
    }

    /// The patch that changes it to `value`, and keeps what it was.
    pub(crate) fn changed(self, was: &Value, value: u64) -> Value {
        let kept = if was.is_null() { json!(DEFAULT) } else { was.clone() };
        json!({ self.name: value, self.kept: kept })
    }

    /// The patch that puts it back.
    pub(crate) fn restored(self, was: &Value) -> Value {
        json!({ self.name: was, self.kept: null })
    }
}

impl fmt::Display for Momentary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Patroni merges: null takes a key out.
    fn merged(mut config: Value, patch: &Value) -> Value {
        let map = config.as_object_mut().expect("an object");
        for (name, value) in patch.as_object().expect("an object") {
            map.insert(name.clone(), value.clone());
        }
        map.retain(|_, value| !value.is_null());
        config
    }

    #[test]
    fn what_was_changed_is_put_back_as_it_was() {
        for setting in Momentary::ALL {
            for was in [json!({}), json!({ setting.name: "1h" }), json!({ setting.name: 0 })] {
                assert_eq!(setting.kept(&was), None);
                let meanwhile = merged(was.clone(), &setting.changed(&setting.current(&was), 7));
                assert_eq!(meanwhile.get(setting.name), Some(&json!(7)));
                let back = setting.kept(&meanwhile).expect("kept");
                assert_eq!(merged(meanwhile, &setting.restored(&back)), was);
            }
        }
    }
}
