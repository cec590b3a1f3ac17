//! A keepalived that stood still, beside one that went on.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pgstack_tests::docker_or_skip;

use crate::nodes::{Nodes, check_that_says_yes};
use crate::{Container, KEEPALIVED, PYTHON, docker_ok};

/// Watches for 6 s; what it prints is for [`seconds`].
fn watch(node: &Container, has: &str) -> Child {
    let script = format!(
        "end=$((SECONDS + 6)); while [ $SECONDS -lt $end ]; do {has}; echo $? $EPOCHREALTIME; sleep 0.02; done"
    );
    Command::new("docker").args(["exec", &node.0, "bash", "-c", &script]).stdout(Stdio::piped()).spawn().unwrap()
}

/// For how long it was there.
fn seconds(watch: Child) -> f64 {
    let output = String::from_utf8(watch.wait_with_output().unwrap().stdout).unwrap();
    let looks: Vec<(bool, f64)> = output
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(code, at)| (code == "0", at.parse().unwrap()))
        .collect();
    assert!(looks.len() > 20, "{output}");
    looks.windows(2).filter(|pair| pair[0].0).map(|pair| pair[1].1 - pair[0].1).sum()
}

#[test]
fn a_keepalived_that_stood_still_leaves_the_vip_where_it_went_meanwhile() {
    if ![KEEPALIVED, PYTHON].into_iter().all(docker_or_skip) {
        return;
    }
    let nodes = Nodes::start();
    let has = nodes.has_vip();
    let (first, second) = (nodes.machine(1), nodes.machine(2));
    let (frozen, _folder) = nodes.start_keepalived(1, check_that_says_yes);
    first.wait_for(&has);
    let (_other, _folder) = nodes.start_keepalived(2, check_that_says_yes);
    first.wait_for(&nodes.has_leased_vip());

    // node 1 comes first wherever both are there
    docker_ok(&["pause", &frozen.0]);
    second.wait_for(&has);
    // its lease is over, and so is its time
    for _ in 0..30 {
        if !first.exec(&["sh", "-c", &has]).status.success() {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    std::thread::sleep(Duration::from_secs(2));
    let watched = [first, second].map(|node| watch(node, &has));
    docker_ok(&["unpause", &frozen.0]);
    let [on_first, on_second] = watched.map(seconds);
    let logs = frozen.logs();
    assert!(second.exec(&["sh", "-c", &has]).status.success(), "node 2 has lost the VIP: {logs}");
    assert!(on_first < 1.5, "node 1 had the VIP for {on_first} s: {logs}");
    assert!(on_second > 3.5, "node 2 had the VIP for {on_second} s of 6: {logs}");
    let restarts = docker_ok(&["inspect", "--format={{.RestartCount}}", &frozen.0]);
    assert_eq!(restarts.trim(), "1", "it starts anew once: {logs}");
}
