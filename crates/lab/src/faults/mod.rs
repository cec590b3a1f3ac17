//! What can be done to a machine. `Lab::heal` undoes all of it but a lost disk.

mod clock;
mod cut;
mod disk;
mod freeze;
mod service;

use std::net::Ipv4Addr;

use futures_util::future::try_join_all;

pub use cut::{Cut, Traffic, Way};
pub use service::Process;

use crate::{Lab, LabError, Machine};

impl Machine {
    /// Drops what `cut` names between this machine and `others`.
    async fn cut_off(&self, cut: Cut, others: &[Ipv4Addr]) -> Result<(), LabError> {
        let patroni = match cut.traffic {
            Traffic::Replication => Some(self.container_address("patroni").await?),
            Traffic::All | Traffic::Etcd => None,
        };
        self.sh(&cut::script(cut, others, patroni)).await.map(drop)
    }

    /// The address of a service's container within the machine.
    pub async fn container_address(&self, service: &str) -> Result<Ipv4Addr, LabError> {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let said = self.sh(&format!("docker inspect --format '{format}' {service}")).await?;
        said.trim().parse().map_err(|_| LabError::Command {
            id: self.id(),
            command: format!("docker inspect {service}"),
            code: 0,
            detail: "it has no address: it does not run".to_owned(),
        })
    }

    /// Ends every cut and every loss of packets, and lets what was frozen, stopped, filled or set
    /// to another time go on; after the last two PostgreSQL's container starts anew. The machine
    /// must be on.
    pub async fn heal(&self) -> Result<(), LabError> {
        if self.is_frozen() {
            self.thaw().await?;
        } else {
            self.speak().await?;
        }
        self.sh(cut::HEAL).await?;
        self.continue_all().await?;
        self.large_disk().await?;
        self.plain_clock().await?;
        self.start_stopped().await
    }
}

impl Lab {
    /// Drops what `cut` names between a machine and all others; this host still reaches all of them.
    pub async fn cut(&self, id: u8, cut: Cut) -> Result<(), LabError> {
        let machines = self.machines().await?;
        let machine = self.machine(id).await?;
        let others: Vec<&Machine> = machines.iter().filter(|machine| machine.id() != id).collect();
        let addresses: Vec<Ipv4Addr> = others.iter().map(|machine| machine.address()).collect();
        if cut.traffic != Traffic::Replication {
            return machine.cut_off(cut, &addresses).await;
        }
        // which PostgreSQL a packet comes from is known only where its container is
        if cut.way != Way::In {
            machine.cut_off(Cut { way: Way::Both, ..cut }, &addresses).await?;
        }
        if cut.way != Way::Out {
            let running = others.into_iter().filter(|machine| machine.is_running());
            let cut = Cut { way: Way::Both, ..cut };
            try_join_all(running.map(|other| other.cut_off(cut, std::slice::from_ref(machine.address_ref())))).await?;
        }
        Ok(())
    }

    /// Cuts a machine off from all others; this host still reaches it.
    pub async fn partition(&self, id: u8) -> Result<(), LabError> {
        self.cut(id, Cut::default()).await
    }

    /// Undoes every fault on machines that are on. Those that are off stay off.
    pub async fn heal(&self) -> Result<(), LabError> {
        let machines = self.machines().await?;
        try_join_all(machines.iter().filter(|machine| machine.is_running() || machine.is_frozen()).map(Machine::heal))
            .await
            .map(drop)
    }
}
