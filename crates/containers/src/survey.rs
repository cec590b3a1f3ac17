//! What runs on a machine's engine, whoever started it.

use std::path::PathBuf;

use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};

use crate::details::WORKING_DIR;
use crate::engine::failed;
use crate::{ContainersError, Engine};

/// A running container, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its name.
    pub name: String,
    /// The ports of the machine that lead into it (TCP).
    pub ports: Vec<u16>,
    /// The folder from which Compose made it; `None` where something else made it.
    pub made_in: Option<PathBuf>,
    /// Its first process, as the machine numbers it.
    pub pid: Option<i64>,
}

impl Engine {
    /// Every container that runs.
    pub async fn running(&self) -> Result<Vec<Running>, ContainersError> {
        let told = |error| failed("list its containers".to_owned(), error);
        let options = ListContainersOptionsBuilder::default().all(false).build();
        let mut found = Vec::new();
        for container in self.docker().list_containers(Some(options)).await.map_err(told)? {
            let Some(id) = container.id else { continue };
            let name = container.names.unwrap_or_default().into_iter().next().unwrap_or_else(|| id.clone());
            // one that has just ended is none that runs
            let Ok(inspected) = self.docker().inspect_container(&id, None::<InspectContainerOptions>).await else {
                continue;
            };
            found.push(Running {
                name: name.trim_start_matches('/').to_owned(),
                ports: container.ports.unwrap_or_default().iter().filter_map(|port| port.public_port).collect(),
                made_in: container.labels.and_then(|mut labels| labels.remove(WORKING_DIR)).map(PathBuf::from),
                pid: inspected.state.and_then(|state| state.pid),
            });
        }
        Ok(found)
    }
}
