//! The latest snapshot, shared by all who look. It is renewed only while somebody asks, and never once per request.

use std::sync::Arc;
use std::time::Duration;

use pgstack_health::{Finding, Snapshot, examine};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// The least time between two snapshots.
const REST: Duration = Duration::from_secs(2);
/// What is older is not shown any more; who asks then waits for the next one.
const FRESH: Duration = Duration::from_secs(5);

/// A snapshot with its findings.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) snapshot: Snapshot,
    pub(super) findings: Vec<Finding>,
    at: Instant,
}

/// For those who look.
#[derive(Debug, Clone)]
pub(super) struct Latest {
    asked: Arc<Notify>,
    seen: watch::Receiver<Option<Arc<Seen>>>,
}

/// For the one who renews.
#[derive(Debug)]
pub(super) struct Renewal {
    asked: Arc<Notify>,
    seen: watch::Sender<Option<Arc<Seen>>>,
}

impl Latest {
    /// Nothing is known yet.
    pub(super) fn new() -> (Self, Renewal) {
        let asked = Arc::new(Notify::new());
        let (sender, receiver) = watch::channel(None);
        (Self { asked: Arc::clone(&asked), seen: receiver }, Renewal { asked, seen: sender })
    }

    /// What is known, at most some seconds old; `None` only when the server ends.
    pub(super) async fn get(&self) -> Option<Arc<Seen>> {
        let mut seen = self.seen.clone();
        self.asked.notify_one();
        let is_fresh = |seen: &Option<Arc<Seen>>| seen.as_ref().is_some_and(|seen| seen.at.elapsed() < FRESH);
        seen.wait_for(is_fresh).await.ok()?.clone()
    }
}

/// Renews the snapshot as long as somebody asks.
pub(super) async fn renew<F: Future<Output = Snapshot>>(renewal: Renewal, gather: impl Fn() -> F) {
    loop {
        renewal.asked.notified().await;
        let began = Instant::now();
        let snapshot = gather().await;
        let findings = examine(&snapshot);
        renewal.seen.send_replace(Some(Arc::new(Seen { snapshot, findings, at: began })));
        sleep_until(began + REST).await;
    }
}
