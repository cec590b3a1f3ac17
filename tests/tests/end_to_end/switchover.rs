//! `switchover` under a hundred clients, killed half-way, and refused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgstack_lab::{Endpoint, Lab, Machine, STACK};
use pgstack_tests::cluster::{all_streaming, etcd_leader, eventually, held_by, leader, until_it_works, with_cluster};
use tokio::task::JoinHandle;

use crate::LAB;

const CLIENTS: u32 = 100;
/// How long a statement may take before a client gives it up.
const LIMIT: Duration = Duration::from_secs(30);
/// What a switchover may cost with the default settings, on a machine that is busy with other things.
const GAP: Duration = Duration::from_secs(6);

/// What one client did.
#[derive(Default)]
struct Log {
    acknowledged: Vec<(Duration, String)>,
    errors: Vec<String>,
}

/// A hundred applications, each with a connection of its own through VIP:6432.
struct Crowd {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Log>>,
}

impl Crowd {
    async fn start(lab: &Lab) -> Self {
        let setup = "CREATE TABLE IF NOT EXISTS crowd (id text PRIMARY KEY); TRUNCATE crowd";
        until_it_works(lab, 5000, setup, Duration::from_secs(20)).await;
        let endpoint = lab.endpoint(6432).await.expect("an endpoint");
        let stop = Arc::new(AtomicBool::new(false));
        let began = Instant::now();
        let clients = (0..CLIENTS).map(|me| tokio::spawn(client(endpoint.clone(), me, began, stop.clone()))).collect();
        Self { stop, clients }
    }

    /// Ends them; all rows that were acknowledged are there, nobody saw an error, and the longest time without any
    /// acknowledgement is returned.
    async fn stop(self, lab: &Lab) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let logs: Vec<Log> = join_all(self.clients).await.into_iter().map(|log| log.expect("a client")).collect();
        let errors: BTreeSet<&String> = logs.iter().flat_map(|log| &log.errors).collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert!(logs.iter().all(|log| !log.acknowledged.is_empty()), "every client wrote");
        let found = until_it_works(lab, 5000, "SELECT string_agg(id, ' ') FROM crowd", LIMIT).await.unwrap_or_default();
        let found: BTreeSet<&str> = found.split(' ').collect();
        let acknowledged = || logs.iter().flat_map(|log| &log.acknowledged);
        let missing: Vec<&str> = acknowledged().map(|(_, id)| id.as_str()).filter(|id| !found.contains(id)).collect();
        assert!(missing.is_empty(), "acknowledged, and not there: {missing:?}");
        let mut moments: Vec<Duration> = acknowledged().map(|(at, _)| *at).collect();
        moments.sort();
        let gap = moments.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().expect("rows");
        eprintln!("{} rows acknowledged, longest gap {:.2} s", moments.len(), gap.as_secs_f64());
        gap
    }
}

