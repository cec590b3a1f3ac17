//! The Compose command (v2): starting, stopping and removing the stack's containers.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::{ContainersError, Service};

/// The profile that keepalived belongs to.
const VIP_PROFILE: &str = "with-vip";
/// The project's name, as the Compose file says it; a variable in `.env` would beat that.
const PROJECT: &str = "patroni-stack";
/// The generated file.
const FILE: &str = "docker-compose.yaml";
/// What a user may add to it; the first that is there counts, as for Compose itself.
const OVERRIDES: [&str; 4] =
    ["docker-compose.override.yml", "docker-compose.override.yaml", "compose.override.yml", "compose.override.yaml"];
/// Variables that would make Compose do something else than what is asked here.
const FOREIGN: [&str; 4] =
    ["COMPOSE_ENV_FILES", "COMPOSE_PROJECT_DIRECTORY", "COMPOSE_REMOVE_ORPHANS", "DOCKER_CONTEXT"];
/// Where the engine is that bollard speaks to, too, whatever context the docker command is set to.
const ENGINE: &str = "unix:///var/run/docker.sock";

/// The Compose command in one stack directory.
#[derive(Debug, Clone)]
pub struct Compose {
    root: PathBuf,
    version: String,
}

/// What to bring up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Up {
    /// Everything but keepalived.
    WithoutVip,
    /// Everything.
    WithVip,
}

impl Compose {
    /// Makes sure that there is a Compose v2. `root` is the stack directory.
    pub async fn find(root: &Path) -> Result<Self, ContainersError> {
        let mut compose = Self { root: root.to_owned(), version: String::new() };
        let mut command = compose.command(&["version", "--short"]);
        let output = match command.output().await {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(ContainersError::NoDockerCommand),
            Err(error) => return Err(ContainersError::NoComposeV2 { found: error.to_string() }),
        };
        let version = String::from_utf8_lossy(&output.stdout).trim().trim_start_matches('v').to_owned();
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        match major {
            Some(2..) if output.status.success() => {
                compose.version = version;
                Ok(compose)
            }
            Some(_) => Err(ContainersError::NoComposeV2 { found: format!("version {version}") }),
            None => Err(ContainersError::NoComposeV2 { found: "no `docker compose`".to_owned() }),
        }
    }

    /// Its version: `2.26.1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The file with a user's own additions, where there is one.
    pub fn override_file(&self) -> Option<&'static str> {
        Self::override_in(&self.root)
    }

    /// The same in any stack directory.
    pub fn override_in(root: &Path) -> Option<&'static str> {
        OVERRIDES.into_iter().find(|name| root.join(name).is_file())
    }

    /// The command that [`Compose::up`] runs, as a user would type it.
    pub fn up_command(up: Up) -> String {
        format!("docker compose {}", up_arguments(up).join(" "))
    }

    /// Creates, recreates and starts what is not as the compose file says. Does nothing else.
    pub async fn up(&self, up: Up) -> Result<(), ContainersError> {
        self.run(&up_arguments(up)).await.map(drop)
    }

    /// Creates, recreates or starts one service and no other; with `anew` it is made anew in any case.
    pub async fn up_only(&self, service: Service, anew: bool) -> Result<(), ContainersError> {
        let mut arguments = vec!["--profile", VIP_PROFILE, "up", "-d", "--no-deps"];
        arguments.extend(anew.then_some("--force-recreate"));
        arguments.push(service.name());
        self.run(&arguments).await.map(drop)
    }

    /// Compose's own fingerprint of what the file asks for of one service. Another version of Compose has another one.
    pub async fn fingerprint(&self, service: Service) -> Result<String, ContainersError> {
        let said = self.run(&["--profile", VIP_PROFILE, "config", "--hash", service.name()]).await?;
        Ok(said.split_whitespace().last().unwrap_or_default().to_owned())
    }

    /// Stops one service.
    pub async fn stop(&self, service: Service) -> Result<(), ContainersError> {
        self.run(&["--profile", VIP_PROFILE, "stop", service.name()]).await.map(drop)
    }

    /// Restarts one service.
    pub async fn restart(&self, service: Service) -> Result<(), ContainersError> {
        self.run(&["--profile", VIP_PROFILE, "restart", service.name()]).await.map(drop)
    }

    /// Stops and removes the containers of the stack, and nothing else: what a user added beside
    /// them, and every volume, stays. So does a service that the file does not name, as one of another version may.
    pub async fn remove(&self) -> Result<(), ContainersError> {
        let named = self.run(&["--profile", VIP_PROFILE, "config", "--services"]).await?;
        let mut arguments = vec!["--profile", VIP_PROFILE, "rm", "--stop", "--force"];
        let before = arguments.len();
        arguments.extend(Service::ALL.map(Service::name).into_iter().filter(|name| named.lines().any(|n| n == *name)));
        // without a name it would remove what a user added as well
        if arguments.len() == before {
            return Ok(());
        }
        self.run(&arguments).await.map(drop)
    }

    /// Returns what it wrote to stdout.
    async fn run(&self, arguments: &[&str]) -> Result<String, ContainersError> {
        let failed =
            |detail| ContainersError::Compose { command: format!("docker compose {}", arguments.join(" ")), detail };
        let output = self.command(arguments).output().await.map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        // the progress lines come first, what went wrong comes last
        let mut last: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).rev().take(3).collect();
        last.reverse();
        Err(failed(last.join(" · ")))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .args(["compose", "--project-name", PROJECT])
            .args(arguments)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for name in FOREIGN {
            command.env_remove(name);
        }
        // set rather than removed: the same names in `.env` would count otherwise
        let files: Vec<&str> = [FILE].into_iter().chain(self.override_file()).collect();
        command.env("COMPOSE_FILE", files.join(":")).env("COMPOSE_PATH_SEPARATOR", ":").env("COMPOSE_PROFILES", "");
        if std::env::var_os("DOCKER_HOST").is_none_or(|host| host.is_empty()) {
            command.env("DOCKER_HOST", ENGINE);
        }
        command
    }
}

fn up_arguments(up: Up) -> Vec<&'static str> {
    match up {
        Up::WithoutVip => vec!["up", "-d"],
        Up::WithVip => vec!["--profile", VIP_PROFILE, "up", "-d"],
    }
}
