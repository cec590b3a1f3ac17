//! `status` says what check_patroni says, which many have in their monitoring: leader, replicas, lag, timeline.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pgstack_health::Snapshot;
use pgstack_lab::{Lab, Machine};
use pgstack_tests::cluster::{all_streaming, binaries, eventually, leader, until_it_works, with_cluster};

use super::status;
use crate::{LAB, PATRONICTL};

/// Everything that is installed, with hashes.
const REQUIREMENTS: &str = include_str!("check-patroni.txt");

/// What check_patroni says.
struct Said {
    ok: bool,
    text: String,
    figures: BTreeMap<String, u64>,
}

/// A program that is in place, and runs.
struct CheckPatroni(PathBuf);

impl CheckPatroni {
    /// Installs it beside the binaries, unless it is there.
    fn install() -> Self {
        let folder = binaries().with_file_name("check-patroni");
        let (mark, program) = (folder.join("requirements.txt"), folder.join("bin/check_patroni"));
        if !fs::read_to_string(&mark).is_ok_and(|installed| installed == REQUIREMENTS) {
            drop(fs::remove_dir_all(&folder));
            must(Command::new("python3").args(["-m", "venv"]).arg(&folder));
            let list = folder.join("requirements.new");
            fs::write(&list, REQUIREMENTS).expect("a file");
            let pip =
                ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"];
            must(Command::new(folder.join("bin/python3")).args(pip).arg("-r").arg(&list));
            fs::rename(&list, &mark).expect("a mark that all is there");
        }
        Self(program)
    }

    /// Asks the Patroni of a machine.
    fn ask(&self, machine: &Machine, service: &[&str]) -> Said {
        let endpoint = format!("http://{}:8008", machine.address());
        let nowhere = Path::new("/nonexistent");
        let output = Command::new(&self.0)
            .args(["--config", &nowhere.display().to_string(), "-e", &endpoint])
            .args(service)
            // the lab is next door, whatever leads to the rest of the world
            .env("no_proxy", "*")
            .output()
            .expect("check_patroni runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let figures = text.split_once('|').map(|(_, figures)| figures).unwrap_or_default();
        let figure = |word: &str| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.split(';').next()?.parse().ok()?))
        };
        let figures = figures.split_whitespace().filter_map(figure).collect();
        Said { ok: output.status.success(), text, figures }
    }
}

impl Said {
    /// A figure, which must be there.
    #[track_caller]
    fn figure(&self, name: &str) -> u64 {
        *self.figures.get(name).unwrap_or_else(|| unreachable!("{name} in {}", self.text))
    }
}

#[track_caller]
fn must(command: &mut Command) {
    let output = command.output().expect("python3 and its module venv: ./dev prepare");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn check_patroni_agrees_on_leader_replicas_lag_and_timeline() {
    with_cluster(LAB, 3, async |lab| {
        let check = CheckPatroni::install();
        let machines = lab.machines().await.expect("machines");
        // a timeline that no checkpoint knows of yet
        let old = leader(lab).await;
        let next = machines.iter().find(|machine| machine.id() != old.id()).expect("another machine");
        let order = format!("switchover --force --leader patroni{} --candidate patroni{}", old.id(), next.id());
        old.sh(&format!("{PATRONICTL} {order}")).await.expect("moved");
        all_streaming(lab).await;
        agree_on_roles_and_timeline(lab, &check, next.id()).await;
        agree_on_lag(lab, &check, next.id()).await;
    });
}

async fn agree_on_roles_and_timeline(lab: &Lab, check: &CheckPatroni, leads: u8) {
    for machine in lab.machines().await.expect("machines") {
        let (_, snapshot) = status(&machine).await;
        assert_eq!(snapshot.leader().map(|node| node.id.get()), Some(leads));
        let is_leader = machine.id() == leads;
        let own = snapshot.nodes.iter().find(|node| node.id.get() == machine.id()).expect("the node");
        let (patroni, postgres) = (own.patroni.known().expect("known"), own.postgres.known().expect("known"));

        assert_eq!(check.ask(&machine, &["cluster_has_leader"]).figure("has_leader"), 1);
        assert_eq!(check.ask(&machine, &["node_is_primary"]).ok, is_leader);
        assert_eq!(check.ask(&machine, &["node_is_replica"]).ok, !is_leader);
        assert_eq!((patroni.takes_writes(), postgres.in_recovery), (is_leader, !is_leader));

        let count = check.ask(&machine, &["cluster_node_count"]);
        let (members, healthy) = (count.figure("members"), count.figure("healthy_members"));
        let serving = snapshot.nodes.iter().filter_map(|node| node.patroni.known());
        let serving = serving.filter(|patroni| patroni.takes_writes() || patroni.streams()).count();
        assert_eq!((members, healthy), (snapshot.nodes.len() as u64, serving as u64), "{}", count.text);

        let timeline = postgres.timeline;
        assert_eq!(patroni.timeline, Some(timeline), "node {}", machine.id());
        let same = check.ask(&machine, &["node_tl_has_changed", "--timeline", &timeline.to_string()]);
        assert!(same.ok && same.figure("timeline") == timeline, "{}", same.text);
        let other = check.ask(&machine, &["node_tl_has_changed", "--timeline", &(timeline - 1).to_string()]);
        assert!(!other.ok, "check_patroni tells timelines apart: {}", other.text);
        let dcs = snapshot.dcs.known().expect("known");
        assert_eq!(u64::from(dcs.timelines) + 1, timeline, "the history: {:?}", dcs.history);
        assert!(dcs.history.last().is_some_and(|last| last.starts_with(&format!("{timeline}: patroni{leads}"))));
    }
}

/// Keeps one replica from receiving, writes, and compares how far it is behind.
async fn agree_on_lag(lab: &Lab, check: &CheckPatroni, leads: u8) {
    let machines = lab.machines().await.expect("machines");
    let replica = machines.iter().find(|machine| machine.id() != leads).expect("a replica");
    let receiver = |signal: &str| {
        let find = "SELECT pid FROM pg_stat_wal_receiver";
        format!("docker exec patroni bash -c 'kill -{signal} $(psql -XAtU postgres -c \"{find}\")'")
    };
    let write =
        "CREATE TABLE behind AS SELECT repeat(md5(i::text), 100) FROM generate_series(1, 10000) i; DROP TABLE behind";
    replica.sh(&receiver("STOP")).await.expect("stopped");
    until_it_works(lab, 5000, write, Duration::from_secs(20)).await;
    let lag = format!("patroni{}_lag", replica.id());
    eventually("check_patroni and status name the same lag, and one there is", Duration::from_secs(40), async || {
        let said = check.ask(replica, &["cluster_has_replica"]).figure(&lag);
        let (_, snapshot) = status(&machines[0]).await;
        (shown(&snapshot, replica.id()) == Some(said) && said > 0).then_some(())
    })
    .await;
    replica.sh(&receiver("CONT")).await.expect("goes on");
    eventually("both say that nobody is behind", Duration::from_secs(40), async || {
        let said = check.ask(replica, &["cluster_has_replica"]);
        let (_, snapshot) = status(&machines[0]).await;
        let behind = (said.figure("healthy_replica"), said.figure(&lag), shown(&snapshot, replica.id()));
        (behind == (2, 0, Some(0))).then_some(())
    })
    .await;
}

/// How far `status` says that a node is behind.
fn shown(snapshot: &Snapshot, id: u8) -> Option<u64> {
    snapshot.nodes.iter().find(|node| node.id.get() == id)?.patroni.known()?.lag_bytes
}
