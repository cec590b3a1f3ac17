//! Every state of a replica that only a fresh copy mends, made for real and mended by `reclone`.

use std::time::Duration;

use pgstack_containers::ExecOutput;
use pgstack_lab::{Lab, Machine, STACK};
use pgstack_tests::cluster::{all_streaming, eventually, leader, serving, until_it_works, with_cluster};
use pgstack_tests::doctor::all_name;

use crate::{LAB, PATRONICTL};

/// Where a machine keeps what was moved aside.
const KEPT: &str = "data/pg.[0-9]*";
/// One statement on the machine's own PostgreSQL.
const PSQL: &str = "docker exec patroni psql -XqAt -c";

async fn replica(lab: &Lab) -> Machine {
    let leader = leader(lab).await.id();
    let machines = lab.machines().await.expect("machines");
    machines.into_iter().rev().find(|machine| machine.id() != leader).expect("a replica")
}

async fn sh(machine: &Machine, script: &str) -> String {
    machine.sh(&format!("cd {STACK}\n{script}")).await.expect(script)
}

/// `scripts/reclone`, which has no terminal here.
async fn reclone(machine: &Machine, arguments: &[&str]) -> ExecOutput {
    let program = format!("{STACK}/scripts/reclone");
    let command: Vec<&str> = [program.as_str()].iter().chain(arguments).copied().collect();
    machine.run(&command).await.expect("run")
}

async fn recloned(machine: &Machine, arguments: &[&str]) -> ExecOutput {
    let output = reclone(machine, arguments).await;
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.contains(&format!("node {} streams from node", machine.id())), "{}", output.stdout);
    output
}

async fn refused(machine: &Machine, arguments: &[&str], why: &str) {
    let before = untouched(machine).await;
    let output = reclone(machine, arguments).await;
    assert_eq!(output.code, 1, "{}{}", output.stdout, output.stderr);
    assert!(output.stderr.contains(why), "{}", output.stderr);
    assert!(output.stderr.contains("hint: "), "{}", output.stderr);
    assert_eq!(untouched(machine).await, before, "{why}");
}

/// Containers, generated files and where the data lies: what a refusal leaves alone.
async fn untouched(machine: &Machine) -> String {
    let script =
        "docker inspect --format '{{.Name}} {{.Id}} {{.State.StartedAt}} {{.State.Status}} {{.RestartCount}}' \
                  etcd patroni haproxy pgbouncer keepalived
                  ls -A data data/pg
                  stat -c '%n %i %u %a' data/pg data/pg/data
                  find . -path ./data -prune -o -type f -printf '%p %i %T@\\n' | sort";
    sh(machine, script).await
}

/// How many folders are kept aside.
async fn kept(machine: &Machine) -> usize {
    sh(machine, &format!("ls -d {KEPT} 2>/dev/null || true")).await.lines().count()
}

async fn forget_kept(machine: &Machine) {
    sh(machine, &format!("rm -rf {KEPT}")).await;
}

/// Everybody streams, the folder is as it should be, and a row that is written now arrives here.
async fn mended(lab: &Lab, machine: &Machine) {
    all_streaming(lab).await;
    assert_eq!(
        sh(machine, "ls -A data/pg; stat -c '%u:%g %a' data/pg data/pg/data").await,
        "data\n999:999 700\n999:999 700\n"
    );
    let setup = "CREATE TABLE IF NOT EXISTS recloned (id int PRIMARY KEY, at timestamptz)";
    until_it_works(lab, 5000, setup, Duration::from_secs(30)).await;
    let stamp = "INSERT INTO recloned VALUES (1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET at = EXCLUDED.at \
                 RETURNING at::text";
    let stamp = until_it_works(lab, 5000, stamp, Duration::from_secs(30)).await.expect("a row");
    eventually("the row is here", Duration::from_secs(30), async || {
        let here = machine.sh(&format!("{PSQL} 'SELECT at FROM recloned'")).await.ok()?;
        (here.trim() == stamp).then_some(())
    })
    .await;
}

