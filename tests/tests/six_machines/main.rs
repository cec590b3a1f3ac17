//! Six virtual machines: nodes join, leave and are replaced, under a client that writes all the time.
#![expect(clippy::print_stderr, reason = "a test's figures")]

mod grow;
mod join;
mod manual;
mod replace;

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use pgstack_cluster_view::Observer;
use pgstack_lab::{Lab, LabError, Machine, STACK};
use pgstack_tests::cluster::eventually;

/// The name of the shared lab.
const LAB: &str = "six";

/// The first `size` machines are a cluster that serves, the others are empty; every `.env` of the
/// first ones names just them. Whatever an earlier test left is taken away where it is in the way.
async fn cluster_of(lab: &Lab, size: usize) -> Vec<Machine> {
    for machine in lab.machines().await.expect("machines") {
        if !machine.is_running() {
            machine.power_on().await.expect("switched on");
        }
    }
    lab.heal().await.expect("healed");
    let machines = lab.machines().await.expect("machines");
    restore_env(&machines).await;
    name_nodes(&machines, size).await;
    if !is_just(&machines, size).await {
        let clean = format!("{STACK}/clean --yes-delete-all-data; rm -rf {STACK}/data {STACK}/etcd");
        try_join_all(machines.iter().map(|machine| machine.sh(&clean))).await.expect("emptied");
    }
    deploy(&machines[..size]).await;
    streaming(&machines[..size]).await;
    machines
}

/// Every `.env` as the lab made it, with all six nodes.
async fn restore_env(machines: &[Machine]) {
    let nodes = machines.iter().map(|machine| {
        let (id, address) = (machine.id(), machine.address());
        format!("s/^#*NODE{id}_IP=.*/NODE{id}_IP=\"{address}\"/; ")
    });
    let nodes: String = nodes.collect();
    let edited = machines.iter().map(async |machine| {
        let own = format!("s/^NODE_ID=.*/NODE_ID={}/; s/^NODE_IP=.*/NODE_IP={}/", machine.id(), machine.address());
        machine.sh(&format!("sed -i '{nodes}{own}; /^ETCD_INITIAL/d' {STACK}/.env")).await
    });
    try_join_all(edited).await.expect("edited");
}

/// Whether the first machines are etcd's members and the others hold nothing.
async fn is_just(machines: &[Machine], size: usize) -> bool {
    let (nodes, empty) = machines.split_at(size);
    let Ok(list) = members(&nodes[0]).await else { return false };
    let listed = nodes.iter().all(|machine| list.contains(&format!("http://{}:2380", machine.address())));
    let look = format!("docker ps -aq; find {STACK} -path '*/data/*' -type f | head -1");
    let held = join_all(empty.iter().map(|machine| machine.sh(&look))).await;
    listed && list.lines().count() == size && held.iter().all(|held| held.as_ref().is_ok_and(String::is_empty))
}

/// Writes the addresses of the first `size` nodes into the `.env` of `machines`, and no others.
async fn name_nodes(machines: &[Machine], size: usize) {
    let edits: Vec<String> = (4..=6)
        .map(|node| {
            if node <= size {
                format!("s/^#NODE{node}_IP/NODE{node}_IP/")
            } else {
                format!("s/^NODE{node}_IP/#NODE{node}_IP/")
            }
        })
        .collect();
    let script = format!("sed -i '{}' {STACK}/.env", edits.join("; "));
    try_join_all(machines.iter().map(|machine| machine.sh(&script))).await.expect("edited");
}

/// Runs `deploy` on all of them at once.
async fn deploy(machines: &[Machine]) {
    let deployed = machines.iter().map(async |machine| machine.sh(&format!("{STACK}/deploy")).await);
    try_join_all(deployed).await.expect("deployed");
}

/// Runs `remove-node` on `machine`: its exit code and all that it says.
async fn remove_node(machine: &Machine, arguments: &str) -> (i64, String) {
    let output = machine.run(&["bash", "-c", &format!("{STACK}/scripts/remove-node {arguments}")]).await.expect("run");
    (output.code, output.stdout + &output.stderr)
}

async fn members(machine: &Machine) -> Result<String, LabError> {
    machine.sh("docker exec etcd etcdctl member list").await
}

/// Waits until these and no others are registered, and one leads and all others stream.
async fn streaming(machines: &[Machine]) {
    let observer = Observer::new();
    eventually("these and no others lead and stream", Duration::from_secs(120), async || {
        let view = observer.patroni_view_at(machines[0].address()).await?;
        view.leader()?;
        let all = view.members.len() == machines.len();
        (all && view.streaming().count() == machines.len() - 1).then_some(())
    })
    .await;
}

/// Every member of etcd has started and has a vote, and there are just so many.
async fn settled(machine: &Machine, size: usize) {
    let list = members(machine).await.expect("members");
    assert_eq!((list.lines().count(), list.matches("started").count()), (size, size), "{list}");
    assert!(list.lines().all(|line| line.trim_end().ends_with("false")), "no learner is left: {list}");
}

/// Which containers run since when.
async fn containers(machine: &Machine) -> String {
    let inspect = "docker inspect --format '{{.Name}} {{.Id}} {{.State.StartedAt}}' patroni haproxy pgbouncer etcd";
    machine.sh(inspect).await.expect("containers")
}
