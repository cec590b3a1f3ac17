//! Wrong addresses in etcd.

use std::time::Duration;

use pgstack_lab::{Lab, Machine, STACK};
use pgstack_tests::cluster::{all_streaming, eventually, leader, with_cluster};

use super::{done, key, killed, run_of};
use crate::LAB;

/// A container's address on a Docker network, which no other machine reaches.
const BRIDGE: &str = "172.18.0.3";

async fn replica(lab: &Lab) -> Machine {
    let leader = leader(lab).await.id();
    let machines = lab.machines().await.expect("machines");
    machines.into_iter().find(|machine| machine.id() != leader).expect("a replica")
}

/// Waits until the registered addresses of a machine are these.
async fn registers(machine: &Machine, address: &str) {
    let member = format!("members/patroni{}", machine.id());
    eventually(&format!("node {} registers {address}", machine.id()), Duration::from_secs(60), async || {
        let value = key(machine, &member).await;
        let is_there = value.contains(&format!("//{address}:5432/")) && value.contains(&format!("//{address}:8008/"));
        is_there.then_some(())
    })
    .await;
}

#[test]
fn a_wrong_member_key_is_deleted_and_no_other() {
    with_cluster(LAB, 3, async |lab| {
        let machine = replica(lab).await;
        let wrong = format!(
            "docker stop patroni && docker exec etcd etcdctl put /service/pg-cluster/members/patroni{} '\
             {{\"conn_url\":\"postgres://{BRIDGE}:5432/postgres\",\"api_url\":\"http://{BRIDGE}:8008/patroni\"}}'",
            machine.id()
        );
        machine.sh(&wrong).await.expect("a key without an owner");
        let asked = leader(lab).await;
        let member = format!("members/patroni{}", machine.id());
        let keys = "docker exec etcd etcdctl get --keys-only --prefix /service/pg-cluster/members/";
        let shown = done(&asked, &["scripts/clear-etcd-patroni-members", "--dry-run"]).await;
        assert!(shown.contains(&format!("conn_url is {BRIDGE}:5432, not {}:5432", machine.address())), "{shown}");
        assert_eq!(shown.matches("WRONG").count(), 1, "{shown}");
        assert_ne!(key(&asked, &member).await, "", "a dry run deletes nothing");
        killed(&asked, "scripts/clear-etcd-patroni-members --yes", &[5, 20]).await;
        done(&asked, &["scripts/clear-etcd-patroni-members.sh", "--yes"]).await;
        assert_eq!(key(&asked, &member).await, "");
        assert_eq!(asked.sh(keys).await.expect("keys").matches("patroni").count(), 2, "the right ones are there");
        let again = done(&asked, &["scripts/clear-etcd-patroni-members", "--yes"]).await;
        assert!(again.contains("nothing to delete"), "{again}");
        // each Patroni registers itself again
        done(&asked, &["scripts/clear-etcd-patroni-members", "--all", "--yes"]).await;
        machine.sh("docker start patroni").await.expect("started");
        for machine in lab.machines().await.expect("machines") {
            registers(&machine, &machine.address().to_string()).await;
        }
        all_streaming(lab).await;
    });
}

#[test]
fn a_patroni_that_registers_a_wrong_address_is_put_right() {
    with_cluster(LAB, 3, async |lab| {
        let machine = replica(lab).await;
        let right = machine.address().to_string();
        let fix = ["scripts/fix-patroni-connect-address"];
        let before = run_of(&machine, "patroni").await;
        let text = done(&machine, &fix).await;
        assert!(text.contains("nothing to do") && text.contains(&format!("{right}:5432")), "{text}");
        assert_eq!(run_of(&machine, "patroni").await, before, "where it is right, nothing restarts");

        let wrong = format!(
            "sed -i '/CONNECT_ADDRESS/s/{right}/{BRIDGE}/' {STACK}/patroni/patroni.env && docker restart patroni"
        );
        machine.sh(&wrong).await.expect("as with a wrong NODE_IP");
        registers(&machine, BRIDGE).await;
        let before = run_of(&machine, "patroni").await;
        let plan = done(&machine, &["scripts/fix-patroni-connect-address", "--dry-run"]).await;
        assert!(plan.contains("anew") && plan.contains(BRIDGE), "{plan}");
        assert_eq!(run_of(&machine, "patroni").await, before, "a dry run restarts nothing");
        killed(&machine, fix[0], &[400, 1500, 4000]).await;
        let text = done(&machine, &["scripts/fix-patroni-connect-address.sh"]).await;
        for proof in [format!("conn_url  postgres://{right}:5432"), format!("api_url   http://{right}:8008")] {
            assert!(text.contains(&proof), "{text}");
        }
        registers(&machine, &right).await;
        let before = run_of(&machine, "patroni").await;
        let text = done(&machine, &fix).await;
        assert!(text.contains("nothing to do"), "{text}");
        assert_eq!(run_of(&machine, "patroni").await, before);
        all_streaming(lab).await;
    });
}
