//! `switchover`: moves the leadership of PostgreSQL, with every pooler paused meanwhile, so that its clients wait
//! instead of seeing an error.
//!
//! Look, plan, carry out. A pause is a lease that ends by itself, so a run that is killed leaves nothing behind, and
//! the next one begins by looking again.

mod execute;
mod observe;
mod pause;
mod plan;
mod refusal;
mod synchronous;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use pgstack_containers::Up;
use pgstack_diagnostics::{Console, Ended};
use pgstack_topology::NodeId;
use pgstack_workdir::StackDir;

use crate::momentary::SYNC_COUNT;
use crate::site::Site;
use crate::{DeployError, settings};
use observe::{Observed, observe};
use plan::{Plan, Wish};
pub use refusal::SwitchoverRefusal;

/// How long running transactions are waited for where nobody says anything else, in seconds.
const WAIT: u64 = 3;
/// How long a replica that lacks a little too much may take to catch up, Patroni to take one into its quorum, and a pause
/// that a killed run has left behind to end.
const PATIENCE: Duration = Duration::from_secs(12);

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switchover {
    /// The node that is to lead; any that is fit where it is not given.
    pub to: Option<NodeId>,
    /// Show the plan, change nothing.
    pub dry_run: bool,
    /// Go on without the poolers that cannot be paused.
    pub unpaused: bool,
    /// How long running transactions are waited for, in seconds.
    pub wait: u64,
    /// How long to wait, in all.
    pub timeout: Duration,
}

/// Moves the leadership of PostgreSQL to another node.
pub async fn switchover(stack: &StackDir, options: Switchover, console: &dyn Console) -> Result<Ended, DeployError> {
    let _lock = if options.dry_run { None } else { Some(stack.lock()?) };
    let env = settings::read(stack, console)?;
    let site = Site::open(stack, env, Up::WithVip, options.timeout, console).await?;
    let wish = Wish { to: options.to, unpaused: options.unpaused };
    let (observed, plan) = look(&site, wish).await?;
    match plan {
        Plan::Leads(node) if observed.sync_count_is_kept => {
            console.out(&format!("node {node} leads already; {SYNC_COUNT} is put back (a killed run has changed it)"));
            if !options.dry_run {
                synchronous::as_before(&site, &[node], &observed).await;
            }
        }
        Plan::Leads(node) => console.out(&format!("node {node} leads already; nothing to do")),
        Plan::Move(order) if options.dry_run => console.out(order.to_string().trim_end_matches('\n')),
        Plan::Move(order) => {
            console.begin(&format!("node {} leads instead of node {}", order.to, order.from));
            execute::carry_out(&site, &order, &observed, options.wait).await?;
            console.end(&format!("done, node {} streams from it", order.from));
        }
    }
    Ok(Ended::Done)
}

/// Part of another command: moves the leadership away from where it is, to `to` or to any node that is fit. Poolers
/// that cannot be paused are told and do not stop it.
pub(crate) async fn move_leadership(site: &Site<'_>, to: Option<NodeId>) -> Result<(), DeployError> {
    let (observed, plan) = look(site, Wish { to, unpaused: true }).await?;
    match plan {
        Plan::Leads(_) => Ok(()),
        Plan::Move(order) => execute::carry_out(site, &order, &observed, WAIT).await,
    }
}

/// A look and its plan. What passes by itself is looked at again.
async fn look(site: &Site<'_>, wish: Wish) -> Result<(Observed, Plan), DeployError> {
    let began = Instant::now();
    loop {
        let observed = observe(site).await?;
        match plan::plan(wish, &observed) {
            Ok(plan) => return Ok((observed, plan)),
            Err(refusal) if refusal.passes() && began.elapsed() < PATIENCE => {
                site.console.progress(&refusal.to_string());
                site.pause().await;
            }
            Err(refusal) => return Err(refusal.into()),
        }
    }
}
