//! Clocks and disks.

use pgstack_lab::STACK;
use pgstack_tests::doctor::names;

use super::trouble;

#[test]
fn a_clock_that_is_wrong() {
    trouble(async |patients| {
        let replica = patients.replica();
        replica.own_clock().await.expect("a clock of its own");
        replica.clock(20).await.expect("set");
        for machine in patients.but(replica) {
            names(machine, &["090"]).await;
        }
        // its own doctor has the machine's clock, which here is that of the agent
        let doctor = "LD_PRELOAD=/opt/faketime/libfaketimeMT.so.1 FAKETIME_TIMESTAMP_FILE=/opt/faketime/offset \
                      FAKETIME_DONT_FAKE_MONOTONIC=1 ./doctor || true";
        let said = replica.sh(&format!("cd {STACK}; {doctor}")).await.expect("run");
        let clock = format!("PGS-090 the clock of node {} is ", replica.id());
        assert!(said.contains(&clock) && said.contains("1 trouble"), "{said}");
        replica.plain_clock().await.expect("the right time");
    });
}

#[test]
fn a_disk_that_is_nearly_full() {
    trouble(async |patients| {
        let replica = patients.replica();
        replica.small_disk().await.expect("moved");
        // a container does not see what is mounted later
        replica.sh("docker restart agent").await.expect("looks again");
        patients.show(&["091"]).await;
        replica.large_disk().await.expect("moved back");
        replica.sh("docker restart agent").await.expect("looks again");
    });
}
