//! Patroni and what it keeps in etcd.

use std::sync::atomic::{AtomicBool, Ordering};

use pgstack_lab::STACK;
use pgstack_tests::doctor::findings;

use super::trouble;
use crate::PATRONICTL;

#[test]
fn a_cluster_left_in_maintenance_mode() {
    trouble(async |patients| {
        patients.breaks(patients.replica(), &format!("{PATRONICTL} pause --wait"), &["033"]).await;
    });
}

#[test]
fn a_failsafe_that_is_switched_off() {
    trouble(async |patients| {
        let script = format!("{PATRONICTL} edit-config --force -s failsafe_mode=false");
        patients.breaks(patients.leader(), &script, &["035"]).await;
    });
}

#[test]
fn synchronous_mode_without_a_standby_that_may_be_one() {
    trouble(async |patients| {
        let script = format!("{PATRONICTL} edit-config --force -s synchronous_mode=true");
        patients.leader().sh(&script).await.expect("set");
        patients.are_healthy().await;
        for machine in patients.but(patients.leader()) {
            machine.sh("docker stop patroni").await.expect("stopped");
        }
        patients.show(&["010", "036"]).await;
        patients.mend().await;
        patients.are_healthy().await;
        let script = format!("{PATRONICTL} edit-config --force -s synchronous_mode=null");
        patients.leader().sh(&script).await.expect("set back");
    });
}

#[test]
fn a_registered_member_that_is_none_of_ours() {
    trouble(async |patients| {
        let script = "docker exec etcd etcdctl put /service/pg-cluster/members/patroni9 \
                      '{\"conn_url\":\"postgres://10.99.99.99:5432/postgres\",\"api_url\":\"http://10.99.99.99:8008/patroni\",\
                      \"state\":\"running\",\"role\":\"replica\"}'";
        patients.breaks(patients.replica(), script, &["037"]).await;
    });
}

#[test]
fn a_container_address_that_is_registered() {
    trouble(async |patients| {
        let replica = patients.replica();
        // an override beats every file, as an old compose file would
        let compose = "printf 'services:\\n  patroni:\\n    command: [\"/bin/sh\", \"-c\", \"set -a; . /config/patroni.env; \
                       PATRONI_POSTGRESQL_CONNECT_ADDRESS=172.18.0.3:5432; exec patroni /config/patroni.yml\"]\\n' \
                       > docker-compose.override.yaml; docker compose up -d --no-deps patroni";
        replica.sh(&format!("cd {STACK}; {compose}")).await.expect("broken");
        patients.show(&["031"]).await;
        replica.sh(&format!("rm {STACK}/docker-compose.override.yaml")).await.expect("removed");
        patients.mend().await;
    });
}

#[test]
fn times_that_do_not_fit() {
    trouble(async |patients| {
        let before = "ttl=30 -s loop_wait=5 -s retry_timeout=10";
        let script = format!("{PATRONICTL} edit-config --force -s ttl=20 -s loop_wait=10 -s retry_timeout=10");
        patients.leader().sh(&script).await.expect("set");
        patients.show(&["039"]).await;
        patients.leader().sh(&format!("{PATRONICTL} edit-config --force -s {before}")).await.expect("set back");
    });
}

#[test]
fn a_cluster_that_nobody_leads() {
    trouble(async |patients| {
        // somebody stopped the leader in maintenance mode, so that nobody takes over
        let script = format!("{PATRONICTL} pause --wait; docker stop patroni");
        patients.breaks(patients.leader(), &script, &["010", "030", "033"]).await;
    });
}

#[test]
fn a_patroni_that_has_lost_etcd() {
    trouble(async |patients| {
        let replica = patients.replica();
        let address = replica.container_address("patroni").await.expect("an address");
        let rules = |what: &str| {
            let rule = format!("-s {address} -p tcp --dport 2379 -j DROP");
            format!("iptables {what} DOCKER-USER {rule}; iptables {what} INPUT {rule}")
        };
        replica.sh(&rules("-I")).await.expect("cut off");
        patients.show(&["034"]).await;
        replica.sh(&rules("-D")).await.expect("joined");
    });
}

#[test]
fn a_second_primary() {
    trouble(async |patients| {
        let replica = patients.replica();
        // in maintenance mode Patroni lets both be
        let script = format!("{PATRONICTL} pause --wait; docker exec patroni psql -XqAt -c 'SELECT pg_promote()'");
        replica.sh(&script).await.expect("promoted");
        patients.show(&["033", "038"]).await;
        replica.sh(&format!("cd {STACK}; docker compose stop patroni")).await.expect("at once");
        let script = format!("cd {STACK}; {PATRONICTL} resume --wait");
        patients.leader().sh(&script).await.expect("the maintenance is over");
        let script = format!("cd {STACK}; scripts/reclone --yes; rm -rf data/pg.[0-9]*");
        replica.sh(&script).await.expect("then");
    });
}

#[test]
fn a_switchover_is_none() {
    trouble(async |patients| {
        let switchover = format!("{STACK}/scripts/switchover");
        let ended = AtomicBool::new(false);
        let moved = async {
            let output = patients.leader().run(&[&switchover]).await.expect("run");
            assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
            ended.store(true, Ordering::Relaxed);
        };
        let watched = async {
            let mut found = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                found.extend(findings(patients.replica()).await);
            }
            found
        };
        // judged when it is over: nothing of it is to be left for the next test
        let ((), found) = tokio::join!(moved, watched);
        assert!(found.is_empty(), "{found:#?}");
    });
}
