//! The images inside the machines' engines: loaded once into a prepared data root, then cloned
//! with hard links, which takes no time and no space.

use std::process::Stdio;

use bollard::models::{ContainerCreateBody, HostConfig, VolumeCreateRequest};
use bollard::query_parameters::{StartContainerOptions, StopContainerOptionsBuilder, WaitContainerOptions};
use futures_util::StreamExt as _;
use pgstack_diagnostics::Console;
use tokio::process::Command;

use crate::machine::{IMAGE, nested_with_bind, run_nested};
use crate::{Lab, LabError, Machine};

/// The volume that holds the prepared data root and every machine's.
const VOLUME: &str = "pgstack-lab-store";

/// The data roots on this host.
pub(crate) struct Store {
    /// The volume's folder on this host.
    mountpoint: String,
    /// Names the set of images: it changes when one of them does.
    key: String,
}

impl Store {
    /// Prepares the data root with `images`, unless that was done before.
    pub(crate) async fn prepare(lab: &Lab, images: &[String], console: &dyn Console) -> Result<Self, LabError> {
        let mut ids = Vec::new();
        for image in images {
            match lab.docker().inspect_image(image).await {
                Ok(found) => ids.push(found.id.unwrap_or_default()),
                Err(_) => return Err(LabError::NoImage { image: image.clone() }),
            }
        }
        let key = ids.iter().map(|id| id.trim_start_matches("sha256:").get(..6).unwrap_or_default()).collect();
        let request = VolumeCreateRequest { name: Some(VOLUME.to_owned()), ..VolumeCreateRequest::default() };
        let volume =
            lab.docker().create_volume(request).await.map_err(LabError::engine("make the volume for images"))?;
        let store = Self { mountpoint: volume.mountpoint, key };
        if in_store(lab, &format!("test -d /store/images-{}", store.key)).await? != 0 {
            console.begin("preparing the machines' images");
            store.build(lab, images).await?;
            console.end("done");
        }
        Ok(store)
    }

    async fn build(&self, lab: &Lab, images: &[String]) -> Result<(), LabError> {
        let name = format!("pgstack-{}-store", lab.name());
        let folder = format!("building-{}", lab.name());
        lab.engine.remove(&name).await?;
        require(in_store(lab, &format!("rm -rf /store/{folder} && mkdir /store/{folder}")).await?)?;
        let bind = format!("{}/{folder}:/var/lib/docker", self.mountpoint);
        run_nested(&lab.engine, &name, |privileged| ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            host_config: Some(nested_with_bind(privileged, bind.clone())),
            ..ContainerCreateBody::default()
        })
        .await?;
        let filled = self.fill(lab, &name, images).await;
        // a clean stop, so that the engine leaves a data root that another one can start from
        let options = StopContainerOptionsBuilder::default().t(30).build();
        let stopped = lab.docker().stop_container(&name, Some(options)).await;
        lab.engine.remove(&name).await?;
        filled?;
        stopped.map_err(LabError::engine("stop the engine that loaded the images"))?;
        let script = format!("rm -rf /store/images-* && mv /store/{folder} /store/images-{}", self.key);
        require(in_store(lab, &script).await?)
    }

    async fn fill(&self, lab: &Lab, name: &str, images: &[String]) -> Result<(), LabError> {
        Machine::named(lab, name).wait_for_engine().await?;
        let script = "docker save \"${@:2}\" | docker exec -i \"$1\" docker load -q";
        let mut command = Command::new("bash");
        command.args(["-o", "pipefail", "-c", script, "load", name]).args(images);
        let output = command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(LabError::file(std::path::Path::new("bash")))?;
        if output.status.success() {
            return Ok(());
        }
        let detail = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(LabError::Command { id: 0, command: "docker load".to_owned(), code: 1, detail })
    }

    /// A data root with all images for machine `id`; one that is there already stays as it is.
    pub(crate) async fn clone_for(&self, lab: &Lab, ids: &[u8]) -> Result<(), LabError> {
        let folders: Vec<String> = ids.iter().map(|id| format!("/store/{}", folder(lab, *id))).collect();
        let script = format!("store-clone /store/images-{} {}", self.key, folders.join(" "));
        require(in_store(lab, &script).await?)
    }

    /// The folder on this host with the data root of machine `id`.
    pub(crate) fn data_root(&self, lab: &Lab, id: u8) -> String {
        format!("{}/{}", self.mountpoint, folder(lab, id))
    }
}

/// Removes the data roots of the lab's machines; the prepared one stays.
pub(crate) async fn forget(lab: &Lab) -> Result<(), LabError> {
    if lab.docker().inspect_volume(VOLUME).await.is_err() {
        return Ok(());
    }
    require(in_store(lab, &format!("rm -rf /store/{}-node?", lab.name())).await?)
}

fn folder(lab: &Lab, id: u8) -> String {
    format!("{}-node{id}", lab.name())
}

fn require(code: i64) -> Result<(), LabError> {
    match code {
        0 => Ok(()),
        code => Err(LabError::Command {
            id: 0,
            command: "prepare images".to_owned(),
            code,
            detail: format!("see the volume {VOLUME}"),
        }),
    }
}

/// Runs a script with the volume at `/store`: only a container may look into it without being root.
async fn in_store(lab: &Lab, script: &str) -> Result<i64, LabError> {
    let failed = || LabError::engine("work on the volume for images");
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        entrypoint: Some(vec!["bash".to_owned(), "-euc".to_owned(), script.to_owned()]),
        cmd: Some(Vec::new()),
        host_config: Some(HostConfig {
            binds: Some(vec![format!("{VOLUME}:/store")]),
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let made = lab.docker().create_container(None, body).await.map_err(failed())?;
    let started = lab.docker().start_container(&made.id, None::<StartContainerOptions>).await;
    let mut ended = lab.docker().wait_container(&made.id, None::<WaitContainerOptions>);
    let code = match ended.next().await {
        Some(Ok(ended)) => Ok(ended.status_code),
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
        Some(Err(error)) => Err(failed()(error)),
        None => Ok(-1),
    };
    drop(ended);
    lab.engine.remove(&made.id).await?;
    started.map_err(failed())?;
    code
}
