//! How long-running commands are ended.

use tokio::signal::unix::{SignalKind, signal};

/// Returns when somebody presses Ctrl-C or the system asks the process to end.
pub(crate) async fn asked_for() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            // without it, the system's own way to end a process is left
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
