//! etcd's membership: observe, plan, carry out, until the plan is empty.

use std::time::Duration;

use pgstack_config::Access;
use pgstack_containers::{Compose, Service};
use pgstack_etcd::client::{Outcome, Store, Timeouts, ask_all, execute};
use pgstack_etcd::{ClusterId, DataDir, Mark, Observed, Overdue, Plan, Refusal, Start, Step, Wait, data_dir, plan};
use pgstack_workdir::Change as FileChange;

use super::{services, step_down};
use crate::files::ETCD_DATA;
use crate::patroni_keys::given_up;
use crate::site::Site;
use crate::{DeployError, reset_etcd};

/// One change of etcd's member list may take this long at most: etcd refuses for 5 s after each.
const ONE_CHANGE: Duration = Duration::from_secs(60);

/// Brings this node's etcd into the cluster and all containers up.
pub(super) async fn reach(site: &Site<'_>) -> Result<(), DeployError> {
    site.console.begin("etcd");
    let mut started = None;
    loop {
        let observed = observe(site).await?;
        let plan = next(site, &observed).await?;
        if plan.is_done() {
            reset_etcd::sweep(site.stack)?;
            for note in &plan.notes {
                site.console.warn(&note.to_string());
            }
            site.console.end("this node is a voter of a cluster with a quorum");
            return Ok(());
        }
        if has_data(&observed) && plan.start().is_none() {
            // from now on lost data must not look like a first boot, whatever happens to this deploy
            services::write(site, &Start::settled(&site.desired))?;
        }
        carry_out(site, &observed, &plan, &mut started).await?;
    }
}

/// The plan. Data of a cluster that was given up on another node, knowingly and in favour of the one
/// that serves, needs no second leave to be moved aside.
async fn next(site: &Site<'_>, observed: &Observed) -> Result<Plan, DeployError> {
    match plan(&site.desired, observed) {
        Err(Refusal::OtherCluster { mine, .. }) if is_given_up(site, mine).await => {
            site.console.progress(&format!("etcd's data on this node is of cluster {mine}, which was given up"));
            Ok(plan(&site.desired.clone().allow_wiping(true), observed)?)
        }
        other => Ok(other?),
    }
}

async fn is_given_up(site: &Site<'_>, cluster: ClusterId) -> bool {
    let key = given_up(cluster);
    let Ok(mut store) = Store::open(&site.desired, Timeouts::default()).await else { return false };
    store.one(&key).await.is_ok_and(|found| found.is_some())
}

/// Up to and including the first change or wait; then the world has to be looked at again.
/// `started` is how etcd was started last in this deploy.
async fn carry_out(
    site: &Site<'_>,
    observed: &Observed,
    plan: &Plan,
    started: &mut Option<Start>,
) -> Result<(), DeployError> {
    for step in &plan.steps {
        match step {
            Step::Stop { .. } => {
                site.console.progress(&step.to_string());
                site.compose.stop(Service::Etcd).await?;
            }
            Step::MoveDataAside { .. } => {
                let kept = site.stack.move_aside(ETCD_DATA)?;
                site.console.note(&format!("etcd's old data is kept in {}", kept.display()));
                site.stack.ensure_data_dirs()?;
            }
            // with data, etcd reads nothing of what the start says: once it runs, it was started
            Step::Start(start) if started.as_ref() == Some(start) || (started.is_some() && has_data(observed)) => {}
            Step::Start(start) => {
                start_here(site, start, observed).await?;
                *started = Some(start.clone());
            }
            Step::Remember(mark) => site.stack.write_file(Mark::PATH, &mark.to_json(), Access::World)?,
            Step::Change(change) => {
                site.console.progress(&change.to_string());
                let deadline = site.time_left().min(ONE_CHANGE);
                let mut progress = |why: &str| site.console.progress(&format!("{change}: {why}"));
                let outcome =
                    execute(change, &site.desired, observed, Timeouts::default(), deadline, &mut progress).await?;
                if let Outcome::Overtaken { reason } = outcome {
                    site.console.progress(&format!("another node was faster ({reason})"));
                    wait(site, &Wait::Joined).await?;
                }
                return Ok(());
            }
            Step::Await(what) => return wait(site, what).await,
        }
    }
    Ok(())
}

async fn wait(site: &Site<'_>, what: &Wait) -> Result<(), DeployError> {
    site.console.progress(&what.to_string());
    if site.pause().await {
        return Ok(());
    }
    Err(Overdue { wait: what.clone(), seconds: site.timeout_seconds() }.into())
}

/// Writes every file and brings everything up at once: Patroni waits for etcd by itself, and
/// nothing is gained by starting it later.
async fn start_here(site: &Site<'_>, start: &Start, observed: &Observed) -> Result<(), DeployError> {
    let before = site.engine.inspect(Service::Etcd.name()).await?;
    let files = services::write(site, start)?;
    let told_anew = files.iter().any(|item| item.file.path == pgstack_etcd::PATH && item.change != FileChange::None);
    let after = services::up(site).await?;
    // an etcd that keeps failing on what it was told before is told anew at once
    if told_anew
        && !has_data(observed)
        && before.is_some_and(|before| after.get(&Service::Etcd).is_some_and(|after| after.id == before.id))
    {
        site.compose.restart(Service::Etcd).await?;
    }
    Ok(())
}

fn has_data(observed: &Observed) -> bool {
    matches!(observed.my_data, DataDir::Initialised { .. })
}

/// The endpoints are asked before the data directory is looked at: an answer must never be newer
/// than the data that it is judged by.
pub(crate) async fn observe(site: &Site<'_>) -> Result<Observed, DeployError> {
    let peers = ask_all(&site.desired, Timeouts::default()).await;
    let running = site
        .engine
        .inspect(Service::Etcd.name())
        .await?
        .is_some_and(|state| state.running || state.status == "restarting");
    let mark = match site.stack.read(Mark::PATH)? {
        None => None,
        Some(text) => Some(Mark::from_json(&text).map_err(|source| DeployError::Mark { path: Mark::PATH, source })?),
    };
    Ok(Observed { my_data: data_dir::inspect(&site.stack.path(ETCD_DATA)), mark, running, peers })
}

/// What a deploy would do, as text.
pub(super) async fn show_plan(site: &Site<'_>) -> Result<(), DeployError> {
    let observed = observe(site).await?;
    let plan = next(site, &observed).await?;
    let start = plan.start().cloned().unwrap_or_else(|| Start::settled(&site.desired));
    let files = services::compare(site, &start)?;
    for item in &files {
        if item.change != FileChange::None {
            site.console.out(&format!("- write {}", item.file.path));
            site.console.out(item.diff().trim_end_matches('\n'));
        }
    }
    let text = plan.to_string();
    if !text.is_empty() {
        site.console.out(text.trim_end_matches('\n'));
    }
    if step_down::may_come(site, &files).await? {
        site.console
            .out("- where that makes Patroni's container anew, another node takes over from this primary first");
    }
    site.console.out(&format!("- {}", Compose::up_command(site.up)));
    Ok(())
}
