//! `remove-node`: takes a node out of the cluster for good, whether its machine lives or not.
//!
//! Look, plan, carry the first step out, look again, until nothing knows the node any more. No
//! state is kept between two looks, so a removal that was killed is finished by the next.

mod advice;
mod execute;
mod observe;
mod plan;
mod refusal;
#[cfg(test)]
mod tests;

use std::time::Duration;

use pgstack_containers::Up;
use pgstack_diagnostics::{Console, Ended};
use pgstack_topology::NodeId;
use pgstack_workdir::StackDir;

use crate::deploy::preflight;
use crate::site::Site;
use crate::{DeployError, consent, settings};
use observe::{Observed, observe};
use plan::{Plan, Step};
pub use refusal::{RemovalRefusal, Sign};

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
    let _lock = if options.dry_run { None } else { Some(stack.lock()?) };
    let env = settings::read(stack, console)?;
    let site = Site::open(stack, env, Up::WithVip, options.timeout, console).await?;
    preflight::this_machine(&site)?;
    let node = options.node;
    let (_, plan) = look(&site, options).await?;
    if plan.steps.is_empty() && site.desired.seat(node).is_none() {
        return Err(RemovalRefusal::Unknown { node }.into());
    }
    if plan.steps.is_empty() {
        plan.notes.iter().for_each(|note| console.warn(note));
        console.out(&format!("node {node}: nothing left to remove"));
        tell(&site, node);
        return Ok(Ended::Done);
    }
    console.out(&format!("To remove node {node}:"));
    console.out(plan.to_string().trim_end_matches('\n'));
    if options.dry_run {
        return Ok(Ended::Done);
    }
    if !consent::given(console, options.yes, &format!("Remove node {node} from the cluster?"), "--yes") {
        return Ok(Ended::Unfinished);
    }
    // while somebody thought about it, the node may have come back
    let (observed, plan) = look(&site, options).await?;
    console.begin(&format!("removing node {node}"));
    Box::pin(until_nothing_is_left(&site, options, observed, plan)).await?;
    console.end("etcd, Patroni and PostgreSQL no longer know it");
    console.out(&format!("node {node} is out of the cluster"));
    tell(&site, node);
    Ok(Ended::Done)
}

fn tell(site: &Site<'_>, node: NodeId) {
    for line in advice::advice(node, site.env.local.topology()) {
        site.console.out(&line);
    }
}

async fn look(site: &Site<'_>, options: RemoveNode) -> Result<(Observed, Plan), DeployError> {
    let observed = observe(site, options.node).await?;
    let plan = plan::plan(options.node, options.switchover, &site.desired, &observed)?;
    Ok((observed, plan))
}

async fn until_nothing_is_left(
    site: &Site<'_>,
    options: RemoveNode,
    mut observed: Observed,
    mut plan: Plan,
) -> Result<(), DeployError> {
    loop {
        let Some(step) = plan.steps.first() else {
            plan.notes.iter().for_each(|note| site.console.warn(note));
            return Ok(());
        };
        let ended = match advance(site, step, &observed).await {
            Ok(()) => next(site, options).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(seen) => (observed, plan) = seen,
            Err(error) => {
                // it would be put back by the next removal, which may be far away
                if step.is_about_retention()
                    && let Err(second) = execute::restore(site, &observed).await
                {
                    site.console.warn(&second.to_string());
                }
                return Err(error);
            }
        }
    }
}

/// One step; with the time up, an error that says what is missing.
async fn advance(site: &Site<'_>, step: &Step, observed: &Observed) -> Result<(), DeployError> {
    let is_late = site.time_left().is_zero();
    let seconds = site.timeout_seconds();
    match step {
        Step::AwaitSilence { node, signs } => {
            if is_late {
                let (node, signs) = (*node, signs.clone());
                return Err(RemovalRefusal::StillAlive { node, seconds, signs }.into());
            }
            site.console.progress(&format!(
                "node {node} is still alive ({}): run ./clean on it, or switch its machine off",
                refusal::list(signs)
            ));
            // a person acts: once a second is often enough
            for _ in 0..5 {
                site.pause().await;
            }
            Ok(())
        }
        _ if is_late => {
            let detail = format!("next would be: {step}");
            Err(DeployError::NotReady { what: "the node to be out", detail, seconds, log: None })
        }
        _ => execute::carry_out(site, step, observed).await,
    }
}

/// The next look. While the leadership of etcd or PostgreSQL moves, nobody leads and not everything
/// answers: that passes.
async fn next(site: &Site<'_>, options: RemoveNode) -> Result<(Observed, Plan), DeployError> {
    loop {
        let error = match look(site, options).await {
            Err(error) if passes(&error) => error,
            looked => return looked,
        };
        site.console.progress(&error.to_string());
        if !site.pause().await {
            return Err(error);
        }
    }
}

fn passes(error: &DeployError) -> bool {
    use pgstack_etcd::Refusal;
    match error {
        DeployError::Removal(refusal) => {
            matches!(refusal, RemovalRefusal::NoLeader | RemovalRefusal::Etcd(Refusal::NoQuorum))
        }
        DeployError::Postgres(_) | DeployError::Control(_) | DeployError::Store(_) => true,
        _ => false,
    }
}
