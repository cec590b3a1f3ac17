//! Five virtual machines form a cluster, the sixth joins before the others know of it.

use std::sync::Mutex;
use std::time::Duration;

use pgstack_lab::STACK;
use pgstack_tests::cluster::{eventually, held_by, serving, with_machines};

use crate::{LAB, cluster_of, deploy, name_nodes, settled};

#[test]
fn a_sixth_machine_joins_before_the_others_know_of_it_and_the_vip_keeps_one_owner() {
    with_machines(LAB, 6, async |lab| {
        let machines = cluster_of(lab, 5).await;
        let (five, sixth) = machines.split_at(5);
        let sixth = &sixth[0];
        settled(&five[0], 5).await;
        name_nodes(&machines[5..], 6).await;

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
            name_nodes(five, 6).await;
            deploy(five).await;
        };
        let (code, ()) = tokio::join!(joining, telling);
        assert_eq!(code, 0, "{}", said.lock().expect("a lock"));

        serving(lab).await;
        settled(&machines[0], 6).await;
        let list = machines[0].sh("docker exec patroni patronictl -c /config/patroni.yml list").await.expect("list");
        assert_eq!(list.matches("streaming").count(), 5, "{list}");
        assert_eq!(held_by(lab, &lab.vip().await.expect("a VIP").to_string()).await.len(), 1);
    });
}
