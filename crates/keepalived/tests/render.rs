//! What `render` makes of example, random and hostile clusters.

#![expect(clippy::unwrap_used, reason = "tests")]

use pgstack_config::escape::KeepalivedWord;
use pgstack_config::{Access, ConfigSet};
use pgstack_env::{NodeEnv, Profile, VrrpState};
use pgstack_keepalived::{CHECK_PATH, CONFIG_PATH, render};
use pgstack_testing::golden::assert_golden;
use pgstack_testing::{example_node, strategy};
use pgstack_topology::Secret;
use proptest::prelude::*;

fn contents(env: &NodeEnv, path: &str) -> String {
    render(env).unwrap().get(path).unwrap().contents.clone()
}

/// The value of `key VALUE`, which is there at most once.
fn setting(config: &str, key: &str) -> Option<String> {
    let lines = config.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let mut found = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    let value = found.next().map(str::to_owned);
    assert!(found.next().is_none(), "{key} is there twice");
    value
}

fn has_nopreempt(config: &str) -> bool {
    config.lines().any(|line| line.trim() == "nopreempt")
}

/// The addresses between `unicast_peer {` and `}`.
fn peers(config: &str) -> Vec<&str> {
    let lines = config.lines().map(str::trim).skip_while(|line| *line != "unicast_peer {").skip(1);
    lines.take_while(|line| *line != "}").collect()
}

fn example(id: u8, size: u8, change: impl FnOnce(&mut NodeEnv)) -> NodeEnv {
    let mut env = example_node(id, size);
    change(&mut env);
    env
}

#[test]
fn the_files_of_the_examples_are_the_goldens() {
    let balanced = Profile::Balanced;
    for (case, size, preempt, profile) in [
        ("three-nodes", 3, false, balanced),
        ("six-nodes", 6, false, balanced),
        ("three-nodes-preempt", 3, true, balanced),
        ("three-nodes-fast", 3, false, Profile::Fast),
    ] {
        for id in 1..=size {
            let change = |env: &mut NodeEnv| (env.vrrp.preempt, env.profile) = (preempt, profile);
            let files: ConfigSet = render(&example(id, size, change)).unwrap();
            for file in &files {
                assert_golden(&format!("clusters/{case}/node{id}/{}", file.path), &file.contents);
            }
        }
    }
}

#[test]
fn only_root_reads_the_password_and_the_script_holds_none() {
    let files = render(&example_node(1, 3)).unwrap();
    let (config, check) = (files.get(CONFIG_PATH).unwrap(), files.get(CHECK_PATH).unwrap());
    assert_eq!((config.access, check.access), (Access::Root, Access::Script));
    assert!(config.contents.contains("Vrrp1234") && !config.masked().contains("Vrrp1234"));
    assert!(!check.contents.contains("Vrrp1234"));
}

#[test]
fn nobody_takes_the_vip_back_by_default() {
    for id in 1..=6 {
        let config = contents(&example_node(id, 6), CONFIG_PATH);
        assert_eq!(setting(&config, "state").as_deref(), Some("BACKUP"));
        assert!(has_nopreempt(&config));
        assert_eq!(setting(&config, "priority"), Some((104 - id).to_string()));
    }
}

#[test]
fn with_preempt_node_1_is_the_master() {
    for id in 1..=3 {
        let config = contents(&example(id, 3, |env| env.vrrp.preempt = true), CONFIG_PATH);
        assert_eq!(setting(&config, "state").as_deref(), Some(if id == 1 { "MASTER" } else { "BACKUP" }));
        assert!(!has_nopreempt(&config));
    }
}

#[test]
fn overrides_win_and_a_master_has_no_nopreempt_that_keepalived_would_ignore() {
    for (id, preempt, state, nopreempt) in
        [(2, false, VrrpState::Master, false), (1, true, VrrpState::Backup, false), (1, false, VrrpState::Backup, true)]
    {
        let env = example(id, 3, |env| {
            env.vrrp.preempt = preempt;
            env.vrrp.state = Some(state);
            env.vrrp.priority = Some(7);
        });
        let config = contents(&env, CONFIG_PATH);
        let wanted = if state == VrrpState::Master { "MASTER" } else { "BACKUP" };
        assert_eq!(setting(&config, "state").as_deref(), Some(wanted));
        assert_eq!(setting(&config, "priority").as_deref(), Some("7"));
        assert_eq!(has_nopreempt(&config), nopreempt);
    }
}

