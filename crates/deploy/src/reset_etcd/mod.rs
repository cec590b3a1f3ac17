//! `reset-etcd-node1`: the last resort when etcd's quorum is lost for good. Runs on whichever node has
//! survived; the name is that of the script that it replaces.

mod kept_keys;
mod plan;
mod rebuild;
mod refusal;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use pgstack_config::Access;
use pgstack_containers::{Service, Up};
use pgstack_diagnostics::{Console, Ended};
use pgstack_etcd::client::{Timeouts, ask};
use pgstack_etcd::{Answer, DataDir, Mark, Start};
use pgstack_topology::{Node, NodeId};
use pgstack_workdir::{DataState, StackDir};

use crate::deploy::ready::not_ready;
use crate::deploy::{membership, preflight, services};
use crate::files::{ETCD_DATA, only_ours};
use crate::site::Site;
use crate::{DeployError, consent, logins, settings};
pub(crate) use plan::COPY;
use plan::{Copy, Seen, Source, Step};
use rebuild::FINISHED;
pub use refusal::ResetRefusal;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetEtcd {
    /// Show the plan, change nothing.
    pub dry_run: bool,
    /// Do not ask.
    pub yes: bool,
    /// Begin without the old keys where this node's data is lost or cannot be read.
    pub without_data: bool,
    /// How long to wait, in all.
    pub timeout: Duration,
}

/// Makes a new etcd cluster of this node alone, when the quorum is lost for good.
pub async fn reset_etcd(stack: &StackDir, options: ResetEtcd, console: &dyn Console) -> Result<Ended, DeployError> {
    let _lock = if options.dry_run { None } else { Some(stack.lock()?) };
    let env = settings::read(stack, console)?;
    let site = Site::open(stack, env, Up::WithoutVip, options.timeout, console).await?;
    preflight::this_machine(&site)?;
    let states = services::states(&site).await?;
    only_ours(stack, &states)?;
    let mut seen = observe(&site).await?;
    let mut steps = plan::plan(&site.desired, &seen, options.without_data)?;
    let others = others(&site);
    if steps.is_empty() {
        console.out("nothing to do: etcd on this node is a healthy cluster of its own");
        console.out(&format!("run deploy on {}; they join by themselves", refusal::list(&others)));
        return Ok(Ended::Done);
    }
    let destructive = steps.iter().any(|step| matches!(step, Step::Rebuild(_) | Step::MoveAside | Step::PutInPlace));
    if destructive {
        explain(&site, &seen, &others);
    }
    for step in &steps {
        console.out(&format!("- {step}"));
    }
    if options.dry_run {
        return Ok(Ended::Done);
    }
    let question = format!("Are etcd's data on {} lost for good?", refusal::list(&others));
    if destructive && !consent::given(console, options.yes, &question, "--yes") {
        return Ok(Ended::Unfinished);
    }
    preflight::image(&site, Service::Etcd).await?;
    stack.write(&stack.compare([logins::file(stack, &site.env)?].into_iter().collect())?)?;
    // while somebody thought about it, another node may have come back, or been reset itself
    seen = observe(&site).await?;
    steps = plan::plan(&site.desired, &seen, options.without_data)?;
    if steps.contains(&Step::Rebuild(Source::Data)) {
        enough_room(stack)?;
    }
    for step in steps {
        let done = carry_out(&site, step, &seen, options.without_data).await;
        if matches!(step, Step::Rebuild(_)) && !matches!(done, Ok(true)) {
            leave_as_found(&site, &seen).await;
        }
        if !done? {
            return Ok(Ended::Unfinished);
        }
    }
    console.out(&format!("etcd on this node is a cluster of its own; now run deploy on {}", refusal::list(&others)));
    Ok(Ended::Done)
}

/// As long as the old data is in its place, a reset that ends early leaves no trace. Best effort: why it
/// ended is what is reported, and the next run begins with the same.
async fn leave_as_found(site: &Site<'_>, seen: &Seen) {
    let _ = rebuild::clear(site).await;
    if seen.etcd.running {
        let _ = site.compose.up_only(Service::Etcd, false).await;
    }
}

/// False where somebody did not want to go on.
async fn carry_out(site: &Site<'_>, step: Step, seen: &Seen, without_data: bool) -> Result<bool, DeployError> {
    match step {
        Step::Stop => site.compose.stop(Service::Etcd).await?,
        Step::Rebuild(source) => {
            let old = plan::old_cluster(&seen.etcd);
            return Ok(rebuild::rebuild(site, source, old, without_data).await?.is_some());
        }
        Step::MoveAside => {
            remember(site)?;
            let kept = site.stack.move_aside(ETCD_DATA)?;
            site.console.note(&format!("etcd's old data is kept in {}", kept.display()));
        }
        Step::PutInPlace => {
            remember(site)?;
            if site.stack.data_state(ETCD_DATA) != DataState::Empty {
                // not etcd's, but not ours to delete either
                site.stack.move_aside(ETCD_DATA)?;
            }
            site.stack.rename_folder(COPY, ETCD_DATA)?;
        }
        Step::Start => start(site).await?,
        Step::Finish => {
            site.stack.remove_file(&format!("{ETCD_DATA}/{FINISHED}"))?;
            rebuild::clear(site).await?;
            patroni(site).await?;
        }
    }
    Ok(true)
}

