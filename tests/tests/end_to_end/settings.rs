//! Settings of a living cluster: what lives in the DCS, restarts one after the other, passwords.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgstack_lab::{Endpoint, Lab, Machine, STACK};
use pgstack_tests::cluster::{all_streaming, eventually, held_by, leader, until_it_works, with_cluster};
use tokio::sync::watch;

use crate::{LAB, PATRONICTL};

/// Sets keys in a machine's `.env`, as the lab writes them; an empty value takes the line out.
pub(crate) async fn set(machine: &Machine, settings: &[(&str, &str)]) {
    let mut script = format!("cd {STACK}\n");
    for (key, value) in settings {
        writeln!(script, "sed -i '/^{key}=/d' .env").expect("a string");
        if !value.is_empty() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
            writeln!(script, "cat >> .env <<'END'\n{key}=\"{value}\"\nEND").expect("a string");
        }
    }
    machine.sh(&script).await.expect("a changed .env");
}

/// What a deploy that must succeed said, stdout and stderr.
pub(crate) async fn deploy(machine: &Machine, arguments: &[&str]) -> String {
    let output = machine.run(&[&[&format!("{STACK}/deploy") as &str], arguments].concat()).await.expect("run");
    assert_eq!(output.code, 0, "node {}: {}{}", machine.id(), output.stdout, output.stderr);
    output.stdout + &output.stderr
}

/// The same settings on all machines, deployed on all at once.
pub(crate) async fn set_everywhere(machines: &[Machine], settings: &[(&str, &str)]) -> Vec<String> {
    join_all(machines.iter().map(|machine| set(machine, settings))).await;
    join_all(machines.iter().map(|machine| deploy(machine, &[]))).await
}

pub(crate) async fn show_config(machine: &Machine) -> String {
    machine.sh(&format!("{PATRONICTL} show-config")).await.expect("a configuration")
}

pub(crate) async fn edit_config(machine: &Machine, changes: &str) {
    let edit = format!("{PATRONICTL} edit-config pg-cluster --force {changes}");
    machine.sh(&edit).await.expect("edited");
}

#[test]
fn what_env_names_of_the_dcs_is_shown_and_applied_and_nothing_else_is_touched() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let second = &machines[1];
        edit_config(second, "-s maximum_lag_on_failover=2097152 -p random_page_cost=1.3").await;
        set(second, &[("PATRONI_TTL", "40"), ("POSTGRES_WORK_MEM", "65536kB")]).await;
        let before = show_config(second).await;
        let planned = deploy(second, &["--dry-run"]).await;
        assert!(planned.contains("- set in the DCS: ttl: 30 -> 40"), "{planned}");
        assert_eq!(show_config(second).await, before, "a dry run changes nothing");
        let said = deploy(second, &[]).await;
        assert!(said.contains("  ttl: 30 -> 40\n"), "{said}");
        assert!(said.contains("  postgresql.parameters.work_mem: 4MB -> 65536kB\n"), "{said}");
        assert!(said.contains("node 1, 3 runs with other settings of the DCS"), "{said}");
        assert!(!said.contains("pending restart"), "{said}");
        let after = show_config(second).await;
        let expected = before.replace("ttl: 30", "ttl: 40").replace("work_mem: 4MB", "work_mem: 65536kB");
        assert_eq!(after, expected.replace("maintenance_work_mem: 65536kB", "maintenance_work_mem: 64MB"));
        assert!(after.contains("random_page_cost: 1.3") && after.contains("maximum_lag_on_failover: 2097152"));
        // the same in another notation, on the others: no difference
        for machine in [&machines[0], &machines[2]] {
            set(machine, &[("PATRONI_TTL", "40"), ("POSTGRES_WORK_MEM", "64MB")]).await;
            let said = deploy(machine, &[]).await;
            assert!(said.contains("settings in the DCS: as .env says") && !said.contains(" -> "), "{said}");
        }
        let began = Instant::now();
        let said = deploy(second, &[]).await;
        assert!(began.elapsed() < Duration::from_secs(15), "took {:?}", began.elapsed());
        assert!(!said.contains("warning") && !said.contains("reloaded") && !said.contains(" -> "), "{said}");
        eventually("PostgreSQL has it", Duration::from_secs(30), async || {
            let shown = until_it_works(lab, 5000, "SHOW work_mem", Duration::from_secs(10)).await?;
            (shown == "64MB").then_some(())
        })
        .await;
        // times that do not fit with what somebody put into the DCS are refused, and nothing is changed
        edit_config(second, "-s loop_wait=20").await;
        set(second, &[("PATRONI_TTL", "35")]).await;
        let output = second.run(&[&format!("{STACK}/deploy")]).await.expect("run");
        assert_eq!(output.code, 1, "{}", output.stdout);
        assert!(
            output.stderr.contains("loop_wait 20 + 2 * retry_timeout 10 would be more than ttl 35"),
            "{}",
            output.stderr
        );
        assert!(show_config(second).await.contains("ttl: 40"));
        set_everywhere(&machines, &[("PATRONI_TTL", ""), ("POSTGRES_WORK_MEM", "")]).await;
        let back =
            "-s ttl=30 -s loop_wait=5 -s maximum_lag_on_failover=1048576 -p random_page_cost=1.1 -p work_mem=4MB";
        edit_config(second, back).await;
    });
}

