//! A client that writes all the time, and a recorder that forgets nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pgstack_lab::{Endpoint, Lab};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio_postgres::SimpleQueryMessage;

use crate::cluster::{eventually, until_it_works};
pub use crate::history::Outcome;

/// How long a connection or a statement may take before the client gives it up.
const LIMIT: Duration = Duration::from_secs(10);
/// The client's rhythm: it is to notice short gaps, not to measure throughput.
const REST: Duration = Duration::from_millis(20);

/// One row that the client tried to write.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The row's key, never used twice.
    pub id: i64,
    /// When it was begun, since the client's start.
    pub began: Duration,
    /// When its outcome was known.
    pub ended: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong.
    pub reason: Option<String>,
}

/// Writes rows through VIP:6432 over a connection of its own, each in a transaction of its own,
/// until it is stopped.
#[derive(Debug)]
pub struct Writer {
    table: String,
    stop: Arc<AtomicBool>,
    operations: Arc<Mutex<Vec<Operation>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Makes `table` anew and begins to write into it.
    ///
    /// # Panics
    /// When the cluster takes no writes.
    pub async fn start(lab: &Lab, table: &str) -> Self {
        let setup = format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (id bigint PRIMARY KEY)");
        until_it_works(lab, 5000, &setup, Duration::from_secs(30)).await;
        let endpoint = lab.endpoint(6432).await.expect("an endpoint");
        let (stop, operations, turn) = (Arc::default(), Arc::default(), Arc::default());
        let client = Client { endpoint, table: table.to_owned(), connection: None };
        let task = tokio::spawn(client.write(Arc::clone(&stop), Arc::clone(&operations), Arc::clone(&turn)));
        let writer = Self { table: table.to_owned(), stop, operations, turn, task };
        writer.goes_on(Duration::from_secs(10)).await;
        writer
    }

    /// Waits until one more row is acknowledged that was begun after this call.
    ///
    /// # Panics
    /// When there is none within `limit`.
    pub async fn goes_on(&self, limit: Duration) {
        let known = self.lock().len();
        eventually("a row is acknowledged", limit, async || {
            let operations = self.lock();
            let mut newer = operations.iter().skip(known + 1);
            newer.any(|operation| operation.outcome == Outcome::Acknowledged).then_some(())
        })
        .await;
    }

