//! What `render` makes of example, random and hostile clusters.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use pgstack_config::{Access, ConfigSet};
use pgstack_env::NodeEnv;
use pgstack_env::dcs::{self, Place};
use pgstack_patroni::{PATRONI_ENV, PATRONI_YML, POOLER_SQL, ROLES_SQL, render};
use pgstack_testing::golden::assert_golden;
use pgstack_testing::{example_node, strategy};
use pgstack_topology::{Node, Secret};
use proptest::prelude::*;
use serde_yaml::Value;

fn files(env: &NodeEnv) -> ConfigSet {
    render(env).unwrap()
}

fn contents(env: &NodeEnv, path: &str) -> String {
    files(env).get(path).unwrap().contents.clone()
}

fn yaml(env: &NodeEnv) -> Value {
    serde_yaml::from_str(&contents(env, PATRONI_YML)).unwrap()
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, key| &value[key])
}

#[test]
fn the_files_of_the_examples_are_the_goldens() {
    for (case, size) in [("three-nodes", 3), ("six-nodes", 6)] {
        for id in 1..=size {
            for file in &files(&example_node(id, size)) {
                assert_golden(&format!("clusters/{case}/node{id}/{}", file.path), &file.contents);
            }
        }
    }
}

#[test]
fn every_file_says_what_made_it_and_what_to_edit_and_ends_with_a_line_break() {
    for file in &files(&example_node(1, 3)) {
        let first = file.contents.lines().next().unwrap();
        assert!(first.contains("gen-patroni") && first.contains(".env"), "{}: {first}", file.path);
        assert!(file.contents.ends_with('\n') && !file.contents.ends_with("\n\n"), "{}", file.path);
    }
}

#[test]
fn the_roles_are_the_same_on_every_node_and_stay_so_when_the_cluster_grows() {
    for file in [POOLER_SQL, ROLES_SQL] {
        let sql = contents(&example_node(1, 3), file);
        for (id, size) in [(2, 3), (3, 3), (1, 4), (6, 6)] {
            assert_eq!(contents(&example_node(id, size), file), sql);
        }
    }
}

#[test]
fn a_diff_of_the_files_shows_no_secret() {
    let env = example_node(1, 3);
    let shown: String = files(&env).iter().map(|file| file.masked() + &file.diff_from("")).collect();
    for secret in passwords(&env).into_iter().chain(["SCRAM-SHA-256$"]) {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("password: ***") && shown.contains("text := ***"), "{shown}");
}

fn passwords(env: &NodeEnv) -> [&str; 5] {
    [
        &env.superuser_password,
        &env.replication_password,
        &env.pooler_password,
        &env.restapi_password,
        &env.stats_password,
    ]
    .map(Secret::expose)
}

