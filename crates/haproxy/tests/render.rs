//! What `render` makes of example, random and hostile clusters.

#![expect(clippy::unwrap_used, reason = "tests")]

use pgstack_config::Access;
use pgstack_config::escape::HaproxyWord;
use pgstack_env::{NodeEnv, Profile};
use pgstack_haproxy::{CONFIG_PATH, render};
use pgstack_testing::golden::assert_golden;
use pgstack_testing::{example_node, strategy};
use pgstack_topology::Secret;
use proptest::prelude::*;

fn config(env: &NodeEnv) -> String {
    render(env).unwrap().get(CONFIG_PATH).unwrap().contents.clone()
}

/// The lines of one section without its heading.
fn section<'a>(config: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = config.lines().skip_while(|line| *line != heading).skip(1);
    lines.take_while(|line| line.starts_with(' ')).map(str::trim).collect()
}

#[test]
fn the_files_of_the_examples_are_the_goldens() {
    let balanced = Profile::Balanced;
    for (case, size, profile) in
        [("three-nodes", 3, balanced), ("six-nodes", 6, balanced), ("three-nodes-fast", 3, Profile::Fast)]
    {
        for id in 1..=size {
            let mut env = example_node(id, size);
            env.profile = profile;
            assert_golden(&format!("clusters/{case}/node{id}/{CONFIG_PATH}"), &config(&env));
        }
    }
}

#[test]
fn the_file_is_for_the_container_and_its_password_is_masked() {
    let files = render(&example_node(1, 3)).unwrap();
    let file = files.get(CONFIG_PATH).unwrap();
    assert_eq!(file.access, Access::Service);
    assert!(file.contents.contains("stats-secret-5"));
    assert!(!file.masked().contains("stats-secret-5"));
}

#[test]
fn the_primary_is_asked_for_by_its_lock_and_replicas_by_their_lag() {
    let config = config(&example_node(2, 3));
    assert!(section(&config, "backend primary").contains(&"option httpchk GET /primary"));
    assert!(section(&config, "backend replicas").contains(&"option httpchk OPTIONS /replica?lag=100MB"));
    assert!(section(&config, "frontend read").contains(&"use_backend primary if { nbsrv(replicas) eq 0 }"));
}

#[test]
fn the_health_answers_still_fit_when_readers_and_writers_are_at_their_limit() {
    let config = config(&example_node(1, 3));
    let maxconn = |heading: &str| -> u32 {
        let lines = section(&config, heading);
        lines.iter().find_map(|line| line.strip_prefix("maxconn ")).unwrap().parse().unwrap()
    };
    assert!(maxconn("global") >= maxconn("frontend write") + maxconn("frontend read") + 50);
}

proptest! {
    #[test]
    fn every_backend_names_every_node(nodes in strategy::cluster()) {
        for env in &nodes {
            let config = config(env);
            let servers = env.local.topology().nodes().map(|node| {
                let name = node.patroni_name();
                let way = section(&config, &format!("listen {name}"));
                assert!(way.contains(&format!("bind abns@{name}").as_str()), "{way:?}");
                assert!(way.contains(&format!("server postgres {}", node.postgres_address()).as_str()), "{way:?}");
                format!("server {name} abns@{name} check addr {}", node.ip())
            }).collect::<Vec<_>>();
            for backend in ["backend primary", "backend replicas"] {
                let lines = section(&config, backend);
                let found = lines.into_iter().filter(|line| line.starts_with("server ")).collect::<Vec<_>>();
                prop_assert_eq!(&found, &servers);
            }
        }
    }

    #[test]
    fn all_nodes_have_the_same_file_but_for_their_number(nodes in strategy::cluster()) {
        let number = |env: &NodeEnv| env.local.me().id();
        let anonymous = |env: &NodeEnv| {
            let config = config(env);
            config.replace(&format!("Node {}.", number(env)), "").replace(&format!("stack node {}", number(env)), "")
        };
        // the random password may hold the words themselves: the strategy's are too short for that
        for env in &nodes {
            prop_assert_eq!(anonymous(env), anonymous(&nodes[0]));
        }
    }

    #[test]
    fn a_password_changes_one_line_and_nothing_else(env in strategy::node_env(), other in strategy::password()) {
        let mut plain = env.clone();
        plain.stats_password = Secret::new("plain");
        let mut hostile = env;
        hostile.stats_password = Secret::new(other.clone());
        let (plain, hostile) = (config(&plain), config(&hostile));
        prop_assert_eq!(plain.lines().count(), hostile.lines().count());
        for (plain, hostile) in plain.lines().zip(hostile.lines()) {
            if let Some(auth) = hostile.trim().strip_prefix("stats auth ") {
                prop_assert_eq!(auth, HaproxyWord(&format!("admin:{other}")).to_string());
            } else {
                prop_assert_eq!(plain, hostile);
            }
        }
        prop_assert!(hostile.ends_with('\n') && hostile.is_ascii());
    }

    #[test]
    fn no_other_secret_is_in_the_file_and_the_same_input_gives_the_same_bytes(mut env in strategy::node_env()) {
        env.superuser_password = Secret::new("Sup3rS3cret");
        env.replication_password = Secret::new("R3plS3cret");
        env.pooler_password = Secret::new("P00lS3cret");
        env.restapi_password = Secret::new("R3stS3cret");
        env.vrrp.password = Secret::new("VrrpS3cr");
        let config = config(&env);
        for secret in ["Sup3rS3cret", "R3plS3cret", "P00lS3cret", "R3stS3cret", "VrrpS3cr"] {
            prop_assert!(!config.contains(secret));
        }
        prop_assert_eq!(&config, &self::config(&env));
    }
}
