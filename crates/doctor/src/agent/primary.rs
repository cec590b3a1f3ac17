//! Asks a node's PostgreSQL, past HAProxy and PgBouncer, whether it is the primary.

use std::time::Duration;

use pgstack_cluster_view::{Login, Silence, Source, Sql};
use pgstack_env::NodeEnv;
use pgstack_topology::{Node, port};
use tokio::time::Instant;

/// How long an answer may take while clients wait: another one is asked for soon.
const ANSWER: Duration = Duration::from_millis(500);

/// The PostgreSQL of a node, as its superuser. It answers for so long.
pub(super) async fn connect(node: Node, env: &NodeEnv, limit: Duration) -> Result<Sql, Silence> {
    let source = Source { address: node.ip().addr(), port: port::POSTGRES, database: "postgres", options: None };
    let login = Login { role: "postgres", password: &env.superuser_password };
    Sql::connect(source, login, Instant::now() + limit).await
}

/// What it says; `None` where it is gone, or stands still.
pub(super) async fn is_primary(sql: &Sql) -> Option<bool> {
    let rows = sql.rows("SELECT pg_catalog.pg_is_in_recovery()").await.ok()?;
    Some(rows.first().and_then(|row| row.first()) == Some("f"))
}

/// Whether the PostgreSQL of a node answers, and as a primary. One that refuses the password is up, and more is not to be had.
pub(super) async fn takes_writes(node: Node, env: &NodeEnv) -> bool {
    match connect(node, env, ANSWER).await {
        Ok(sql) => is_primary(&sql).await == Some(true),
        Err(why) => why == Silence::Password,
    }
}
