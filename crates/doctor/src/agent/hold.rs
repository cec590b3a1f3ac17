//! Lets the clients of this machine's pooler wait while the primary's PostgreSQL is away: PgBouncer would refuse them as
//! soon as one of its own attempts to connect has failed, which takes milliseconds. So the console is open beforehand, and
//! the script waits in the pooler's container that ends the pause if nobody else does.

use std::sync::Arc;
use std::time::Duration;

use pgstack_cluster_view::{Login, Observer, PoolerConsole, Silence, Source, Sql};
use pgstack_containers::Conversation;
use pgstack_env::NodeEnv;
use pgstack_topology::port;
use tokio::time::{sleep, timeout};

use super::answer::Answers;
use super::pooler::{ENGINE, LONGEST, start};

/// Takes the order, from another node's agent.
pub(super) const PATH: &str = "/pooler/hold";
/// How long `PAUSE` may wait for transactions. Those that the primary has taken with it have ended.
const WAIT: Duration = Duration::from_secs(1);
/// How long the whole of it may take.
const LEASE: Duration = Duration::from_secs(LONGEST);
/// How long an order is good for where the script is not ready.
const FRESH: Duration = Duration::from_secs(1);
/// Before it is tried again to get ready.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two looks while clients wait.
const LOOK: Duration = Duration::from_millis(50);
/// How long an answer may take while clients wait: another one is asked for soon.
const ANSWER: Duration = Duration::from_millis(500);

/// Is ready, and carries out every order to hold.
pub(super) async fn stand_by(answers: Arc<Answers>) {
    let mut orders = answers.holds();
    let mut done = None;
    loop {
        if let Some(env) = answers.env()
            && let Some(mut ready) = Ready::new(&env).await
        {
            let order = tokio::select! {
                order = orders.wait_for(|&at| at > done && at.is_some_and(|at| at.elapsed() < FRESH)) => {
                    order.map(|at| *at).ok().flatten()
                }
                // the script has ended, with its container most likely
                _ = ready.guard.hear() => None,
            };
            if order.is_some() {
                done = order;
                answers.lease(LEASE + ENGINE);
                ready.hold(&env).await;
                continue;
            }
        }
        sleep(AGAIN).await;
    }
}

/// What it takes to pause at once.
struct Ready {
    console: PoolerConsole,
    guard: Conversation,
}

impl Ready {
    /// `None` where the pooler or its container is not there.
    async fn new(env: &NodeEnv) -> Option<Self> {
        let mut guard = start(LONGEST, WAIT.as_secs(), "-").await.ok()?;
        if guard.hear().await.ok()?? != "ready" {
            return None;
        }
        Some(Self { console: console(env).await.ok()?, guard })
    }

    /// Pauses, waits for a primary, lets the clients go on. A pause of somebody else is left alone.
    async fn hold(mut self, env: &NodeEnv) {
        // first of all: whatever dies from now on, the pause ends
        if self.guard.say("guard").await.is_err() {
            return;
        }
        let (paused, guards) = tokio::join!(self.console.pause(WAIT), timeout(ENGINE, self.guard.hear()));
        // a PAUSE that still waits for transactions is one, too
        let paused = matches!(paused, Ok(()) | Err(Silence::Mute));
        if !matches!(guards, Ok(Ok(Some(said))) if said == "guards") {
            // a switchover begins, or the engine does not answer
            if let (true, Ok(console)) = (paused, console(env).await) {
                drop(console.resume().await);
            }
            return;
        }
        if paused {
            // late: the guard ends it
            let _ = timeout(LEASE, primary_is_back(env)).await;
        }
        // an error: it ends the pause by itself, as it does when nothing is said
        drop(self.guard.say(if paused { "resume" } else { "off" }).await);
        let _ = timeout(ENGINE, self.guard.hear()).await;
    }
}

async fn console(env: &NodeEnv) -> Result<PoolerConsole, Silence> {
    let login = Login { role: "postgres", password: &env.superuser_password };
    PoolerConsole::connect(env.local.me().ip().addr(), login, ENGINE).await
}

async fn primary_is_back(env: &NodeEnv) {
    let observer = Observer::with_limits(ANSWER, ANSWER);
    while !serves(&observer, env).await {
        sleep(LOOK).await;
    }
}

/// Whether this node's HAProxy sends writes to one node, and that one takes them.
async fn serves(observer: &Observer, env: &NodeEnv) -> bool {
    let Some(up) = observer.haproxy_primaries(env.local.me(), &env.stats_password).await else { return false };
    let [name] = &up[..] else { return false };
    let Some(primary) = env.local.topology().nodes().find(|node| node.patroni_name() == *name) else { return false };
    let source = Source { address: primary.ip().addr(), port: port::POSTGRES, database: "postgres", options: None };
    let login = Login { role: "postgres", password: &env.superuser_password };
    let Ok(sql) = Sql::connect(source, login, tokio::time::Instant::now() + ANSWER).await else { return false };
    let rows = sql.rows("SELECT pg_catalog.pg_is_in_recovery()").await.unwrap_or_default();
    rows.first().and_then(|row| row.first()) == Some("f")
}
