//! etcd: the quorum lost for good, and members that were started wrongly.

use std::time::Duration;

use pgstack_lab::{DeployOrder, Lab, Machine, STACK};
use pgstack_tests::cluster::{Telling, all_streaming, eventually, leader, serving, until_it_works, with_cluster};

use super::{command, done, key, killed, refused, run_of, three_voters};
use crate::{LAB, PATRONICTL};

/// What must survive the loss of etcd.
#[derive(Debug, PartialEq, Eq)]
struct Memory {
    identifier: String,
    initialize: String,
    config: String,
    history: String,
}

async fn memory(lab: &Lab, machine: &Machine) -> Memory {
    let identifier = "SELECT system_identifier FROM pg_control_system()";
    Memory {
        identifier: until_it_works(lab, 5000, identifier, Duration::from_secs(60)).await.expect("an identifier"),
        initialize: key(machine, "initialize").await,
        config: key(machine, "config").await,
        history: key(machine, "history").await,
    }
}

/// Leaves a row behind that has to be there afterwards, on every node; and a setting that only etcd knows.
async fn mark(lab: &Lab) {
    let row =
        "CREATE TABLE IF NOT EXISTS kept (id int PRIMARY KEY); INSERT INTO kept VALUES (1) ON CONFLICT DO NOTHING";
    until_it_works(lab, 5000, row, Duration::from_secs(20)).await;
    let edit = format!("{PATRONICTL} edit-config --force -s loop_wait=9");
    leader(lab).await.sh(&edit).await.expect("a changed setting");
}

async fn unmark(lab: &Lab) {
    let edit = format!("{PATRONICTL} edit-config --force -s loop_wait=5");
    leader(lab).await.sh(&edit).await.expect("the setting is put back");
    let rows = until_it_works(lab, 5001, "SELECT count(*) FROM kept", Duration::from_secs(20)).await;
    assert_eq!(rows.as_deref(), Some("1"), "the row is there");
}

/// Whether a PostgreSQL was restarted shows here.
async fn postmaster(machine: &Machine) -> String {
    let script = "docker exec patroni psql -XqAt -c 'SELECT pg_postmaster_start_time()'";
    machine.sh(script).await.expect("PostgreSQL answers")
}

/// Where etcd stands, in files and containers.
async fn footprint(machine: &Machine) -> String {
    let files = format!("cd {STACK} && ls -1A data etcd && cat etcd/etcd.yml etcd/member.json");
    format!("{}{}", machine.sh(&files).await.expect("files"), run_of(machine, "etcd").await)
}

async fn nothing_left_over(machine: &Machine) {
    let left = format!(
        "cd {STACK}; find data -maxdepth 2 -name '*reset*'; docker ps -aq --filter name=patroni-stack-etcd-reset"
    );
    assert_eq!(machine.sh(&left).await.expect("looked").trim(), "");
}

#[test]
fn a_healthy_cluster_is_never_reset() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let before = footprint(&machines[0]).await;
        let text = refused(&machines[0], &["scripts/reset-etcd-node1.sh", "--yes"]).await;
        assert!(text.contains("etcd has a quorum"), "{text}");
        assert_eq!(footprint(&machines[0]).await, before);
        // two of three are a quorum, too, whether this node is one of the two or not
        machines[1].sh("docker stop etcd").await.expect("stopped");
        for machine in &machines[..2] {
            let text = refused(machine, &["scripts/reset-etcd-node1", "--yes", "--without-data"]).await;
            assert!(text.contains("etcd has a quorum"), "{text}");
        }
        assert_eq!(footprint(&machines[0]).await, before);
    });
}

#[test]
fn a_quorum_lost_for_good_is_made_anew_from_the_node_that_is_left() {
    with_cluster(LAB, 3, async |lab| {
        mark(lab).await;
        let machines = lab.machines().await.expect("machines");
        let survivor = &machines[1];
        let before = memory(lab, survivor).await;
        let mut postmasters = Vec::new();
        for machine in &machines {
            postmasters.push(postmaster(machine).await);
        }
        for lost in [&machines[0], &machines[2]] {
            let lose = format!("cd {STACK} && docker stop -t 2 etcd && mv data/etcd data/lost && rm etcd/member.json");
            lost.sh(&lose).await.expect("lost");
        }
        let found = footprint(survivor).await;
        let plan = done(survivor, &["scripts/reset-etcd-node1", "--dry-run"]).await;
        assert!(plan.contains("keep the old data"), "{plan}");
        let text = refused(survivor, &["scripts/reset-etcd-node1"]).await;
        assert!(text.contains("--yes"), "{text}");
        assert_eq!(footprint(survivor).await, found, "neither has changed anything");

        killed(survivor, "scripts/reset-etcd-node1 --yes", &[1200, 2200, 3200, 4500, 6000]).await;
        done(survivor, &["scripts/reset-etcd-node1", "--yes"]).await;
        let alone = footprint(survivor).await;
        let again = done(survivor, &["scripts/reset-etcd-node1", "--yes"]).await;
        assert!(again.contains("nothing to do"), "{again}");
        assert_eq!(footprint(survivor).await, alone);
        nothing_left_over(survivor).await;
        survivor.sh(&format!("ls -d {STACK}/data/etcd.[0-9]*/member/wal")).await.expect("the old data is kept");
        // killed when the old data had been moved aside and the new was not yet in its place
        let between = format!(
            "cd {STACK} && docker stop -t 2 etcd && cp etcd/member.json data/etcd/reset.json && mv data/etcd data/etcd.reset"
        );
        survivor.sh(&between).await.expect("as if killed in between");
        done(survivor, &["scripts/reset-etcd-node1", "--yes"]).await;
        nothing_left_over(survivor).await;

        // one disk is empty; the other, given up as lost, comes back with its old data
        machines[0].sh(&format!("rm -rf {STACK}/data/lost")).await.expect("lost for good");
        let back = format!("cd {STACK} && rm -rf data/etcd && mv data/lost data/etcd && docker start etcd");
        machines[2].sh(&back).await.expect("come back");
        lab.deploy(&DeployOrder::AtOnce, &Telling).await.expect("the others join by themselves");
        three_voters(survivor).await;
        all_streaming(lab).await;
        assert_eq!(memory(lab, survivor).await, before);
        for (machine, before) in machines.iter().zip(postmasters) {
            assert_eq!(postmaster(machine).await, before, "PostgreSQL on node {} was not restarted", machine.id());
        }
        unmark(lab).await;
        survivor.sh(&format!("rm -rf {STACK}/data/etcd.[0-9]*")).await.expect("tidied");
    });
}

