//! One virtual machine: made, started, switched off, and worked on.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use bollard::body_full;
use bollard::models::{ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, NetworkingConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, StartContainerOptions, UploadToContainerOptionsBuilder,
};
use pgstack_containers::{Engine, ExecOutput};
use pgstack_topology::NodeId;

use crate::network::Network;
use crate::{Lab, LabError};

/// Tells which lab a container, network or folder belongs to.
pub(crate) const LAB_LABEL: &str = "patroni-stack.lab";
/// Tells which machine a container is.
pub(crate) const NODE_LABEL: &str = "patroni-stack.node";
/// The stack directory on every machine.
pub const STACK: &str = "/opt/patroni-stack";
/// The image of the machines.
pub(crate) const IMAGE: &str = "patroni-stack/machine:13";

/// How long an engine inside a machine may take to start, seconds.
const INNER_ENGINE: u64 = 60;

/// One virtual machine of a lab.
#[derive(Debug, Clone)]
pub struct Machine {
    engine: Engine,
    container: String,
    id: u8,
    address: Ipv4Addr,
    running: bool,
    frozen: bool,
}

impl Machine {
    pub(crate) fn new(lab: &Lab, id: u8, address: Ipv4Addr, running: bool) -> Self {
        Self { engine: lab.engine.clone(), container: container_name(lab, id), id, address, running, frozen: false }
    }

    /// A helper machine that is no node of the lab.
    pub(crate) fn named(lab: &Lab, container: &str) -> Self {
        let engine = lab.engine.clone();
        Self {
            engine,
            container: container.to_owned(),
            id: 0,
            address: Ipv4Addr::UNSPECIFIED,
            running: true,
            frozen: false,
        }
    }

    /// Its number.
    pub fn id(&self) -> u8 {
        self.id
    }

    /// Its number as a node of the cluster.
    pub fn node(&self) -> Option<NodeId> {
        NodeId::new(self.id).ok()
    }

    /// Its address on the lab's network.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Whether it was switched on when it was looked up.
    pub fn is_running(&self) -> bool {
        self.running
    }

    pub(crate) fn address_ref(&self) -> &Ipv4Addr {
        &self.address
    }