/// `deploy` cannot mend it, and says what does, once Patroni's log has these words.
async fn deploy_leads_to_reclone(machine: &Machine, words: &str) {
    eventually("Patroni says what is wrong", Duration::from_secs(90), async || {
        let log = machine.sh("docker logs --tail 40 patroni 2>&1").await.ok()?;
        log.contains(words).then_some(())
    })
    .await;
    let output = machine.run(&[&format!("{STACK}/deploy"), "--timeout", "5"]).await.expect("run");
    assert_eq!(output.code, 1, "{}{}", output.stdout, output.stderr);
    assert!(output.stderr.contains("run ./scripts/reclone on this node"), "{}", output.stderr);
}

#[test]
fn data_of_another_cluster_is_kept_aside_and_the_leaders_takes_its_place() {
    with_cluster(LAB, 3, async |lab| {
        let machine = replica(lab).await;
        forget_kept(&machine).await;
        let foreign = "docker compose stop patroni
             rm -rf data/pg/data
             docker run --rm -u 999:999 -v ./data/pg:/home/postgres/pgdata patroni-stack/patroni:4.1.5 \
                 initdb -D /home/postgres/pgdata/data
             docker compose up -d patroni";
        sh(&machine, foreign).await;
        deploy_leads_to_reclone(&machine, "system ID mismatch").await;
        all_name(&lab.machines().await.expect("machines"), &["040"]).await;
        let output = recloned(&machine, &["--yes"]).await;
        assert!(output.stderr.contains("that of another cluster (system identifier"), "{}", output.stderr);
        assert!(output.stdout.contains("rm -rf /opt/patroni-stack/data/pg."), "{}", output.stdout);
        mended(lab, &machine).await;
        sh(&machine, &format!("test -s {KEPT}/data/global/pg_control")).await;
        // again, on what is now healthy: it is done as asked, and says that nothing was wrong
        let output = recloned(&machine, &["--yes"]).await;
        assert!(output.stderr.contains("looks healthy"), "{}", output.stderr);
        mended(lab, &machine).await;
        assert_eq!(kept(&machine).await, 2);
        forget_kept(&machine).await;
    });
}

#[test]
fn an_older_layout_and_other_owners_are_mended() {
    with_cluster(LAB, 3, async |lab| {
        let machine = replica(lab).await;
        forget_kept(&machine).await;
        // as the mount of an older version had it, under another user
        sh(
            &machine,
            "docker compose stop patroni; mv data/pg/data/* data/pg; rm -rf data/pg/data; chown -R 0:0 data/pg",
        )
        .await;
        recloned(&machine, &["--yes"]).await;
        mended(lab, &machine).await;
        sh(&machine, &format!("test -f {KEPT}/PG_VERSION")).await;
        forget_kept(&machine).await;
        // the right layout, but nobody can read it
        sh(&machine, "docker compose stop patroni; chown -R 0:0 data/pg; docker compose up -d patroni").await;
        deploy_leads_to_reclone(&machine, "Permission denied").await;
        recloned(&machine, &["--yes"]).await;
        mended(lab, &machine).await;
        forget_kept(&machine).await;
    });
}

#[test]
fn a_damaged_replica_is_cloned_anew() {
    with_cluster(LAB, 3, async |lab| {
        let machine = replica(lab).await;
        forget_kept(&machine).await;
        sh(&machine, "docker compose stop patroni; rm data/pg/data/global/pg_control; docker compose up -d patroni")
            .await;
        deploy_leads_to_reclone(&machine, "Error when calling pg_controldata").await;
        recloned(&machine, &["--yes"]).await;
        mended(lab, &machine).await;
        // the database that Patroni itself connects to
        sh(&machine, "docker compose stop patroni; rm -r data/pg/data/base/5/*; docker compose up -d patroni").await;
        deploy_leads_to_reclone(&machine, "is not a valid data directory").await;
        let output = recloned(&machine, &["--yes", "--delete-old-data"]).await;
        assert!(output.stdout.contains("DELETE what is in data/pg:\n    data ("), "{}", output.stdout);
        mended(lab, &machine).await;
        assert_eq!(kept(&machine).await, 1, "the first one's; the second one's was not wanted");
        forget_kept(&machine).await;
    });
}