/// Stops every etcd, and overwrites files of the survivor's data.
async fn damaged(machines: &[Machine], survivor: &Machine, files: &str) {
    for machine in machines {
        machine.sh("docker stop -t 2 etcd").await.expect("stopped");
    }
    let damage = format!(
        "cd {STACK}/data/etcd/member && for file in {files}; do head -c 40000 /dev/urandom | dd of=$file conv=notrunc status=none; done"
    );
    survivor.sh(&damage).await.expect("damaged");
}

#[test]
fn keys_survive_in_the_database_when_the_log_cannot_be_read() {
    with_cluster(LAB, 3, async |lab| {
        mark(lab).await;
        let machines = lab.machines().await.expect("machines");
        let survivor = &machines[0];
        let before = memory(lab, survivor).await;
        damaged(&machines, survivor, "wal/*.wal").await;
        killed(survivor, "scripts/reset-etcd-node1 --yes", &[2000, 4000]).await;
        done(survivor, &["scripts/reset-etcd-node1", "--yes"]).await;
        nothing_left_over(survivor).await;
        // the others still have the data of the cluster that was given up
        lab.deploy(&DeployOrder::AtOnce, &Telling).await.expect("plain deploy is enough");
        three_voters(survivor).await;
        all_streaming(lab).await;
        assert_eq!(memory(lab, survivor).await, before);
        unmark(lab).await;
    });
}

#[test]
fn an_empty_etcd_gets_its_keys_from_the_primary_that_runs() {
    with_cluster(LAB, 3, async |lab| {
        mark(lab).await;
        let machines = lab.machines().await.expect("machines");
        let survivor = &machines[2];
        let before = memory(lab, survivor).await;
        let led = leader(lab).await;
        let postmaster_before = postmaster(&led).await;
        damaged(&machines, survivor, "wal/*.wal snap/db").await;
        let text = refused(survivor, &["scripts/reset-etcd-node1", "--yes"]).await;
        assert!(text.contains("--without-data"), "{text}");
        survivor.sh(&format!("test -d {STACK}/data/etcd/member/wal")).await.expect("the data is still in its place");
        killed(survivor, "scripts/reset-etcd-node1 --yes --without-data", &[4000]).await;
        done(survivor, &["scripts/reset-etcd-node1", "--yes", "--without-data"]).await;
        nothing_left_over(survivor).await;
        lab.deploy(&DeployOrder::AtOnce, &Telling).await.expect("plain deploy is enough");
        three_voters(survivor).await;
        all_streaming(lab).await;
        let after = eventually("Patroni has written its keys anew", Duration::from_secs(30), async || {
            let after = memory(lab, survivor).await;
            (!after.config.is_empty()).then_some(after)
        })
        .await;
        assert_eq!((&after.identifier, &after.initialize), (&before.identifier, &before.initialize));
        assert_eq!(leader(lab).await.id(), led.id(), "the primary stays the primary");
        assert_eq!(postmaster(&led).await, postmaster_before, "and was not restarted");
        unmark(lab).await;
    });
}

#[test]
fn a_member_started_with_the_wrong_list_is_mended_by_deploy() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let machine = &machines[1];
        let member = |at: &Machine| format!("etcd{}=http://{}:2380", at.id(), at.address());
        let list = format!("{},{}", member(&machines[0]), member(machine));
        let start = format!(
            "cd {STACK} && docker stop -t 2 etcd && rm -rf data/etcd etcd/member.json && \
             printf 'ETCD_INITIAL_CLUSTER={list}\nETCD_INITIAL_CLUSTER_STATE=existing\n' >> .env && \
             scripts/bootstrap && docker compose up -d etcd"
        );
        machine.sh(&start).await.expect("started by hand");
        eventually("etcd says what is wrong", Duration::from_secs(30), async || {
            let log = machine.sh("docker logs --since 30s etcd 2>&1").await.ok()?;
            log.contains("member count is unequal").then_some(())
        })
        .await;
        killed(machine, "deploy", &[700, 2500]).await;
        // what was written into .env by hand may stay there, or go
        let with_list = command(machine, &["deploy"]).await;
        machine.sh(&format!("sed -i /^ETCD_INITIAL_CLUSTER/d {STACK}/.env")).await.expect("put back");
        assert_eq!(with_list.code, 0, "{}", with_list.text);
        three_voters(machine).await;
        done(machine, &["deploy"]).await;
        serving(lab).await;
    });
}