proptest! {
    #[test]
    fn the_same_settings_give_the_same_bytes(env in strategy::node_env()) {
        prop_assert_eq!(files(&env), files(&env));
    }

    #[test]
    fn every_value_comes_back_from_the_yaml(env in strategy::node_env()) {
        let yaml = yaml(&env);
        let me = env.local.me();
        for (path, expected) in [
            ("scope", "pg-cluster".to_owned()),
            ("namespace", "/service/".to_owned()),
            ("name", me.patroni_name()),
            ("restapi.listen", "0.0.0.0:8008".to_owned()),
            ("restapi.connect_address", me.patroni_rest_address()),
            ("restapi.authentication.username", "patroni".to_owned()),
            ("restapi.authentication.password", env.restapi_password.expose().to_owned()),
            ("etcd3.username", env.etcd_login().user),
            ("etcd3.password", env.etcd_login().password.expose().to_owned()),
            ("tags.etcd_user", env.etcd_login().user),
            ("postgresql.listen", "0.0.0.0:5432".to_owned()),
            ("postgresql.connect_address", me.postgres_address()),
            ("postgresql.data_dir", "/home/postgres/pgdata/data".to_owned()),
            ("postgresql.authentication.superuser.username", "postgres".to_owned()),
            ("postgresql.authentication.superuser.password", env.superuser_password.expose().to_owned()),
            ("postgresql.authentication.replication.username", "replicator".to_owned()),
            ("postgresql.authentication.replication.password", env.replication_password.expose().to_owned()),
        ] {
            prop_assert_eq!(at(&yaml, path).as_str(), Some(expected.as_str()), "{}", path);
        }
        for (setting, place) in dcs::ALL.iter().chain(&dcs::DURABILITY).map(|setting| (setting, match setting.place {
            Place::Patroni => "bootstrap.dcs",
            Place::Parameter => "bootstrap.dcs.postgresql.parameters",
        })) {
            let value = &at(&yaml, place)[setting.name];
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Bool(switch) => switch.to_string(),
                other => other.as_i64().unwrap().to_string(),
            };
            prop_assert_eq!(text, env.dcs.at_birth(setting), "{}", setting.name);
        }
        let etcd = at(&yaml, "etcd3.hosts").as_sequence().unwrap();
        let wanted = env.local.topology().nodes().map(Node::etcd_endpoint);
        prop_assert!(etcd.iter().filter_map(Value::as_str).eq(wanted), "{:?}", etcd);
    }

    #[test]
    fn the_environment_names_this_node_and_all_etcd_members_in_a_shell_s_plain_words(env in strategy::node_env()) {
        let text = contents(&env, PATRONI_ENV);
        let pairs = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('=').unwrap());
        let pairs = pairs.collect::<std::collections::BTreeMap<_, _>>();
        let me = env.local.me();
        prop_assert_eq!(pairs["PATRONI_POSTGRESQL_CONNECT_ADDRESS"], me.postgres_address());
        prop_assert_eq!(pairs["PATRONI_RESTAPI_CONNECT_ADDRESS"], me.patroni_rest_address());
        let etcd = env.local.topology().nodes().map(Node::etcd_endpoint).collect::<Vec<_>>();
        prop_assert_eq!(pairs["PATRONI_ETCD3_HOSTS"].split(',').collect::<Vec<_>>(), etcd);
        prop_assert_eq!(pairs.len(), 3);
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:,".contains(c);
        prop_assert!(pairs.values().all(|value| value.chars().all(plain)), "{}", text);
    }

    #[test]
    fn no_password_adds_a_line_or_leaves_its_line(env in strategy::node_env()) {
        let mut plain = env.clone();
        for secret in [
            &mut plain.superuser_password,
            &mut plain.replication_password,
            &mut plain.pooler_password,
            &mut plain.restapi_password,
        ] {
            *secret = Secret::new("x");
        }
        let without = |text: &str| {
            // the name of etcd's user follows from the passwords
            let marks = ["password: ", "verifier CONSTANT", "username: patroni-stack-", "etcd_user: patroni-stack-"];
            let secret = |line: &&str| marks.iter().any(|mark| line.contains(mark));
            text.split('\n').map(|line| if secret(&line) { "" } else { line }.to_owned()).collect::<Vec<_>>()
        };
        for (file, plain) in files(&env).iter().zip(&files(&plain)) {
            prop_assert!(file.contents.is_ascii());
            prop_assert_eq!(without(&file.contents), without(&plain.contents), "{}", file.path);
        }
    }

    #[test]
    fn secrets_are_in_the_service_s_files_only_and_each_only_where_it_is_needed(
        mut env in strategy::node_env(),
        words in prop::collection::btree_set("[A-Za-z0-9]{32}", 5),
    ) {
        // words that cannot be in a file by chance, and that look the same in every format
        let words = words.into_iter().collect::<Vec<_>>();
        for (secret, word) in [
            &mut env.superuser_password,
            &mut env.replication_password,
            &mut env.restapi_password,
            &mut env.pooler_password,
            &mut env.stats_password,
        ].into_iter().zip(&words) {
            *secret = Secret::new(word.clone());
        }
        for file in &files(&env) {
            let found = words.iter().filter(|word| file.contents.contains(*word)).collect::<Vec<_>>();
            let wanted = if file.path == PATRONI_YML { &words[..3] } else { &[] };
            prop_assert_eq!(found, wanted.iter().collect::<Vec<_>>(), "{}", file.path);
            let access = if file.path == PATRONI_ENV { Access::World } else { Access::Service };
            prop_assert_eq!(file.access, access);
        }
    }

    #[test]
    fn all_nodes_of_a_cluster_differ_in_their_own_name_and_address_only(nodes in strategy::cluster()) {
        let common = |env: &NodeEnv| {
            let own = |line: &&str| line.contains("connect_address: ") || line.starts_with("name: ");
            contents(env, PATRONI_YML).lines().filter(|line| !own(line)).map(str::to_owned).collect::<Vec<_>>()
        };
        prop_assert_eq!(nodes.iter().map(common).collect::<BTreeSet<_>>().len(), 1);
    }
}
