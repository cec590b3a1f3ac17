//! What lives in the DCS: compared with `.env`, shown, patched; and what waits for a restart.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgstack_cluster_view::{Control, ControlError, Instance};
use pgstack_containers::Service;
use pgstack_etcd::client::{Store, StoreError, Timeouts};
use pgstack_patroni::dynamic::{self, Change};
use pgstack_topology::{Node, NodeId};
use serde_json::Value;

use super::{durability, services};
use crate::DeployError;
use crate::momentary::Momentary;
use crate::patroni_keys::CONFIG;
use crate::site::Site;

/// How long Patroni may take on top of loop_wait to see a change in the DCS.
const MARGIN: Duration = Duration::from_secs(5);

/// Makes the DCS say what `.env` names; everything else in it stays. What waits for a restart after
/// that is told.
pub(super) async fn enforce(site: &Site<'_>) -> Result<(), DeployError> {
    told_apart(site).await;
    put_back(site).await;
    let mut patched: Vec<Change> = Vec::new();
    let mut loop_wait = Duration::from_secs(10);
    if site.env.dcs.named().next().is_some() {
        site.console.begin("settings in the DCS");
        loop {
            let detail = match compared(site).await? {
                Ok((seconds, changes)) => {
                    loop_wait = seconds;
                    if changes.is_empty() {
                        site.console.end(if patched.is_empty() { "as .env says" } else { "changed" });
                        break;
                    }
                    for change in changes.iter().filter(|change| !patched.contains(change)) {
                        site.console.note(&format!("  {change}"));
                    }
                    patched.clone_from(&changes);
                    match here(site).patch_config(&dynamic::patch(&changes)).await {
                        Ok(()) => "looking again".to_owned(),
                        Err(error) => shown(&error),
                    }
                }
                Err(error) => error.to_string(),
            };
            site.console.progress(&detail);
            if !site.pause().await {
                let seconds = site.timeout_seconds();
                return Err(DeployError::NotReady { what: "settings in the DCS", detail, seconds, log: None });
            }
        }
    }
    durability::in_force(site, loop_wait + MARGIN).await;
    if patched.iter().any(Change::needs_restart) {
        seen(site, loop_wait + MARGIN, |_| true).await;
    } else if starts_with_others(site).await? {
        // another node's deploy was faster
        seen(site, loop_wait + MARGIN, |node| node.id() == site.env.local.me().id()).await;
    }
    Ok(())
}

/// What a `remove-node` or a `switchover` that was killed has left changed. Best effort: the next one does it, too.
async fn put_back(site: &Site<'_>) {
    let Ok(config) = config(site).await else { return };
    for setting in Momentary::ALL {
        if let Some(was) = setting.kept(&config)
            && here(site).patch_config(&setting.restored(&was)).await.is_ok()
        {
            site.console.note(&format!("  {setting} is put back, which was changed for a moment"));
        }
    }
}