#[test]
fn a_failed_check_takes_the_node_out_instead_of_moving_its_priority() {
    let config = contents(&example_node(1, 3), CONFIG_PATH);
    assert_eq!(setting(&config, "weight"), None);
}

#[test]
fn a_password_that_keepalived_cannot_hold_is_an_error_that_does_not_show_it() {
    for bad in ["", "a\"b", "123456789", "a\nb", "${_PWD}"] {
        let error = render(&example(1, 3, |env| env.vrrp.password = Secret::new(bad))).unwrap_err();
        assert_eq!(error.path, CONFIG_PATH);
        assert!(bad.is_empty() || !format!("{error:?}").contains(bad));
    }
}

proptest! {
    #[test]
    fn over_a_cluster_there_is_at_most_one_master_and_priorities_fall_strictly(nodes in strategy::cluster()) {
        let configs = nodes.iter().map(|env| contents(env, CONFIG_PATH)).collect::<Vec<_>>();
        let masters = configs.iter().filter(|config| setting(config, "state").as_deref() == Some("MASTER")).count();
        prop_assert!(masters <= 1);
        let priorities = configs.iter().map(|config| setting(config, "priority").unwrap().parse::<u8>().unwrap());
        let priorities = priorities.collect::<Vec<_>>();
        prop_assert_eq!(priorities[0], 103);
        prop_assert!(priorities.windows(2).all(|pair| pair[0] == pair[1] + 1), "{:?}", priorities);
    }

    #[test]
    fn every_node_speaks_from_its_own_address_to_all_others(nodes in strategy::cluster()) {
        for env in &nodes {
            let (config, check) = (contents(env, CONFIG_PATH), contents(env, CHECK_PATH));
            let others = env.local.peers().map(|peer| peer.ip().to_string()).collect::<Vec<_>>();
            prop_assert_eq!(setting(&config, "unicast_src_ip"), Some(env.local.me().ip().to_string()));
            prop_assert_eq!(peers(&config), others.clone());
            let asked = format!("\nme={}\npeers=({})\n", env.local.me().ip(), others.join(" "));
            prop_assert!(check.contains(&asked), "{}", check);
            let vip = format!("{} dev eth0", env.local.topology().vip());
            prop_assert!(config.lines().any(|line| line.trim() == vip));
        }
    }

    #[test]
    fn no_password_adds_a_line_and_the_same_input_gives_the_same_bytes(
        env in strategy::node_env(),
        password in "[ !#%-\\[\\]-~]{1,8}".prop_filter("a lone brace is refused", |word| KeepalivedWord::new(word).is_ok()),
    ) {
        let mut hostile = env.clone();
        hostile.vrrp.password = Secret::new(password.clone());
        let (config, plain) = (contents(&hostile, CONFIG_PATH), contents(&env, CONFIG_PATH));
        prop_assert_eq!(config.lines().count(), plain.lines().count());
        // version 3 knows none
        let v3 = setting(&config, "version").as_deref() == Some("3");
        prop_assert_eq!(setting(&config, "auth_pass"), (!v3).then(|| format!("\"{password}\"")));
        prop_assert_eq!(&config, &contents(&hostile, CONFIG_PATH));
        // the fingerprint of all settings tells that something differs, and nothing more
        let check = contents(&env, CHECK_PATH).replace(&env.agreement(), &hostile.agreement());
        prop_assert_eq!(contents(&hostile, CHECK_PATH), check);
    }

    #[test]
    fn no_other_secret_is_in_either_file(mut env in strategy::node_env()) {
        env.superuser_password = Secret::new("Sup3rS3cret");
        env.replication_password = Secret::new("R3plS3cret");
        env.pooler_password = Secret::new("P00lS3cret");
        env.restapi_password = Secret::new("R3stS3cret");
        env.stats_password = Secret::new("St4tS3cret");
        for file in &render(&env).unwrap() {
            prop_assert!(!file.contents.contains("S3cret"), "{}", file.path);
        }
    }
}
