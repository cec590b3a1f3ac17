//! The two keys that must be in a new, empty etcd before any Patroni sees it.
//!
//! Without the identifier a node that has lost its data would make a new, empty database cluster, and
//! those that have data would be shut out of it. Without the leader a replica that lags could be
//! faster than the primary that runs.

use pgstack_topology::NodeId;

use super::refusal::ResetRefusal;
use crate::DeployError;
use crate::patroni_keys::{INITIALIZE, LEADER};
use crate::site::Site;

/// Where PostgreSQL keeps its identifier, in the first eight bytes.
const CONTROL: &str = "data/pg/data/global/pg_control";
/// How long the leader key lives unless its Patroni renews it: longer than a loop of Patroni's.
const LEASE_SECONDS: &str = "60";

/// Writes both, as far as the nodes tell. `etcdctl` speaks to the new etcd.
pub(super) async fn write(
    site: &Site<'_>,
    etcdctl: &(impl AsyncFn(&[&str]) -> Result<String, DeployError> + Sync),
) -> Result<(), DeployError> {
    let mut ids: Vec<(NodeId, String)> = own_identifier(site).into_iter().collect();
    let mut primaries = Vec::new();
    for node in site.env.local.topology().nodes() {
        let Some(instance) = site.observer.instance(node).await else { continue };
        if instance.is_primary() {
            primaries.push(node);
        }
        ids.extend(instance.database_system_identifier.filter(|id| !id.is_empty()).map(|id| (node.id(), id)));
    }
    let Some((first, id)) = ids.first().cloned() else {
        site.console.warn(
            "no node tells of PostgreSQL data: the first node whose Patroni starts decides what the cluster's data is",
        );
        return Ok(());
    };
    if let Some((second, other)) = ids.iter().find(|(_, other)| *other != id) {
        return Err(ResetRefusal::IdentifiersDiffer { first, id, second: *second, other: other.clone() }.into());
    }
    etcdctl(&["put", INITIALIZE, &id]).await?;
    if let [primary] = primaries.as_slice() {
        let granted = etcdctl(&["lease", "grant", LEASE_SECONDS]).await?;
        // `lease 694d9abf0f2d6d0a granted with TTL(60s)`
        let lease = granted.split_whitespace().nth(1).unwrap_or_default();
        etcdctl(&["put", LEADER, &primary.patroni_name(), &format!("--lease={lease}")]).await?;
    }
    Ok(())
}

fn own_identifier(site: &Site<'_>) -> Option<(NodeId, String)> {
    let control = std::fs::read(site.stack.path(CONTROL)).ok()?;
    let id = u64::from_le_bytes(*control.first_chunk::<8>()?);
    Some((site.env.local.me().id(), id.to_string()))
}
