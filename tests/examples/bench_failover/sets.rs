//! Brings a set of settings into force on a living cluster.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use pgstack_diagnostics::Console as _;
use pgstack_lab::{DeployOrder, Lab, Machine, STACK};
use pgstack_tests::bench::event::Set;
use pgstack_tests::bench::seed::File;
use pgstack_tests::cluster::{Telling, all_streaming, eventually, vip_holder};
use pgstack_tests::times::Times;

/// Writes `.env` everywhere, deploys, and starts the services whose times have changed anew: an old HAProxy
/// process would keep the connections that it has, and its own times.
pub(crate) async fn put_into_force(lab: &Lab, set: Set) {
    Telling.note(&format!("settings: {set}"));
    for machine in lab.machines().await.expect("machines") {
        if !machine.is_running() {
            machine.power_on().await.expect("switched on");
        }
    }
    lab.heal().await.expect("healed");
    let machines = lab.machines().await.expect("machines");
    join_all(machines.iter().map(|machine| write_env(machine, set))).await;
    lab.deploy(&DeployOrder::AtOnce, &Telling).await.expect("deployed");
    if set == Set::Seed {
        join_all(machines.iter().map(edit_files)).await;
    }
    join_all(machines.iter().map(async |machine| {
        machine.sh("docker restart haproxy pgbouncer keepalived >/dev/null").await.expect("restarted");
    }))
    .await;
    all_streaming(lab).await;
    patroni_knows(&machines).await;
    lab.verify(Duration::from_secs(60)).await.expect("rows through every port");
    vip_holder(lab).await;
    Telling.note(&format!("  {}", Times::of(lab).await.describe()));
}

async fn write_env(machine: &Machine, set: Set) {
    let mut script = format!("cd {STACK} && sed -i -E '/^({})=/d' .env", Set::KEYS.join("|"));
    for (key, value) in set.of_env() {
        // write! to a String cannot fail
        let _ = write!(script, " && echo {key}={value} >>.env");
    }
    machine.sh(&script).await.expect("settings are written");
}

/// The shell version's times have no keys; they stay until the next deploy.
async fn edit_files(machine: &Machine) {
    for file in File::ALL {
        let path = Path::new(STACK).join(file.path());
        let text = machine.read(&path).await.expect("a generated file");
        let text = file.edit(&text).expect("the generated file has these lines");
        write_file(machine, &path, &text).await;
    }
}

/// Owner and mode stay.
async fn write_file(machine: &Machine, path: &Path, text: &str) {
    let end = "END-OF-THE-GENERATED-FILE";
    machine.sh(&format!("cat >{} <<'{end}'\n{text}{end}\n", path.display())).await.expect("written");
}

/// Each Patroni reads etcd once in its round.
async fn patroni_knows(machines: &[Machine]) {
    let in_etcd = "docker exec etcd etcdctl get --print-value-only /service/pg-cluster/config";
    let known = "curl -sS --noproxy '*' http://127.0.0.1:8008/config";
    let wanted = machines[0].sh(in_etcd).await.expect("Patroni's settings in etcd");
    let wanted: serde_json::Value = serde_json::from_str(wanted.trim()).expect("JSON");
    for machine in machines {
        eventually("Patroni has read its settings", Duration::from_secs(60), async || {
            let said: serde_json::Value = serde_json::from_str(&machine.sh(known).await.ok()?).ok()?;
            (said == wanted).then_some(())
        })
        .await;
    }
}
