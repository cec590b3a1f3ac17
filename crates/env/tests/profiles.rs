//! Profiles and durability beside explicit keys: consistent, or refused with a clear word; and what the documents say.
#![expect(clippy::disallowed_methods, reason = "tests read documents; the library itself is pure")]

use std::fmt::Write as _;

use pgstack_env::recovery::{Event, bound, query_wait, settings_table, table};
use pgstack_env::{Durability, Loaded, ProblemKind, Profile, VrrpVersion, dcs, key, load};
use pgstack_testing::{example_node, repository};
use proptest::prelude::*;

const FILE: &str = "NODE_ID=1\nNODE_IP=192.168.0.152\nNODE1_IP=192.168.0.152\nNODE2_IP=192.168.0.153\n\
    NODE3_IP=192.168.0.154\nVIP=192.168.0.161\nPOSTGRES_SUPERUSER_PASSWORD=Sup3rUserPassw0rdOfTheTests\n\
    POSTGRES_REPLICATION_PASSWORD=Repl1cationPassw0rdOfTheTests\nKEEPALIVED_AUTH_PASS=Vrrp1234\n";

fn read(lines: &[(&str, &str)]) -> Result<Loaded, pgstack_env::EnvErrors> {
    let mut text = FILE.to_owned();
    for (key, value) in lines {
        writeln!(text, "{key}={value}").expect("a string");
    }
    load(text.as_bytes(), &|_| None)
}

#[test]
fn without_a_profile_nothing_is_named_and_the_rest_is_balanced() {
    let env = read(&[]).expect("a file").env;
    assert_eq!((env.profile, env.dcs.named().count()), (Profile::Balanced, 0));
    let named = read(&[(key::RTO_PROFILE, "balanced")]).expect("a file").env;
    assert_eq!(named.dcs.named().count(), 4);
    for (setting, value) in named.dcs.named() {
        assert_eq!(value, env.dcs.at_birth(setting), "{}", setting.name);
    }
    assert_eq!(env.agreement(), named.agreement());
}

#[test]
fn a_mode_names_patronis_switches_and_nothing_else() {
    for (mode, count) in [("async", 2), ("sync", 4), ("STRICT", 5)] {
        let env = read(&[(key::DURABILITY, mode)]).expect("a file").env;
        assert_eq!(env.dcs.named().count(), count, "{mode}");
        assert!(env.dcs.named().all(|(setting, _)| setting.key == key::DURABILITY));
    }
    let strict = read(&[(key::DURABILITY, "strict")]).expect("a file").env;
    assert_eq!(strict.dcs.value("synchronous_mode_strict"), "true");
    assert_eq!(strict.dcs.value("synchronous_mode"), "true");
    let sync = read(&[(key::DURABILITY, "sync")]).expect("a file").env;
    assert_eq!(sync.dcs.value("synchronous_mode"), "quorum");
}

#[test]
fn nodes_that_do_not_hear_each_other_do_not_agree() {
    let with = |profile| {
        let mut env = example_node(1, 3);
        env.profile = profile;
        env.agreement()
    };
    let all = Profile::ALL.map(with);
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
    assert_eq!(all[1], example_node(2, 3).agreement(), "balanced speaks what has always been spoken");
}

#[test]
fn the_documents_hold_the_tables_as_they_are_computed() {
    for document in ["docs/recovery-times.md", "docs/recovery-times.zh-CN.md"] {
        let text = std::fs::read_to_string(repository(document)).expect("a document");
        let figures = |table: &str| {
            let rows =
                table.lines().skip(2).map(|row| row.split('|').rev().skip(1).take(3).collect::<Vec<_>>().join("|"));
            rows.collect::<Vec<_>>()
        };
        for table in [table(), settings_table()] {
            if document.ends_with("times.md") {
                assert!(text.contains(&table), "{document} should hold\n{table}");
            }
            // the Chinese one has its own words and the same figures, row by row
            let mut rows = text.lines().filter(|line| line.starts_with('|'));
            for wanted in figures(&table) {
                let found =
                    rows.any(|row| row.split('|').rev().skip(1).take(3).collect::<Vec<_>>().join("|") == wanted);
                assert!(found, "{document} lacks a row with {wanted} in\n{table}");
            }
        }
    }
}

/// Explicit times, some of which fit.
fn times() -> impl Strategy<Value = [Option<u64>; 4]> {
    [
        prop::option::of(15u64..=120),
        prop::option::of(0u64..=40),
        prop::option::of(1u64..=40),
        prop::option::of(0u64..=4000),
    ]
}

proptest! {
    #[test]
    fn any_profile_beside_any_explicit_keys_is_consistent_or_refused_with_a_reason(
        profile in prop::option::of(prop::sample::select(Profile::ALL.to_vec())),
        mode in prop::option::of(prop::sample::select(Durability::ALL.to_vec())),
        times in times(),
    ) {
        let keys = [key::PATRONI_TTL, key::PATRONI_LOOP_WAIT, key::PATRONI_RETRY_TIMEOUT, key::PATRONI_PRIMARY_START_TIMEOUT];
        let texts = times.map(|time| time.map(|time| time.to_string()));
        let mut lines: Vec<(&str, &str)> =
            keys.iter().zip(&texts).filter_map(|(key, text)| Some((*key, text.as_deref()?))).collect();
        lines.extend(profile.map(|profile| (key::RTO_PROFILE, profile.as_str())));
        lines.extend(mode.map(|mode| (key::DURABILITY, mode.as_str())));
        let defaults = profile.unwrap_or_default().patroni().map(|(_, value)| value.parse::<u64>().expect("a number"));
        let meant: Vec<u64> = times.iter().zip(defaults).map(|(time, default)| time.unwrap_or(default)).collect();
        let fits = meant[0] >= 20 && meant[1] >= 1 && meant[2] >= 3 && meant[3] <= 3600;
        let consistent = meant[1] + 2 * meant[2] <= meant[0];
        match read(&lines) {
            Ok(loaded) => {
                prop_assert!(fits && consistent, "{:?}", lines);
                let env = loaded.env;
                for (key, text) in &lines {
                    if let Some(setting) = dcs::find(key) {
                        prop_assert_eq!(env.dcs.at_birth(setting), *text, "an explicit key wins");
                    }
                }
                let named = ["ttl", "loop_wait", "retry_timeout", "primary_start_timeout"].map(|name| env.dcs.value(name).parse::<u64>().expect("a number"));
                prop_assert_eq!(named.to_vec(), meant);
                prop_assert_eq!(env.profile, profile.unwrap_or_default());
                for event in Event::ALL {
                    prop_assert!(query_wait(env.profile, &env.dcs) > bound(event, env.profile, &env.dcs) || event == Event::RecoveryTooLong);
                }
            }
            Err(errors) => {
                prop_assert!(!fits || !consistent, "{:?}: {}", lines, errors);
                for problem in errors.problems() {
                    let told = matches!(problem.kind(), ProblemKind::Timing { .. } | ProblemKind::NotOneOf { .. });
                    prop_assert!(told, "{}", problem);
                    prop_assert!(lines.iter().any(|(key, _)| *key == problem.key()), "{} names a line of the file", problem);
                }
            }
        }
    }
}

#[test]
fn version_3_is_spoken_where_parts_of_a_second_are_needed_and_nowhere_else() {
    let versions = Profile::ALL.map(|profile| profile.vrrp().version);
    assert_eq!(versions, [VrrpVersion::V3, VrrpVersion::V2, VrrpVersion::V2]);
}
