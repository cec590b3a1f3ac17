//! Every trouble that the lab can produce is made for real. `doctor` names it, and nothing else, on each node that
//! is left, and what it says to do mends it.

mod containers;
mod etcd;
mod files;
mod machine;
mod nodes;
mod patroni;
mod postgres;
mod proxies;
mod replicas;
mod terminal;
mod vip;

use std::collections::BTreeSet;

use pgstack_lab::{Lab, Machine, STACK};
use pgstack_tests::cluster::{leader, with_cluster};
use pgstack_tests::doctor::{all_name, findings, text};

use crate::LAB;

/// The machines of a healthy cluster, on which `doctor` is silent.
struct Patients<'a> {
    lab: &'a Lab,
    machines: Vec<Machine>,
    leader: u8,
}

/// Begins with a healthy cluster, lets `test` break it, and ends with one that `doctor` is silent about.
fn trouble(test: impl AsyncFnOnce(&Patients<'_>)) {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let patients = Patients { lab, leader: leader(lab).await.id(), machines };
        patients.are_healthy().await;
        test(&patients).await;
        patients.are_healthy().await;
    });
}

impl Patients<'_> {
    fn machine(&self, id: u8) -> &Machine {
        self.machines.iter().find(|machine| machine.id() == id).expect("a machine")
    }

    fn leader(&self) -> &Machine {
        self.machine(self.leader)
    }

    /// A machine that does not lead.
    fn replica(&self) -> &Machine {
        self.machines.iter().find(|machine| machine.id() != self.leader).expect("a replica")
    }

    /// The machines that are on, as of now.
    async fn living(&self) -> Vec<Machine> {
        let machines = self.lab.machines().await.expect("machines");
        machines.into_iter().filter(Machine::is_running).collect()
    }

    async fn are_healthy(&self) {
        self.show(&[]).await;
    }

    /// Waits until `doctor` names exactly these codes on every machine that is on.
    async fn show(&self, codes: &[&str]) {
        all_name(&self.living().await, codes).await;
    }

    /// Does what `doctor` says: the safe mends by `--fix` on one node after the other, until nothing is left, then what is
    /// left as it is printed.
    async fn mend(&self) {
        for machine in self.living().await {
            let output = machine.run(&[&format!("{STACK}/doctor"), "--fix", "--yes"]).await.expect("run");
            // exit 1 where something is left, be it for another node
            if output.code == 0 && output.stdout.contains("To be run here:") {
                return;
            }
        }
        let living = self.living().await;
        let mut done = BTreeSet::new();
        for finding in findings(&living[0]).await {
            for mend in finding["mends"].as_array().expect("mends") {
                let (command, risk) = (text(&mend["command"]), text(&mend["risk"]));
                let on = mend["node"].as_u64().map_or(living[0].id(), |node| u8::try_from(node).expect("a node"));
                // what mends two findings is done once
                if command.is_empty() || risk == "manual" || !done.insert((on, command.clone())) {
                    continue;
                }
                let output =
                    self.machine(on).run(&["sh", "-c", &format!("cd {STACK} && {command}")]).await.expect("run");
                assert_eq!(output.code, 0, "node {on}: {command}: {}{}", output.stdout, output.stderr);
            }
        }
    }

    /// All machines but one.
    fn but(&self, machine: &Machine) -> impl Iterator<Item = &Machine> {
        self.machines.iter().filter(move |other| other.id() != machine.id())
    }

    /// Breaks something by a script on a machine, waits until the codes show everywhere, and does what is printed.
    async fn breaks(&self, machine: &Machine, script: &str, codes: &[&str]) {
        machine.sh(&format!("cd {STACK}; {script}")).await.expect("broken");
        self.show(codes).await;
        self.mend().await;
    }
}
