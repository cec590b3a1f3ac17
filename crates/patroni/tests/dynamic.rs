//! The settings of the DCS beside those of `.env`.

use pgstack_env::dcs::{self, DcsSettings, Notation, Place};
use pgstack_env::key;
use pgstack_patroni::dynamic::{changes, patch, times_fit};
use pgstack_testing::strategy;
use proptest::prelude::*;
use serde_json::{Value, json};

fn naming(pairs: &[(&str, &str)]) -> DcsSettings {
    let mut settings = DcsSettings::default();
    for (key, value) in pairs {
        assert!(settings.name(dcs::find(key).expect("a setting"), value), "{key}={value}");
    }
    settings
}

/// As Patroni merges (`patch_config`).
fn merge(into: &mut Value, patch: &Value) {
    let (Some(into), Some(patch)) = (into.as_object_mut(), patch.as_object()) else { return };
    for (name, value) in patch {
        match into.get_mut(name) {
            _ if value.is_null() => drop(into.remove(name)),
            Some(old) if old.is_object() && value.is_object() => merge(old, value),
            _ => drop(into.insert(name.clone(), value.clone())),
        }
    }
}

#[test]
fn only_what_is_named_and_differs_is_patched() {
    let dcs = json!({"ttl": 30, "loop_wait": 7, "synchronous_mode": true,
                     "postgresql": {"parameters": {"work_mem": "4MB", "max_connections": "200", "shared_buffers": 32768}}});
    let wanted = naming(&[
        (key::PATRONI_TTL, "40"),
        (key::POSTGRES_WORK_MEM, "65536kB"),
        (key::POSTGRES_MAX_CONNECTIONS, "200"),
        (key::POSTGRES_SHARED_BUFFERS, "256MB"),
        (key::POSTGRES_MAX_SLOT_WAL_KEEP_SIZE, "-1"),
    ]);
    let found = changes(&wanted, &dcs);
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "ttl: 30 -> 40",
            "postgresql.parameters.work_mem: 4MB -> 65536kB",
            "postgresql.parameters.max_slot_wal_keep_size: (not set) -> -1",
        ]
    );
    let expected =
        json!({"ttl": 40, "postgresql": {"parameters": {"work_mem": "65536kB", "max_slot_wal_keep_size": -1}}});
    assert_eq!(patch(&found), expected);
    assert!(found.iter().all(|change| !change.needs_restart()));
    assert!(changes(&naming(&[(key::POSTGRES_MAX_CONNECTIONS, "201")]), &dcs)[0].needs_restart());
}

#[test]
fn nothing_named_is_nothing_to_do_whatever_the_dcs_holds() {
    for dcs in [json!(null), json!({}), json!({"ttl": "x", "postgresql": 5}), json!([1])] {
        assert_eq!(changes(&DcsSettings::default(), &dcs), []);
        assert_eq!(patch(&[]), json!({}));
    }
}

#[test]
fn the_same_parameter_in_other_letters_goes() {
    let mut dcs = json!({"postgresql": {"parameters": {"work_mem": "4MB", "Work_Mem": "8MB"}}});
    let wanted = naming(&[(key::POSTGRES_WORK_MEM, "4MB")]);
    let patch = patch(&changes(&wanted, &dcs));
    merge(&mut dcs, &patch);
    assert_eq!(dcs, json!({"postgresql": {"parameters": {"work_mem": "4MB"}}}));
}

#[test]
fn times_that_would_not_fit_with_those_of_the_dcs_are_refused() {
    let wanted = naming(&[(key::PATRONI_TTL, "40")]);
    assert!(times_fit(&wanted, &json!({"ttl": 30, "loop_wait": 10, "retry_timeout": 10})).is_ok());
    let refused = times_fit(&wanted, &json!({"ttl": 60, "loop_wait": "25"})).expect_err("25 + 20 > 40");
    assert_eq!(refused.to_string(), "loop_wait 25 + 2 * retry_timeout 10 would be more than ttl 40");
    assert!(times_fit(&wanted, &json!({"ttl": 40, "loop_wait": 25})).is_ok(), "nothing of it changes");
}

/// Any value that the DCS may hold for a setting, in any notation.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2i64..100_000).prop_map(Value::from),
        (-2i64..100_000).prop_map(|number| Value::from(number.to_string())),
        any::<f64>().prop_map(Value::from),
        (0u32..5000, prop::sample::select(vec!["kB", "MB", "GB", "TB", " MB", "mb", ".5GB"]))
            .prop_map(|(number, unit)| Value::from(format!("{number}{unit}"))),
        "\\PC{0,8}".prop_map(Value::from),
    ]
}

prop_compose! {
    fn any_dcs()(
        values in prop::collection::vec(prop::option::of(any_value()), dcs::ALL.len() + dcs::DURABILITY.len()),
        other in any_value(),
        shape in 0u8..6,
    ) -> Value {
        let mut dcs = json!({"failsafe_mode": other, "postgresql": {"use_slots": true, "parameters": {"random_page_cost": other}}});
        for (setting, value) in dcs::ALL.iter().chain(&dcs::DURABILITY).zip(values) {
            let Some(value) = value else { continue };
            match setting.place {
                Place::Patroni => dcs[setting.name] = value,
                Place::Parameter => dcs["postgresql"]["parameters"][setting.name] = value,
            }
        }
        match shape {
            0 => dcs["postgresql"] = other,
            1 => dcs["postgresql"]["parameters"] = other,
            _ => {}
        }
        dcs
    }
}

proptest! {
    #[test]
    fn a_patch_that_was_applied_leaves_nothing_to_patch_and_touches_nothing_else(
        wanted in strategy::dcs_settings(),
        dcs in any_dcs(),
    ) {
        let mut after = dcs.clone();
        merge(&mut after, &patch(&changes(&wanted, &dcs)));
        prop_assert_eq!(changes(&wanted, &after), []);
        let strip = |mut value: Value| {
            for (setting, _) in wanted.named() {
                match setting.place {
                    Place::Patroni => drop(value.as_object_mut().and_then(|top| top.remove(setting.name))),
                    Place::Parameter => {
                        let place = value.pointer_mut("/postgresql/parameters").and_then(Value::as_object_mut);
                        drop(place.and_then(|parameters| parameters.remove(setting.name)));
                    }
                }
            }
            value
        };
        // what is no object cannot hold the parameters, so it is replaced
        if dcs.pointer("/postgresql/parameters").is_some_and(Value::is_object) {
            prop_assert_eq!(strip(after), strip(dcs));
        }
    }

    #[test]
    fn the_same_value_in_another_notation_is_no_difference(megabytes in 64u64..1_000_000) {
        for setting in &dcs::ALL {
            let (Notation::Size { unit } | Notation::SizeOrNone { unit }) = setting.notation else { continue };
            let text = format!("{megabytes}MB");
            prop_assert!(setting.allows(&text));
            let wanted = naming(&[(setting.key, &text)]);
            for same in [json!(text), json!(format!("{}kB", megabytes * 1024)), json!(megabytes * 1024 / unit),
                         json!(format!(" {} ", megabytes * 1024 / unit))] {
                prop_assert_eq!(changes(&wanted, &json!({"postgresql": {"parameters": {setting.name: same}}})), []);
            }
        }
    }
}
