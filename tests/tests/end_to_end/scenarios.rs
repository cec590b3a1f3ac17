//! The short fault scenarios that no other test plays. `just faults` plays all of them.

use std::time::Duration;

use pgstack_lab::Lab;
use pgstack_tests::cluster::with_cluster;
use pgstack_tests::scenario::{ALL, Scenario};

use crate::LAB;

fn plays(name: &str) {
    with_cluster(LAB, 3, async |lab| holds(lab, name).await);
}

/// Plays a scenario on a cluster as it is set.
pub(crate) async fn holds(lab: &Lab, name: &str) {
    let scenario = ALL.iter().find(|scenario: &&Scenario| scenario.name == name && scenario.quick).expect("a scenario");
    let verdict = scenario.play(lab, Duration::from_secs(20)).await;
    let failed: Vec<&str> =
        verdict.checks().iter().filter(|check| !check.holds).map(|check| check.what.as_str()).collect();
    assert!(failed.is_empty(), "{}: {}", scenario.fault, failed.join("; "));
}

#[test]
fn a_killed_postmaster_costs_a_short_gap_and_no_acknowledged_row() {
    plays("1");
}

#[test]
fn a_killed_pooler_on_the_vip_holder_is_replaced() {
    plays("9");
}

#[test]
fn a_killed_keepalived_leaves_no_second_owner() {
    plays("10");
}

#[test]
fn a_killed_etcd_leader_costs_no_write() {
    plays("17");
}
