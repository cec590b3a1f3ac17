//! `status --json`, asked on the machines themselves: everything is known of a healthy cluster, and what cannot be
//! known of a broken one is named, in time.

mod check_patroni;

use std::time::{Duration, Instant};

use pgstack_health::{Fact, Haproxy, Snapshot};
use pgstack_lab::{Lab, Machine, STACK};
use pgstack_tests::cluster::{HOSTILE, eventually, leader, vip_holder, with_cluster};
use serde_json::Value;

use crate::LAB;

/// The longest that `status` may take, whatever is broken.
const LONGEST: Duration = Duration::from_secs(3);

/// What `status --json` says on a machine, as JSON and as what that means.
async fn status(machine: &Machine) -> (Value, Snapshot) {
    let began = Instant::now();
    let output = machine.run(&[&format!("{STACK}/status"), "--json"]).await.expect("run");
    let took = began.elapsed();
    let text = output.stdout;
    assert!(took < LONGEST, "node {}: {took:?}", machine.id());
    assert!(!text.contains(HOSTILE) && !text.contains(&HOSTILE[..8]), "a password: {text}");
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| unreachable!("{error}: {text}"));
    let snapshot = serde_json::from_value(json.clone()).expect("a snapshot");
    (json, snapshot)
}

/// Where an unknown fact stands, and why it is not known: `nodes/2/etcd: no answer in time`.
fn unknown(json: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, found: &mut Vec<String>) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        match value {
            Value::Object(fields) => match (fields.len(), fields.get("unknown")) {
                (1, Some(why)) => found.push(format!("{path}: {}", why.as_str().unwrap_or_default())),
                _ => fields.iter().for_each(|(name, value)| walk(value, &below(name), found)),
            },
            Value::Array(values) => {
                for (at, value) in values.iter().enumerate() {
                    let name = value.get("id").map_or_else(|| at.to_string(), Value::to_string);
                    walk(value, &below(&name), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(json, "", &mut found);
    found
}

/// Waits until every HAProxy has seen what Patroni says, and the primary knows whom to ask without etcd: both come
/// some seconds after all stream.
async fn settled(lab: &Lab) {
    for machine in lab.machines().await.expect("machines") {
        eventually("every proxy sees one primary and two replicas", Duration::from_secs(60), async || {
            let (_, snapshot) = status(&machine).await;
            let proxies = snapshot.nodes.iter().filter_map(|node| node.haproxy.known());
            let settled = proxies.filter(|haproxy| up(haproxy, "primary") == 1 && up(haproxy, "replicas") == 2);
            (settled.count() == 3 && snapshot.dcs.known()?.failsafe.len() == 3).then_some(())
        })
        .await;
    }
}

/// How many servers of a backend a proxy sends to.
fn up(haproxy: &Haproxy, backend: &str) -> usize {
    haproxy.servers.iter().filter(|server| server.backend == backend && server.is_up).count()
}

#[test]
fn everything_is_known_of_a_healthy_cluster_from_any_node() {
    with_cluster(LAB, 3, async |lab| {
        settled(lab).await;
        let machines = lab.machines().await.expect("machines");
        let (leads, holds) = (leader(lab).await.id(), vip_holder(lab).await.id());
        for machine in &machines {
            let (json, snapshot) = status(machine).await;
            assert_eq!(unknown(&json), Vec::<String>::new(), "node {}", machine.id());
            assert_eq!((snapshot.from.get(), snapshot.nodes.len()), (machine.id(), 3));
            assert!(snapshot.with_vip);
            assert_eq!(snapshot.vip_answers.known().map(|node| node.get()), Some(holds));
            assert_eq!(snapshot.leader().map(|node| node.id.get()), Some(leads));
            let dcs = snapshot.dcs.known().expect("known");
            let system = dcs.initialize.clone().expect("an identifier");
            assert_eq!((dcs.members.len(), dcs.failsafe.len()), (3, 3));
            assert_eq!(dcs.config["failsafe_mode"], true);
            let mut streaming = 0;
            for node in &snapshot.nodes {
                let etcd = node.etcd.known().expect("known");
                assert!(node.reachable && etcd.serves && etcd.has_quorum && etcd.members.len() == 3);
                assert!(etcd.members.iter().all(|member| member.node.is_some() && member.has_started));
                let patroni = node.patroni.known().expect("known");
                let postgres = node.postgres.known().expect("known");
                let is_leader = node.id.get() == leads;
                assert_eq!((patroni.takes_writes(), postgres.in_recovery), (is_leader, !is_leader));
                assert_eq!(patroni.timeline, Some(postgres.timeline), "node {}", node.id);
                assert_eq!((postgres.system_id.as_str(), postgres.data_checksums), (system.as_str(), true));
                assert_eq!(patroni.lag_bytes.is_some(), !is_leader);
                let haproxy = node.haproxy.known().expect("known");
                assert_eq!((haproxy.servers.len(), &haproxy.servers_unknown), (6, &None));
                assert_eq!((up(haproxy, "primary"), up(haproxy, "replicas")), (1, 2));
                assert!(node.pgbouncer.known().is_some_and(|pooler| pooler.paused.is_empty()));
                assert!(node.clock_offset_ms.known().is_some_and(|offset| offset.abs() < 2000), "one clock for all");
                streaming += postgres.standbys.iter().filter(|standby| standby.state == "streaming").count();
            }
            assert_eq!(streaming, 2);
        }
    });
}

#[test]
fn a_pooler_left_paused_is_seen_from_another_node_whole_or_one_database() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let console =
            |sql: &str| format!("docker exec pgbouncer psql -h /tmp -p 6432 -U pgbouncer pgbouncer -c '{sql}'");
        machines[1].sh(&console("PAUSE")).await.expect("paused");
        machines[2].sh(&console("PAUSE postgres")).await.expect("paused");
        let (_, snapshot) = status(&machines[0]).await;
        for machine in &machines[1..] {
            machine.sh(&console(if machine.id() == 2 { "RESUME" } else { "RESUME postgres" })).await.expect("resumed");
        }
        let paused: Vec<_> =
            snapshot.nodes.iter().map(|n| n.pgbouncer.known().expect("known").paused.clone()).collect();
        assert_eq!(paused, [vec![], vec!["*".to_owned()], vec!["postgres".to_owned()]]);
    });
}

