//! etcd remembers a cluster whose data is gone everywhere.

use std::time::Duration;

use pgstack_lab::STACK;
use pgstack_tests::cluster::{eventually, serving, with_cluster};
use pgstack_tests::doctor::all_name;

use super::{done, key, killed, refused};
use crate::LAB;

#[test]
fn a_cluster_without_data_anywhere_is_forgotten_and_begins_anew() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let first = &machines[0];
        let forget = ["scripts/clear-etcd-patroni-members", "--forget-cluster", "--yes"];
        let old = key(first, "initialize").await;
        let text = refused(first, &forget).await;
        assert!(text.contains("leads the cluster"), "{text}");

        let stops = machines.iter().map(|machine| machine.sh("docker stop patroni"));
        for stopped in futures_util::future::join_all(stops).await {
            stopped.expect("stopped");
        }
        let text = refused(first, &forget).await;
        assert!(text.contains("has PostgreSQL data") || text.contains("leads the cluster"), "{text}");
        for machine in &machines {
            machine.sh(&format!("rm -rf {STACK}/data/pg/data")).await.expect("lost");
        }
        for machine in &machines[..2] {
            machine.sh("docker start patroni").await.expect("started");
        }
        eventually("nobody leads, and the third node is missing", Duration::from_secs(60), async || {
            let text = refused(first, &forget).await;
            text.contains("Patroni of patroni3 does not answer").then_some(())
        })
        .await;
        machines[2].sh("docker start patroni").await.expect("started");
        let text = refused(first, &["deploy", "--timeout", "12"]).await;
        assert!(text.contains("--forget-cluster"), "{text}");
        assert_eq!(key(first, "initialize").await, old);

        all_name(&machines, &["032"]).await;
        let plan = done(first, &["scripts/clear-etcd-patroni-members", "--forget-cluster", "--dry-run"]).await;
        assert!(plan.contains("/service/pg-cluster/initialize"), "{plan}");
        assert_eq!(key(first, "initialize").await, old, "a dry run deletes nothing");
        // each node looks at its own disk; the last one deletes
        let text = refused(first, &forget).await;
        assert!(text.contains("run the same on node 2, 3"), "{text}");
        let text = refused(&machines[1], &forget).await;
        assert!(text.contains("run the same on node 3"), "{text}");
        assert_eq!(key(first, "initialize").await, old, "not before everybody has said so");
        killed(&machines[2], "scripts/clear-etcd-patroni-members --forget-cluster --yes", &[150, 300]).await;
        if key(first, "initialize").await == old {
            done(&machines[2], &forget).await;
        }
        serving(lab).await;
        assert_ne!(key(first, "initialize").await, old, "a new cluster");
        let text = refused(first, &forget).await;
        assert!(text.contains("leads the cluster"), "{text}");
    });
}
