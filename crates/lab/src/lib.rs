//! Virtual machines on one Docker engine: a cluster to try things out on, and the test bed.
//!
//! Each machine is a container with its own address, its own Docker engine and its own stack
//! directory. Everything inside is what runs in production: the same binaries, the same compose
//! file, the same images.

mod client;
mod error;
mod faults;
mod images;
mod layout;
mod machine;
mod network;
mod replace;
mod settings;
mod store;
mod up;

pub use client::{Endpoint, Session};
pub use error::LabError;
pub use faults::{Cut, Process, Traffic, Way};
pub use layout::{BINARIES, install};
pub use machine::{Machine, STACK};
pub use up::{DeployOrder, Up};

use bollard::Docker;
use bollard::query_parameters::ListContainersOptionsBuilder;
use pgstack_containers::Engine;
use std::collections::HashMap;
use std::net::Ipv4Addr;

use network::Network;

/// A lab: its machines, its network, its images.
#[derive(Debug, Clone)]
pub struct Lab {
    name: String,
    engine: Engine,
}

impl Lab {
    /// Connects to this machine's engine. `name` tells labs apart: small letters, digits, `-`.
    pub async fn open(name: &str) -> Result<Self, LabError> {
        let fits = (1..=20).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && name.starts_with(|c: char| c.is_ascii_lowercase());
        if !fits {
            return Err(LabError::Name { name: name.to_owned() });
        }
        Ok(Self { name: name.to_owned(), engine: Engine::connect().await? })
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn docker(&self) -> &Docker {
        self.engine.docker()
    }

    /// The machines that exist, running or not, in the order of their numbers.
    pub async fn machines(&self) -> Result<Vec<Machine>, LabError> {
        let filters = HashMap::from([("label", vec![format!("{}={}", machine::LAB_LABEL, self.name)])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let found =
            self.docker().list_containers(Some(options)).await.map_err(LabError::engine("list the machines"))?;
        let Some(network) = self.network().await? else { return Ok(Vec::new()) };
        let mut machines: Vec<Machine> = found
            .iter()
            .filter_map(|container| {
                let id = container.labels.as_ref()?.get(machine::NODE_LABEL)?.parse().ok()?;
                let is = |state: &str| container.state.as_ref().is_some_and(|now| now.to_string() == state);
                Some(Machine::new(self, id, network.address(id), is("running")).frozen(is("paused")))
            })
            .collect();
        machines.sort_by_key(Machine::id);
        Ok(machines)
    }

    /// One machine, which must exist.
    pub async fn machine(&self, id: u8) -> Result<Machine, LabError> {
        let found = self.machines().await?.into_iter().find(|machine| machine.id() == id);
        found.ok_or_else(|| LabError::NoMachine { lab: self.name.clone(), id })
    }

    /// The lab's virtual IP, once it has a network.
    pub async fn vip(&self) -> Result<Ipv4Addr, LabError> {
        match self.network().await? {
            Some(network) => Ok(network.vip()),
            None => Err(LabError::NotUp { lab: self.name.clone() }),
        }
    }

    async fn network(&self) -> Result<Option<Network>, LabError> {
        Network::find(self).await
    }

    /// Removes the machines with all that is on them, and the network. The prepared images stay.
    pub async fn down(&self) -> Result<Vec<u8>, LabError> {
        let machines = self.machines().await?;
        for machine in &machines {
            machine.remove().await?;
        }
        store::forget(self).await?;
        Network::remove(self).await?;
        Ok(machines.iter().map(Machine::id).collect())
    }
}
