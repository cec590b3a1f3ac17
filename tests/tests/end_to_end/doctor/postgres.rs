//! PostgreSQL and its replication.

use pgstack_lab::STACK;

use super::trouble;

const PSQL: &str = "docker exec patroni psql -XqAt -c";

#[test]
fn replicas_that_may_not_log_in() {
    trouble(async |patients| {
        let script = format!(
            "{PSQL} 'ALTER ROLE replicator NOLOGIN'; {PSQL} 'SELECT pg_terminate_backend(pid) FROM pg_stat_replication'"
        );
        patients.breaks(patients.leader(), &script, &["042"]).await;
    });
}

#[test]
fn a_slot_that_nobody_uses() {
    trouble(async |patients| {
        let set = |slots: &str| {
            format!("docker exec patroni patronictl -c /config/patroni.yml edit-config --force -s slots={slots}")
        };
        let wal = "for n in 1 2 3 4 5 6 7 8 9; do docker exec patroni psql -XqAt -c 'SELECT pg_switch_wal()' -c \
                   'CREATE TABLE IF NOT EXISTS fill AS SELECT 1 AS n'; done";
        let script = format!("{}; {wal}", set("'{\"forgotten\": {\"type\": \"physical\"}}'"));
        patients.leader().sh(&format!("cd {STACK}; {script}")).await.expect("made");
        patients.show(&["044"]).await;
        patients.leader().sh(&set("null")).await.expect("as before");
    });
}

#[test]
fn a_setting_that_waits_for_a_restart() {
    trouble(async |patients| {
        let set = |value: &str| {
            format!(
                "docker exec patroni patronictl -c /config/patroni.yml edit-config --force -p max_prepared_transactions={value}"
            )
        };
        patients.leader().sh(&set("7")).await.expect("set");
        patients.show(&["045"]).await;
        patients.leader().sh(&set("null")).await.expect("set back");
    });
}

#[test]
fn data_that_postgresql_refuses() {
    trouble(async |patients| {
        let script = "docker stop patroni; chown -R root:root data/pg/data; docker start patroni";
        patients.breaks(patients.replica(), script, &["047"]).await;
    });
}

#[test]
fn a_replay_that_somebody_paused() {
    trouble(async |patients| {
        let script = format!("{PSQL} 'SELECT pg_wal_replay_pause()'");
        patients.breaks(patients.replica(), &script, &["050"]).await;
    });
}