#[test]
fn a_node_that_is_off_and_one_behind_a_firewall_cost_three_seconds_at_most_and_are_named() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        machines[2].power_off().await.expect("power off");
        lab.partition(2).await.expect("cut off");
        for (asks, round) in [(0, 1), (0, 2), (1, 1)] {
            let (json, snapshot) = status(&machines[asks]).await;
            let unknown = unknown(&json);
            let me = machines[asks].id();
            for node in &snapshot.nodes {
                let id = node.id.get();
                assert_eq!(node.reachable, id == me, "round {round} on node {me}");
                let facts = ["local", "clock_offset_ms", "etcd", "patroni", "postgres", "haproxy", "pgbouncer"];
                for fact in facts.iter().filter(|_| id != me) {
                    let is_named = |why: &str| unknown.contains(&format!("nodes/{id}/{fact}: {why}"));
                    assert!(is_named("no answer in time") || is_named("no route"), "nodes/{id}/{fact} in {unknown:?}");
                }
            }
            let own = snapshot.nodes.iter().find(|node| node.id.get() == me).expect("the asking node");
            let etcd = own.etcd.known().expect("its own etcd");
            assert!(etcd.serves && !etcd.has_quorum && etcd.members.len() == 3, "{etcd:?}");
            assert!(own.patroni.known().is_some() && own.haproxy.known().is_some() && own.pgbouncer.known().is_some());
            assert_eq!(snapshot.dcs.why(), Some("no quorum"));
        }
    });
}

#[test]
fn an_engine_that_hangs_delays_nobody_and_a_dead_service_is_a_refusal() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        machines[1].sh("docker stop -t 1 patroni pgbouncer").await.expect("stopped");
        // goes on by itself, should this test not come to it
        let hang = "pid=$(cat /var/run/docker.pid); kill -STOP $pid; (sleep 20; kill -CONT $pid) >/dev/null 2>&1 &";
        machines[1].sh(hang).await.expect("stopped");
        let answers = [status(&machines[0]).await, status(&machines[1]).await];
        machines[1].sh("kill -CONT $(cat /var/run/docker.pid)").await.expect("goes on");
        for (_, snapshot) in answers {
            let node = &snapshot.nodes[1];
            assert!(node.reachable && node.etcd.known().is_some_and(|etcd| etcd.has_quorum));
            for why in [node.patroni.why(), node.postgres.why(), node.pgbouncer.why()] {
                assert_eq!(why, Some("connection refused"));
            }
            assert!(matches!(snapshot.dcs, Fact::Known(_)), "two of three are a quorum");
        }
    });
}

#[test]
fn other_passwords_than_the_nodes_are_said_to_be_refused() {
    with_cluster(LAB, 3, async |lab: &Lab| {
        let machine = &lab.machines().await.expect("machines")[0];
        let edit = "s/^POSTGRES_SUPERUSER_PASSWORD=.*/POSTGRES_SUPERUSER_PASSWORD=another-Word-for-1-Test/";
        machine.sh(&format!("sed -i '{edit}' {STACK}/.env")).await.expect("edited");
        let (_, snapshot) = status(machine).await;
        for node in &snapshot.nodes {
            assert!(node.reachable && node.patroni.known().is_some() && node.etcd.known().is_some());
            for why in [node.postgres.why(), node.pgbouncer.why()] {
                assert_eq!(why, Some("the password is refused"), "node {}", node.id);
            }
            let haproxy = node.haproxy.known().expect("its fingerprint takes no password");
            assert_eq!(haproxy.servers_unknown.as_deref(), Some("the password is refused"));
        }
    });
}
