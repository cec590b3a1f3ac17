//! Copies of the data that do not follow, or may not lead.

use pgstack_lab::STACK;

use super::trouble;

/// What the leader's data never saw, on a timeline of its own, and without the WAL that would be needed to take it back.
const DIVERGE: &str = "
    set -e; data=/home/postgres/pgdata/data
    pg_ctl -D $data -s -w -o '-c listen_addresses= -c unix_socket_directories=/tmp' start
    pg_ctl -D $data -s -w promote
    for n in 1 2 3; do psql -h /tmp -XqAt -c 'CREATE TABLE astray AS SELECT 1 AS n' -c 'DROP TABLE astray' -c 'SELECT pg_switch_wal()' postgres; done
    psql -h /tmp -XqAt -c CHECKPOINT postgres
    pg_ctl -D $data -s -m fast -w stop
    cd $data/pg_wal; ls | grep -E '^[0-9A-F]{24}$' | head -n -1 | xargs rm -f";

#[test]
fn data_that_has_gone_another_way() {
    trouble(async |patients| {
        let script = format!(
            "docker stop patroni; docker run --rm -u 999:999 -v $PWD/data/pg:/home/postgres/pgdata \
             $(docker inspect --format '{{{{.Config.Image}}}}' patroni) sh -c \"{}\"; docker start patroni",
            DIVERGE.replace('$', "\\$")
        );
        patients.breaks(patients.replica(), &script, &["041"]).await;
        patients.replica().sh(&format!("rm -rf {STACK}/data/pg.[0-9]*")).await.expect("tidied");
    });
}

#[test]
fn a_replica_that_replays_too_slowly() {
    trouble(async |patients| {
        let signal = |signal: &str| format!("docker exec patroni pkill -{signal} -f 'postgres: .*startup'");
        patients.replica().sh(&signal("STOP")).await.expect("stopped");
        let write = "docker exec patroni psql -XqAt -c 'CREATE TABLE much AS SELECT repeat(md5(g::text), 20) \
                     FROM generate_series(1, 20000) g' -c 'DROP TABLE much'";
        patients.leader().sh(write).await.expect("written");
        patients.show(&["043"]).await;
        patients.replica().sh(&signal("CONT")).await.expect("goes on");
    });
}

#[test]
fn a_node_that_may_never_lead() {
    trouble(async |patients| {
        let script = "printf 'tags:\\n  nofailover: true\\n' >>patroni/patroni.yml; docker kill -s HUP patroni";
        patients.breaks(patients.replica(), script, &["051", "080"]).await;
    });
}
