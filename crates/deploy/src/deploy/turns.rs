//! One etcd after the other: members that restart at the same time have no quorum for a moment, and deploys of all nodes often
//! run at the same time.

use std::time::{Duration, Instant};

use pgstack_containers::Service;
use pgstack_etcd::client::{Store, StoreError, Timeouts, healthy};

use crate::DeployError;
use crate::site::Site;

/// Held by the node whose etcd restarts.
const TURN: &str = "/patroni-stack/etcd-restarts";
/// After so many seconds a turn is over by itself: its deploy may have been killed.
const LEASE: i64 = 30;

/// Restarts etcd on this node when its turn has come, and ends the turn when it serves again. Who has waited for as long as all
/// others may take, or as long as one may while etcd gives no turn, restarts all the same.
pub(super) async fn restart_etcd(site: &Site<'_>) -> Result<(), DeployError> {
    let me = site.env.local.me().etcd_name();
    let lease = Duration::from_secs(LEASE.unsigned_abs());
    let all = lease * u32::try_from(site.desired.seats().len()).unwrap_or(1);
    let began = Instant::now();
    let mut store = None;
    loop {
        let (detail, patience) = match Box::pin(turn(site, &mut store, &me)).await {
            Ok(None) => break,
            Ok(Some(other)) => (format!("{other} restarts"), all),
            Err(error) => (error.to_string(), lease),
        };
        if began.elapsed() > patience || !site.pause().await {
            break;
        }
        site.console.progress(&detail);
    }
    site.compose.restart(Service::Etcd).await?;
    let began = Instant::now();
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

/// Nothing where it is this node's turn, else whose it is.
async fn turn(site: &Site<'_>, store: &mut Option<Store>, me: &str) -> Result<Option<String>, StoreError> {
    let mut open = match store.take() {
        Some(open) => open,
        None => Store::open(&site.desired, Timeouts::default()).await?,
    };
    let holder = open.one(TURN).await?.map(|turn| turn.value);
    let waits = match holder {
        // left by a deploy of this node that was killed
        Some(holder) if holder == me => None,
        Some(holder) => Some(holder),
        None if open.claim(TURN, me, LEASE).await? => None,
        None => Some("etcd on another node".to_owned()),
    };
    *store = Some(open);
    Ok(waits)
}
