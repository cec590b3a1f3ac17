//! Lets the clients of this machine's pooler wait while the primary's PostgreSQL is away: PgBouncer would refuse them as
//! soon as one of its own attempts to connect has failed, which takes milliseconds. So the console is open beforehand, and
//! the script waits in the pooler's container that ends the pause if nobody else does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pgstack_cluster_view::{Login, NotPaused, Observer, PoolerConsole, Silence};
use pgstack_containers::Conversation;
use pgstack_env::NodeEnv;
use pgstack_topology::Node;
use tokio::time::{sleep, timeout};

use super::answer::Answers;
use super::pooler::{ENGINE, LONGEST, start};
use super::primary::takes_writes;

/// Takes the order, from another node's agent.
pub(super) const PATH: &str = "/pooler/hold";
/// How long `PAUSE` is waited for before a primary is looked for. Transactions that the primary has taken with it have ended.
const WAIT: Duration = Duration::from_millis(250);
/// How long the whole of it may take.
const LEASE: Duration = Duration::from_secs(LONGEST);
/// How long an order is good for where the script is not ready.
const FRESH: Duration = Duration::from_secs(1);
/// How long it may take to get ready.
const READY: Duration = Duration::from_secs(5);
/// Before that is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// It doubles, up to this, where it does not work out.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a switchover, whose pause there is, is left alone.
const OTHERS: Duration = Duration::from_secs(3);
/// How often the console is asked whether it is still there.
const PROBE: Duration = Duration::from_secs(5);
/// Between two looks while clients wait.
const LOOK: Duration = Duration::from_millis(50);
/// How long an answer may take while clients wait: another one is asked for soon.
const ANSWER: Duration = Duration::from_millis(500);

/// Is ready, and carries out every order to hold.
pub(super) async fn stand_by(answers: Arc<Answers>) {
    let mut orders = answers.holds();
    let (mut done, mut pause) = (None, AGAIN);
    loop {
        let ready = async { Ready::new(&answers.env()?).await };
        let Some(mut ready) = timeout(READY, ready).await.ok().flatten() else {
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
            continue;
        };
        let order = tokio::select! {
            order = orders.wait_for(|&at| at > done && at.is_some_and(|at| at.elapsed() < FRESH)) => {
                order.map(|at| *at).ok().flatten()
            }
            () = ready.lost() => None,
        };
        if order.is_some() {
            done = order;
            ready.hold(&answers).await;
        } else {
            sleep(AGAIN).await;
        }
        pause = AGAIN;
    }
}

/// What it takes to pause at once, and never for longer than [`LEASE`].
struct Ready {
    console: PoolerConsole,
    guard: Conversation,
}

impl Ready {
    /// `None` where the pooler or its container is not there.
    async fn new(env: &NodeEnv) -> Option<Self> {
        // first, as a refusal costs nothing
        let console = console(env).await.ok()?;
        let mut guard = start(LONGEST, 1, "-").await.ok()?;
        (guard.hear().await.ok()?? == "ready").then_some(Self { console, guard })
    }

    /// Ends when one of the two is gone, with its container most likely.
    async fn lost(&mut self) {
        let Self { console, guard } = self;
        let silent = async {
            loop {
                sleep(PROBE).await;
                console.answers_for(ENGINE);
                if console.is_paused().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = silent => {}
            _ = guard.hear() => {}
        }
    }

    /// Pauses, waits for a primary, lets the clients go on. A pause of somebody else is left alone.
    async fn hold(mut self, answers: &Answers) {
        answers.lease(LEASE + ENGINE);
        // first of all: whatever dies from now on, the pause ends
        if self.guard.say("guard").await.is_err() {
            return;
        }
        self.console.answers_for(WAIT);
        let (paused, heard) = tokio::join!(self.console.pause(), timeout(ENGINE, self.guard.hear()));
        if paused == Err(NotPaused::Already) {
            // an error: there is no guard
            drop(self.guard.say("off").await);
            sleep(OTHERS).await;
            return;
        }
        // with any other answer it may be paused, now or a moment later
        let guarded = matches!(heard, Ok(Ok(Some(word))) if word == "guards");
        if guarded && timeout(LEASE, ends(&mut self.guard, answers)).await.unwrap_or(false) {
            return;
        }
        let resumed = async {
            while resume(answers).await.is_err() {
                sleep(LOOK).await;
            }
        };
        // later it takes a person: neither the script nor the console has answered for so long
        let _ = timeout(LEASE, resumed).await;
        drop(self.guard.say("off").await);
    }
}

/// Waits for a primary and has the guard end the pause; false where it has ended by itself, or does not answer.
async fn ends(guard: &mut Conversation, answers: &Answers) -> bool {
    tokio::select! {
        () = primary_is_back(answers) => {}
        _ = guard.hear() => return false,
    }
    let over = |heard| matches!(heard, Ok(Some(word)) if word == "over");
    guard.say("resume").await.is_ok() && timeout(ENGINE, guard.hear()).await.is_ok_and(over)
}

async fn resume(answers: &Answers) -> Result<(), Silence> {
    let env = answers.env().ok_or(Silence::Password)?;
    console(&env).await?.resume().await
}

async fn console(env: &NodeEnv) -> Result<PoolerConsole, Silence> {
    let login = Login { role: "postgres", password: &env.superuser_password };
    PoolerConsole::connect(env.local.me().ip().addr(), login, ENGINE).await
}

async fn primary_is_back(answers: &Answers) {
    let observer = Observer::with_limits(ANSWER, ANSWER);
    loop {
        if let Some(env) = answers.env()
            && serves(&observer, &env).await
        {
            return;
        }
        sleep(LOOK).await;
    }
}

/// Whether this node's HAProxy sends writes to one node, and that one takes them; any node where HAProxy is dead, as the pooler
/// then goes by another one.
async fn serves(observer: &Observer, env: &NodeEnv) -> bool {
    let up = observer.haproxy_primaries(env.local.me(), &env.stats_password).await;
    if up.as_ref().is_some_and(|up| up.len() != 1) {
        return false;
    }
    let known = |node: &Node| up.as_ref().is_none_or(|up| up.contains(&node.patroni_name()));
    let nodes = env.local.topology().nodes().filter(known).map(|node| takes_writes(node, env));
    join_all(nodes).await.contains(&true)
}
