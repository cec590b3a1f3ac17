//! `reset-etcd-node1`: the last resort when etcd's quorum is lost for good.

use std::time::Duration;

use pgstack_diagnostics::{Console, Ended};
use pgstack_workdir::StackDir;

use crate::DeployError;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetEtcd {
    /// Show the plan, change nothing.
    pub dry_run: bool,
    /// Do not ask.
    pub yes: bool,
    /// How long to wait, in all.
    pub timeout: Duration,
}

/// Makes a new etcd cluster of this node alone, when the quorum is lost for good.
pub async fn reset_etcd(stack: &StackDir, options: ResetEtcd, console: &dyn Console) -> Result<Ended, DeployError> {
    let _ = (stack, options, console);
    Ok(Ended::Unfinished)
}
