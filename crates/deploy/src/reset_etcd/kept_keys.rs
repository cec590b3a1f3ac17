//! The two keys that must be in a new, empty etcd before any Patroni sees it.
//!
//! Without the identifier a node that has lost its data would make a new, empty database cluster, and
//! those that have data would be shut out of it. Without the leader a replica that lags could be
//! faster than the primary that runs, or, where none runs, than the replica that has most: Patroni
//! compares itself with registered members only, and in an empty etcd nobody is registered yet.

use futures_util::future::join_all;
use pgstack_cluster_view::Instance;
use pgstack_topology::{Node, NodeId};

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
    let asked = site.env.local.topology().nodes().map(async |node| Some((node, site.observer.instance(node).await?)));
    let instances: Vec<(Node, Instance)> = join_all(asked).await.into_iter().flatten().collect();
    for (node, instance) in &instances {
        let told = instance.database_system_identifier.as_ref().filter(|id| !id.is_empty());
        ids.extend(told.map(|id| (node.id(), id.clone())));
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
    if let Some(node) = leader(&instances) {
        let granted = etcdctl(&["lease", "grant", LEASE_SECONDS]).await?;
        // `lease 694d9abf0f2d6d0a granted with TTL(60s)`
        let lease = granted.split_whitespace().nth(1).unwrap_or_default();
        etcdctl(&["put", LEADER, &node.patroni_name(), &format!("--lease={lease}")]).await?;
    }
    Ok(())
}

/// The primary that runs, else the replica that has most. Pure.
fn leader(instances: &[(Node, Instance)]) -> Option<Node> {
    let furthest = |primary: bool| {
        let candidates = instances.iter().filter(|(_, instance)| instance.state == "running");
        let candidates = candidates.filter(|(_, instance)| instance.takes_writes() == primary);
        candidates
            .filter_map(|(node, instance)| Some((instance.position()?, *node)))
            .max_by_key(|(position, _)| *position)
    };
    furthest(true).or_else(|| furthest(false)).map(|(_, node)| node)
}

fn own_identifier(site: &Site<'_>) -> Option<(NodeId, String)> {
    let control = std::fs::read(site.stack.path(CONTROL)).ok()?;
    let id = u64::from_le_bytes(*control.first_chunk::<8>()?);
    Some((site.env.local.me().id(), id.to_string()))
}

#[cfg(test)]
mod tests {
    use pgstack_testing::example_node;

    use super::*;

    fn led_by(roles: [(&str, &str, u32, u64); 3]) -> Option<u8> {
        let env = example_node(1, 3);
        let instance = |(role, state, timeline, position): (&str, &str, u32, u64)| {
            let text = format!(
                r#"{{"role": "{role}", "state": "{state}", "timeline": {timeline}, "xlog": {{"location": {position}}}}}"#
            );
            serde_json::from_str::<Instance>(&text).expect("an instance")
        };
        let instances: Vec<_> = env.local.topology().nodes().zip(roles.map(instance)).collect();
        leader(&instances).map(|node| node.id().get())
    }

    #[test]
    fn the_primary_that_runs_leads_else_the_replica_that_has_most() {
        let (replica, running) = ("replica", "running");
        assert_eq!(led_by([(replica, running, 2, 9), ("primary", running, 2, 5), (replica, running, 2, 5)]), Some(2));
        assert_eq!(led_by([(replica, running, 2, 4), ("primary", "stopped", 2, 9), (replica, running, 2, 5)]), Some(3));
        assert_eq!(led_by([(replica, running, 1, 9), (replica, running, 2, 5), (replica, "starting", 3, 9)]), Some(2));
        assert_eq!(led_by([(replica, "stopped", 1, 9); 3]), None);
    }
}