async fn client(endpoint: Endpoint, me: u32, began: Instant, stop: Arc<AtomicBool>) -> Log {
    let mut log = Log::default();
    let connection = match endpoint.connect(LIMIT).await {
        Ok(connection) => connection,
        Err(error) => {
            log.errors.push(error.to_string());
            return log;
        }
    };
    for number in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{me}.{number}");
        let insert = format!("INSERT INTO crowd VALUES ('{id}')");
        match tokio::time::timeout(LIMIT, connection.simple_query(&insert))
            .await
            .unwrap_or_else(|_| unreachable!("no answer in time"))
        {
            Ok(_) => log.acknowledged.push((began.elapsed(), id)),
            Err(error) => {
                log.errors.push(error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string));
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    log
}

/// Runs `switchover`; its exit code and what it says.
async fn run(machine: &Machine, arguments: &str) -> (i64, String) {
    let command = format!("{STACK}/scripts/switchover {arguments}");
    let output = machine.run(&["bash", "-c", &command]).await.expect("run");
    (output.code, output.stdout + &output.stderr)
}

/// Runs a command at a pooler's console.
pub(crate) async fn console(machine: &Machine, command: &str) -> String {
    let psql = "docker exec pgbouncer psql -XqAt -h /tmp -p 6432 -U pgbouncer pgbouncer -c";
    machine.sh(&format!("{psql} '{command}'")).await.expect("the console")
}

pub(crate) async fn is_paused(machine: &Machine) -> bool {
    console(machine, "SHOW STATE").await.contains("paused|yes")
}

pub(crate) async fn all_resumed(machines: &[Machine], limit: Duration) {
    eventually("no pooler is paused", limit, async || {
        (!join_all(machines.iter().map(is_paused)).await.contains(&true)).then_some(())
    })
    .await;
}

#[test]
fn a_hundred_clients_notice_no_switchover_and_no_row_is_lost() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let vip = lab.vip().await.expect("a VIP").to_string();
        let holder = held_by(lab, &vip).await;
        for _ in 0..2 {
            let old = leader(lab).await;
            // the new primary is to get etcd's leader off its node
            let to = machines.iter().find(|machine| machine.id() != old.id()).expect("a replica");
            etcd_leads_on(&machines, to).await;
            let crowd = Crowd::start(lab).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            let (code, said) = run(&machines[2], &format!("--to {}", to.id())).await;
            eprintln!("{said}");
            assert_eq!(code, 0, "{said}");
            tokio::time::sleep(Duration::from_secs(2)).await;
            let gap = crowd.stop(lab).await;
            assert!(gap < GAP, "{gap:?}\n{said}");
            assert_eq!(leader(lab).await.id(), to.id());
            assert_ne!(etcd_led_by(&machines).await, to.id(), "etcd leads elsewhere");
            assert_eq!(held_by(lab, &vip).await, holder, "the VIP stays");
            all_resumed(&machines, Duration::from_secs(1)).await;
            all_streaming(lab).await;
        }
        let led = leader(lab).await.id();
        let (code, said) = run(&machines[0], &format!("--to {led}")).await;
        assert_eq!((code, leader(lab).await.id()), (0, led), "{said}");
    });
}

#[test]
fn a_killed_switchover_leaves_no_pooler_paused_for_ten_seconds_even_where_the_agents_die_too() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        for agents in [false, true] {
            let crowd = Crowd::start(lab).await;
            let start =
                format!("{STACK}/scripts/switchover >/root/switchover.log 2>&1 & echo $! >/root/switchover.pid");
            machines[0].sh(&start).await.expect("started");
            // asked for from inside the machine: the pause is short
            let seen = "until docker exec pgbouncer psql -XqAt -h /tmp -p 6432 -U pgbouncer pgbouncer -c 'SHOW STATE' | \
                        grep -q 'paused|yes'; do :; done";
            let kill = format!("timeout 20 sh -c \"{seen}\" && kill -KILL $(cat /root/switchover.pid)");
            machines[0].sh(&kill).await.expect("paused, and killed");
            if agents {
                // with KILL from outside, as nothing inside may signal process 1; Docker then leaves it stopped
                join_all(machines.iter().map(async |machine| machine.sh("docker kill agent").await.expect("killed")))
                    .await;
            }
            all_resumed(&machines, Duration::from_secs(10)).await;
            crowd.stop(lab).await;
            all_streaming(lab).await;
            join_all(machines.iter().map(async |machine| machine.sh("docker start agent").await.expect("started")))
                .await;
            agents_serve(&machines).await;
            let (code, said) = run(&machines[0], "").await;
            assert_eq!(code, 0, "run again, it goes through: {said}");
            all_streaming(lab).await;
        }
    });
}

