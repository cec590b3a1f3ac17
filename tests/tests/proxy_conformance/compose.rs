//! Compose reads docker-compose.yaml. It needs no engine for that.

use pgstack_compose::{COMPOSE_PATH, PROJECT, SERVICES, VIP_PROFILE};
use pgstack_tests::docker_or_skip;
use serde_json::Value;

use crate::{MACHINE, docker_ok, golden, goldens, mount, shared_folder, write};

/// What Compose makes of the files below `/all/NAME`, started in `cwd` with `environment`.
fn compose(folder: &std::path::Path, name: &str, cwd: &str, environment: &[&str]) -> Value {
    let mut args = vec!["run", "--rm", "--workdir", cwd];
    args.extend(environment.iter().flat_map(|pair| ["--env", *pair]));
    let (mount, directory) = (mount(folder, "/all"), format!("/all/{name}"));
    let file = format!("{directory}/{COMPOSE_PATH}");
    args.extend([mount.as_str(), MACHINE, "docker", "compose"]);
    if cwd != directory {
        args.extend(["--file", &file]);
    }
    args.extend(["--profile", VIP_PROFILE, "config", "--format", "json"]);
    serde_json::from_str(&docker_ok(&args)).unwrap()
}

#[test]
fn neither_folder_nor_environment_changes_what_compose_reads() {
    if !docker_or_skip(MACHINE) {
        return;
    }
    let folder = shared_folder();
    write(folder.path(), &format!("stack/{COMPOSE_PATH}"), &golden("three-nodes", 2, COMPOSE_PATH));
    let plain = compose(folder.path(), "stack", "/all/stack", &[]);
    assert_eq!(plain["name"], PROJECT);
    let mut services = plain["services"].as_object().unwrap().keys().collect::<Vec<_>>();
    services.sort_by_key(|name| SERVICES.iter().position(|service| service == name));
    assert_eq!(services, SERVICES);
    let registered = &plain["services"]["patroni"]["environment"];
    assert_eq!(registered["PATRONI_POSTGRESQL_CONNECT_ADDRESS"], "192.168.0.153:5432");
    assert_eq!(registered["PATRONI_RESTAPI_CONNECT_ADDRESS"], "192.168.0.153:8008");
    assert_eq!(plain["services"]["etcd"]["volumes"][0]["source"], "/all/stack/etcd");

    write(folder.path(), "stack/.env", "NODE_IP=6.6.6.6\nPATRONI_IMAGE=evil\nVIP=${HOME}\nPOSTGRESQL_PASSWORD=a$$b\n");
    let hostile = [
        "NODE_IP=6.6.6.7",
        "PATRONI_IMAGE=evil",
        "ETCD_IMAGE=evil",
        "HOSTNAME=evil",
        "PATRONI_POSTGRESQL_CONNECT_ADDRESS=evil",
        "PATRONI_RESTAPI_CONNECT_ADDRESS=",
    ];
    assert_eq!(compose(folder.path(), "stack", "/tmp", &hostile), plain);
    assert_eq!(compose(folder.path(), "stack", "/all/stack", &hostile), plain);
}

#[test]
fn a_users_override_is_merged() {
    if !docker_or_skip(MACHINE) {
        return;
    }
    let folder = shared_folder();
    write(folder.path(), &format!("stack/{COMPOSE_PATH}"), &golden("three-nodes", 1, COMPOSE_PATH));
    let mine = "services:\n  patroni:\n    shm_size: 2gb\n    environment:\n      MINE: \"1\"\n";
    write(folder.path(), "stack/docker-compose.override.yaml", mine);
    let merged = compose(folder.path(), "stack", "/all/stack", &[]);
    let patroni = &merged["services"]["patroni"];
    assert_eq!(patroni["environment"]["MINE"], "1");
    assert_eq!(patroni["shm_size"], (2u64 << 30).to_string());
    assert_eq!(patroni["hostname"], "patroni1");
}

#[test]
fn every_golden_is_a_compose_file() {
    if !docker_or_skip(MACHINE) {
        return;
    }
    let folder = shared_folder();
    for (case, id) in goldens() {
        write(folder.path(), &format!("{case}-{id}/{COMPOSE_PATH}"), &golden(case, id, COMPOSE_PATH));
    }
    let script = "for f in /all/*; do docker compose -f $f/docker-compose.yaml config -q || exit 1; done";
    docker_ok(&["run", "--rm", &mount(folder.path(), "/all"), MACHINE, "bash", "-c", script]);
}
