//! What `remove-node` refuses in a cluster of three. Each time nothing is changed.

use pgstack_lab::{Lab, Machine, STACK};
use pgstack_tests::cluster::{eventually, leader, vip_holder, with_cluster};
use std::time::Duration;

use crate::LAB;

/// Runs `remove-node`, which must refuse; what it says.
async fn refused(machine: &Machine, node: u8) -> String {
    let command = format!("{STACK}/scripts/remove-node {node} --yes --switchover --timeout 20");
    let output = machine.run(&["bash", "-c", &command]).await.expect("run");
    let said = output.stdout + &output.stderr;
    assert_eq!(output.code, 1, "{said}");
    said
}

async fn members(machine: &Machine) -> String {
    machine.sh("docker exec etcd etcdctl member list").await.expect("members")
}

/// A machine that neither leads nor holds the VIP, and the two others.
async fn idle(lab: &Lab) -> (Machine, Vec<Machine>) {
    let (leader, holder) = (leader(lab).await.id(), vip_holder(lab).await.id());
    let machines = lab.machines().await.expect("machines");
    let idle = machines.iter().find(|machine| machine.id() != leader && machine.id() != holder);
    let idle = idle.expect("three machines").clone();
    let others = machines.into_iter().filter(|machine| machine.id() != idle.id()).collect();
    (idle, others)
}

#[test]
fn a_living_node_of_three_and_the_machine_itself_are_not_removed() {
    with_cluster(LAB, 3, async |lab| {
        let (idle, others) = idle(lab).await;
        let before = members(&idle).await;
        let said = refused(&others[0], idle.id()).await;
        assert!(said.contains("three nodes are the fewest") && said.contains("is alive"), "{said}");
        let said = refused(&idle, idle.id()).await;
        assert!(said.contains("is this machine"), "{said}");
        let said = refused(&idle, 4).await;
        assert!(said.contains("is not in .env"), "{said}");
        assert_eq!(members(&idle).await, before);
    });
}

#[test]
fn no_node_is_removed_when_the_rest_would_be_no_quorum() {
    with_cluster(LAB, 3, async |lab| {
        let (idle, others) = idle(lab).await;
        let before = members(&idle).await;
        let stop = "docker stop etcd";
        others[0].sh(stop).await.expect("stopped");
        let said = refused(&others[1], idle.id()).await;
        assert!(said.contains("only 1 of 2 etcd voters would be alive"), "{said}");
        idle.sh(stop).await.expect("stopped");
        let said = refused(&others[1], idle.id()).await;
        assert!(said.contains("no etcd member answers with a quorum"), "{said}");
        for machine in [&others[0], &idle] {
            machine.sh("docker start etcd").await.expect("started");
        }
        eventually("etcd has its quorum back", Duration::from_secs(30), async || {
            idle.sh("docker exec etcd etcdctl endpoint health").await.ok()
        })
        .await;
        assert_eq!(members(&idle).await, before);
    });
}
