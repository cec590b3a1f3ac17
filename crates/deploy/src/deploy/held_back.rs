//! Replicas that run with an old value of what no replica may have less of than the primary, and whose Patroni does not
//! say so.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgstack_cluster_view::{ControlError, Postgres, PostgresError};
use pgstack_topology::Node;
use serde_json::Value;

use super::dynamic;
use crate::site::Site;

/// Patroni starts a replica with what pg_control has of these where that is more than the DCS says.
const KEPT: [&str; 5] = [
    "max_connections",
    "max_prepared_transactions",
    "max_locks_per_transaction",
    "max_worker_processes",
    "max_wal_senders",
];

/// How long a Patroni may take to compare: it reads its file, tells PostgreSQL, and asks a second later.
const COMPARES: Duration = Duration::from_secs(5);

/// Nothing, or what there is to wait for: where a value is an old one, Patroni compares again. (A Patroni that reads its
/// file while it restarts PostgreSQL takes for wanted what it has just put in for that start, and forgets that a restart
/// is pending.)
pub(super) async fn unsaid(site: &Site<'_>) -> Option<String> {
    let Ok(config) = dynamic::config(site).await else {
        return Some("etcd does not tell what PostgreSQL is to run with".to_owned());
    };
    let wanted = wanted(&config);
    if wanted.is_empty() {
        return None;
    }
    let asked = site.env.local.topology().nodes().map(async |node| match differs(site, node, &wanted).await {
        Ok(false) => None,
        Ok(true) => {
            let (id, refusal) = (node.id(), compare_again(site, node).await.err());
            let why = refusal.map(|refusal| format!(" ({refusal})")).unwrap_or_default();
            Some(format!("PostgreSQL on node {id} runs with an old value, and Patroni does not say so{why}"))
        }
        Err(error) => Some(error.to_string()),
    });
    join_all(asked).await.into_iter().flatten().next()
}

async fn compare_again(site: &Site<'_>, node: Node) -> Result<(), ControlError> {
    let is_pending = async || site.observer.instance(node).await.is_some_and(|instance| instance.pending_restart);
    site.observer.control(node, &site.env.restapi_password).reload().await?;
    let began = Instant::now();
    while !is_pending().await && began.elapsed() < COMPARES && site.pause().await {}
    Ok(())
}

/// What the DCS names of these.
fn wanted(config: &Value) -> Vec<(&'static str, i64)> {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
    let named = |name: &'static str| Some((name, number(config.pointer("/postgresql/parameters")?.get(name)?)?));
    KEPT.into_iter().filter_map(named).collect()
}

async fn differs(site: &Site<'_>, node: Node, wanted: &[(&str, i64)]) -> Result<bool, PostgresError> {
    let postgres = Postgres::connect(node, site.superuser()).await?;
    // names from our own list
    let columns: Vec<String> = wanted.iter().map(|(name, _)| format!("current_setting('{name}')")).collect();
    let rows = postgres.rows(&format!("SELECT {}", columns.join(", "))).await?;
    let found = rows.into_iter().next().unwrap_or_default();
    Ok(wanted.iter().zip(found).any(|((_, wanted), found)| found.and_then(|text| text.parse().ok()) != Some(*wanted)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_pg_control_keeps_is_compared() {
        let config = json!({ "postgresql": { "parameters": {
            "max_connections": 200, "max_wal_senders": " 12 ", "shared_buffers": "1GB", "max_worker_processes": "many" } } });
        assert_eq!(wanted(&config), [("max_connections", 200), ("max_wal_senders", 12)]);
        assert!(wanted(&json!({})).is_empty());
    }
}
