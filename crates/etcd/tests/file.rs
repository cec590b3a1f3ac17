//! etcd.yml: what it says, for every way to start.

use pgstack_config::Access;
use pgstack_env::EtcdState::{self, Existing, New};
use pgstack_env::NodeEnv;
use pgstack_etcd::{Desired, PATH, Start, render, runtime_settings};
use pgstack_testing::{example_node, strategy};
use proptest::prelude::*;

fn file(env: &NodeEnv, start: &Start) -> serde_yaml::Value {
    let set = render(env, start).expect("a file");
    let file = set.get(PATH).expect("the file");
    assert_eq!(file.access, Access::World);
    assert!(file.contents.ends_with('\n'));
    serde_yaml::from_str(&file.contents).expect("YAML")
}

#[test]
fn the_file_announces_the_nodes_address_and_not_the_containers() {
    let env = example_node(2, 3);
    let yaml = file(&env, &Start::first_boot(&Desired::from(&env.local)));
    for (key, want) in [
        ("name", "etcd2"),
        ("data-dir", "/var/lib/etcd"),
        ("listen-client-urls", "http://0.0.0.0:2379"),
        ("listen-peer-urls", "http://0.0.0.0:2380"),
        ("advertise-client-urls", "http://192.168.0.153:2379"),
        ("initial-advertise-peer-urls", "http://192.168.0.153:2380"),
        (
            "initial-cluster",
            "etcd1=http://192.168.0.152:2380,etcd2=http://192.168.0.153:2380,etcd3=http://192.168.0.154:2380",
        ),
        ("initial-cluster-state", "new"),
        ("initial-cluster-token", "patroni-stack"),
        ("auto-compaction-mode", "periodic"),
        ("auto-compaction-retention", "1h"),
    ] {
        assert_eq!(yaml[key].as_str(), Some(want), "{key}");
    }
    assert_eq!(yaml["strict-reconfig-check"].as_bool(), Some(true));
    assert!(yaml.get("unsafe-no-fsync").is_none());
}

#[test]
fn only_the_initial_settings_are_outside_the_runtime_settings() {
    let env = example_node(1, 3);
    let desired = Desired::from(&env.local);
    let text = |start| render(&env, &start).expect("a file").get(PATH).expect("the file").contents.clone();
    let (first, settled) = (text(Start::first_boot(&desired)), text(Start::settled(&desired)));
    let runtime = runtime_settings(&env.local);
    assert!(first.contains(&runtime) && settled.contains(&runtime));
    assert!(!runtime.contains("initial-cluster"));
    let differ: Vec<&str> = settled.lines().filter(|line| !first.contains(line)).collect();
    assert_eq!(differ, ["initial-cluster: \"etcd1=http://192.168.0.152:2380\"", "initial-cluster-state: \"existing\""]);
}

#[test]
fn the_manual_procedure_starts_in_any_order() {
    let start = |id, size, state, list: Option<&str>, joined| {
        let mut env = example_node(id, size);
        env.etcd_state = state;
        env.etcd_initial_cluster = list.map(str::to_owned);
        let full = Desired::from(&env.local).static_list();
        let start = Start::for_manual_procedure(&env, joined);
        let list = if start.initial_cluster == full { "full".to_owned() } else { start.initial_cluster };
        (start.state, list)
    };
    assert_eq!(start(1, 3, Some(New), None, false), (New, "full".to_owned()));
    assert_eq!(start(1, 3, None, None, false), (New, "full".to_owned()));
    // the shell version said `existing` on nodes 2 and 3
    assert_eq!(start(2, 3, Some(Existing), None, false), (New, "full".to_owned()));
    assert_eq!(start(4, 4, Some(Existing), None, false), (Existing, "full".to_owned()));
    assert_eq!(start(4, 4, Some(Existing), Some("a=b"), false), (Existing, "a=b".to_owned()));
    assert_eq!(start(4, 4, None, Some("a=b"), false), (Existing, "a=b".to_owned()));
    assert_eq!(start(1, 3, Some(New), Some("a=b"), true), (Existing, "etcd1=http://192.168.0.152:2380".to_owned()));
}

proptest! {
    #[test]
    fn every_value_comes_back(env in strategy::node_env(), list in "[ -~é😀]{0,40}") {
        let start = Start { state: EtcdState::Existing, initial_cluster: list.clone() };
        let yaml = file(&env, &start);
        prop_assert_eq!(yaml["initial-cluster"].as_str(), Some(list.as_str()));
        let me = env.local.me();
        prop_assert_eq!(yaml["initial-advertise-peer-urls"].as_str().map(str::to_owned), Some(me.etcd_peer_url()));
        prop_assert_eq!(yaml["name"].as_str().map(str::to_owned), Some(me.etcd_name()));
    }
}
