//! What `render` makes of example, random and hostile clusters.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use pgstack_config::{Access, ConfigSet};
use pgstack_env::{NodeEnv, Profile};
use pgstack_pgbouncer::{PGBOUNCER_INI, USERLIST_TXT, render};
use pgstack_testing::golden::assert_golden;
use pgstack_testing::{example_node, strategy};
use pgstack_topology::Secret;
use proptest::prelude::*;

fn files(env: &NodeEnv) -> ConfigSet {
    render(env).unwrap()
}

fn contents(env: &NodeEnv, path: &str) -> String {
    files(env).get(path).unwrap().contents.clone()
}

/// `key = value` of the ini file.
fn setting(ini: &str, key: &str) -> Option<String> {
    let mut found = ini.lines().filter_map(|line| line.split_once(" = ")).filter(|(name, _)| *name == key);
    let value = found.next().map(|(_, value)| value.to_owned());
    assert!(found.next().is_none(), "{key} is there twice");
    value
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
            for file in &files(&env) {
                assert_golden(&format!("clusters/{case}/node{id}/{}", file.path), &file.contents);
            }
        }
    }
}

#[test]
fn every_file_says_what_made_it_and_what_to_edit_and_ends_with_a_line_break() {
    for file in &files(&example_node(1, 3)) {
        let first = file.contents.lines().next().unwrap();
        assert!(first.contains("gen-pgbouncer") && first.contains(".env"), "{}: {first}", file.path);
        assert!(file.contents.ends_with('\n') && !file.contents.ends_with("\n\n"), "{}", file.path);
    }
}

#[test]
fn a_diff_of_the_files_shows_no_secret() {
    let env = example_node(1, 3);
    let shown: String = files(&env).iter().map(|file| file.masked() + &file.diff_from("")).collect();
    for secret in [&env.superuser_password, &env.pooler_password] {
        assert!(!shown.contains(secret.expose()), "{shown}");
    }
    assert!(shown.contains("\"postgres\" ***") && shown.contains("\"pgbouncer\" ***"), "{shown}");
}

proptest! {
    #[test]
    fn every_database_is_the_write_port_of_this_node_and_then_of_the_vip(env in strategy::node_env()) {
        let ini = contents(&env, PGBOUNCER_INI);
        let (me, vip) = (env.local.me().ip(), env.local.topology().vip().ip());
        let target = format!("host={me},{vip} port=5000 load_balance_hosts=disable");
        prop_assert_eq!(setting(&ini, "*"), Some(target.clone()));
        prop_assert_eq!(setting(&ini, "postgres"), Some(target));
    }

    #[test]
    fn the_ini_holds_no_secret_and_the_userlist_two(mut env in strategy::node_env(), words in prop::collection::btree_set("[A-Za-z0-9]{32}", 5)) {
        let words = words.into_iter().collect::<Vec<_>>();
        for (secret, word) in [
            &mut env.superuser_password,
            &mut env.pooler_password,
            &mut env.replication_password,
            &mut env.restapi_password,
            &mut env.stats_password,
        ].into_iter().zip(&words) {
            *secret = Secret::new(word.clone());
        }
        let ini = files(&env).get(PGBOUNCER_INI).unwrap().clone();
        prop_assert!(words.iter().all(|word| !ini.contents.contains(word)));
        prop_assert_eq!(ini.access, Access::World);
        let userlist = files(&env).get(USERLIST_TXT).unwrap().clone();
        let found = words.iter().filter(|word| userlist.contents.contains(*word)).collect::<Vec<_>>();
        prop_assert_eq!(found, words[..2].iter().collect::<Vec<_>>());
        prop_assert_eq!(userlist.access, Access::Service);
    }

    #[test]
    fn the_userlist_has_two_entries_whatever_the_passwords_hold(env in strategy::node_env()) {
        let userlist = contents(&env, USERLIST_TXT);
        let entries = userlist.split('\n').filter(|line| !line.starts_with(";;") && !line.is_empty());
        let entries = entries.map(unquote).collect::<Vec<_>>();
        let expected = [("postgres", &env.superuser_password), ("pgbouncer", &env.pooler_password)];
        let expected = expected.map(|(name, secret)| vec![name.to_owned(), secret.expose().to_owned()]);
        prop_assert_eq!(entries, expected);
        prop_assert_eq!(contents(&env, PGBOUNCER_INI), contents(&env, PGBOUNCER_INI));
    }
}

/// The words of a userlist line, as PgBouncer reads them: in double quotes, `""` for a quote.
fn unquote(line: &str) -> Vec<String> {
    let (mut words, mut chars) = (Vec::new(), line.chars().peekable());
    while let Some(c) = chars.next() {
        if c == ' ' {
            continue;
        }
        assert_eq!(c, '"', "{line}");
        let mut word = String::new();
        loop {
            match chars.next() {
                Some('"') if chars.peek() == Some(&'"') => word.extend(chars.next()),
                Some('"') => break words.push(word),
                Some(c) => word.push(c),
                None => panic!("no end: {line}"),
            }
        }
    }
    words
}
