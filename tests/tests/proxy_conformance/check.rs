//! check_haproxy.sh beside HAProxy and PgBouncer that are alive, dead or silent.

use pgstack_keepalived::CHECK_PATH;
use pgstack_tests::docker_or_skip;

use crate::nodes::Nodes;
use crate::{Container, HAPROXY, KEEPALIVED, PGBOUNCER, PYTHON, docker_ok, mount, shared_folder, write};

/// The check's verdict on node 1 and what it said; it has to come in time.
fn verdict(keepalived: &Container) -> (bool, String) {
    let script =
        "start=$(date +%s%N); bash /config/check_haproxy.sh 2>&1; echo $? $((($(date +%s%N) - start) / 1000000))";
    let output = keepalived.exec_ok(&["bash", "-c", script]);
    let (said, end) = output.trim_end().rsplit_once('\n').unwrap_or(("", output.trim_end()));
    let (code, milliseconds) = end.split_once(' ').unwrap();
    assert!(milliseconds.parse::<u32>().unwrap() < 2500, "keepalived gives up after 3 s: {output}");
    (code == "0", said.to_owned())
}

fn assert_yes(keepalived: &Container, because: &str) {
    assert_eq!(verdict(keepalived), (true, String::new()), "{because}");
}

fn assert_no(keepalived: &Container, because: &str) {
    let (yes, said) = verdict(keepalived);
    assert!(!yes && said.contains(because), "{yes} {said:?}, wanted {because:?}");
}

#[test]
fn a_node_holds_the_vip_only_while_it_can_serve_clients() {
    if ![HAPROXY, KEEPALIVED, PGBOUNCER, PYTHON].into_iter().all(docker_or_skip) {
        return;
    }
    let nodes = Nodes::start();
    nodes.set_role(3, "primary");
    let files = pgstack_keepalived::render(&nodes.envs[0]).unwrap();
    let folder = shared_folder();
    write(folder.path(), CHECK_PATH, &files.get(CHECK_PATH).unwrap().contents);
    write(
        folder.path(),
        "pgbouncer.ini",
        "[databases]\n* = host=127.0.0.1\n[pgbouncer]\nlisten_addr = 0.0.0.0\nlisten_port = 6432\nunix_socket_dir =\n",
    );
    let config = mount(&folder.path().join("keepalived"), "/config");
    let keepalived = nodes.start_on(1, &["--user=0", &config, KEEPALIVED, "sleep", "infinity"]);
    let pooler = nodes.start_on(1, &[&mount(folder.path(), "/etc/pgbouncer"), PGBOUNCER]);
    let (haproxy1, _folder1) = nodes.start_haproxy(1);
    let (haproxy2, _folder2) = nodes.start_haproxy(2);
    for haproxy in [&haproxy1, &haproxy2] {
        haproxy.wait_for("curl -fs http://127.0.0.1:8404/primary");
    }
    assert_yes(&keepalived, "all is well");

    let vip = format!("{}/32", nodes.envs[0].local.topology().vip().ip());
    nodes.machine(2).exec_ok(&["ip", "address", "add", &vip, "dev", "eth0"]);
    assert_yes(&keepalived, "node 2 holds the VIP, with the same settings");
    let mut other = nodes.envs[0].clone();
    other.vrrp.password = pgstack_topology::Secret::new("another1");
    let with_others = pgstack_keepalived::render(&other).unwrap();
    write(folder.path(), CHECK_PATH, &with_others.get(CHECK_PATH).unwrap().contents);
    assert_no(&keepalived, "node 2 holds the VIP with another .env");
    nodes.machine(2).exec_ok(&["ip", "address", "del", &vip, "dev", "eth0"]);
    nodes.machine(1).exec_ok(&["ip", "address", "add", &vip, "dev", "eth0"]);
    assert_yes(&keepalived, "who holds it, keeps it");
    nodes.machine(1).exec_ok(&["ip", "address", "del", &vip, "dev", "eth0"]);
    assert_yes(&keepalived, "nobody holds it");
    write(folder.path(), CHECK_PATH, &files.get(CHECK_PATH).unwrap().contents);

    docker_ok(&["pause", &pooler.0]);
    assert_no(&keepalived, "PgBouncer does not answer");
    docker_ok(&["unpause", &pooler.0]);
    assert_yes(&keepalived, "PgBouncer is back");
    docker_ok(&["pause", &haproxy1.0]);
    assert_no(&keepalived, "HAProxy does not answer");
    docker_ok(&["unpause", &haproxy1.0]);
    assert_yes(&keepalived, "HAProxy is back");

    // What node 1 sends to node 3 goes nowhere, as if a switch dropped it.
    let unreachable = nodes.envs[2].local.me().ip().to_string();
    let nowhere =
        ["ip", "neigh", "replace", &unreachable, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "permanent"];
    nodes.machine(1).exec_ok(&nowhere);
    haproxy1.wait_for("! curl -fs http://127.0.0.1:8404/primary");
    assert_no(&keepalived, "no primary here, but does on another node");
    nodes.set_role(3, "neither");
    haproxy2.wait_for("! curl -fs http://127.0.0.1:8404/primary");
    assert_yes(&keepalived, "nobody sees a primary, so nobody would be better");

    docker_ok(&["pause", &haproxy2.0]);
    assert_yes(&keepalived, "node 2 is there, whatever its HAProxy does");
    let other = nodes.envs[1].local.me().ip().to_string();
    nodes.machine(1).exec_ok(&nowhere.map(|word| if word == unreachable { other.as_str() } else { word }));
    assert_no(&keepalived, "no other node answers at all");
    nodes.machine(1).exec_ok(&["ip", "neigh", "del", &other, "dev", "eth0"]);
    docker_ok(&["unpause", &haproxy2.0]);
    assert_yes(&keepalived, "node 2 is back");

    drop(pooler);
    assert_no(&keepalived, "PgBouncer does not answer");
    drop(haproxy1);
    assert_no(&keepalived, "HAProxy does not answer");
}
