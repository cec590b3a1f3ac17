//! `remove-node`: takes a node out of the cluster for good.

use std::time::Duration;

use pgstack_diagnostics::{Console, Ended};
use pgstack_topology::NodeId;
use pgstack_workdir::StackDir;

use crate::DeployError;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoveNode {
    /// The node that is to go.
    pub node: NodeId,
    /// Show the plan, change nothing.
    pub dry_run: bool,
    /// Do not ask.
    pub yes: bool,
    /// When that node leads, move the leadership away first.
    pub switchover: bool,
    /// How long to wait, in all.
    pub timeout: Duration,
}

/// Takes a node out of the cluster for good.
pub async fn remove_node(stack: &StackDir, options: RemoveNode, console: &dyn Console) -> Result<Ended, DeployError> {
    let _ = (stack, options, console);
    Ok(Ended::Unfinished)
}
