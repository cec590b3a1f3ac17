//! What `render` makes of example, random and hostile clusters.

#![expect(clippy::unwrap_used, reason = "tests")]

use pgstack_compose::{COMPOSE_PATH, PROJECT, SERVICES, VIP_PROFILE, render};
use pgstack_config::Access;
use pgstack_env::NodeEnv;
use pgstack_testing::golden::assert_golden;
use pgstack_testing::{example_node, strategy};
use pgstack_topology::Secret;
use proptest::prelude::*;
use serde_yaml::Value;

fn contents(env: &NodeEnv) -> String {
    render(env).unwrap().get(COMPOSE_PATH).unwrap().contents.clone()
}

fn yaml(env: &NodeEnv) -> Value {
    serde_yaml::from_str(&contents(env)).unwrap()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_sequence().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn the_files_of_the_examples_are_the_goldens() {
    for (case, size) in [("three-nodes", 3), ("six-nodes", 6)] {
        for id in 1..=size {
            assert_golden(&format!("clusters/{case}/node{id}/{COMPOSE_PATH}"), &contents(&example_node(id, size)));
        }
    }
}

#[test]
fn anybody_may_read_the_file() {
    assert_eq!(render(&example_node(1, 3)).unwrap().get(COMPOSE_PATH).unwrap().access, Access::World);
}

#[test]
fn services_and_containers_have_the_names_that_runbooks_know() {
    let yaml = yaml(&example_node(2, 3));
    assert_eq!(yaml["name"], PROJECT);
    let services = yaml["services"].as_mapping().unwrap();
    assert_eq!(services.keys().map(|name| name.as_str().unwrap()).collect::<Vec<_>>(), SERVICES);
    for (name, service) in services {
        assert_eq!(service["container_name"], *name);
        assert_eq!(service["restart"], "unless-stopped");
        assert!(!service["healthcheck"]["test"].is_null() && !service["logging"].is_null(), "{name:?}");
    }
    assert_eq!(services["etcd"]["hostname"], "etcd2");
    assert_eq!(services["patroni"]["hostname"], "patroni2");
}

#[test]
fn only_keepalived_waits_for_its_profile_and_lives_with_the_agent_on_the_host_network() {
    let yaml = yaml(&example_node(1, 3));
    for (name, service) in yaml["services"].as_mapping().unwrap() {
        if name == "keepalived" {
            assert_eq!(strings(&service["profiles"]), [VIP_PROFILE]);
            assert_eq!(service["network_mode"], "host");
            assert_eq!(strings(&service["cap_add"]), ["NET_ADMIN", "NET_BROADCAST", "NET_RAW"]);
        } else if name == "agent" {
            assert!(service["profiles"].is_null() && service["ports"].is_null());
            assert_eq!(service["network_mode"], "host", "it answers for the machine");
            assert_eq!(strings(&service["cap_drop"]), ["ALL"]);
            assert_eq!(strings(&service["cap_add"]), ["DAC_READ_SEARCH", "NET_RAW"]);
            assert!(strings(&service["volumes"]).iter().all(|volume| volume.ends_with(":ro")), "it changes nothing");
        } else {
            assert!(service["profiles"].is_null() && service["network_mode"].is_null());
            assert_eq!(strings(&service["cap_drop"]), ["ALL"]);
            assert!(!service["ports"].is_null());
        }
    }
}

#[test]
fn the_ports_are_those_of_existing_runbooks() {
    let yaml = yaml(&example_node(1, 3));
    let mut ports = Vec::new();
    for service in yaml["services"].as_mapping().unwrap().values().filter(|service| !service["ports"].is_null()) {
        ports.extend(strings(&service["ports"]));
    }
    let wanted = ["2379", "2380", "5432", "8008", "5000", "5001", "8404", "6432"];
    assert_eq!(ports, wanted.map(|port| format!("{port}:{port}")));
}

#[test]
fn folders_are_mounted_and_never_single_files() {
    // a file is replaced by a rename, which a mount of the file itself would not see
    let yaml = yaml(&example_node(1, 3));
    for service in yaml["services"].as_mapping().unwrap().values() {
        for volume in strings(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            // Docker makes its socket anew only when it starts anew, and the agent ends when that happened
            let is_folder = source == "." || source.strip_prefix("./").is_some_and(|path| !path.contains('.'));
            assert!(is_folder || source == "/var/run/docker.sock", "{volume}");
        }
    }
}

#[test]
fn starting_waits_for_nothing() {
    assert!(!contents(&example_node(1, 3)).contains("depends_on"));
}

proptest! {
    #[test]
    fn no_secret_and_no_other_node_changes_the_file(env in strategy::node_env(), password in strategy::password()) {
        let plain = contents(&env);
        let mut other = env;
        let secret = || Secret::new(password.clone());
        (other.superuser_password, other.replication_password) = (secret(), secret());
        (other.pooler_password, other.restapi_password, other.stats_password) = (secret(), secret(), secret());
        other.vrrp.password = secret();
        prop_assert_eq!(plain, contents(&other));
    }

    #[test]
    fn the_node_registers_its_own_address(nodes in strategy::cluster()) {
        for env in &nodes {
            let yaml = yaml(env);
            let registered = &yaml["services"]["patroni"]["environment"];
            let ip = env.local.me().ip();
            prop_assert_eq!(registered["PATRONI_POSTGRESQL_CONNECT_ADDRESS"].as_str(), Some(&*format!("{ip}:5432")));
            prop_assert_eq!(registered["PATRONI_RESTAPI_CONNECT_ADDRESS"].as_str(), Some(&*format!("{ip}:8008")));
        }
    }

    #[test]
    fn nothing_is_left_for_compose_to_interpolate(env in strategy::node_env()) {
        prop_assert!(!contents(&env).contains('$'));
    }

    #[test]
    fn images_come_back_as_they_are(image in "[a-z0-9]([a-z0-9./:@_-]{0,30}[a-z0-9])?") {
        prop_assume!(!image.contains("//"));
        let mut env = example_node(1, 3);
        env.images.patroni = image.parse().unwrap();
        let yaml = yaml(&env);
        prop_assert_eq!(yaml["services"]["patroni"]["image"].as_str(), Some(&*image));
    }
}