    /// Lets the operation that runs end, and the next one wait for as long as the result is held.
    pub async fn pause(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// How many operations have ended so far: marks a moment for [`Writer::since`].
    pub fn moment(&self) -> usize {
        self.lock().len()
    }

    /// What has happened since a moment.
    pub fn since(&self, moment: usize) -> History {
        History { table: self.table.clone(), operations: self.lock().iter().skip(moment).cloned().collect() }
    }

    /// Ends the client; everything that it did.
    ///
    /// # Panics
    /// When the client itself broke.
    pub async fn stop(self) -> History {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the client ran to its end");
        let operations = std::mem::take(&mut *self.operations.lock().unwrap_or_else(PoisonError::into_inner));
        History { table: self.table, operations }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Operation>> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part that runs on its own.
struct Client {
    endpoint: Endpoint,
    table: String,
    connection: Option<tokio_postgres::Client>,
}

impl Client {
    async fn write(
        mut self,
        stop: Arc<AtomicBool>,
        operations: Arc<Mutex<Vec<Operation>>>,
        turn: Arc<tokio::sync::Mutex<()>>,
    ) {
        let start = Instant::now();
        for id in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let mine = turn.lock().await;
            let began = start.elapsed();
            let (outcome, reason) = self.insert(id).await;
            if outcome != Outcome::Acknowledged {
                self.connection = None;
            }
            let operation = Operation { id, began, ended: start.elapsed(), outcome, reason };
            operations.lock().unwrap_or_else(PoisonError::into_inner).push(operation);
            drop(mine);
            tokio::time::sleep(REST).await;
        }
    }

    async fn insert(&mut self, id: i64) -> (Outcome, Option<String>) {
        let client = match &mut self.connection {
            Some(client) => client,
            none => match self.endpoint.connect(LIMIT).await {
                Ok(client) => none.insert(client),
                Err(error) => return (Outcome::Failed, Some(error.to_string())),
            },
        };
        let sql = format!("INSERT INTO {} VALUES ({id})", self.table);
        match tokio::time::timeout(LIMIT, client.simple_query(&sql)).await {
            Ok(Ok(messages)) if messages.iter().any(|part| matches!(part, SimpleQueryMessage::CommandComplete(1))) => {
                (Outcome::Acknowledged, None)
            }
            Ok(Ok(_)) => (Outcome::Failed, Some("no row was written".to_owned())),
            Ok(Err(error)) => told(&error),
            Err(_) => (Outcome::Unknown, Some("no answer in time".to_owned())),
        }
    }
}

/// A session that the server ends (57P…), and PgBouncer's word that its server is gone (08…), may
/// come after the commit; so may a broken connection. Any other error is a refusal, and so is
/// PgBouncer's word that it gets no server at all.
pub(crate) fn told(error: &tokio_postgres::Error) -> (Outcome, Option<String>) {
    let Some(database) = error.as_db_error() else { return (Outcome::Unknown, Some(error.to_string())) };
    let code = database.code().code();
    let never_sent = database.message().starts_with("server login has been failing");
    let may_be_in = code.starts_with("57P") || code.starts_with("08") && !never_sent;
    let outcome = if may_be_in { Outcome::Unknown } else { Outcome::Failed };
    (outcome, Some(format!("{code}: {}", database.message())))
}

/// What a client saw. Printed, it tells the figures.
#[derive(Debug, Clone)]
pub struct History {
    table: String,
    operations: Vec<Operation>,
}

impl History {
    /// The keys of the rows with that outcome.
    pub fn ids(&self, outcome: Outcome) -> BTreeSet<i64> {
        self.operations.iter().filter(|operation| operation.outcome == outcome).map(|operation| operation.id).collect()
    }

    /// Those that were not acknowledged.
    pub fn troubles(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(|operation| operation.outcome != Outcome::Acknowledged)
    }

    /// The longest time without an acknowledgement, and when it began.
    pub fn longest_gap(&self) -> (Duration, Duration) {
        let acknowledged = self.operations.iter().filter(|operation| operation.outcome == Outcome::Acknowledged);
        let first = self.operations.first().map(|operation| operation.began);
        let last = self.operations.last().map(|operation| operation.ended);
        let moments: Vec<Duration> =
            first.into_iter().chain(acknowledged.map(|operation| operation.ended)).chain(last).collect();
        let gaps = moments.windows(2).map(|pair| (pair[1].saturating_sub(pair[0]), pair[0]));
        gaps.max().unwrap_or_default()
    }

    /// Every acknowledged row is in the database, and none of which it said that it is not.
    ///
    /// # Panics
    /// When that is not so.
    pub async fn holds(&self, lab: &Lab) {
        let sql = format!("SELECT string_agg(id::text, ' ') FROM {}", self.table);
        let found = until_it_works(lab, 5000, &sql, Duration::from_secs(30)).await.unwrap_or_default();
        let found: BTreeSet<i64> = found.split_whitespace().map(|id| id.parse().expect("a number")).collect();
        let missing: Vec<i64> = self.ids(Outcome::Acknowledged).difference(&found).copied().collect();
        assert!(missing.is_empty(), "acknowledged rows are missing: {missing:?}\n{self}");
        let risen: Vec<i64> = self.ids(Outcome::Failed).intersection(&found).copied().collect();
        assert!(risen.is_empty(), "rows are there that were refused: {risen:?}\n{self}");
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |outcome| self.ids(outcome).len();
        let (gap, at) = self.longest_gap();
        write!(
            f,
            "{} acknowledged, {} failed, {} unknown; longest gap {:.3} s, at {:.1} s",
            count(Outcome::Acknowledged),
            count(Outcome::Failed),
            count(Outcome::Unknown),
            gap.as_secs_f64(),
            at.as_secs_f64()
        )?;
        let reasons: BTreeSet<&str> = self.troubles().filter_map(|operation| operation.reason.as_deref()).collect();
        reasons.iter().try_for_each(|reason| write!(f, "\n  {reason}"))
    }
}
