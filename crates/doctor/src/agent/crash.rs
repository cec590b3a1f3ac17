//! Tells Patroni at once that PostgreSQL is gone. By itself it looks every loop_wait, and clients wait that much longer.

use std::sync::Arc;
use std::time::Duration;

use pgstack_cluster_view::{Login, Observer, Silence, Source, Sql};
use pgstack_containers::{Engine, Service};
use pgstack_topology::port;
use tokio::time::{Instant, sleep, timeout};

use super::answer::Answers;

/// Before the next attempt to connect. A PostgreSQL that dies again sooner is left to Patroni's own rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// It doubles, up to this, where the password is refused, which PostgreSQL logs each time.
const LONGEST: Duration = Duration::from_secs(30);
/// How long an attempt may take.
const LIMIT: Duration = Duration::from_secs(2);
/// How long what a dead postmaster left may take to end.
const ORPHANS: Duration = Duration::from_secs(3);
/// Waits until no process of PostgreSQL is left.
const GONE: &str = "while grep -qas '^postgres: ' /proc/[0-9]*/cmdline; do sleep 0.05; done";

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
                    // a PostgreSQL that starts beside them fails, and then another node would lead
                    let _ = timeout(ORPHANS, orphans_end()).await;
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

async fn orphans_end() {
    let Ok(engine) = Engine::connect().await else { return };
    let limit = ORPHANS.as_secs().to_string();
    // an error: then it is not known, and Patroni is told at once
    drop(engine.exec(Service::Patroni.name(), None, &["timeout", &limit, "sh", "-c", GONE]).await);
}