    /// Whether it stood still when it was looked up.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    pub(crate) fn frozen(self, frozen: bool) -> Self {
        Self { frozen, ..self }
    }

    /// The name of its container on this host.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// Makes and starts it. `data_root` is the folder on this host for its engine's data.
    pub(crate) async fn create(lab: &Lab, network: Network, id: u8, data_root: &str) -> Result<Self, LabError> {
        let address = network.address(id);
        let machine = Self::new(lab, id, address, true);
        let endpoint = EndpointSettings {
            ipam_config: Some(EndpointIpamConfig { ipv4_address: Some(address.to_string()), ..Default::default() }),
            ..EndpointSettings::default()
        };
        let body = |privileged: bool| ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            hostname: Some(format!("node{id}")),
            labels: Some(HashMap::from([
                (LAB_LABEL.to_owned(), lab.name().to_owned()),
                (NODE_LABEL.to_owned(), id.to_string()),
            ])),
            host_config: Some(HostConfig {
                binds: Some(vec![format!("{data_root}:/var/lib/docker")]),
                ..nesting(privileged)
            }),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(Network::name(lab), endpoint.clone())])),
            }),
            ..ContainerCreateBody::default()
        };
        run_nested(&lab.engine, &machine.container, body).await?;
        Ok(machine)
    }

    /// Switches it off at once, as if the plug were pulled.
    pub async fn power_off(&self) -> Result<(), LabError> {
        Ok(self.engine.signal(&self.container, "KILL").await?)
    }

    /// Shuts it down in order: its engine stops every container, each with its own time to end. Returns at
    /// once; `is_running` of the lab's list tells when it is off.
    pub async fn shut_down(&self) -> Result<(), LabError> {
        Ok(self.engine.signal(&self.container, "TERM").await?)
    }

    /// Switches it on; what it finds on its disk starts by itself.
    pub async fn power_on(&self) -> Result<(), LabError> {
        self.docker()
            .start_container(&self.container, None::<StartContainerOptions>)
            .await
            .map_err(LabError::engine(&format!("start machine {}", self.id)))?;
        self.wait_for_engine().await
    }

    /// Waits until the engine inside answers.
    pub async fn wait_for_engine(&self) -> Result<(), LabError> {
        let ready = async {
            loop {
                let asked = self.run(&["docker", "version", "--format", "ok"]).await;
                if asked.is_ok_and(|output| output.code == 0) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(INNER_ENGINE), ready)
            .await
            .map_err(|_| LabError::NoInnerEngine { id: self.id, seconds: INNER_ENGINE })
    }

    /// Runs a command on it, whatever its exit code.
    pub async fn run(&self, command: &[&str]) -> Result<ExecOutput, LabError> {
        Ok(self.engine.exec(&self.container, None, command).await?)
    }

    /// Runs a command on it and hears each line of its output while it runs.
    pub async fn watch(&self, command: &[&str], on_line: &mut (dyn FnMut(&str) + Send)) -> Result<i64, LabError> {
        Ok(self.engine.exec_lines(&self.container, command, on_line).await?)
    }

    /// Runs a shell script on it, which must succeed; returns what it printed.
    pub async fn sh(&self, script: &str) -> Result<String, LabError> {
        let output = self.run(&["bash", "-euc", script]).await?;
        if output.code == 0 {
            return Ok(output.stdout);
        }
        Err(LabError::Command {
            id: self.id,
            command: script.lines().next().unwrap_or_default().to_owned(),
            code: output.code,
            detail: output.stderr.trim().to_owned(),
        })
    }

    /// Puts a tar archive's contents into a folder that exists on it.
    pub async fn upload(&self, folder: &str, archive: Vec<u8>) -> Result<(), LabError> {
        let options = UploadToContainerOptionsBuilder::default().path(folder).build();
        self.docker()
            .upload_to_container(&self.container, Some(options), body_full(archive.into()))
            .await
            .map_err(LabError::engine(&format!("copy files to machine {}", self.id)))
    }

    /// The text of a file on it.
    pub async fn read(&self, path: &Path) -> Result<String, LabError> {
        self.sh(&format!("cat {}", path.display())).await
    }

    pub(crate) async fn remove(&self) -> Result<(), LabError> {
        Ok(self.engine.remove(&self.container).await?)
    }

    pub(crate) fn docker(&self) -> &Docker {
        self.engine.docker()
    }
}

fn container_name(lab: &Lab, id: u8) -> String {
    format!("pgstack-{}-{id}", lab.name())
}

/// What a container needs to run an engine of its own. `--privileged` fails where the host itself
/// lacks a capability (CAP_SYS_RESOURCE is a common one); then everything else is asked for.
fn nesting(privileged: bool) -> HostConfig {
    let common = HostConfig {
        init: Some(true),
        tmpfs: Some(HashMap::from([("/run".to_owned(), "exec".to_owned())])),
        ..HostConfig::default()
    };
    if privileged {
        return HostConfig { privileged: Some(true), ..common };
    }
    HostConfig {
        cap_add: Some(vec!["ALL".to_owned()]),
        cap_drop: Some(vec!["SYS_RESOURCE".to_owned()]),
        security_opt: Some(vec!["seccomp=unconfined".to_owned(), "apparmor=unconfined".to_owned()]),
        masked_paths: Some(Vec::new()),
        readonly_paths: Some(Vec::new()),
        ..common
    }
}

/// Makes and starts a container that can nest, first privileged, else as far as the host allows.
pub(crate) async fn run_nested(
    engine: &Engine,
    name: &str,
    body: impl Fn(bool) -> ContainerCreateBody,
) -> Result<(), LabError> {
    let docker = engine.docker();
    for privileged in [true, false] {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        docker
            .create_container(Some(options), body(privileged))
            .await
            .map_err(LabError::engine(&format!("make {name}")))?;
        match docker.start_container(name, None::<StartContainerOptions>).await {
            Ok(()) => return Ok(()),
            Err(_) if privileged => engine.remove(name).await?,
            Err(error) => return Err(LabError::engine(&format!("start {name}"))(error)),
        }
    }
    Ok(())
}

/// `HostConfig` for a helper container that nests, with one more bind.
pub(crate) fn nested_with_bind(privileged: bool, bind: String) -> HostConfig {
    HostConfig { binds: Some(vec![bind]), ..nesting(privileged) }
}
