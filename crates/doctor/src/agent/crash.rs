//! Tells Patroni at once that PostgreSQL is gone. By itself it looks every loop_wait, and clients wait that much longer.

use std::sync::Arc;
use std::time::Duration;

use pgstack_cluster_view::{Login, Observer, Silence, Source, Sql};
use pgstack_topology::port;
use tokio::time::{Instant, sleep};

use super::answer::Answers;

/// Before the next attempt to connect. A PostgreSQL that dies again sooner is left to Patroni's own rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// It doubles, up to this, where the password is refused, which PostgreSQL logs each time.
const LONGEST: Duration = Duration::from_secs(30);
/// How long an attempt may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Holds one connection to this node's PostgreSQL, and wakes this node's Patroni up whenever it ends.
pub(super) async fn watch(answers: Arc<Answers>) {
    let observer = Observer::new();
    let mut pause = PAUSE;
    loop {
        if let Some(env) = answers.env() {
            let me = env.local.me();
            let source = Source { address: me.ip().addr(), port: port::POSTGRES, database: "postgres", options: None };
            let login = Login { role: "postgres", password: &env.superuser_password };
            pause = match Sql::connect(source, login, Instant::now() + LIMIT).await {
                Ok(sql) => {
                    sql.ended().await;
                    observer.control(me, &env.restapi_password).wake_up().await;
                    PAUSE
                }
                Err(Silence::Password) => LONGEST.min(pause * 2),
                Err(_) => PAUSE,
            };
        }
        sleep(pause).await;
    }
}
