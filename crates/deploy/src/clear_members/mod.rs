//! `clear-etcd-patroni-members`: deletes Patroni's member keys whose address is wrong.

use pgstack_diagnostics::{Console, Ended};
use pgstack_workdir::StackDir;

use crate::DeployError;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClearMembers {
    /// Every member key, also those whose address is right.
    pub all: bool,
    /// Show the plan, change nothing.
    pub dry_run: bool,
    /// Do not ask.
    pub yes: bool,
}

/// Deletes Patroni's member keys in etcd whose address is wrong.
pub async fn clear_members(
    stack: &StackDir,
    options: ClearMembers,
    console: &dyn Console,
) -> Result<Ended, DeployError> {
    let _ = (stack, options, console);
    Ok(Ended::Unfinished)
}
