//! `reclone`: gives this node a fresh copy of the leader's PostgreSQL data.

use std::time::Duration;

use pgstack_diagnostics::{Console, Ended};
use pgstack_workdir::StackDir;

use crate::DeployError;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reclone {
    /// Show the plan, change nothing.
    pub dry_run: bool,
    /// Do not ask.
    pub yes: bool,
    /// Delete the old data instead of keeping it aside.
    pub delete_old_data: bool,
    /// How long to wait, in all.
    pub timeout: Duration,
}

/// Gives this node a fresh copy of the leader's PostgreSQL data.
pub async fn reclone(stack: &StackDir, options: Reclone, console: &dyn Console) -> Result<Ended, DeployError> {
    let _ = (stack, options, console);
    Ok(Ended::Unfinished)
}
