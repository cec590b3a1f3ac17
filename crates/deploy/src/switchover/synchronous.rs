//! Where only chosen standbys may lead: makes the candidate one of them for a moment.

use std::time::{Duration, Instant};

use pgstack_topology::NodeId;

use super::execute::node;
use super::observe::Observed;
use super::plan::Order;
use crate::DeployError;
use crate::deploy::durability::sync_key;
use crate::momentary::SYNC_COUNT;
use crate::site::Site;

/// How long Patroni may take to choose the candidate: it looks whether a standby confirms before it names it.
const CHOSEN: Duration = Duration::from_secs(20);

/// Makes Patroni choose as many standbys as it takes, before anybody is paused.
pub(super) async fn enough(site: &Site<'_>, order: &Order, observed: &Observed) -> Result<(), DeployError> {
    let Some(mut count) = order.sync_count else { return Ok(()) };
    let leader = site.observer.control(node(site, order.from)?, &site.env.restapi_password);
    leader.patch_config(&SYNC_COUNT.changed(&observed.sync_count, count)).await?;
    let (began, name, replicas) = (Instant::now(), order.to.patroni_name(), observed.nodes.len() - 1);
    let limit = CHOSEN.min(site.time_left());
    loop {
        let chosen = sync_key(site).await.map(|key| key.standbys).unwrap_or_default();
        if chosen.contains(&name) {
            return Ok(());
        }
        let detail = format!("node {} is none of its synchronous standbys ({})", order.to, chosen.join(", "));
        site.console.progress(&format!("waiting for Patroni: {detail}"));
        if began.elapsed() > limit || !site.pause().await {
            let what = "Patroni to choose the candidate";
            return Err(DeployError::NotReady { what, detail, seconds: limit.as_secs(), log: None });
        }
        let taken = u64::try_from(chosen.len()).unwrap_or(count);
        if taken >= count && chosen.len() < replicas {
            // it has taken others first
            count = taken + 1;
            leader.patch_config(&SYNC_COUNT.changed(&observed.sync_count, count)).await?;
        } else {
            // in its next round it may see what it waited for in this one
            leader.wake_up().await;
        }
    }
}

/// Puts it back, also what a run that was killed has left, through the first of `nodes` that answers. Best effort: the next
/// `switchover` or `deploy` does it, too.
pub(super) async fn as_before(site: &Site<'_>, nodes: &[NodeId], observed: &Observed) {
    for &id in nodes {
        let Ok(node) = node(site, id) else { continue };
        let control = site.observer.control(node, &site.env.restapi_password);
        if control.patch_config(&SYNC_COUNT.restored(&observed.sync_count)).await.is_ok() {
            return;
        }
    }
    site.console.warn(&format!("{SYNC_COUNT} could not be put back; the next deploy does it"));
}
