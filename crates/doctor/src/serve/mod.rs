//! `status --serve`: one small page, and the same facts for Prometheus. Read-only.

mod answers;
mod guard;
mod latest;
mod place;

use std::net::SocketAddr;

use pgstack_diagnostics::{Console, Ended};
use pgstack_env::NodeEnv;
use pgstack_workdir::StackDir;
use tokio::net::TcpListener;

use guard::{Guard, TOKEN_VARIABLE};
use latest::{Latest, renew};

use crate::{DoctorError, gather, stop};

/// Serves until it is stopped.
pub(crate) async fn serve(
    stack: &StackDir,
    env: &NodeEnv,
    address: &str,
    console: &dyn Console,
) -> Result<Ended, DoctorError> {
    let place = place::parse(address)?;
    let guard = Guard::of(place, std::env::var(TOKEN_VARIABLE).ok())?;
    let refused = |source| DoctorError::Listen { address: place.to_string(), source };
    let listener = TcpListener::bind(place).await.map_err(refused)?;
    let place = listener.local_addr().map_err(refused)?;
    console.note(&greeting(place, env, &guard));
    let (latest, renewal) = Latest::new();
    let app = answers::router(guard, latest);
    tokio::select! {
        ended = axum::serve(listener, app) => ended.map_err(refused)?,
        () = renew(renewal, || gather(stack, env)) => {}
        () = stop::asked_for() => {}
    }
    Ok(Ended::Done)
}

/// Where to look, with the token where one was made for this time.
fn greeting(place: SocketAddr, env: &NodeEnv, guard: &Guard) -> String {
    let host = if place.ip().is_unspecified() { env.local.me().ip().addr().into() } else { place.ip() };
    let url = format!("http://{}/", SocketAddr::new(host, place.port()));
    match guard {
        Guard::Loopback => format!("serving {url} and {url}metrics to this machine only; Ctrl-C ends it"),
        Guard::Token { token, is_new: true } => format!(
            "serving {url}?token={}\n(for /metrics and scripts: Authorization: Bearer …; set {TOKEN_VARIABLE} to keep the \
             token over restarts); Ctrl-C ends it",
            token.expose()
        ),
        Guard::Token { is_new: false, .. } => {
            format!("serving {url} to whoever knows the token in {TOKEN_VARIABLE}; Ctrl-C ends it")
        }
    }
}

#[cfg(test)]
mod tests;
