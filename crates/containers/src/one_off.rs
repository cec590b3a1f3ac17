//! A container for one job, beside those of the stack: without a network, so that nobody reaches it.

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptions, StartContainerOptions, StopContainerOptionsBuilder,
};

use crate::engine::{failed, is_not_found};
use crate::{ContainersError, Engine};

/// What such a container is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOff<'a> {
    /// Its name; whatever has that name is removed first.
    pub name: &'a str,
    /// Its image.
    pub image: &'a str,
    /// The command with its arguments, visible to everybody on the machine: no secrets in them.
    pub command: Vec<String>,
    /// Folders as `FROM:TO` or `FROM:TO:ro`.
    pub binds: Vec<String>,
}

impl Engine {
    /// Starts it. It runs as the image's user with no right beyond that, and stays until it is removed.
    pub async fn start_one_off(&self, job: &OneOff<'_>) -> Result<(), ContainersError> {
        self.remove(job.name).await?;
        let options = CreateContainerOptionsBuilder::default().name(job.name).build();
        let body = ContainerCreateBody {
            image: Some(job.image.to_owned()),
            cmd: Some(job.command.clone()),
            host_config: Some(HostConfig {
                binds: Some(job.binds.clone()),
                network_mode: Some("none".to_owned()),
                readonly_rootfs: Some(true),
                cap_drop: Some(vec!["ALL".to_owned()]),
                security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let made = self.docker().create_container(Some(options), body).await;
        made.map_err(|error| failed(format!("make the container {}", job.name), error))?;
        let started = self.docker().start_container(job.name, None::<StartContainerOptions>).await;
        started.map_err(|error| failed(format!("start the container {}", job.name), error))
    }

    /// The exit code of a container's process; `None` while it runs, and where there is no such container.
    pub async fn exit_code(&self, name: &str) -> Result<Option<i64>, ContainersError> {
        let state = match self.docker().inspect_container(name, None).await {
            Ok(answer) => answer.state.unwrap_or_default(),
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(failed(format!("inspect {name}"), error)),
        };
        Ok(state.exit_code.filter(|_| !state.running.unwrap_or_default()))
    }

    /// Lets a one-off end by itself, for so many seconds, and removes it.
    pub async fn end_one_off(&self, name: &str, seconds: i32) -> Result<(), ContainersError> {
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        match self.docker().stop_container(name, Some(options)).await {
            Err(error) if !is_not_found(&error) => return Err(failed(format!("stop {name}"), error)),
            _ => {}
        }
        match self.docker().remove_container(name, None::<RemoveContainerOptions>).await {
            Err(error) if !is_not_found(&error) => Err(failed(format!("remove {name}"), error)),
            _ => Ok(()),
        }
    }

    /// The environment that a container was made with, `NAME=VALUE` each; `None` where there is none
    /// of that name. It may hold what a user put there: not for messages.
    pub async fn environment(&self, name: &str) -> Result<Option<Vec<String>>, ContainersError> {
        match self.docker().inspect_container(name, None).await {
            Ok(answer) => Ok(Some(answer.config.and_then(|config| config.env).unwrap_or_default())),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(failed(format!("inspect {name}"), error)),
        }
    }
}
