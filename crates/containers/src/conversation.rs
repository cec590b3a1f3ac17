//! A script in a container that is spoken with while it runs, line by line.

use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::engine::{failed, take_line};
use crate::{ContainersError, Engine};

/// Goes on by itself when this is dropped; its input ends then.
pub struct Conversation {
    what: String,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>,
    heard: Vec<u8>,
}

impl Engine {
    /// Starts a script of bash, with a name and arguments, in a running container. Arguments are visible to everybody on
    /// the machine: no secrets in them. The script itself does not fill the list of processes.
    pub async fn converse(
        &self,
        container: &str,
        name: &str,
        script: &str,
        arguments: &[&str],
    ) -> Result<Conversation, ContainersError> {
        let what = format!("run the script {name} in {container}");
        let command = ["bash", "-c", "eval \"$SCRIPT\"", name];
        let command = command.iter().chain(arguments).map(|&word| word.to_owned()).collect();
        let config = ExecConfig {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command),
            env: Some(vec![format!("SCRIPT={script}")]),
            ..ExecConfig::default()
        };
        let failed = |error| failed(what.clone(), error);
        let exec = self.docker().create_exec(container, config).await.map_err(failed)?;
        let started = self.docker().start_exec(&exec.id, None).await.map_err(failed)?;
        match started {
            StartExecResults::Attached { output, input } => Ok(Conversation { what, input, output, heard: Vec::new() }),
            StartExecResults::Detached => {
                Err(ContainersError::Engine { what, source: "the engine does not pass its words on".into() })
            }
        }
    }
}

impl Conversation {
    /// Says a line to it.
    pub async fn say(&mut self, line: &str) -> Result<(), ContainersError> {
        let said = async {
            self.input.write_all(format!("{line}\n").as_bytes()).await?;
            self.input.flush().await
        };
        said.await.map_err(|error| ContainersError::Engine { what: self.what.clone(), source: Box::new(error) })
    }

    /// Its next line, on either stream; `None` once it has ended.
    pub async fn hear(&mut self) -> Result<Option<String>, ContainersError> {
        loop {
            if let Some(line) = take_line(&mut self.heard) {
                return Ok(Some(line));
            }
            match self.output.next().await {
                Some(Ok(chunk)) => self.heard.extend_from_slice(&chunk.into_bytes()),
                Some(Err(error)) => return Err(failed(self.what.clone(), error)),
                None if self.heard.is_empty() => return Ok(None),
                // a last line without an end
                None => self.heard.push(b'\n'),
            }
        }
    }
}
