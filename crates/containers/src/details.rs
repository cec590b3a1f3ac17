//! All that the engine tells of one container: how it is, and what it was made with.

use std::collections::BTreeSet;

use bollard::models::{ContainerConfig, ContainerInspectResponse, HostConfig, MountPoint};

use crate::engine::{failed, is_not_found};
use crate::{ContainersError, Engine};

/// The label in which Compose keeps the folder that it worked in.
pub(crate) const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// The label in which Compose keeps what it made of the service's part of the file.
const FINGERPRINT: &str = "com.docker.compose.config-hash";
/// The label in which Compose keeps the id of the image that it made the container from.
const IMAGE: &str = "com.docker.compose.image";

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// `running`, `exited`, `restarting`, …
    pub status: String,
    /// `healthy`, `unhealthy`, `starting`; none where nothing checks it.
    pub health: Option<String>,
    /// When it was last started, RFC 3339.
    pub started_at: String,
    /// How often the engine has restarted it by itself.
    pub restarts: u64,
    /// The exit code of its process, where it does not run.
    pub exit_code: Option<i64>,
    /// The kernel killed a process of it for its memory.
    pub oom_killed: bool,
    /// Why the engine could not start it; mostly empty.
    pub error: String,
    /// The folder from which Compose made it; `None` where something else made it.
    pub made_in: Option<String>,
    /// Compose's fingerprint of what it was made for: [`Compose::fingerprint`](crate::Compose::fingerprint) at the time.
    pub fingerprint: Option<String>,
    /// What the image was called.
    pub image: String,
    /// The ids of that image at the time, as the engine and as Compose noted them.
    pub image_ids: Vec<String>,
    /// What it was made with.
    pub made_with: MadeWith,
}

/// What a container was made with, as far as a Compose file names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeWith {
    /// The command with its arguments.
    pub command: Vec<String>,
    /// `NAME=VALUE`, the image's own ones too. It may hold what a user put there: not for messages.
    pub environment: Vec<String>,
    /// Its name for itself.
    pub hostname: String,
    /// The health check, with the word before it (`CMD`).
    pub health_check: Vec<String>,
    /// Capabilities beyond the usual ones, without `CAP_`.
    pub cap_add: BTreeSet<String>,
    /// Capabilities that it does without.
    pub cap_drop: BTreeSet<String>,
    /// Its own files cannot be changed.
    pub read_only: bool,
    /// Published ports: `5432:5432`.
    pub ports: BTreeSet<String>,
    /// What is mounted: from where on the machine, and to where.
    pub mounts: Vec<(String, String)>,
}

impl Engine {
    /// All that the engine tells of a container; `None` where there is none of that name.
    pub async fn details(&self, name: &str) -> Result<Option<Details>, ContainersError> {
        match self.docker().inspect_container(name, None).await {
            Ok(answer) => Ok(Some(details(answer))),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(failed(format!("inspect {name}"), error)),
        }
    }

    /// The id of the image that has a name now; `None` where none has it.
    async fn image_id(&self, image: &str) -> Result<Option<String>, ContainersError> {
        match self.docker().inspect_image(image).await {
            Ok(found) => Ok(found.id),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(failed(format!("look for the image {image}"), error)),
        }
    }

    /// Whether the name of a container's image stands for another image now. One that is gone cannot be had any more, but that is
    /// no other image.
    pub async fn has_another_image(&self, made: &Details) -> Result<bool, ContainersError> {
        let now = self.image_id(&made.image).await?;
        Ok(now.is_some_and(|now| !made.image_ids.is_empty() && !made.image_ids.contains(&now)))
    }

    /// The engine's version.
    pub async fn version(&self) -> Result<String, ContainersError> {
        let answer = self.docker().version().await;
        answer.map(|version| version.version.unwrap_or_default()).map_err(|error| failed("ask".to_owned(), error))
    }
}

fn details(answer: ContainerInspectResponse) -> Details {
    let state = answer.state.unwrap_or_default();
    let config = answer.config.unwrap_or_default();
    let label = |name: &str| config.labels.as_ref().and_then(|labels| labels.get(name).cloned());
    let health = state.health.and_then(|health| health.status).map(|status| status.to_string());
    Details {
        status: state.status.map(|status| status.to_string()).unwrap_or_default(),
        health: health.filter(|health| !health.is_empty() && health != "none"),
        started_at: state.started_at.unwrap_or_default(),
        restarts: answer.restart_count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default(),
        exit_code: state.exit_code.filter(|_| !state.running.unwrap_or_default()),
        oom_killed: state.oom_killed.unwrap_or_default(),
        error: state.error.unwrap_or_default(),
        made_in: label(WORKING_DIR),
        fingerprint: label(FINGERPRINT),
        image: config.image.clone().unwrap_or_default(),
        image_ids: [answer.image, label(IMAGE)].into_iter().flatten().collect(),
        made_with: made_with(config, answer.host_config.unwrap_or_default(), answer.mounts.unwrap_or_default()),
    }
}

fn made_with(config: ContainerConfig, host: HostConfig, mounts: Vec<MountPoint>) -> MadeWith {
    let capabilities = |list: Option<Vec<String>>| {
        let list = list.unwrap_or_default().into_iter();
        list.map(|name| name.trim_start_matches("CAP_").to_owned()).collect()
    };
    let mut ports = BTreeSet::new();
    for (inside, bindings) in host.port_bindings.unwrap_or_default() {
        let inside = inside.trim_end_matches("/tcp").to_owned();
        for outside in bindings.unwrap_or_default().into_iter().filter_map(|binding| binding.host_port) {
            ports.insert(format!("{outside}:{inside}"));
        }
    }
    let place = |mount: MountPoint| (mount.source.unwrap_or_default(), mount.destination.unwrap_or_default());
    MadeWith {
        command: config.cmd.unwrap_or_default(),
        environment: config.env.unwrap_or_default(),
        hostname: config.hostname.unwrap_or_default(),
        health_check: config.healthcheck.and_then(|check| check.test).unwrap_or_default(),
        cap_add: capabilities(host.cap_add),
        cap_drop: capabilities(host.cap_drop),
        read_only: host.readonly_rootfs.unwrap_or_default(),
        ports,
        mounts: mounts.into_iter().map(place).collect(),
    }
}