/// When each PostgreSQL started, by node.
async fn starts(machines: &[Machine]) -> Vec<(u8, String)> {
    let ask = "docker exec patroni psql -XqAtc \"SELECT to_char(pg_postmaster_start_time(), 'YYYYMMDDHH24MISS.US')\"";
    let asked = machines.iter().map(async |machine| (machine.id(), machine.sh(ask).await.expect("a time")));
    join_all(asked).await
}

#[test]
fn a_restart_that_a_setting_needs_is_told_and_goes_from_node_to_node_the_primary_last() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let led = leader(lab).await.id();
        let replica = machines.iter().find(|machine| machine.id() != led).expect("a replica");
        let everywhere = set_everywhere(&machines, &[("POSTGRES_MAX_CONNECTIONS", "120")]).await;
        for (id, said) in (1..).zip(&everywhere) {
            assert!(said.contains(&format!("node {id}: pending restart (max_connections 100 -> 120)")), "{said}");
            assert!(said.contains("deploy --restart-pending"), "{said}");
        }
        let changed = |said: &&String| said.contains("postgresql.parameters.max_connections: 100 -> 120");
        let said = everywhere.iter().find(changed).expect("one of them has changed it");
        for id in 1..=3 {
            assert!(said.contains(&format!("node {id}: pending restart")), "{said}");
        }
        for machine in &machines {
            let config = "docker exec pgbouncer psql -XqAt -h /tmp -p 6432 -U pgbouncer pgbouncer -c 'SHOW CONFIG'";
            let config = machine.sh(config).await.expect("settings");
            assert!(config.contains("max_db_connections|36|"), "node {}: {config}", machine.id());
        }
        let before = starts(&machines).await;
        // a replica is away: refused
        replica.sh("docker stop patroni").await.expect("stopped");
        let primary = &machines[usize::from(led) - 1];
        let output = primary.run(&[&format!("{STACK}/deploy"), "--restart-pending"]).await.expect("run");
        assert_eq!(output.code, 1, "{}", output.stdout);
        let refusal = format!("no restart now: node {} does not answer", replica.id());
        assert!(output.stderr.contains(&refusal), "{}", output.stderr);
        replica.sh("docker start patroni").await.expect("started");
        all_streaming(lab).await;
        let unchanged = starts(&machines).await;
        assert!(unchanged.iter().all(|start| start.0 == replica.id() || before.contains(start)), "{unchanged:?}");

        let planned = deploy(replica, &["--dry-run", "--restart-pending"]).await;
        let last = format!("- restart PostgreSQL on node {led} (primary, once another node leads)");
        assert!(planned.trim_end().ends_with(&last), "{planned}");
        // killed half-way, and run again
        replica.sh(&format!("timeout -s KILL 3 {STACK}/deploy --restart-pending || true")).await.expect("killed");
        let said = deploy(replica, &["--restart-pending"]).await;
        assert!(!said.contains("warning"), "nothing is pending: {said}");
        assert_ne!(leader(lab).await.id(), led, "another node took over before the primary was restarted");
        let after = starts(&machines).await;
        let last = after.iter().max_by_key(|(_, start)| start.clone()).expect("a start");
        assert_eq!(last.0, led, "the primary last: {after:?}");
        assert!(after.iter().all(|start| !before.contains(start)), "{before:?} {after:?}");
        all_streaming(lab).await;
        for port in [5000, 5001, 6432] {
            let shown = until_it_works(lab, port, "SHOW max_connections", Duration::from_secs(20)).await;
            assert_eq!(shown.as_deref(), Some("120"), "port {port}");
        }
        // fewer: no replica may have less than the primary, so they come twice
        set_everywhere(&machines, &[("POSTGRES_MAX_CONNECTIONS", "100")]).await;
        let said = deploy(primary, &["--restart-pending"]).await;
        assert!(!said.contains("warning"), "nothing is pending: {said}");
        all_streaming(lab).await;
        for port in [5000, 5001] {
            let shown = until_it_works(lab, port, "SHOW max_connections", Duration::from_secs(20)).await;
            assert_eq!(shown.as_deref(), Some("100"), "port {port}");
        }
        set_everywhere(&machines, &[("POSTGRES_MAX_CONNECTIONS", "")]).await;
    });
}

