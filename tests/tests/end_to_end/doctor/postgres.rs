//! PostgreSQL and its replication.

use pgstack_lab::STACK;

use super::trouble;
use crate::PATRONICTL;

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
        let set = |slots: &str| format!("{PATRONICTL} edit-config --force -s slots={slots}");
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
        let set = |value: &str| format!("{PATRONICTL} edit-config --force -p max_prepared_transactions={value}");
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
        // outside maintenance mode Patroni lets it go on in its next round
        let script = format!("{PATRONICTL} pause --wait && {PSQL} 'SELECT pg_wal_replay_pause()'");
        patients.breaks(patients.replica(), &script, &["033", "050"]).await;
    });
}

#[test]
fn connections_that_are_used_up() {
    trouble(async |patients| {
        let script = "docker exec -d patroni sh -c 'echo \"SELECT pg_sleep(120)\" >/tmp/sleep.sql; \
                      pgbench -n -c 92 -T 120 -f /tmp/sleep.sql postgres'";
        patients.leader().sh(script).await.expect("connected");
        patients.show(&["048"]).await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbench'";
        patients.leader().sh(&format!("{PSQL} \"{end}\"")).await.expect("ended");
    });
}

#[test]
fn data_without_checksums() {
    trouble(async |patients| {
        let replica = patients.replica();
        let checksums = |what: &str| {
            format!(
                "docker stop patroni; docker run --rm -u 999:999 -v $PWD/data/pg:/home/postgres/pgdata \
                 $(docker inspect --format '{{{{.Config.Image}}}}' patroni) pg_checksums {what} -D /home/postgres/pgdata/data; \
                 docker start patroni"
            )
        };
        replica.sh(&format!("cd {STACK}; {}", checksums("--disable"))).await.expect("off");
        patients.show(&["046"]).await;
        replica.sh(&format!("cd {STACK}; {}", checksums("--enable"))).await.expect("on");
    });
}

#[test]
fn a_password_that_was_changed_with_sql() {
    trouble(async |patients| {
        for role in ["postgres", "pgbouncer"] {
            let script = format!("{PSQL} \"ALTER ROLE {role} PASSWORD 'another-than-in-env'\"");
            patients.breaks(patients.leader(), &script, &["065"]).await;
            patients.are_healthy().await;
        }
    });
}
