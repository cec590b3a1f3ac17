//! The cluster that end-to-end tests share: real machines, real engines, the real `deploy`.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgstack_cluster_view::Observer;
use pgstack_diagnostics::{Answer, Console};
use pgstack_lab::{DeployOrder, Lab, Machine, STACK, Up};
use tokio::runtime::Runtime;

use crate::docker_or_skip;
use crate::doctor::is_silent;

/// What the passwords of the shared cluster look like: everything that some format could trip over.
pub const HOSTILE: &str = r#"p'a"s\s$w{o}r#d !%@:"#;

/// Passes what a lab tells on to the test's output.
#[derive(Debug, Clone, Copy)]
pub struct Telling;

impl Console for Telling {
    fn out(&self, line: &str) {
        self.note(line);
    }

    #[expect(clippy::print_stderr, reason = "shown when the test fails")]
    fn note(&self, line: &str) {
        eprintln!("{line}");
    }

    fn warn(&self, line: &str) {
        self.note(line);
    }

    fn begin(&self, step: &str) {
        self.note(step);
    }

    fn progress(&self, _detail: &str) {}

    fn end(&self, _outcome: &str) {}

    fn ask(&self, _question: &str) -> Answer {
        Answer::Nobody
    }
}

/// One test at a time; `true` while the machines are there and no test has failed on them.
static MADE: Mutex<bool> = Mutex::new(false);

/// Hands the shared lab of this test binary to `test`, deployed and serving. The first test makes it, and so does
/// the one after a test that failed; whatever else a test leaves behind, the next one begins with a cluster that serves.
///
/// # Panics
/// When the cluster cannot be made, or the test fails.
pub fn with_cluster(name: &str, nodes: u8, test: impl AsyncFnOnce(&Lab)) {
    with_machines(name, nodes, async |lab| {
        put_settings_back(lab).await;
        lab.heal().await.expect("healed");
        let machines = lab.machines().await.expect("machines");
        // where the test before has left nothing that is wrong, there is nothing to deploy
        if !join_all(machines.iter().map(is_silent)).await.into_iter().all(|is_silent| is_silent) {
            deploy(lab).await;
        }
        streams_and_takes_rows(lab).await;
        test(lab).await;
    });
}

/// The same without a deploy: the test may find anything on the machines.
///
/// # Panics
/// When the machines cannot be made, or the test fails.
pub fn with_machines(name: &str, nodes: u8, test: impl AsyncFnOnce(&Lab)) {
    if !docker_or_skip("patroni-stack/machine:13") {
        return;
    }
    let mut made = lock();
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let lab = Lab::open(&format!("{}{name}", prefix())).await.expect("a lab");
        // so it stays where the test panics: what a failure leaves behind fails no other test
        if !std::mem::replace(&mut *made, false) {
            lab.down().await.expect("what an earlier run left is removed");
            for machine in lab.prepare(&up(nodes), &Telling).await.expect("machines") {
                machine.sh(&format!("cp -a {STACK}/.env {PRISTINE}")).await.expect("a copy of the settings");
            }
        }
        test(&lab).await;
        *made = true;
    });
}

/// Where each machine keeps its first settings.
const PRISTINE: &str = "/root/.env.first";

/// What a test has changed in `.env` is none of the next one's business.
async fn put_settings_back(lab: &Lab) {
    for machine in lab.machines().await.expect("machines") {
        if !machine.is_running() {
            machine.power_on().await.expect("switched on");
        }
        machine.sh(&format!("cp -a {PRISTINE} {STACK}/.env")).await.expect("put back");
    }
}

/// Keeps two runs on one engine apart, such as those of two checkouts.
fn prefix() -> String {
    std::env::var("PGSTACK_TEST_LABS").unwrap_or_default()
}

/// A failed test poisons nothing: the next one makes the machines anew.
fn lock() -> MutexGuard<'static, bool> {
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Machines with hostile passwords.
pub fn up(nodes: u8) -> Up {
    let secret = |key: &str| (key.to_owned(), format!("{HOSTILE}{key}"));
    let settings = ["POSTGRES_SUPERUSER_PASSWORD", "POSTGRES_REPLICATION_PASSWORD", "POSTGRESQL_PASSWORD"];
    Up { nodes, binaries: binaries(), settings: settings.map(secret).to_vec() }
}

/// Where this build's binaries lie.
///
/// # Panics
/// When they have not been built.
pub fn binaries() -> PathBuf {
    let test = std::env::current_exe().expect("this test's place");
    let folder = test.ancestors().find(|dir| dir.join("deploy").is_file() && dir.join("bootstrap").is_file());
    folder.expect("the binaries: cargo build --bins").to_owned()
}

/// Everything on, nothing cut off, everything deployed, every node streaming, rows go through.
///
/// # Panics
/// When that is not so in time.
pub async fn serving(lab: &Lab) {
    for machine in lab.machines().await.expect("machines") {
        if !machine.is_running() {
            machine.power_on().await.expect("switched on");
        }
    }
    lab.heal().await.expect("healed");
    deploy(lab).await;
    streams_and_takes_rows(lab).await;
}

async fn deploy(lab: &Lab) {
    lab.deploy(&DeployOrder::AtOnce, &Telling).await.expect("deployed");
}

