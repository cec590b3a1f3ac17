//! The agent: answers the other nodes what only this machine knows, at port 8405, to whoever knows the token.

mod answer;
pub(crate) mod client;
mod crash;
mod hold;
mod pooler;
mod primary;
mod reasons;
mod serve;
mod vip;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pgstack_diagnostics::{Console, Ended};
use pgstack_topology::port;
use pgstack_workdir::StackDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::DoctorError;
use answer::Answers;
use reasons::Reasons;
use serve::Serving;

/// How often `.env` and the agent's own program are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Answers until it is stopped, or until its program was replaced: then whoever started it (Docker) starts the
/// new one. It follows `.env` by itself, and goes on with the last settings that had no problem.
pub async fn agent(stack: &StackDir, console: &dyn Console) -> Result<Ended, DoctorError> {
    let mut terminated = signal(SignalKind::terminate()).map_err(DoctorError::Runtime)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(DoctorError::Runtime)?;
    let answers = Arc::new(Answers::new(stack));
    let mut reasons = Reasons::new();
    let mut serving: Option<Serving> = None;
    let mut told = None;
    tokio::spawn(crash::watch(answers.clone()));
    tokio::spawn(hold::stand_by(answers.clone()));
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = terminated.recv() => return stop(serving).await,
            _ = interrupted.recv() => return stop(serving).await,
            _ = looks.tick() => {}
        }
        if let Some(reason) = reasons.look() {
            console.note(reason);
            return stop(serving).await;
        }
        if answers.refresh().await {
            match answers.problem() {
                Some(problem) => console.warn(&problem),
                None => console.note("read .env"),
            }
        }
        let address = SocketAddr::from((answers.address().unwrap_or(Ipv4Addr::UNSPECIFIED), port::AGENT));
        if serving.as_ref().is_none_or(|serving| serving.address() != address) {
            // the old one first: where it served all addresses, the new one's is taken
            if let Some(old) = serving.take() {
                old.stop().await;
            }
            let outcome = Serving::start(address, &answers);
            let message = match &outcome {
                Ok(_) => format!("answers at {address}"),
                Err(error) => format!("cannot listen at {address}: {error}"),
            };
            serving = outcome.ok();
            // tried again and again, said once
            if told.as_ref() != Some(&message) {
                console.note(&message);
                told = Some(message);
            }
        }
    }
}

async fn stop(serving: Option<Serving>) -> Result<Ended, DoctorError> {
    if let Some(serving) = serving {
        serving.stop().await;
    }
    Ok(Ended::Done)
}

/// A port that this program listens at, and takes over at once where a former one has just left it.
fn listen(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(64)
}