/// From here on a missing data directory must not look like a first boot.
fn remember(site: &Site<'_>) -> Result<(), DeployError> {
    let DataDir::Initialised { member_id: Some(member_id), cluster_id: Some(cluster_id) } =
        pgstack_etcd::data_dir::inspect(&site.stack.path(COPY))
    else {
        return Ok(());
    };
    let mark = Mark { cluster_id, member_id, peer_url: site.desired.me().peer_url.clone() };
    Ok(site.stack.write_file(Mark::PATH, &mark.to_json(), Access::World)?)
}

async fn start(site: &Site<'_>) -> Result<(), DeployError> {
    site.console.begin("etcd");
    let files = pgstack_etcd::render(&site.env, &Start::settled(&site.desired))?;
    site.stack.write(&site.stack.compare(files)?)?;
    site.compose.up_only(Service::Etcd, false).await?;
    let me = site.desired.me();
    loop {
        if let Answer::Serving(view) = ask(me, site.desired.logins(), Timeouts::default()).await
            && view.linearizable
        {
            site.console.end(&format!("member {} of cluster {}, alone", view.responder, view.cluster_id));
            break;
        }
        site.console.progress("waiting until it serves");
        if !site.pause().await {
            return Err(not_ready(site, "etcd on this node", "it does not serve".to_owned(), Service::Etcd).await);
        }
    }
    Ok(())
}

/// Removes what a reset has left that was killed, once this node is a member like any other: a later
/// reset must not take it for its own.
pub(crate) fn sweep(stack: &StackDir) -> Result<(), DeployError> {
    stack.remove_file(&format!("{ETCD_DATA}/{FINISHED}"))?;
    Ok(stack.remove_folder(COPY)?)
}

/// The copy lies beside PostgreSQL's data, which must not find the disk full.
fn enough_room(stack: &StackDir) -> Result<(), DeployError> {
    let (needed, room) = (stack.size_of(ETCD_DATA)?, stack.free_room("data")?);
    if needed > room { Err(ResetRefusal::NoRoom { needed, room }.into()) } else { Ok(()) }
}

/// Patroni goes on by itself as soon as it sees etcd again; PostgreSQL is not touched.
async fn patroni(site: &Site<'_>) -> Result<(), DeployError> {
    let up = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let state = site.engine.inspect(Service::Patroni.name()).await?;
    if !state.is_some_and(|state| state.running) {
        site.console.note("Patroni does not run on this node; deploy starts it");
        return Ok(());
    }
    site.console.begin("Patroni");
    loop {
        let instance = site.observer.instance(site.env.local.me()).await;
        if let Some(instance) = instance.filter(|instance| instance.dcs_last_seen >= up) {
            site.console.end(&format!("it sees etcd again; this node: {}, {}", instance.role, instance.state));
            return Ok(());
        }
        site.console.progress("waiting until it sees etcd again");
        if !site.pause().await {
            return Err(not_ready(
                site,
                "Patroni on this node",
                "it does not see etcd yet".to_owned(),
                Service::Patroni,
            )
            .await);
        }
    }
}

async fn observe(site: &Site<'_>) -> Result<Seen, DeployError> {
    let etcd = membership::observe(site).await?;
    let asked = site.env.local.topology().nodes().map(async |node| {
        let process = site.observer.etcd_process(node).await?;
        Some((node.id(), process))
    });
    let processes = join_all(asked).await.into_iter().flatten().collect();
    let finished = |folder: &str| site.stack.path(&format!("{folder}/{FINISHED}")).is_file();
    let copy = match site.stack.path(COPY).exists() {
        false => Copy::None,
        true if finished(COPY) => Copy::Finished,
        true => Copy::Unfinished,
    };
    Ok(Seen { etcd, processes, copy, in_place: finished(ETCD_DATA) })
}

fn others(site: &Site<'_>) -> Vec<NodeId> {
    site.env.local.peers().map(Node::id).collect()
}

/// What a person has to know before agreeing.
fn explain(site: &Site<'_>, seen: &Seen, others: &[NodeId]) {
    let out = |line: &str| site.console.out(line);
    out("etcd has no quorum. This makes a new etcd cluster of this node alone, from what this node knows:");
    out("what the other members wrote without it is gone. PostgreSQL's data is not touched anywhere.");
    for &node in others {
        let answer = match seen.etcd.answer(node) {
            Some(Answer::Serving(_) | Answer::Learner { .. }) => "answers, without a quorum",
            _ if seen.processes.iter().any(|(at, _)| *at == node) => "runs, without a quorum",
            _ => "does not answer",
        };
        out(&format!("  etcd on node {node}  {answer}"));
    }
    out("Should other members come back with their old data, run deploy there: it moves that aside and joins anew.");
}
