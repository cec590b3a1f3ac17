//! `reclone`: gives this node a fresh copy of the leader's PostgreSQL data.
//!
//! Killed at any moment, the next run finds one of these and goes on from there: the old data in its
//! place (from the beginning); no data (there is nothing left to put aside); a marked folder in which
//! no PostgreSQL has run (a copy, under way or broken off); a marked folder that streams (complete).

mod error;
mod execute;
mod local;
mod observe;
mod plan;
mod wait;

use std::time::Duration;

use pgstack_containers::{Service, Up};
use pgstack_diagnostics::{Console, Ended};
use pgstack_workdir::{Change, StackDir};

use crate::deploy::{preflight, services};
use crate::files::only_ours;
use crate::site::Site;
use crate::{DeployError, consent, settings};
pub use error::RecloneError;

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
    let _lock = if options.dry_run { None } else { Some(stack.lock()?) };
    let env = settings::read(stack, console)?;
    let site = Site::open(stack, env, Up::WithoutVip, options.timeout, console).await?;
    preflight::this_machine(&site)?;
    only_ours(stack, &services::states(&site).await?)?;
    image(&site).await?;
    let seen = observe::observe(&site).await?;
    let plan = plan::plan(&seen, options.delete_old_data)?;
    let files = execute::files(&site)?;
    if options.dry_run || plan.asks {
        console.out(&format!("On this node, {}, in {}:", site.env.local.me().patroni_name(), stack.root().display()));
        for item in files.iter().filter(|item| item.change != Change::None) {
            console.out(&format!("- write {}", item.file.path));
        }
        for step in &plan.steps {
            console.out(&format!("- {step}"));
        }
    }
    for note in &plan.notes {
        console.warn(note);
    }
    if options.dry_run {
        return Ok(Ended::Done);
    }
    let question = format!("Give this node a fresh copy of node {}'s data?", plan.source.leader.id());
    if plan.asks && !consent::given(console, options.yes, &question, "--yes") {
        return Ok(Ended::Unfinished);
    }
    execute::execute(&site, &plan, options.delete_old_data).await?;
    Ok(Ended::Done)
}

/// Found missing after the data is gone, it would be found too late.
async fn image(site: &Site<'_>) -> Result<(), DeployError> {
    let image = &site.env.images.patroni;
    if site.engine.has_image(image.as_ref()).await? {
        return Ok(());
    }
    let detail = "it was not looked for elsewhere".to_owned();
    Err(DeployError::NoImage { image: image.to_string(), service: Service::Patroni, detail })
}
