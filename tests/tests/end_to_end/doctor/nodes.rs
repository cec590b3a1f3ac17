//! Nodes, their agents, and the ways to them.

use pgstack_tests::doctor::names;

use super::trouble;

#[test]
fn a_machine_that_is_off() {
    trouble(async |patients| {
        let replica = patients.replica();
        replica.power_off().await.expect("off");
        patients.show(&["001"]).await;
        replica.power_on().await.expect("on");
    });
}

#[test]
fn a_leader_that_is_off() {
    trouble(async |patients| {
        let leader = patients.leader();
        leader.power_off().await.expect("off");
        patients.show(&["001"]).await;
        leader.power_on().await.expect("on");
    });
}

#[test]
fn an_agent_that_does_not_run() {
    trouble(async |patients| patients.breaks(patients.replica(), "docker stop agent", &["002"]).await);
}

#[test]
fn a_firewall_before_a_port() {
    trouble(async |patients| {
        let replica = patients.replica();
        let rule = "DOCKER-USER -p tcp -m conntrack --ctorigdstport 6432 -j DROP";
        let source = format!("! -s {}", replica.address());
        replica.sh(&format!("iptables -I {rule} {source}")).await.expect("closed");
        // the machine itself comes through another way
        for machine in patients.but(replica) {
            names(machine, &["004"]).await;
        }
        replica.sh(&format!("iptables -D {rule} {source}")).await.expect("opened");
    });
}
