//! Each broken state made for real and mended by its command: run, run again, and killed half-way.

mod addresses;
mod forgotten;
mod quorum;

use std::time::Duration;

use pgstack_lab::{Machine, STACK};
use pgstack_tests::cluster::eventually;

/// What a command said, and its exit code.
#[derive(Debug)]
struct Said {
    code: i64,
    text: String,
}

/// Runs a command of the stack directory.
async fn command(machine: &Machine, arguments: &[&str]) -> Said {
    let program = format!("{STACK}/{}", arguments[0]);
    let words: Vec<&str> = [program.as_str()].into_iter().chain(arguments[1..].iter().copied()).collect();
    let output = machine.run(&words).await.expect("run");
    Said { code: output.code, text: output.stdout + &output.stderr }
}

/// Runs it, and it must succeed.
async fn done(machine: &Machine, arguments: &[&str]) -> String {
    let said = command(machine, arguments).await;
    assert_eq!(said.code, 0, "{arguments:?} on node {}: {}", machine.id(), said.text);
    said.text
}

/// Runs it, and it must refuse.
async fn refused(machine: &Machine, arguments: &[&str]) -> String {
    let said = command(machine, arguments).await;
    assert_eq!(said.code, 1, "{arguments:?} on node {}: {}", machine.id(), said.text);
    said.text
}

/// Runs it again and again, killed after each of these times.
async fn killed(machine: &Machine, arguments: &str, after: &[u32]) {
    for millis in after {
        let (seconds, rest) = (millis / 1000, millis % 1000);
        let script = format!("timeout -s KILL {seconds}.{rest:03} {STACK}/{arguments} >/dev/null 2>&1 || true");
        machine.sh(&script).await.expect("killed");
    }
}

/// The value of a key in etcd, empty where there is none.
async fn key(machine: &Machine, name: &str) -> String {
    let script = format!("docker exec etcd etcdctl get --print-value-only /service/pg-cluster/{name}");
    machine.sh(&script).await.expect("a key").trim().to_owned()
}

/// The id and the start of a container.
async fn run_of(machine: &Machine, container: &str) -> String {
    let script = format!("docker inspect --format '{{{{.Id}}}} {{{{.State.StartedAt}}}}' {container}");
    machine.sh(&script).await.expect("a container")
}

/// Waits until this machine's etcd lists three voters that have started, and no learner.
async fn three_voters(machine: &Machine) {
    eventually("etcd has three voters", Duration::from_secs(60), async || {
        let list = machine.sh("docker exec etcd etcdctl member list").await.ok()?;
        let settled =
            list.matches("started").count() == 3 && list.lines().all(|line| line.trim_end().ends_with("false"));
        settled.then_some(())
    })
    .await;
}