#[test]
fn what_is_refused_changes_nothing() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let old = leader(lab).await;
        let to = machines.iter().find(|machine| machine.id() != old.id()).expect("a replica");
        let refused = async |machine: &Machine, arguments: &str, words: &str| {
            let (code, said) = run(machine, arguments).await;
            assert_eq!(code, 1, "{said}");
            assert!(said.contains(words), "{words}: {said}");
            assert_eq!(leader(lab).await.id(), old.id(), "{said}");
        };
        refused(to, "--to 6", "node 6 is not in .env").await;
        // a person's pause is left alone
        console(to, "PAUSE").await;
        refused(&old, "", &format!("the pooler on node {} is paused", to.id())).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(is_paused(to).await, "nobody else ends it");
        console(to, "RESUME").await;
        // a transaction that does not end
        let endpoint = lab.endpoint(6432).await.expect("an endpoint");
        let client = endpoint.connect(LIMIT).await.expect("a connection");
        client.simple_query("BEGIN; SELECT pg_current_xact_id()").await.expect("begun");
        refused(&old, "--wait 2", "did not end within 2 s\n  pid ").await;
        assert!(join_all(machines.iter().map(is_paused)).await.iter().all(|paused| !paused));
        client.simple_query("COMMIT").await.expect("nobody cut it off");
        // an agent that is away
        to.sh("docker stop -t 1 agent").await.expect("stopped");
        refused(&old, "", &format!("the pooler on node {} cannot be paused: its agent", to.id())).await;
        to.sh("docker start agent").await.expect("started");
        agents_serve(&machines).await;
        // a replica that may not lead, and one that is away
        to.sh("docker stop patroni").await.expect("stopped");
        refused(&old, &format!("--to {}", to.id()), "no other node can lead now").await;
        to.sh("docker start patroni").await.expect("started");
        all_streaming(lab).await;
        let (code, said) = run(to, "--dry-run").await;
        assert_eq!((code, leader(lab).await.id()), (0, old.id()), "{said}");
    });
}

/// Every agent answers: with a refusal, as nothing is shown to it.
async fn agents_serve(machines: &[Machine]) {
    for machine in machines {
        let ask = format!("curl -s --noproxy '*' -m 2 -o /dev/null http://{}:8405/pooler", machine.address());
        eventually("the agent answers", Duration::from_secs(30), async || machine.sh(&ask).await.ok()).await;
    }
}

#[test]
fn a_new_image_on_the_primarys_node_costs_a_switchover_and_no_error() {
    with_cluster(LAB, 3, async |lab| {
        let old = leader(lab).await;
        let image = "docker tag $(docker inspect --format '{{.Config.Image}}' patroni) patroni:again";
        old.sh(&format!("cd {STACK}; {image}; echo PATRONI_IMAGE=patroni:again >>.env")).await.expect("another image");
        let plan = old.sh(&format!("{STACK}/deploy --dry-run")).await.expect("a plan");
        assert!(plan.contains("another node takes over from this primary first"), "{plan}");
        let crowd = Crowd::start(lab).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let output = old.run(&[&format!("{STACK}/deploy")]).await.expect("run");
        let said = output.stdout + &output.stderr;
        eprintln!("{said}");
        let gap = crowd.stop(lab).await;
        assert_eq!(output.code, 0, "{said}");
        assert!(gap < GAP, "{gap:?}\n{said}");
        assert_ne!(leader(lab).await.id(), old.id(), "{said}");
        let runs = old.sh("docker inspect --format '{{.Config.Image}}' patroni").await.expect("inspected");
        assert_eq!(runs.trim(), "patroni:again");
        // on a replica it is made anew at once
        let back = format!("cd {STACK}; sed -i /patroni:again/d .env; ./deploy 2>&1; docker rmi patroni:again");
        let said = old.sh(&back).await.expect("the first image");
        assert!(!said.contains("takes over"), "{said}");
    });
}

/// The member on a node becomes etcd's leader.
async fn etcd_leads_on(machines: &[Machine], to: &Machine) {
    let led = etcd_led_by(machines).await;
    if led == to.id() {
        return;
    }
    let from = machines.iter().find(|machine| machine.id() == led).expect("etcd leads");
    let id = "docker exec etcd etcdctl endpoint status -w json | sed 's/.*\"member_id\":\\([0-9]*\\).*/\\1/'";
    let id: u64 = to.sh(id).await.expect("a status").trim().parse().expect("a member id");
    from.sh(&format!("docker exec etcd etcdctl move-leader {id:x}")).await.expect("moved");
}

/// The node whose etcd leads.
async fn etcd_led_by(machines: &[Machine]) -> u8 {
    eventually("etcd has a leader", Duration::from_secs(10), async || etcd_leader(machines).await).await
}
