//! `deploy`: from `.env` to a node that serves, in any order with the other nodes, again at any time.

pub(crate) mod door;
pub(crate) mod durability;
pub(crate) mod dynamic;
mod fingerprint;
mod held_back;
pub(crate) mod membership;
pub(crate) mod preflight;
pub(crate) mod ready;
mod roles;
mod rolling;
pub(crate) mod services;
mod step_down;
pub(crate) mod trouble;
mod turns;
mod vrrp;

use std::time::Duration;

use pgstack_containers::{Service, Up};
use pgstack_diagnostics::{Console, Ended};
use pgstack_workdir::StackDir;

use crate::files::{PG_DATA, only_ours};
use crate::site::Site;
use crate::{DeployError, settings};
pub use fingerprint::changed_since_loaded;
pub use preflight::check_address;
pub use ready::Summary;
pub use trouble::data_trouble;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Deploy {
    /// Start keepalived, too.
    pub vip: bool,
    /// Do not ask whether a newly made `.env` is fine as it is.
    pub yes: bool,
    /// Show the plan, change nothing.
    pub dry_run: bool,
    /// Move etcd data of another cluster aside and join the one that serves.
    pub wipe_etcd: bool,
    /// Restart every PostgreSQL for which a changed setting waits, one after the other.
    pub restart_pending: bool,
    /// How long to wait for the other nodes and the services, in all.
    pub timeout: Duration,
}

/// Brings this node to where `.env` says it should be, and waits until it is there.
pub async fn deploy(stack: &StackDir, options: Deploy, console: &dyn Console) -> Result<Ended, DeployError> {
    let _lock = if options.dry_run { None } else { Some(stack.lock()?) };
    let env = if options.dry_run {
        Some(settings::read(stack, console)?)
    } else {
        settings::ensure(stack, options.yes, console)?
    };
    let Some(env) = env else { return Ok(Ended::Unfinished) };
    let up = if options.vip { Up::WithVip } else { Up::WithoutVip };
    let mut site = Site::open(stack, env, up, options.timeout, console).await?;
    site.desired = site.desired.allow_wiping(options.wipe_etcd);
    preflight::this_machine(&site)?;
    let before = services::states(&site).await?;
    only_ours(stack, &before)?;
    stack.check_data_dirs()?;
    if options.dry_run {
        membership::show_plan(&site).await?;
        for line in door::planned(&site).await? {
            console.out(&format!("- {line}"));
        }
        for line in dynamic::planned(&site).await? {
            console.out(&format!("- set in the DCS: {line}"));
        }
        if options.restart_pending {
            for line in rolling::planned(&site).await {
                console.out(&format!("- {line}"));
            }
        }
        return Ok(Ended::Done);
    }
    preflight::images(&site).await?;
    if !stack.path(PG_DATA).exists() && before.contains_key(&Service::Patroni) {
        // It still has the deleted folder mounted, and could write into nothing else. Stopped before
        // the new folder is made, so that a deploy that is killed in between is finished by the next.
        site.compose.stop(Service::Patroni).await?;
    }
    stack.ensure_data_dirs()?;
    door::admit_early(&site).await?;
    membership::reach(&site).await?;
    door::admit(&site).await?;
    services::converge(&site, &before).await?;
    let summary = ready::wait(&site, &before).await?;
    dynamic::enforce(&site).await?;
    if options.restart_pending {
        rolling::restart_pending(&site).await?;
    }
    door::settle(&site).await;
    dynamic::tell_pending(&site).await;
    summary.print(console);
    Ok(Ended::Done)
}
