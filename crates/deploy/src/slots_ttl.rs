//! How long Patroni keeps the replication slot of a member that is away. `remove-node` shortens it for
//! a moment, and whoever comes by after one that was killed puts it back.

use serde_json::{Value, json};

/// The setting's name in the configuration that all nodes share.
pub(crate) const NAME: &str = "member_slots_ttl";
/// Beside it: what it was before.
const KEPT: &str = "patroni_stack_kept_member_slots_ttl";
/// Kept where there was nothing: a null there would mean that nothing is kept.
const DEFAULT: &str = "default";

/// What it was before a removal shortened it; null stands for Patroni's default.
pub(crate) fn kept(config: &Value) -> Option<Value> {
    let kept = config.get(KEPT)?;
    Some(if *kept == DEFAULT { Value::Null } else { kept.clone() })
}

/// The patch that shortens it, and keeps what it was.
pub(crate) fn shortened(was: &Value) -> Value {
    let kept = if was.is_null() { json!(DEFAULT) } else { was.clone() };
    json!({ NAME: 1, KEPT: kept })
}

/// The patch that puts it back.
pub(crate) fn restored(was: &Value) -> Value {
    json!({ NAME: was, KEPT: null })
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
    fn what_was_shortened_is_put_back_as_it_was() {
        for was in [json!({}), json!({ NAME: "1h" }), json!({ NAME: 0 })] {
            assert_eq!(kept(&was), None);
            let short = merged(was.clone(), &shortened(&was.get(NAME).cloned().unwrap_or_default()));
            assert_eq!(short.get(NAME), Some(&json!(1)));
            let back = kept(&short).expect("kept");
            assert_eq!(merged(short, &restored(&back)), was);
        }
    }
}
