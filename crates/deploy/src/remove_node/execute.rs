//! Carries single steps out. No decisions here.

use std::time::Duration;

use pgstack_cluster_view::Postgres;
use pgstack_etcd::client::{Outcome, Store, Timeouts, execute};
use pgstack_topology::Node;
use serde_json::{Value, json};

use super::RemovalRefusal;
use super::observe::{Observed, leader};
use super::plan::Step;
use crate::momentary::SLOTS_TTL;
use crate::patroni_keys::MEMBERS;
use crate::site::Site;
use crate::{DeployError, switchover};

/// One change of etcd's member list may take this long at most: etcd refuses for 5 s after each.
const ONE_CHANGE: Duration = Duration::from_secs(60);

/// One step. Afterwards the world has to be looked at again.
pub(super) async fn carry_out(site: &Site<'_>, step: &Step, observed: &Observed) -> Result<(), DeployError> {
    site.console.progress(&step.to_string());
    match step {
        Step::Switchover { to, .. } => switchover::move_leadership(site, Some(*to)).await,
        Step::Etcd(change) => {
            let deadline = site.time_left().min(ONE_CHANGE);
            let mut progress = |why: &str| site.console.progress(&format!("{change}: {why}"));
            let done =
                execute(change, &site.desired, &observed.etcd, Timeouts::default(), deadline, &mut progress).await?;
            if let Outcome::Overtaken { reason } = done {
                site.console.progress(&format!("etcd: {reason}"));
            }
            Ok(())
        }
        Step::DeleteKey { name } => {
            let mut store = Store::open(&site.desired, Timeouts::default()).await?;
            if let Some(entry) = store.one(&format!("{MEMBERS}{name}")).await? {
                // one that has changed meanwhile is seen in the next look
                store.delete(&entry).await?;
            }
            Ok(())
        }
        Step::ShortenRetention { was } => patch(site, observed, &SLOTS_TTL.changed(was, 1)).await,
        Step::RestoreRetention { was } => patch(site, observed, &SLOTS_TTL.restored(was)).await,
        // the same once more changes nothing, and wakes Patroni's leader up
        Step::AwaitForgotten { .. } => {
            patch(site, observed, &json!({ SLOTS_TTL.name: 1 })).await?;
            site.pause().await;
            Ok(())
        }
        Step::DropSlot { slot } => {
            let postgres = Postgres::connect(primary(site, observed)?, site.superuser()).await?;
            let sql = format!(
                "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots \
                 WHERE slot_type = 'physical' AND slot_name = '{slot}' AND NOT active"
            );
            postgres.rows(&sql).await?;
            Ok(())
        }
        Step::AwaitSilence { .. } => Ok(()),
    }
}

/// When a removal fails while Patroni keeps slots for a moment only: puts that back if it can be.
pub(super) async fn restore(site: &Site<'_>, observed: &Observed) -> Result<(), DeployError> {
    let config = site.observer.control(primary(site, observed)?, &site.env.restapi_password).config().await?;
    match SLOTS_TTL.kept(&config) {
        Some(was) => carry_out(site, &Step::RestoreRetention { was }, observed).await,
        None => Ok(()),
    }
}

async fn patch(site: &Site<'_>, observed: &Observed, patch: &Value) -> Result<(), DeployError> {
    let control = site.observer.control(primary(site, observed)?, &site.env.restapi_password);
    Ok(control.patch_config(patch).await?)
}

fn primary(site: &Site<'_>, observed: &Observed) -> Result<Node, DeployError> {
    leader(site, observed).ok_or(DeployError::Removal(RemovalRefusal::NoLeader))
}
