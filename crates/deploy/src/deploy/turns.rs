//! One etcd after the other: members that restart at the same time have no quorum for a moment, and deploys of all nodes often
//! run at the same time.

use std::time::{Duration, Instant};

use pgstack_containers::Service;
use pgstack_etcd::client::{Store, Timeouts, healthy};

use crate::DeployError;
use crate::site::Site;

/// Held by the node whose etcd restarts.
const TURN: &str = "/patroni-stack/etcd-restarts";
/// After so many seconds a turn is over by itself: its deploy may have been killed.
const LEASE: i64 = 30;
/// Whoever waits longer restarts all the same.
const PATIENCE: Duration = Duration::from_secs(90);

/// Restarts etcd on this node when its turn has come, and ends the turn when it serves again.
pub(super) async fn restart_etcd(site: &Site<'_>) -> Result<(), DeployError> {
    let me = site.env.local.me().etcd_name();
    let began = Instant::now();
    // without a quorum there is none to lose
    while let Ok(mut store) = Store::open(&site.desired, Timeouts::default()).await {
        if store.claim(TURN, &me, LEASE).await.unwrap_or(false) || began.elapsed() > PATIENCE {
            break;
        }
        site.console.progress("etcd restarts on another node");
        if !site.pause().await {
            break;
        }
    }
    site.compose.restart(Service::Etcd).await?;
    let began = Instant::now();
    let lease = Duration::from_secs(LEASE.unsigned_abs());
    while !healthy(&site.desired.me().client_url, Timeouts::default()).await {
        if began.elapsed() > lease || !site.pause().await {
            return Ok(());
        }
    }
    // where this fails, the turn ends by itself
    if let Ok(mut store) = Store::open(&site.desired, Timeouts::default()).await
        && let Ok(Some(turn)) = store.one(TURN).await
        && turn.value == me
    {
        let _ = store.delete(&turn).await;
    }
    Ok(())
}
