//! Carries a switchover out: pause, move, resume each pooler at its own moment, wait for the former primary.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgstack_cluster_view::{ControlError, Observer, Postgres};
use pgstack_etcd::client::move_leader;
use pgstack_topology::{Node, NodeId};
use tokio::sync::watch;
use tokio::time::sleep;

use super::SwitchoverRefusal;
use super::observe::Observed;
use super::pause::{LEASE, Paused, pause};
use super::plan::Order;
use super::synchronous;
use crate::DeployError;
use crate::site::Site;

/// Between two looks while clients wait.
const LOOK: Duration = Duration::from_millis(25);
/// How long an answer may take while clients wait: another one is asked for soon.
const ANSWER: Duration = Duration::from_millis(500);
/// How long after the pause Patroni is asked again where etcd, whose leader has just moved, takes no order.
const AGAIN: Duration = Duration::from_secs(3);
/// How long the HAProxy of a node may take to see the new primary, before its pooler goes on all the same.
const HAPROXY: Duration = Duration::from_secs(5);

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waits,
    TakesWrites,
    Failed,
}

/// Everything of the order. Killed at any moment, the poolers go on by themselves, and Patroni ends what it has begun; more
/// synchronous standbys than before cost time and lose nothing, until the next `switchover` or `deploy` puts that back.
pub(super) async fn carry_out(
    site: &Site<'_>,
    order: &Order,
    observed: &Observed,
    wait: u64,
) -> Result<(), DeployError> {
    // a large future
    let outcome = match synchronous::enough(site, order, observed).await {
        Ok(()) => Box::pin(moved(site, order, observed, wait)).await,
        Err(error) => Err(error),
    };
    if order.sync_count.is_some() || observed.sync_count_is_kept {
        synchronous::as_before(site, &[order.to, order.from], observed).await;
    }
    outcome?;
    follows(site, order.from).await
}

/// From the first look at etcd until every pooler goes on.
async fn moved(site: &Site<'_>, order: &Order, observed: &Observed, wait: u64) -> Result<(), DeployError> {
    let console = site.console;
    let (from, to) = (node(site, order.from)?, node(site, order.to)?);
    for (node, why) in &order.unpaused {
        console.warn(&format!("the pooler on node {node} is not paused ({why}): its clients may see errors"));
    }
    if let Some(etcd_to) = order.etcd_to {
        console.progress(&format!("etcd: node {etcd_to} is to lead"));
        // it only makes a later failure of that node cheaper
        if let Err(why) = move_leader(&site.desired, &observed.etcd, etcd_to).await {
            console.warn(&format!("etcd's leader stays on node {}: {why}", order.to));
        }
    }
    let (primary, candidate) =
        tokio::try_join!(Postgres::connect(from, site.superuser()), Postgres::connect(to, site.superuser()))?;
    // the one that stops writes everything to disk first: now, while clients still work, and the rest is little
    console.progress("checkpoint");
    primary.checkpoint(site.time_left()).await?;
    // once the poolers wait, nothing else may end it
    if site.time_left() < LEASE {
        let (detail, seconds) = ("nothing was moved".to_owned(), site.timeout_seconds());
        return Err(DeployError::NotReady { what: "the checkpoint", detail, seconds, log: None });
    }
    let poolers = order.pause.iter().map(|&id| node(site, id)).collect::<Result<Vec<_>, _>>()?;
    console.progress("pausing the poolers");
    let began = Instant::now();
    let paused = pause(site, &primary, &poolers, wait).await?;
    let began = paused.iter().map(Paused::since).min().unwrap_or(began);
    let all_paused = began.elapsed();
    drop(primary);
    console.progress("PostgreSQL's leadership moves");
    let (outcome, costs) = moving(site, order, from, &candidate, &paused, began).await;
    for (id, cost) in &costs {
        if let Err(why) = cost {
            console.warn(&format!("the pooler on node {id} could not be resumed ({why}); its pause ends within 10 s"));
        }
    }
    let writes = outcome?;
    let seconds = |time: &Duration| format!("{:.2} s", time.as_secs_f64());
    let told: Vec<String> =
        costs.iter().filter_map(|(id, cost)| Some(format!("node {id} {}", seconds(cost.as_ref().ok()?)))).collect();
    console.note(&format!(
        "  clients waited at most: {}; all paused after {}, node {} took writes after {}",
        if told.is_empty() { "no pooler was paused".to_owned() } else { told.join(", ") },
        seconds(&all_paused),
        order.to,
        seconds(&writes)
    ));
    Ok(())
}