/// Whether PostgreSQL here runs with other values of what takes a restart than `.env` names.
async fn starts_with_others(site: &Site<'_>) -> Result<bool, DeployError> {
    for (setting, value) in site.env.dcs.named().filter(|(setting, _)| dynamic::needs_restart(setting)) {
        // a name from our own list
        let show = format!("SHOW {}", setting.name);
        let command = ["psql", "-XqAt", "-d", "postgres", "-c", &show];
        let output = site.engine.exec(Service::Patroni.name(), None, &command).await?;
        if output.code == 0 && setting.meaning(&output.stdout) != setting.meaning(value) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What [`enforce`] would change, as lines; nothing where Patroni does not answer yet.
pub(super) async fn planned(site: &Site<'_>) -> Result<Vec<String>, DeployError> {
    if site.env.dcs.named().next().is_none() {
        return Ok(Vec::new());
    }
    let changes = compared(site).await?.map_or_else(|_| Vec::new(), |(_, changes)| changes);
    Ok(changes.iter().map(ToString::to_string).collect())
}

fn here(site: &Site<'_>) -> Control {
    site.observer.control(site.env.local.me(), &site.env.restapi_password)
}

/// loop_wait, and the differences. Patroni's own answer may be a loop_wait old, so etcd is asked.
async fn compared(site: &Site<'_>) -> Result<Result<(Duration, Vec<Change>), StoreError>, DeployError> {
    let dcs = match config(site).await {
        Ok(dcs) => dcs,
        Err(error) => return Ok(Err(error)),
    };
    dynamic::times_fit(&site.env.dcs, &dcs)?;
    let loop_wait = dcs.get("loop_wait").and_then(Value::as_u64).unwrap_or(10).min(60);
    Ok(Ok((Duration::from_secs(loop_wait), dynamic::changes(&site.env.dcs, &dcs))))
}

/// The configuration that all nodes share, as etcd has it.
pub(crate) async fn config(site: &Site<'_>) -> Result<Value, StoreError> {
    let found = Store::open(&site.desired, Timeouts::default()).await?.one(CONFIG).await?;
    Ok(found.and_then(|entry| serde_json::from_str(&entry.value).ok()).unwrap_or_default())
}

fn shown(error: &ControlError) -> String {
    match error {
        // read from the file that was just written, but only after up to loop_wait
        ControlError::Refused { code: 401, .. } => {
            format!("{error}; it has not read PATRONI_RESTAPI_PASSWORD from this .env yet")
        }
        error => error.to_string(),
    }
}

/// Nodes that name other settings would overwrite each other's with every deploy.
async fn told_apart(site: &Site<'_>) {
    let here = site.env.dcs.fingerprint();
    let asked = site.env.local.peers().map(async |peer| {
        let proxy = site.observer.haproxy_at(peer.ip().addr()).await?;
        (proxy.dcs != here).then(|| peer.id())
    });
    let others: Vec<NodeId> = join_all(asked).await.into_iter().flatten().collect();
    if !others.is_empty() {
        site.console.warn(&format!(
            "node {} runs with other settings of the DCS (RTO_PROFILE, DURABILITY, PATRONI_…, POSTGRES_…) than this .env \
             says: make those lines the same and run deploy there, or the next deploy there sets them back",
            services::listed(&others)
        ));
    }
}

/// Every node that answers.
pub(crate) async fn instances(site: &Site<'_>) -> Vec<(Node, Option<Instance>)> {
    let asked = site.env.local.topology().nodes().map(async |node| (node, site.observer.instance(node).await));
    join_all(asked).await
}

/// Waits until those that answer have seen a change that takes a restart. Where a value goes back to
/// what PostgreSQL runs with, they never say so: then the time is up soon.
async fn seen(site: &Site<'_>, limit: Duration, by: impl Fn(Node) -> bool) {
    site.console.begin("pending restarts");
    let began = Instant::now();
    loop {
        let seen = instances(site).await.into_iter().filter(|(node, _)| by(*node));
        let unaware = seen.filter_map(|(node, instance)| (!instance?.pending_restart).then(|| node.id()));
        let unaware: Vec<NodeId> = unaware.collect();
        if unaware.is_empty() || began.elapsed() > limit || !site.pause().await {
            break;
        }
        site.console.progress(&format!("node {} has not seen the change yet", services::listed(&unaware)));
    }
    site.console.end("seen");
}

/// Names the nodes whose PostgreSQL waits for a restart, and the settings that it is about.
pub(super) async fn tell_pending(site: &Site<'_>) -> bool {
    let mut any = false;
    for (node, instance) in instances(site).await {
        let Some(instance) = instance.filter(|instance| instance.pending_restart) else { continue };
        any = true;
        let reasons: Vec<String> =
            instance.pending_restart_reason.iter().map(|(name, values)| format!("{name} {values}")).collect();
        site.console.warn(&format!("node {}: pending restart ({})", node.id(), reasons.join(", ")));
    }
    if any {
        site.console.warn(
            "`deploy --restart-pending` on any one node restarts these one after the other, replicas first, the primary \
             last; open transactions on each are cut off",
        );
    }
    any
}
