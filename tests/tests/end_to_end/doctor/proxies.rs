//! HAProxy and PgBouncer.

use pgstack_lab::Machine;

use super::{Patients, trouble};

/// Cuts HAProxy's container on one machine off from the Patroni of another.
async fn blind(patients: &Patients<'_>, blind: &Machine, to: &Machine, codes: &[&str]) {
    let address = blind.container_address("haproxy").await.expect("an address");
    let rule = format!("DOCKER-USER -s {address} -d {} -p tcp --dport 8008 -j DROP", to.address());
    blind.sh(&format!("iptables -I {rule}")).await.expect("cut");
    patients.show(codes).await;
    blind.sh(&format!("iptables -D {rule}")).await.expect("joined");
}

#[test]
fn a_haproxy_that_does_not_see_the_leader() {
    trouble(async |patients| blind(patients, patients.replica(), patients.leader(), &["060"]).await);
}

#[test]
fn a_haproxy_that_does_not_see_a_replica() {
    trouble(async |patients| blind(patients, patients.leader(), patients.replica(), &["062"]).await);
}

#[test]
fn a_pooler_left_paused() {
    trouble(async |patients| {
        let script = "docker exec pgbouncer psql -h /tmp -p 6432 -U pgbouncer pgbouncer -c PAUSE";
        patients.breaks(patients.replica(), script, &["063"]).await;
    });
}

#[test]
fn clients_that_wait_for_a_connection() {
    trouble(async |patients| {
        let replica = patients.replica();
        let script = "password=$(sed -n 's/^\"postgres\" \"\\(.*\\)\"$/\\1/p' pgbouncer/userlist.txt | sed 's/\"\"/\"/g'); \
                      for n in $(seq 60); do PGPASSWORD=$password timeout 60 psql -X -h $(hostname -i | cut -d' ' -f1) -p 6432 -U postgres postgres -c \
                      'SELECT pg_sleep(40)' >/dev/null 2>&1 & done";
        replica.sh(&format!("cd {}; {script}", pgstack_lab::STACK)).await.expect("begun");
        patients.show(&["064"]).await;
        replica.sh("pkill psql").await.expect("ended");
    });
}

#[test]
fn a_haproxy_that_takes_every_node_for_the_primary() {
    trouble(async |patients| {
        let script = "grep -q 'httpchk GET /primary' haproxy/haproxy.cfg
                      sed -i '/expect rstring/d; s#httpchk GET /primary#httpchk GET /health#' haproxy/haproxy.cfg
                      docker restart haproxy";
        patients.breaks(patients.replica(), script, &["061", "080"]).await;
    });
}