async fn streams_and_takes_rows(lab: &Lab) {
    all_streaming(lab).await;
    lab.verify(Duration::from_secs(30)).await.expect("rows through every port");
}

/// Waits until one member leads and all others stream.
///
/// # Panics
/// When they do not within two minutes.
pub async fn all_streaming(lab: &Lab) {
    let machines = lab.machines().await.expect("machines");
    let observer = Observer::new();
    eventually("every member leads or streams", Duration::from_secs(120), async || {
        let view = observer.patroni_view_at(machines[0].address()).await?;
        view.leader()?;
        (view.streaming().count() == machines.len() - 1).then_some(())
    })
    .await;
}

/// Looks again and again until there is something; `what` is what is waited for.
///
/// # Panics
/// When there is nothing within `limit`.
pub async fn eventually<T>(what: &str, limit: Duration, look: impl AsyncFn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < limit, "after {limit:?} still not so: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The node whose etcd leads, as far as the machines that are on can say.
pub async fn etcd_leader(machines: &[Machine]) -> Option<u8> {
    for machine in machines.iter().filter(|machine| machine.is_running()) {
        let status = machine.sh("docker exec etcd etcdctl endpoint status").await.unwrap_or_default();
        if status.split(", ").nth(4) == Some("true") {
            return Some(machine.id());
        }
    }
    None
}

/// The machine whose PostgreSQL leads.
///
/// # Panics
/// When nobody leads.
pub async fn leader(lab: &Lab) -> Machine {
    let machines = lab.machines().await.expect("machines");
    let observer = Observer::new();
    eventually("somebody leads", Duration::from_secs(60), async || {
        for machine in machines.iter().filter(|machine| machine.is_running()) {
            if let Some(view) = observer.patroni_view_at(machine.address()).await {
                let name = view.leader()?.name.clone();
                return machines.iter().find(|machine| name == format!("patroni{}", machine.id())).cloned();
            }
        }
        None
    })
    .await
}

/// The machine that holds the VIP.
///
/// # Panics
/// When nobody does.
pub async fn vip_holder(lab: &Lab) -> Machine {
    let vip = lab.vip().await.expect("a VIP");
    let machines = lab.machines().await.expect("machines");
    let observer = Observer::new();
    eventually("somebody holds the VIP", Duration::from_secs(60), async || {
        let holder = observer.vip_holder_at(vip).await?;
        machines.iter().find(|machine| machine.id() == holder.get()).cloned()
    })
    .await
}

/// Tries a statement until it works.
///
/// # Panics
/// When it does not within `limit`.
pub async fn until_it_works(lab: &Lab, port: u16, sql: &str, limit: Duration) -> Option<String> {
    let endpoint = lab.endpoint(port).await.expect("an endpoint");
    let began = Instant::now();
    loop {
        match endpoint.query(sql, Duration::from_secs(2)).await {
            Ok(answer) => return answer,
            Err(error) => assert!(began.elapsed() < limit, "after {limit:?} still not so: {sql}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The machines whose kernel has the VIP.
///
/// # Panics
/// When a machine that is on does not answer.
pub async fn held_by(lab: &Lab, vip: &str) -> Vec<u8> {
    let mut holders = Vec::new();
    for machine in lab.machines().await.expect("machines").iter().filter(|machine| machine.is_running()) {
        let addresses = machine.sh("ip -4 -o addr show dev eth0").await.expect("addresses");
        if addresses.contains(&format!(" {vip}/")) {
            holders.push(machine.id());
        }
    }
    holders
}

/// Puts the VIP onto one node, where it stays.
///
/// # Panics
/// When it does not go there.
pub async fn vip_goes_to(lab: &Lab, id: u8) {
    if vip_holder(lab).await.id() == id {
        return;
    }
    let machines = lab.machines().await.expect("machines");
    let others = || machines.iter().filter(|machine| machine.id() != id);
    for machine in others() {
        machine.sh("docker stop keepalived").await.expect("stopped");
    }
    eventually("the VIP is on the node", Duration::from_secs(30), async || {
        (vip_holder(lab).await.id() == id).then_some(())
    })
    .await;
    for machine in others() {
        machine.sh("docker start keepalived").await.expect("started");
    }
}

/// This stack's own tool, which pauses the poolers meanwhile, as a command line.
pub fn switchover_to(id: u8) -> String {
    format!("{STACK}/scripts/switchover --to {id}")
}

/// A planned switchover, which is asked for again where it is refused: who has just come up does not stream yet.
///
/// # Panics
/// When that node does not lead within a minute.
pub async fn switch_to(lab: &Lab, id: u8) {
    switch_with(lab, id, |_| switchover_to(id)).await;
}

/// The same with another tool, whose command line follows from the node that leads.
///
/// # Panics
/// When that node does not lead within a minute.
pub async fn switch_with(lab: &Lab, id: u8, command: impl Fn(u8) -> String) {
    eventually("the candidate leads", Duration::from_secs(60), async || {
        let old = leader(lab).await;
        if old.id() == id {
            return Some(());
        }
        drop(old.sh(&command(old.id())).await);
        None
    })
    .await;
}
