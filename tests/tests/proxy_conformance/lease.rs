//! The VIP's lease, renewed at the very moment when keepalived drops the address.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use pgstack_tests::docker_or_skip;

use crate::nodes::{Nodes, check_that_says_yes};
use crate::{KEEPALIVED, PYTHON, write};

/// An `ip` that changes an address only when it is no longer there, as a busy machine may. It leaves a sign that it did,
/// so that a test in which nothing of the kind happened fails.
const LATE_IP: &str = r#"#!/bin/bash
if [ "$1 $2" = "address change" ]; then
    while [ -n "$(/usr/sbin/ip -4 -o address show dev "$5" to "${3%/*}")" ]; do sleep 0.02; done
    /usr/sbin/ip "$@"
    touch /tmp/changed
    exit
fi
exec /usr/sbin/ip "$@"
"#;

fn with_late_ip(folder: &Path) {
    write(folder, "bin/ip", LATE_IP);
    fs::set_permissions(folder.join("bin/ip"), fs::Permissions::from_mode(0o755)).unwrap();
    write(folder, "check_haproxy.sh", "PATH=/config/bin:$PATH bash /config/check \"$@\"\nexit 0\n");
    // it waits until the other one has taken the VIP
    edit(folder, "    timeout 2.4\n", "    timeout 9\n");
}

/// Above everybody, and it takes what another one has.
fn first_of_all(folder: &Path) {
    check_that_says_yes(folder);
    edit(folder, "    nopreempt\n", "");
    edit(folder, "    priority 102\n", "    priority 200\n");
}

fn edit(folder: &Path, from: &str, to: &str) {
    let path = folder.join("keepalived.conf");
    let before = fs::read_to_string(&path).unwrap();
    assert!(before.contains(from), "{from} is not in {before}");
    fs::write(path, before.replace(from, to)).unwrap();
}

#[test]
fn a_lease_renewed_as_keepalived_drops_the_vip_leaves_no_second_owner() {
    if ![KEEPALIVED, PYTHON].into_iter().all(docker_or_skip) {
        return;
    }
    let nodes = Nodes::start();
    let has = nodes.has_vip();
    let (first, second) = (nodes.machine(1), nodes.machine(2));
    let (former, _folder) = nodes.start_keepalived(1, with_late_ip);
    first.wait_for(&has);
    let (_next, _folder) = nodes.start_keepalived(2, first_of_all);
    second.wait_for(&has);

    former.wait_for("[ -e /tmp/changed ]");
    let began = Instant::now();
    while first.exec(&["sh", "-c", &has]).status.success() {
        assert!(began.elapsed() < Duration::from_secs(2), "node 1 keeps the VIP: {}", former.logs());
    }
    // and nothing brings it back
    second.wait_for(&nodes.has_leased_vip());
    assert!(!first.exec(&["sh", "-c", &has]).status.success(), "node 1 has the VIP again: {}", former.logs());
}
