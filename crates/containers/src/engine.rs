//! The Docker engine: what it says about containers and images, commands run inside them, signals.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, KillContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures_util::StreamExt as _;

use crate::details::WORKING_DIR;
use crate::{ContainerState, ContainersError};

/// A connection to a Docker engine.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
}

/// What a command in a container left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its exit code.
    pub code: i64,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Engine {
    /// Connects as the `docker` command does (`DOCKER_HOST`, else the usual socket) and makes
    /// sure that somebody answers.
    pub async fn connect() -> Result<Self, ContainersError> {
        let no_engine = |error| ContainersError::NoEngine(Box::new(error));
        let docker = Docker::connect_with_defaults().map_err(no_engine)?;
        docker.ping().await.map_err(no_engine)?;
        Ok(Self { docker })
    }

    /// The connection itself, for what this type does not offer.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// What the engine knows about a container; `None` where there is none of that name.
    pub async fn inspect(&self, name: &str) -> Result<Option<ContainerState>, ContainersError> {
        let answer = match self.docker.inspect_container(name, None).await {
            Ok(answer) => answer,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(failed(format!("inspect {name}"), error)),
        };
        let state = answer.state.unwrap_or_default();
        Ok(Some(ContainerState {
            id: answer.id.unwrap_or_default(),
            status: state.status.map(|status| status.to_string()).unwrap_or_default(),
            running: state.running.unwrap_or_default(),
            started_at: state.started_at.unwrap_or_default(),
            made_in: answer.config.and_then(|config| config.labels?.remove(WORKING_DIR)),
        }))
    }

    /// Whether the engine has an image.
    pub async fn has_image(&self, image: &str) -> Result<bool, ContainersError> {
        match self.docker.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(error) if is_not_found(&error) => Ok(false),
            Err(error) => Err(failed(format!("look for the image {image}"), error)),
        }
    }

    /// Fetches an image from its registry.
    pub async fn pull(&self, image: &str) -> Result<(), ContainersError> {
        let options = CreateImageOptionsBuilder::default().from_image(image).build();
        let mut stream = std::pin::pin!(self.docker.create_image(Some(options), None, None));
        while let Some(step) = stream.next().await {
            step.map_err(|error| failed(format!("fetch the image {image}"), error))?;
        }
        Ok(())
    }

    /// Runs a command in a running container, `user` as `docker exec --user` takes it.
    /// Arguments are visible to everybody on the machine: no secrets in them.
    pub async fn exec(&self, name: &str, user: Option<&str>, command: &[&str]) -> Result<ExecOutput, ContainersError> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let code = self
            .exec_chunks(name, user, command, &mut |chunk| match chunk {
                LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                other => stdout.extend_from_slice(&other.into_bytes()),
            })
            .await?;
        Ok(ExecOutput {
            code,
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    async fn exec_chunks(
        &self,
        name: &str,
        user: Option<&str>,
        command: &[&str],
        on_chunk: &mut (dyn FnMut(LogOutput) + Send),
    ) -> Result<i64, ContainersError> {
        let what = || format!("run {} in {name}", command.first().unwrap_or(&"nothing"));
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.iter().map(|&word| word.to_owned()).collect()),
            user: user.map(str::to_owned),
            ..ExecConfig::default()
        };
        let exec = self.docker.create_exec(name, config).await.map_err(|error| failed(what(), error))?;
        let started = self.docker.start_exec(&exec.id, None).await.map_err(|error| failed(what(), error))?;
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(chunk) = output.next().await {
                on_chunk(chunk.map_err(|error| failed(what(), error))?);
            }
        }
        let ended = self.docker.inspect_exec(&exec.id).await.map_err(|error| failed(what(), error))?;
        Ok(ended.exit_code.unwrap_or(-1))
    }

    /// Runs a command in a running container and hears each line of its output while it runs.
    /// Returns its exit code.
    pub async fn exec_lines(
        &self,
        name: &str,
        command: &[&str],
        on_line: &mut (dyn FnMut(&str) + Send),
    ) -> Result<i64, ContainersError> {
        let mut rest = Vec::new();
        let code = self
            .exec_chunks(name, None, command, &mut |chunk| {
                rest.extend_from_slice(&chunk.into_bytes());
                while let Some(line) = take_line(&mut rest) {
                    on_line(&line);
                }
            })
            .await?;
        if !rest.is_empty() {
            on_line(String::from_utf8_lossy(&rest).trim_end());
        }
        Ok(code)
    }

    /// Makes a service read its configuration again. The signal goes through a command inside the
    /// container: after a signal from the engine itself, Docker takes the container for stopped by
    /// hand and starts it neither after a crash nor after a reboot.
    pub async fn reload(&self, name: &str) -> Result<(), ContainersError> {
        let output = self.exec(name, None, &["kill", "-HUP", "1"]).await?;
        if output.code == 0 {
            return Ok(());
        }
        let source = output.stderr.trim().to_owned().into();
        Err(ContainersError::Engine { what: format!("reload {name}"), source })
    }

    /// Removes a container with its anonymous volumes, running or not.
    pub async fn remove(&self, name: &str) -> Result<(), ContainersError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.docker.remove_container(name, Some(options)).await {
            Err(error) if !is_not_found(&error) => Err(failed(format!("remove {name}"), error)),
            _ => Ok(()),
        }
    }

    /// Sends a signal (`KILL`) to a container's first process, which Docker then takes for stopped
    /// by hand.
    pub async fn signal(&self, name: &str, signal: &str) -> Result<(), ContainersError> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        let sent = self.docker.kill_container(name, Some(options)).await;
        sent.map_err(|error| failed(format!("send {signal} to {name}"), error))
    }

    /// The last lines that a container wrote.
    pub async fn last_log_lines(&self, name: &str, lines: usize) -> Result<Vec<String>, ContainersError> {
        self.log(name, lines, 0).await
    }

    /// The last lines that a container has written since then, in seconds since 1970.
    pub async fn log_since(&self, name: &str, lines: usize, since: i32) -> Result<Vec<String>, ContainersError> {
        self.log(name, lines, since).await
    }

    async fn log(&self, name: &str, lines: usize, since: i32) -> Result<Vec<String>, ContainersError> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&lines.to_string()).since(since);
        let options = options.build();
        let mut stream = std::pin::pin!(self.docker.logs(name, Some(options)));
        let mut text = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| failed(format!("read the log of {name}"), error))?;
            text.extend_from_slice(&chunk.into_bytes());
        }
        Ok(String::from_utf8_lossy(&text).lines().map(without_tokens).collect())
    }
}

/// Patroni and etcd write a token of etcd that is no longer taken into their logs; another member may still take it.
fn without_tokens(line: &str) -> String {
    let masked = |word: &str| match word.find("eyJ") {
        Some(at) => format!("{}***", &word[..at]),
        None => word.to_owned(),
    };
    line.split(' ').map(masked).collect::<Vec<_>>().join(" ")
}

/// The first whole line of what was heard so far, without its end.
pub(crate) fn take_line(heard: &mut Vec<u8>) -> Option<String> {
    let end = heard.iter().position(|&byte| byte == b'\n')?;
    let line: Vec<u8> = heard.drain(..=end).collect();
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

pub(crate) fn failed(what: String, error: bollard::errors::Error) -> ContainersError {
    ContainersError::Engine { what, source: Box::new(error) }
}

pub(crate) fn is_not_found(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_a_log_is_not_shown() {
        let line = "ERROR: Invalid auth token: eyJhbGciOiJIUzI1NiJ9.eyJ1IjoxfQ.c2ln  (\"token\":\"eyJh.b\")";
        assert_eq!(without_tokens(line), "ERROR: Invalid auth token: ***  (\"token\":\"***");
        assert_eq!(without_tokens("a  line as it is "), "a  line as it is ");
    }
}
