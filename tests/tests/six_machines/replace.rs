//! Machines are lost for good, with their disks, and new ones take their places.

use std::time::Duration;

use pgstack_lab::{Lab, Machine, STACK};
use pgstack_tests::cluster::{Telling, eventually, held_by, leader, until_it_works, up, vip_holder, with_machines};
use pgstack_tests::writer::Writer;

use crate::{LAB, cluster_of, deploy, remove_node, settled, streaming};

#[test]
fn the_machines_of_a_replica_and_of_the_leader_are_replaced_and_no_acknowledged_row_is_lost() {
    with_machines(LAB, 6, async |lab| {
        let machines = cluster_of(lab, 3).await;
        let nodes = &machines[..3];
        let writer = Writer::start(lab, "replaced").await;
        let first = leader(lab).await.id();
        let replica = nodes.iter().find(|machine| machine.id() != first).expect("a replica");
        replica.power_off().await.expect("power off");
        writer.goes_on(Duration::from_secs(60)).await;
        let moment = writer.moment();
        replaced(lab, nodes, replica.id()).await;
        eprintln!("a replica's machine was replaced: {}", writer.since(0));
        assert_eq!(writer.since(moment).troubles().count(), 0, "its return costs nothing: {}", writer.since(moment));

        // replication is asynchronous: what is acknowledged counts once a replica has it
        let pause = writer.pause().await;
        everywhere(lab).await;
        let old = leader(lab).await;
        old.power_off().await.expect("power off");
        drop(pause);
        eventually("another node leads", Duration::from_secs(90), async || {
            (leader(lab).await.id() != old.id()).then_some(())
        })
        .await;
        writer.goes_on(Duration::from_secs(60)).await;
        replaced(lab, nodes, old.id()).await;
        writer.goes_on(Duration::from_secs(30)).await;
        let history = writer.stop().await;
        eprintln!("the leader's machine was replaced, too: {history}");
        history.holds(lab).await;
        one_owner(lab).await;

        at_a_new_address(lab, &machines).await;
    });
}

/// A new machine at the same address: `deploy` on it, and nothing else anywhere.
async fn replaced(lab: &Lab, nodes: &[Machine], id: u8) {
    let member = format!("docker exec etcd etcdctl member list | grep ' etcd{id},' | cut -d, -f1");
    let other = nodes.iter().find(|machine| machine.id() != id).expect("another");
    let before = other.sh(&member).await.expect("a member");
    let machine = lab.replace(id, &up(6).binaries, &Telling).await.expect("a new machine");
    let output = machine.run(&[&format!("{STACK}/deploy")]).await.expect("run");
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    assert!(output.stderr.contains("remove etcd member"), "{}", output.stderr);
    streaming(nodes).await;
    settled(other, 3).await;
    assert_ne!(other.sh(&member).await.expect("a member"), before, "a new member, not the old one");
}

async fn everywhere(lab: &Lab) {
    let behind = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()";
    eventually("the rows are on both replicas", Duration::from_secs(30), async || {
        let count = until_it_works(lab, 5000, behind, Duration::from_secs(5)).await?;
        (count == "2").then_some(())
    })
    .await;
}

async fn one_owner(lab: &Lab) {
    assert_eq!(held_by(lab, &lab.vip().await.expect("a VIP").to_string()).await.len(), 1);
}

/// A dead node of three is removed, and the fourth machine becomes that node.
async fn at_a_new_address(lab: &Lab, machines: &[Machine]) {
    let leader = leader(lab).await.id();
    let dead = machines[..3].iter().rev().find(|machine| machine.id() != leader).expect("a replica");
    let (id, new) = (dead.id(), &machines[3]);
    dead.power_off().await.expect("power off");
    let rest: Vec<Machine> = machines[..3].iter().filter(|machine| machine.id() != id).cloned().collect();
    until_it_works(lab, 6432, "SELECT 1", Duration::from_secs(30)).await;
    // it may have led etcd: the rest elects for a moment
    eventually("etcd serves without it", Duration::from_secs(30), async || {
        rest[0].sh("docker exec etcd etcdctl endpoint health").await.ok()
    })
    .await;
    let (code, said) = remove_node(&rest[0], &format!("{id} --yes")).await;
    eprintln!("{said}");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("NODE{id}_IP={}", dead.address())), "{said}");
    let edit = format!("sed -i 's/^NODE{id}_IP=.*/NODE{id}_IP={}/' {STACK}/.env", new.address());
    let mut nodes = rest.clone();
    nodes.push(new.clone());
    for machine in &nodes {
        machine.sh(&edit).await.expect("edited");
    }
    new.sh(&format!("sed -i 's/^NODE_ID=.*/NODE_ID={id}/' {STACK}/.env")).await.expect("edited");
    deploy(&nodes).await;
    streaming(&nodes).await;
    settled(&rest[0], 3).await;
    one_owner(lab).await;
    assert_ne!(vip_holder(lab).await.id(), dead.id());
}