#[test]
fn a_replica_whose_wal_is_gone_is_cloned_anew() {
    with_cluster(LAB, 3, async |lab| {
        let machine = replica(lab).await;
        forget_kept(&machine).await;
        let first = leader(lab).await;
        let limit = |limit: &str| format!("{PATRONICTL} edit-config -q --force -p max_slot_wal_keep_size={limit}");
        sh(&machine, "docker compose stop patroni").await;
        sh(&first, &limit("32MB")).await;
        let lost = format!(
            "{PSQL} \"SELECT 1 FROM pg_replication_slots WHERE slot_name = 'patroni{}' AND wal_status = 'lost'\"",
            machine.id()
        );
        let write = format!(
            "{PSQL} 'CREATE TABLE IF NOT EXISTS wal (t text); TRUNCATE wal' -c \"INSERT INTO wal SELECT repeat(md5(g::text), 20) \
             FROM generate_series(1, 60000) g\" -c 'SELECT pg_switch_wal()' -c CHECKPOINT -c 'TRUNCATE wal'"
        );
        eventually("the slot has lost its WAL", Duration::from_secs(120), async || {
            first.sh(&write).await.ok()?;
            (first.sh(&lost).await.ok()?.trim() == "1").then_some(())
        })
        .await;
        sh(&machine, "docker compose up -d patroni").await;
        deploy_leads_to_reclone(&machine, "requested WAL segment").await;
        all_name(&lab.machines().await.expect("machines"), &["049"]).await;
        recloned(&machine, &["--yes"]).await;
        sh(&first, &limit("8GB")).await;
        mended(lab, &machine).await;
        forget_kept(&machine).await;
    });
}

#[test]
fn a_reclone_that_was_killed_at_random_moments_is_finished_by_the_next() {
    with_cluster(LAB, 3, async |lab| {
        let machine = replica(lab).await;
        forget_kept(&machine).await;
        sh(&machine, "touch data/pg/data/the-old-one").await;
        let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| u64::from(since.subsec_nanos()) | 1);
        eprintln!("seed {seed}");
        let (mut random, mut complete) = (seed, 0);
        for round in 0..8 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let millis = 200 + (random >> 33) % 3500;
            let script = format!(
                "timeout -s KILL {}.{:03} scripts/reclone --yes >/dev/null 2>&1 && echo complete || true",
                millis / 1000,
                millis % 1000
            );
            let ended = sh(&machine, &script).await;
            complete += usize::from(ended.contains("complete"));
            eprintln!("round {round}: killed after {millis} ms {ended}");
        }
        recloned(&machine, &["--yes"]).await;
        mended(lab, &machine).await;
        let kept = kept(&machine).await;
        assert!((1..=1 + complete).contains(&kept), "{kept} folders are kept, {complete} rounds were complete");
        sh(&machine, &format!("test $(ls -d {KEPT}/data/the-old-one | wc -l) = 1")).await;
        forget_kept(&machine).await;
    });
}

#[test]
fn a_copy_that_a_power_failure_broke_off_is_begun_again_and_nothing_more_is_kept() {
    with_cluster(LAB, 3, async |lab| {
        let machine = replica(lab).await;
        forget_kept(&machine).await;
        // large enough to be caught in the middle
        let large = "CREATE TABLE IF NOT EXISTS large (t text); TRUNCATE large; \
                     INSERT INTO large SELECT repeat(md5(g::text), 30) FROM generate_series(1, 150000) g";
        sh(&leader(lab).await, &format!("{PSQL} \"{large}\"")).await;
        let caught = "setsid scripts/reclone --yes >/tmp/reclone.log 2>&1 </dev/null &
                      until test -e data/pg/.reclone && test -d data/pg/data/base; do sleep 0.02; done
                      kill -STOP $(pgrep -x pg_basebackup)
                      test ! -e data/pg/data/global/pg_control";
        let limit = Duration::from_secs(90);
        tokio::time::timeout(limit, sh(&machine, caught)).await.expect("caught in the middle");
        machine.power_off().await.expect("power off");
        machine.power_on().await.expect("power on");
        // nothing of the old data goes, so nobody has to be asked
        let output = recloned(&machine, &[]).await;
        assert_eq!(kept(&machine).await, 1, "{}{}", output.stdout, output.stderr);
        mended(lab, &machine).await;
        forget_kept(&machine).await;
        until_it_works(lab, 5000, "DROP TABLE large", Duration::from_secs(30)).await;
        serving(lab).await;
    });
}

