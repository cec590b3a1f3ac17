//! The largest cluster: five virtual machines form it, the sixth joins.

use std::sync::Mutex;
use std::time::Duration;

use pgstack_lab::{Lab, LabError, Machine, STACK};
use pgstack_tests::cluster::{eventually, held_by, serving, with_machines};

async fn deploy(machines: &[Machine]) {
    let deployed = machines.iter().map(async |machine| machine.sh(&format!("{STACK}/deploy")).await);
    futures_util::future::try_join_all(deployed).await.expect("deployed");
}

async fn members(lab: &Lab) -> Result<String, LabError> {
    lab.machine(1).await?.sh("docker exec etcd etcdctl member list").await
}

#[test]
fn a_sixth_machine_joins_before_the_others_know_of_it_and_the_vip_keeps_one_owner() {
    with_machines("six", 6, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let (five, sixth) = machines.split_at(5);
        let sixth = &sixth[0];
        for machine in five {
            machine.sh(&format!("sed -i 's/^NODE6_IP/#NODE6_IP/' {STACK}/.env")).await.expect("forgotten");
        }
        deploy(five).await;
        assert_eq!(members(lab).await.expect("members").matches("started").count(), 5);

        let said = Mutex::new(String::new());
        let joining = async {
            let mut hear = |line: &str| said.lock().expect("a lock").extend([line, "\n"]);
            sixth.watch(&[&format!("{STACK}/deploy")], &mut hear).await.expect("run")
        };
        let telling = async {
            eventually("the sixth says what it waits for", Duration::from_secs(120), async || {
                said.lock().expect("a lock").contains("runs with other nodes, VIP or passwords").then_some(())
            })
            .await;
            let vip = lab.vip().await.expect("a VIP").to_string();
            let holders = held_by(lab, &vip).await;
            assert!(holders.len() == 1 && holders[0] != 6, "one owner, not the stranger: {holders:?}");
            for machine in five {
                machine.sh(&format!("sed -i 's/^#NODE6_IP/NODE6_IP/' {STACK}/.env")).await.expect("told");
            }
            deploy(five).await;
        };
        let (code, ()) = tokio::join!(joining, telling);
        assert_eq!(code, 0, "{}", said.lock().expect("a lock"));

        serving(lab).await;
        let members = members(lab).await.expect("members");
        assert_eq!(members.matches("started").count(), 6, "{members}");
        assert!(members.lines().all(|line| line.trim_end().ends_with("false")), "no learner is left: {members}");
        let list = machines[0].sh("docker exec patroni patronictl -c /config/patroni.yml list").await.expect("list");
        assert_eq!(list.matches("streaming").count(), 5, "{list}");
        assert_eq!(held_by(lab, &lab.vip().await.expect("a VIP").to_string()).await.len(), 1);
        lab.down().await.expect("removed");
    });
}
