//! `status`: the cluster on one screen, once, again and again, as JSON, or as a page.

use std::time::Duration;

use pgstack_diagnostics::{Console, Ended};
use pgstack_workdir::StackDir;

use crate::{DoctorError, gather, serve};

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Print the snapshot as JSON.
    pub json: bool,
    /// Draw it again and again, so often.
    pub watch: Option<Duration>,
    /// Serve a page there: `127.0.0.1:8406`.
    pub serve: Option<String>,
    /// Use colour.
    pub colour: bool,
    /// How wide the screen is.
    pub width: usize,
}

/// Shows the cluster as it is.
pub async fn status(stack: &StackDir, options: Status, console: &dyn Console) -> Result<Ended, DoctorError> {
    let env = stack.settings()?.env;
    if let Some(address) = &options.serve {
        return serve::serve(stack, env, address, console).await;
    }
    let snapshot = gather(stack, &env).await;
    console.out(&serde_json::to_string_pretty(&snapshot).unwrap_or_default());
    Ok(Ended::Done)
}