#[test]
fn without_a_yes_and_in_a_dry_run_nothing_happens() {
    with_cluster(LAB, 3, async |lab| {
        let machine = replica(lab).await;
        // what the others hear of a replica is not yet what it says of itself
        eventually("it says that it streams", Duration::from_secs(30), async || {
            reclone(&machine, &["--dry-run"]).await.stderr.contains("looks healthy").then_some(())
        })
        .await;
        for (arguments, code) in [(&["--dry-run"][..], 0), (&["--dry-run", "--delete-old-data"], 0), (&[], 1)] {
            let before = untouched(&machine).await;
            let output = reclone(&machine, arguments).await;
            assert_eq!(output.code, code, "{arguments:?}: {}{}", output.stdout, output.stderr);
            assert!(output.stdout.contains("- stop Patroni and PostgreSQL on this node\n- "), "{}", output.stdout);
            assert!(output.stderr.contains("looks healthy"), "{}{}", output.stdout, output.stderr);
            assert_eq!(untouched(&machine).await, before, "{arguments:?}");
        }
        let output = reclone(&machine, &[]).await;
        assert!(output.stderr.contains("Nothing was changed. Without a terminal, say --yes."), "{}", output.stderr);
    });
}

#[test]
fn what_must_not_be_recloned_is_refused_and_left_alone() {
    with_cluster(LAB, 3, async |lab| {
        let (first, machine) = (leader(lab).await, replica(lab).await);
        let everything = ["--yes", "--delete-old-data"];
        refused(&first, &everything, "this node leads").await;
        // another cluster's password: a copy could never log in
        sh(&machine, "cp -a .env /tmp/env; sed -i 's/^POSTGRES_REPLICATION_PASSWORD=.*/POSTGRES_REPLICATION_PASSWORD=another/' .env").await;
        refused(&machine, &everything, "refuses the password of `replicator`").await;
        sh(&machine, "cp -a /tmp/env .env").await;
        sh(&first, &format!("{PATRONICTL} pause --wait")).await;
        refused(&machine, &everything, "maintenance mode").await;
        sh(&first, &format!("{PATRONICTL} resume --wait")).await;
        // nobody leads: the leader goes last, so that nobody takes over
        let mut machines = lab.machines().await.expect("machines");
        machines.sort_by_key(|machine| machine.id() == first.id());
        for machine in &machines {
            sh(machine, "docker compose stop patroni").await;
        }
        refused(&machine, &everything, "no node leads").await;
        for machine in machines.iter().rev() {
            sh(machine, "docker compose up -d patroni").await;
        }
        serving(lab).await;
    });
}

#[test]
fn a_disk_of_its_own_is_used_and_never_filled_up() {
    with_cluster(LAB, 3, async |lab| {
        let machine = replica(lab).await;
        forget_kept(&machine).await;
        let mount = "docker compose stop patroni; mv data/pg data/pg.mine; mkdir data/pg; mount -t tmpfs -o size=20m tmpfs data/pg";
        sh(&machine, mount).await;
        refused_on_mount(&machine, &["--yes"], "are missing").await;
        sh(&machine, "mount -o remount,size=3g data/pg").await;
        recloned(&machine, &[]).await;
        mended(lab, &machine).await;
        refused(&machine, &["--yes"], "is a link or a disk of its own").await;
        recloned(&machine, &["--yes", "--delete-old-data"]).await;
        mended(lab, &machine).await;
        sh(&machine, "docker compose stop patroni; umount data/pg; rmdir data/pg; mv data/pg.mine data/pg; docker compose up -d patroni").await;
        serving(lab).await;
    });
}

/// The same as [`refused`] where there is no data to look at.
async fn refused_on_mount(machine: &Machine, arguments: &[&str], why: &str) {
    let output = reclone(machine, arguments).await;
    assert_eq!(output.code, 1, "{}{}", output.stdout, output.stderr);
    assert!(output.stderr.contains(why) && output.stderr.contains("hint: "), "{}", output.stderr);
    assert_eq!(sh(machine, "ls -A data/pg").await, "");
}
