//! Random clusters written as `.env` files, and random bytes.

use std::fmt::Write as _;

use pgstack_env::{Durability, NodeEnv, ProblemKind, Profile, dcs, key, load};
use pgstack_testing::strategy;
use proptest::prelude::*;

/// `KEY="value"`, as formats.md says that a value is written.
fn line(out: &mut String, key: &str, value: &dyn std::fmt::Display) {
    let value = value.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    writeln!(out, "{key}=\"{value}\"").expect("a string");
}

/// The mode whose settings are named.
fn mode(env: &NodeEnv) -> Option<Durability> {
    let named: Vec<(&str, &str)> = env
        .dcs
        .named()
        .filter(|(setting, _)| dcs::DURABILITY.contains(setting))
        .map(|(setting, value)| (setting.name, value))
        .collect();
    Durability::ALL.into_iter().find(|mode| *mode.settings() == named[..])
}

fn written(env: &NodeEnv) -> String {
    let mut out = String::new();
    let topology = env.local.topology();
    line(&mut out, key::NODE_ID, &env.local.me().id());
    line(&mut out, key::NODE_IP, &env.local.me().ip());
    for (key, node) in key::NODE_IPS.iter().zip(topology.nodes()) {
        line(&mut out, key, &node.ip());
    }
    line(&mut out, key::VIP, &topology.vip().ip());
    line(&mut out, key::VIP_PREFIX, &topology.vip().prefix());
    line(&mut out, key::KEEPALIVED_ROUTER_ID, &env.vrrp.router_id);
    line(&mut out, key::KEEPALIVED_PREEMPT, &env.vrrp.preempt);
    line(&mut out, key::KEEPALIVED_AUTH_PASS, &env.vrrp.password.expose());
    line(&mut out, key::POSTGRES_SUPERUSER_PASSWORD, &env.superuser_password.expose());
    line(&mut out, key::POSTGRES_REPLICATION_PASSWORD, &env.replication_password.expose());
    line(&mut out, key::POSTGRESQL_PASSWORD, &env.pooler_password.expose());
    line(&mut out, key::PATRONI_RESTAPI_PASSWORD, &env.restapi_password.expose());
    line(&mut out, key::HAPROXY_STATS_PASSWORD, &env.stats_password.expose());
    for (setting, value) in env.dcs.named().filter(|(setting, _)| dcs::find(setting.key).is_some()) {
        line(&mut out, setting.key, &value);
    }
    if env.profile != Profile::Balanced {
        line(&mut out, key::RTO_PROFILE, &env.profile.as_str());
    }
    if let Some(mode) = mode(env) {
        line(&mut out, key::DURABILITY, &mode.as_str());
    }
    out
}

proptest! {
    #[test]
    fn what_is_written_comes_back_on_every_node(nodes in strategy::cluster()) {
        for env in nodes {
            match load(written(&env).as_bytes(), &|_| None) {
                Ok(loaded) => {
                    // computed, never written
                    let agent_token = loaded.env.agent_token.clone();
                    prop_assert_eq!(loaded.env, NodeEnv { agent_token, ..env });
                }
                // A random value can be one of the well-known passwords, a random VIP no host's address,
                // and random times need not fit together.
                Err(errors) => for problem in errors.problems() {
                    prop_assert!(
                        matches!(problem.kind(), ProblemKind::Password(_) | ProblemKind::NotAHost { .. } | ProblemKind::Timing { .. }),
                        "{}", problem
                    );
                },
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic_and_a_refusal_has_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let errors = load(&bytes, &|_| None).expect_err("no random file is complete");
        prop_assert!(!errors.problems().is_empty());
        prop_assert!(errors.to_string().starts_with("`.env` has "));
    }

    #[test]
    fn values_of_any_kind_are_refused_or_read(
        key in prop::sample::select(key::ALL.map(|key| key.name).to_vec()),
        value in "[ -~é\n]{0,20}",
        env in strategy::node_env(),
    ) {
        let mut text = written(&env);
        line(&mut text, key, &value);
        if let Err(errors) = load(text.as_bytes(), &|_| None) {
            prop_assert!(!errors.problems().is_empty());
        }
    }
}