/// What an application noticed.
#[derive(Debug, Default)]
struct Noticed {
    rows: u32,
    failures: Vec<String>,
    longest: Duration,
}

/// Writes row after row until `stop`: over one connection, or over a new one for each row.
async fn application(endpoint: Endpoint, lane: u8, reconnects: bool, mut stop: watch::Receiver<bool>) -> Noticed {
    let limit = Duration::from_secs(30);
    let mut noticed = Noticed::default();
    let mut client = endpoint.connect(limit).await.expect("an application logs in");
    let mut last = Instant::now();
    while !*stop.borrow_and_update() {
        if reconnects {
            match endpoint.connect(limit).await {
                Ok(new) => client = new,
                Err(error) => noticed.failures.push(format!("log-in: {error}")),
            }
        }
        let insert = format!("INSERT INTO rotation VALUES ({lane}, {}) ON CONFLICT DO NOTHING", noticed.rows);
        match tokio::time::timeout(limit, client.simple_query(&insert)).await {
            Ok(Ok(_)) => {
                noticed.rows += 1;
                noticed.longest = noticed.longest.max(last.elapsed());
                last = Instant::now();
            }
            failed => noticed.failures.push(format!("row {}: {failed:?}", noticed.rows)),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    noticed
}

/// Every password of the stack, hostile, with `mark` in it.
fn passwords(mark: &str) -> Vec<(&'static str, String)> {
    let odd = |key| (key, format!("{mark}'\"\\$x{{y}}#z !%@:{key}"));
    let mut all =
        ["POSTGRES_SUPERUSER_PASSWORD", "POSTGRES_REPLICATION_PASSWORD", "POSTGRESQL_PASSWORD"].map(odd).to_vec();
    all.extend([odd("PATRONI_RESTAPI_PASSWORD"), ("HAPROXY_STATS_PASSWORD", format!("{mark}-stats"))]);
    all.push(("KEEPALIVED_AUTH_PASS", format!("{mark:.4}vrrp")));
    all
}

/// The passwords as machine 1's `.env` has them; those that it does not name are derived.
async fn current(lab: &Lab) -> Vec<(&'static str, String)> {
    let mut all = passwords("none");
    for (key, value) in &mut all {
        *value = lab.setting(key).await.unwrap_or_default();
    }
    all
}

/// New passwords in every `.env`, then `deploy`: on all at once, or each when the one before waits for it.
async fn rotate(machines: &[Machine], new: &[(&'static str, String)], one_after_the_other: bool) {
    let new: Vec<(&str, &str)> = new.iter().map(|(key, value)| (*key, value.as_str())).collect();
    if !one_after_the_other {
        set_everywhere(machines, &new).await;
        return;
    }
    let (waits, _) = watch::channel(0);
    let one = async |(place, machine): (usize, &Machine)| {
        waits.subscribe().wait_for(|waiting| *waiting >= place).await.expect("told");
        set(machine, &new).await;
        let mut said = String::new();
        let code = machine
            .watch(&[&format!("{STACK}/deploy")], &mut |line| {
                said += line;
                said += "\n";
                if line.contains("not as this .env says") || line.contains("runs with other nodes, VIP or passwords") {
                    waits.send_modify(|waiting| *waiting = (*waiting).max(place + 1));
                }
            })
            .await
            .expect("run");
        assert_eq!(code, 0, "node {}: {said}", machine.id());
    };
    join_all(machines.iter().enumerate().map(one)).await;
}

/// The changes of the VIP on every machine since [`watch_the_vip`].
pub(crate) async fn vip_moves(machines: &[Machine], vip: &str) -> Vec<String> {
    // the check renews the lease of an address that is there: only one that goes, or comes to another node, has moved
    let look = format!(
        "kill $(cat /tmp/vip.pid) || true; \
         if [ -e /tmp/vip.here ]; then grep -F ' {vip}/' /tmp/vip.log | grep -F Deleted || true; \
         else grep -F ' {vip}/' /tmp/vip.log || true; fi"
    );
    let asked = machines.iter().map(async |machine| (machine.id(), machine.sh(&look).await.expect("a log")));
    let seen = join_all(asked).await;
    seen.iter().flat_map(|(id, log)| log.lines().map(move |line| format!("node {id}: {line}"))).collect()
}

pub(crate) async fn watch_the_vip(machines: &[Machine]) {
    let watch = "rm -f /tmp/vip.here; ip -4 -o address show dev eth0 | grep -q secondary && touch /tmp/vip.here; \
                 ip -ts -4 monitor address > /tmp/vip.log 2>&1 < /dev/null & echo $! > /tmp/vip.pid";
    join_all(machines.iter().map(async |machine| machine.sh(watch).await.expect("watching"))).await;
}

async fn refused(endpoint: &Endpoint) -> bool {
    endpoint.query("SELECT 1", Duration::from_secs(5)).await.is_err()
}

/// Rotates under two applications, and proves that neither noticed, nor the VIP.
async fn rotates_unnoticed(lab: &Lab, machines: &[Machine], new: &[(&'static str, String)], one_after_the_other: bool) {
    let vip = lab.vip().await.expect("a VIP").to_string();
    let owner = held_by(lab, &vip).await;
    let app = Endpoint {
        user: "rotator".to_owned(),
        password: "app-secret".to_owned(),
        ..lab.endpoint(6432).await.expect("an endpoint")
    };
    let lane = u8::from(one_after_the_other) * 2;
    watch_the_vip(machines).await;
    let (stop, stopped) = watch::channel(false);
    let steady = tokio::spawn(application(app.clone(), lane, false, stopped.clone()));
    let fickle = tokio::spawn(application(app.clone(), lane + 1, true, stopped));
    let began = Instant::now();
    rotate(machines, new, one_after_the_other).await;
    let took = began.elapsed();
    // Patroni reads its file after up to loop_wait: what breaks by that shows as well
    let reload = format!("{PATRONICTL} reload pg-cluster --force");
    eventually("every Patroni takes the new password", Duration::from_secs(60), async || {
        let said = join_all(machines.iter().map(|machine| machine.sh(&reload))).await;
        said.iter().all(|said| said.as_ref().is_ok_and(|said| said.matches("received").count() == 3)).then_some(())
    })
    .await;
    stop.send_replace(true);
    for (task, what) in [(steady, "one connection"), (fickle, "a new connection for each row")] {
        let noticed = task.await.expect("an application");
        eprintln!(
            "{what}: {} rows, longest gap {:?}, {} failures; rotation took {took:?}",
            noticed.rows,
            noticed.longest,
            noticed.failures.len()
        );
        assert!(noticed.failures.is_empty(), "{what}: {:?}", noticed.failures);
        assert!(noticed.rows > 50, "{what}: {noticed:?}");
    }
    assert_eq!(vip_moves(machines, &vip).await, [] as [String; 0], "the VIP has moved");
    assert_eq!(held_by(lab, &vip).await, owner, "one owner, the same");
}

#[test]
fn all_passwords_are_rotated_without_an_outage_and_the_vip_stays() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let setup = "DROP TABLE IF EXISTS rotation; DROP ROLE IF EXISTS rotator; CREATE ROLE rotator LOGIN PASSWORD 'app-secret';
                     CREATE TABLE rotation (lane int, id int, PRIMARY KEY (lane, id)); GRANT INSERT, SELECT ON rotation TO rotator";
        until_it_works(lab, 5000, setup, Duration::from_secs(20)).await;
        let old = current(lab).await;
        let before = lab.endpoint(5000).await.expect("an endpoint");
        let new = passwords("Fresh1");
        let login = login_to_etcd(&machines).await;
        rotates_unnoticed(lab, &machines, &new, false).await;
        assert_ne!(login_to_etcd(&machines).await, login);

        let value =
            |of: &[(&str, String)], key: &str| of.iter().find(|(name, _)| *name == key).expect("a key").1.clone();
        for port in [5000, 5001, 6432] {
            let now = lab.endpoint(port).await.expect("an endpoint");
            assert_eq!(now.password, value(&new, "POSTGRES_SUPERUSER_PASSWORD"));
            now.query("SELECT 1", Duration::from_secs(5)).await.expect("the new password");
            assert!(
                refused(&Endpoint { password: before.password.clone(), ..now }).await,
                "the old password on {port}"
            );
        }
        let key = "POSTGRES_REPLICATION_PASSWORD";
        let replicator = Endpoint { user: "replicator".to_owned(), password: value(&new, key), ..before.clone() };
        replicator.query("SELECT 1", Duration::from_secs(5)).await.expect("the new password");
        assert!(refused(&Endpoint { password: value(&old, key), ..replicator }).await, "the replicas' old password");
        let led = leader(lab).await;
        let replica = machines.iter().find(|machine| machine.id() != led.id()).expect("a replica");
        replica.sh("docker restart patroni").await.expect("restarted");
        all_streaming(lab).await;
        for machine in &machines {
            let asked = "curl -s -o /dev/null -w '%{http_code}' -u admin:Fresh1-stats http://127.0.0.1:8404/stats";
            assert_eq!(machine.sh(asked).await.expect("asked"), "200", "node {}", machine.id());
        }
        // the same procedure once more, back to what the other tests know
        rotates_unnoticed(lab, &machines, &old, true).await;
        assert_eq!(login_to_etcd(&machines).await, login);
        for machine in &machines {
            let logs = "for c in etcd patroni haproxy pgbouncer keepalived; do docker logs $c 2>&1; done";
            let logs = machine.sh(logs).await.expect("logs");
            for secret in ["Fresh1", "Fresvrrp", "w{o}r#d", "{y}#z", "SCRAM-SHA-256$4096", "app-secret"] {
                let shown = logs.lines().find(|line| line.contains(secret) && !line.contains("CREATE ROLE rotator"));
                assert_eq!(shown, None, "node {}", machine.id());
            }
        }
    });
}

/// The one user of etcd beside root, as whom all nodes log in.
async fn login_to_etcd(machines: &[Machine]) -> String {
    let mut known = BTreeSet::new();
    for machine in machines {
        let users = machine.sh("docker exec etcd etcdctl user list | grep -vx root").await.expect("users");
        let login = machine.sh(&format!("cut -d: -f1 {STACK}/etcd/login")).await.expect("a login");
        assert_eq!(users, login, "node {}: nobody else, and no earlier one is kept", machine.id());
        known.insert(users);
    }
    assert_eq!(known.len(), 1, "{known:?}");
    known.pop_first().unwrap_or_default()
}

/// A deploy that gives up after some seconds, with what it said on stderr.
async fn gives_up(machine: &Machine, seconds: &str) -> String {
    let output = machine.run(&[&format!("{STACK}/deploy"), "--timeout", seconds]).await.expect("run");
    assert_eq!(output.code, 1, "node {}: {}{}", machine.id(), output.stdout, output.stderr);
    output.stderr
}

#[test]
fn a_new_vrrp_password_makes_no_second_owner_whoever_dies_or_sleeps_in_between() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let vip = lab.vip().await.expect("a VIP").to_string();
        let owner = held_by(lab, &vip).await;
        let (holders, mut others): (Vec<_>, Vec<_>) =
            machines.clone().into_iter().partition(|machine| owner.contains(&machine.id()));
        let [holder] = &holders[..] else { unreachable!("one owner: {owner:?}") };
        let key = "KEEPALIVED_AUTH_PASS";
        let (old, new) = (lab.setting(key).await.expect("a password"), "another2");
        watch_the_vip(&machines).await;
        // the others are first: they say so and stand aside
        for said in join_all(others.iter().map(async |machine| {
            set(machine, &[(key, new)]).await;
            gives_up(machine, "10").await
        }))
        .await
        {
            assert!(said.contains("runs with other nodes, VIP or passwords"), "{said}");
        }
        // the holder's deploy dies after it has said so, before its keepalived hears of it
        set(holder, &[(key, new)]).await;
        holder
            .sh(&format!("cd {STACK} && ./scripts/bootstrap && docker exec haproxy kill -HUP 1"))
            .await
            .expect("published");
        for said in join_all(others.iter().map(|machine| gives_up(machine, "40"))).await {
            assert!(said.contains("holds the VIP and still announces it as before"), "{said}");
        }
        assert_eq!(held_by(lab, &vip).await, owner);
        join_all(machines.iter().map(|machine| deploy(machine, &[]))).await;
        assert_eq!(vip_moves(&machines, &vip).await, [] as [String; 0], "the VIP has moved");
        assert_eq!(held_by(lab, &vip).await, owner);

        // a machine that was off while the others changed back
        let led = leader(lab).await.id();
        others.sort_by_key(|machine| machine.id() == led);
        let sleeper = &others[0];
        sleeper.power_off().await.expect("off");
        let awake: Vec<Machine> = machines.iter().filter(|machine| machine.id() != sleeper.id()).cloned().collect();
        watch_the_vip(&awake).await;
        set_everywhere(&awake, &[(key, &old)]).await;
        sleeper.power_on().await.expect("on");
        let check = "docker exec keepalived bash /config/check_haproxy.sh 2>&1 || true";
        eventually("it does not take what it cannot hear of", Duration::from_secs(180), async || {
            sleeper.sh(check).await.ok()?.contains("holds the VIP with another .env").then_some(())
        })
        .await;
        // two checks, three adverts and the skew are less than six seconds
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(8) {
            assert_eq!(held_by(lab, &vip).await, owner);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        set(sleeper, &[(key, &old)]).await;
        deploy(sleeper, &[]).await;
        assert_eq!(vip_moves(&awake, &vip).await, [] as [String; 0], "the VIP has moved");
        assert_eq!(held_by(lab, &vip).await, owner);
    });
}

#[test]
fn another_vip_is_taken_by_the_node_that_held_the_old_one() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let old = lab.vip().await.expect("a VIP");
        let owner = held_by(lab, &old.to_string()).await;
        let [a, b, c, d] = old.octets();
        let new = std::net::Ipv4Addr::new(a, b, c, d + 1).to_string();
        set_everywhere(&machines, &[("VIP", &new)]).await;
        assert_eq!(held_by(lab, &new).await, owner);
        assert_eq!(held_by(lab, &old.to_string()).await, [] as [u8; 0]);
        set_everywhere(&machines, &[("VIP", &old.to_string())]).await;
        assert_eq!(held_by(lab, &old.to_string()).await, owner);
        assert_eq!(held_by(lab, &new).await, [] as [u8; 0]);
    });
}