type Costs = Vec<(NodeId, Result<Duration, String>)>;

/// From the order to Patroni until every pooler goes on: how long it took, and what it cost the clients of each.
async fn moving(
    site: &Site<'_>,
    order: &Order,
    from: Node,
    candidate: &Postgres,
    paused: &[Paused],
    began: Instant,
) -> (Result<Duration, DeployError>, Costs) {
    // the leader's own Patroni acts at once; another one would have to wait for the leader's next round
    let control = site.observer.control(from, &site.env.restapi_password);
    let (leader, follower) = (order.from.patroni_name(), order.to.patroni_name());
    let request = tokio::spawn(async move {
        loop {
            match control.switchover(&leader, &follower).await {
                Err(error) if error.not_written() && began.elapsed() < AGAIN => sleep(LOOK).await,
                ended => return ended,
            }
        }
    });
    let (phase, seen) = watch::channel(Phase::Waits);
    let quick = Observer::with_limits(ANSWER, ANSWER);
    let resumed = join_all(paused.iter().map(|paused| {
        let (mut seen, quick, name) = (seen.clone(), quick.clone(), order.to.patroni_name());
        async move {
            // an error: nobody will tell any more
            let told = seen.wait_for(|phase| *phase != Phase::Waits).await.map_or(Phase::Failed, |phase| *phase);
            if told == Phase::TakesWrites {
                knows(&quick, paused.node, site, &name).await;
            }
            (paused.node.id(), paused.resume().await)
        }
    }));
    let watched = async {
        let outcome = takes_writes(site, candidate, request).await;
        let time = began.elapsed();
        let _ = phase.send(if outcome.is_ok() { Phase::TakesWrites } else { Phase::Failed });
        outcome.map(|()| time)
    };
    tokio::join!(watched, resumed)
}

/// Waits until the candidate has left recovery, or Patroni says that nothing comes of it.
async fn takes_writes(
    site: &Site<'_>,
    candidate: &Postgres,
    request: tokio::task::JoinHandle<Result<(), ControlError>>,
) -> Result<(), DeployError> {
    let mut request = Some(request);
    loop {
        let rows = candidate.rows("SELECT pg_catalog.pg_is_in_recovery()").await?;
        if rows.first().and_then(|row| row.first()?.as_deref()) == Some("f") {
            return Ok(());
        }
        if request.as_ref().is_some_and(tokio::task::JoinHandle::is_finished)
            && let Some(ended) = request.take()
            && let Ok(Err(error)) = ended.await
        {
            return Err(error.into());
        }
        if site.time_left().is_zero() {
            let detail = "the candidate is still a replica".to_owned();
            let seconds = site.timeout_seconds();
            return Err(DeployError::NotReady { what: "the new primary", detail, seconds, log: None });
        }
        sleep(LOOK).await;
    }
}

/// Waits until the HAProxy of a node sends writes to the new primary and nowhere else: a connection of the pooler that
/// came earlier would fail, and the next one comes a second later.
async fn knows(quick: &Observer, node: Node, site: &Site<'_>, name: &str) {
    let began = Instant::now();
    while began.elapsed() < HAPROXY {
        match quick.haproxy_primaries(node, &site.env.stats_password).await {
            Some(up) if up == [name] => return,
            _ => sleep(LOOK).await,
        }
    }
}

/// Waits until the former primary streams again.
async fn follows(site: &Site<'_>, former: NodeId) -> Result<(), DeployError> {
    let former = node(site, former)?;
    loop {
        let said = site.observer.instance(former).await;
        if said.as_ref().is_some_and(pgstack_cluster_view::Instance::streams) {
            return Ok(());
        }
        let state = said.map_or_else(|| "it does not answer".to_owned(), |said| said.state.escape_debug().to_string());
        let detail = format!("node {}: {state}", former.id());
        site.console.progress(&format!("waiting until the former primary streams ({detail})"));
        if !site.pause().await {
            let seconds = site.timeout_seconds();
            return Err(DeployError::NotReady { what: "the former primary to stream", detail, seconds, log: None });
        }
    }
}

pub(super) fn node(site: &Site<'_>, id: NodeId) -> Result<Node, DeployError> {
    let found = site.env.local.topology().node(id);
    found.ok_or(DeployError::Switchover(SwitchoverRefusal::Unknown { node: id }))
}
