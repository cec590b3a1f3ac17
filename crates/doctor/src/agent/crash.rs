//! Tells at once that this node's PostgreSQL is gone: the poolers, where it was the primary, so that their clients wait
//! instead of seeing errors; Patroni, which by itself looks every loop_wait, and clients would wait that much longer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pgstack_cluster_view::{Observer, Silence, Sql};
use pgstack_containers::{Engine, Service};
use pgstack_env::NodeEnv;
use tokio::time::{Instant, sleep, timeout};

use super::answer::Answers;
use super::primary::{connect, is_primary, takes_writes};

/// Before the next attempt to connect. A PostgreSQL that dies again sooner is left to Patroni's own rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// It doubles, up to this, where the password is refused, which PostgreSQL logs each time.
const LONGEST: Duration = Duration::from_secs(30);
/// How long an attempt may take.
const LIMIT: Duration = Duration::from_secs(2);
/// How often it is asked whether it is the primary: who is promoted keeps its connections.
const ROLE: Duration = Duration::from_secs(1);
/// How long another node's agent may take to hear of it; later it is of no use.
const TELL: Duration = Duration::from_secs(1);
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
            pause = match connect(me, &env, LIMIT).await {
                Ok(sql) => {
                    let was_primary = end_of(sql).await;
                    // the passwords may be others by now
                    let env = answers.env().unwrap_or(env);
                    // else only this connection has ended, by somebody's order
                    if !(was_primary && takes_writes(me, &env).await) {
                        if was_primary {
                            answers.hold();
                            tokio::spawn(tell_others(env.clone()));
                        }
                        // a PostgreSQL that starts beside them fails, and then another node would lead
                        let _ = timeout(ORPHANS, orphans_end()).await;
                        observer.control(me, &env.restapi_password).wake_up().await;
                    }
                    PAUSE
                }
                Err(Silence::Password) => LONGEST.min(pause * 2),
                Err(_) => PAUSE,
            };
        }
        sleep(pause).await;
    }
}

/// Waits until the connection ends; says whether PostgreSQL was the primary before.
async fn end_of(mut sql: Sql) -> bool {
    let mut primary = false;
    loop {
        sql.until(Instant::now() + LIMIT);
        // no answer: what it was is known
        primary = is_primary(&sql).await.unwrap_or(primary);
        if timeout(ROLE, sql.ended()).await.is_ok() {
            return primary;
        }
    }
}

async fn tell_others(env: NodeEnv) {
    let observer = Observer::with_limits(TELL, TELL);
    join_all(env.local.peers().map(|peer| observer.hold_pooler(peer, &env.agent_token))).await;
}

async fn orphans_end() {
    let Ok(engine) = Engine::connect().await else { return };
    let limit = ORPHANS.as_secs().to_string();
    // an error: then it is not known, and Patroni is told at once
    drop(engine.exec(Service::Patroni.name(), None, &["timeout", &limit, "sh", "-c", GONE]).await);
}
