//! What the agent answers, made at most once a second however many ask.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use pgstack_env::NodeEnv;
use pgstack_health::Local;
use pgstack_topology::Secret;
use pgstack_workdir::StackDir;
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;
use tokio::time::timeout;

use super::vip::Heard;
use crate::local::{Known, clock_ms, look_with};

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(1);
/// How long reading `.env` may take; longer only where the disk hangs.
const READ: Duration = Duration::from_millis(1500);

/// Whether somebody may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// It knows the token.
    Known,
    /// It does not.
    Stranger,
    /// There is no token yet: `.env` has had problems ever since the agent started.
    NobodyCanTell,
}

/// Everything that an answer is made of.
#[derive(Debug)]
pub(super) struct Answers {
    stack: StackDir,
    known: RwLock<Known>,
    heard: Mutex<Heard>,
    last: tokio::sync::Mutex<Option<(Instant, Arc<Local>)>>,
    /// When a pause of the pooler that was ordered here is over.
    leased_until: Mutex<Option<Instant>>,
    /// When the pooler was last to hold its clients.
    hold: watch::Sender<Option<Instant>>,
}

impl Answers {
    pub(super) fn new(stack: &StackDir) -> Self {
        Self {
            stack: stack.clone(),
            known: RwLock::default(),
            heard: Mutex::new(Heard::new()),
            last: tokio::sync::Mutex::default(),
            leased_until: Mutex::default(),
            hold: watch::Sender::default(),
        }
    }

    /// Looks at `.env` again and listens for the VIP's owner; says whether `.env` has changed.
    pub(super) async fn refresh(&self) -> bool {
        let (stack, mut known) = (self.stack.clone(), self.known());
        let read = tokio::task::spawn_blocking(move || {
            let changed = known.refresh(&stack);
            (known, changed)
        });
        let Ok(Ok((known, changed))) = timeout(READ, read).await else { return false };
        if let Some(good) = known.good() {
            let (me, topology) = (good.env.local.me(), good.env.local.topology());
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.listen(topology.vip().ip().addr(), me.ip().addr(), Instant::now());
        }
        if changed {
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        }
        changed
    }

    /// What is wrong with `.env` now.
    pub(super) fn problem(&self) -> Option<String> {
        self.known().problem().map(str::to_owned)
    }

    /// The last settings that had no problem.
    pub(super) fn env(&self) -> Option<NodeEnv> {
        self.known().good().map(|good| good.env.clone())
    }

    /// This node's address, where it is known.
    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        self.known().good().map(|good| good.env.local.me().ip().addr())
    }

    /// Whether the header of a request shows the token. How long it takes tells nothing about the token.
    pub(super) fn caller(&self, authorization: Option<&[u8]>) -> Caller {
        let Some(good) = self.known().good() else { return Caller::NobodyCanTell };
        let token: &Secret = &good.env.agent_token;
        let shown = authorization.and_then(|header| header.strip_prefix(b"Bearer "));
        let matches = shown.is_some_and(|shown| bool::from(shown.ct_eq(token.expose().as_bytes())));
        if matches { Caller::Known } else { Caller::Stranger }
    }

    /// Remembers that the pooler may be paused for so long from now.
    pub(super) fn lease(&self, time: Duration) {
        let mut until = self.leased_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(Some(Instant::now() + time));
    }

    /// The pooler is to hold its clients now.
    pub(super) fn hold(&self) {
        self.hold.send_replace(Some(Instant::now()));
    }

    /// Tells when the pooler is to hold its clients.
    pub(super) fn holds(&self) -> watch::Receiver<Option<Instant>> {
        self.hold.subscribe()
    }

    /// The facts, as JSON. Whoever asks while they are gathered gets the same ones; the clock is always read anew.
    pub(super) async fn facts(&self) -> Vec<u8> {
        let local = {
            let mut last = self.last.lock().await;
            match &*last {
                Some((at, local)) if at.elapsed() < FRESH => local.clone(),
                _ => {
                    let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).lately(Instant::now());
                    let local = Arc::new(look_with(&self.stack, &self.known(), heard).await);
                    *last = Some((Instant::now(), local.clone()));
                    local
                }
            }
        };
        let leased = *self.leased_until.lock().unwrap_or_else(PoisonError::into_inner);
        let pooler_leased = leased.is_some_and(|until| Instant::now() < until);
        let now = Local { clock_ms: clock_ms(), pooler_leased, ..(*local).clone() };
        // maps of strings always serialise
        serde_json::to_vec(&now).unwrap_or_default()
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
