//! `fix-patroni-connect-address`: makes this node's Patroni register the right address.

use std::time::Duration;

use pgstack_diagnostics::{Console, Ended};
use pgstack_workdir::StackDir;

use crate::DeployError;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixAddress {
    /// Show the plan, change nothing.
    pub dry_run: bool,
    /// How long to wait, in all.
    pub timeout: Duration,
}

/// Makes this node's Patroni register NODE_IP.
pub async fn fix_address(stack: &StackDir, options: FixAddress, console: &dyn Console) -> Result<Ended, DeployError> {
    let _ = (stack, options, console);
    Ok(Ended::Unfinished)
}
