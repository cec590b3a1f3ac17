//! Many clients that write at once, through the VIP and straight to each node, and one recorder.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pgstack_lab::{Endpoint, Lab, Machine, Session};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::cluster::{eventually, until_it_works};
use crate::history::{History, Operation, Origin, Outcome, Via, VipChange};
use crate::writer::told;

/// How long a connection or a statement may take before a client gives it up.
const LIMIT: Duration = Duration::from_secs(10);
/// Each client numbers its rows from here on.
const ROOM: i64 = 1_000_000_000;
/// How often a node is asked directly whether it takes writes.
const PROBE: Duration = Duration::from_millis(250);

/// What is written.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many clients.
    pub clients: u16,
    /// How long each rests between two writes.
    pub rest: Duration,
    /// Which ports of the VIP they take, in turn.
    pub ports: &'static [u16],
}

impl Default for Plan {
    fn default() -> Self {
        Self { clients: 4, rest: Duration::from_millis(20), ports: &[6432, 5000] }
    }
}

/// Where everything is written down.
#[derive(Debug)]
pub(crate) struct Recorder {
    start: Instant,
    history: Mutex<History>,
    stop: AtomicBool,
}

impl Recorder {
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn push(&self, id: i64, via: Via, began: Duration, (outcome, origin, reason): Ended) -> Operation {
        let mut history = self.lock();
        let operation = Operation { id, via, began, ended: self.now(), outcome, origin, reason };
        history.operations.push(operation.clone());
        operation
    }

    pub(crate) fn vip(&self, node: u8, held: bool) {
        let at = self.now();
        self.lock().vip.push(VipChange { at, node, held });
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clients at work. Each row is a transaction of its own over a connection that is kept.
#[derive(Debug)]
pub struct Load {
    table: String,
    ports: &'static [u16],
    recorder: Arc<Recorder>,
    tasks: Vec<JoinHandle<()>>,
    _end: End,
}

/// Ends the clients of a load that nobody stops, as where a test breaks off: they would burden the next one.
#[derive(Debug)]
struct End(Arc<Recorder>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

impl Load {
    /// Makes `table` anew and begins to write into it.
    ///
    /// # Panics
    /// When the cluster takes no writes.
    pub async fn start(lab: &Lab, table: &str, plan: Plan) -> Self {
        let setup = format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (id bigint PRIMARY KEY)");
        until_it_works(lab, 5000, &setup, Duration::from_secs(30)).await;
        let machines = lab.machines().await.expect("machines");
        let pooled = lab.endpoint(6432).await.expect("an endpoint");
        let recorder =
            Arc::new(Recorder { start: Instant::now(), history: Mutex::default(), stop: AtomicBool::new(false) });
        let mut tasks = Vec::new();
        let mut begin = |via: Via, endpoint: Endpoint, rest: Duration| {
            let first = i64::try_from(tasks.len()).expect("few clients") * ROOM;
            let writer = Writer { via, endpoint, table: table.to_owned(), rest, session: None };
            tasks.push(tokio::spawn(writer.write(first, Arc::clone(&recorder))));
        };
        for &port in plan.ports.iter().cycle().take(usize::from(plan.clients)) {
            begin(Via::Vip(port), Endpoint { port, ..pooled.clone() }, plan.rest);
        }
        for machine in &machines {
            let endpoint = Endpoint { address: machine.address(), port: 5432, ..pooled.clone() };
            begin(Via::Node(machine.id()), endpoint, PROBE);
        }
        let vip = lab.vip().await.expect("a VIP");
        tasks.extend(machines.iter().map(|machine| crate::vip_watch::watch(machine, vip, Arc::clone(&recorder))));
        let end = End(Arc::clone(&recorder));
        let load = Self { table: table.to_owned(), ports: plan.ports, recorder, tasks, _end: end };
        load.goes_on(Duration::from_secs(20)).await;
        load
    }

    /// Marks a moment in the recording.
    pub fn now(&self) -> Duration {
        self.recorder.now()
    }

    /// Waits until a write is acknowledged, through each port of the VIP that clients take, that
    /// began after this call.
    ///
    /// # Panics
    /// When there is none within `limit`.
    pub async fn goes_on(&self, limit: Duration) {
        assert!(self.went_on(limit).await, "no write is acknowledged within {limit:?}");
    }

    /// The same; whether it came to pass.
    pub async fn went_on(&self, limit: Duration) -> bool {
        let from = self.now();
        while self.now() < from + limit {
            let all = self.ports.iter().all(|port| self.acknowledged_since(Via::Vip(*port), from));
            if all {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    fn acknowledged_since(&self, via: Via, from: Duration) -> bool {
        let history = self.recorder.lock();
        // in the order in which they ended, so that only the newest need be looked at
        let newest = history.operations.iter().rev().take_while(|operation| operation.ended >= from);
        newest
            .filter(|operation| operation.via == via && operation.began >= from)
            .any(|operation| operation.outcome == Outcome::Acknowledged)
    }

    /// Everything so far.
    pub fn history(&self) -> History {
        self.recorder.lock().clone()
    }

    /// Looks at what has been recorded without copying it.
    pub fn look<T>(&self, at: impl FnOnce(&History) -> T) -> T {
        at(&self.recorder.lock())
    }

    /// Writes one row as a client of its own, whose session `during` may disturb: it gets the
    /// process id of the backend at the same moment.
    ///
    /// # Panics
    /// When no session can be had.
    pub async fn one_write(&self, endpoint: Endpoint, during: impl AsyncFnOnce(i32)) -> Operation {
        let via = Via::Vip(endpoint.port);
        let id = ROOM * 1000 + i64::try_from(self.look(|history| history.operations.len())).expect("fits");
        let mut session = endpoint.session(LIMIT).await.expect("a session");
        let pid: i32 = match first_row(&session.client, "SELECT pg_backend_pid()").await {
            Ok(Some(text)) => text.parse().expect("a number"),
            other => unreachable!("a session answers: {other:?}"),
        };
        let began = self.now();
        let (ended, ()) = tokio::join!(insert(&mut session, &self.table, id), during(pid));
        self.recorder.push(id, via, began, ended)
    }

    /// Ends the clients.
    ///
    /// # Panics
    /// When a client itself broke.
    pub async fn stop(self) -> History {
        self.recorder.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("the client ran to its end");
        }
        std::mem::take(&mut *self.recorder.lock())
    }

    /// Where it writes.
    pub fn table(&self) -> &str {
        &self.table
    }
}

/// The rows of `table` on one node, asked directly.
///
/// # Panics
/// When the node does not answer within `limit`.
pub async fn rows_on(lab: &Lab, machine: &Machine, table: &str, limit: Duration) -> std::collections::BTreeSet<i64> {
    let pooled = lab.endpoint(6432).await.expect("an endpoint");
    let endpoint = Endpoint { address: machine.address(), port: 5432, ..pooled };
    let sql = format!("SELECT coalesce(string_agg(id::text, ' '), '') FROM {table}");
    let found = eventually(&format!("node {} shows its rows", machine.id()), limit, async || {
        endpoint.query(&sql, Duration::from_secs(10)).await.ok().flatten()
    })
    .await;
    found.split_whitespace().map(|id| id.parse().expect("a number")).collect()
}

/// One client.
struct Writer {
    via: Via,
    endpoint: Endpoint,
    table: String,
    rest: Duration,
    session: Option<Session>,
}

impl Writer {
    async fn write(mut self, first: i64, recorder: Arc<Recorder>) {
        for id in first.. {
            if recorder.is_over() {
                return;
            }
            let began = recorder.now();
            let (outcome, origin, reason) = self.one(id).await;
            if outcome != Outcome::Acknowledged {
                self.session = None;
            }
            recorder.push(id, self.via, began, (outcome, origin, reason));
            tokio::time::sleep(self.rest).await;
        }
    }

    async fn one(&mut self, id: i64) -> Ended {
        let session = match &mut self.session {
            Some(session) => session,
            none => match self.endpoint.session(LIMIT).await {
                Ok(session) => none.insert(session),
                Err(error) => return (Outcome::Failed, None, Some(error.to_string())),
            },
        };
        insert(session, &self.table, id).await
    }
}

type Ended = (Outcome, Option<Origin>, Option<String>);

/// The answer to the write itself says who took it: the node by its host name, the timeline by the
/// name of the WAL file. A pooler may serve each write by another node.
async fn insert(session: &mut Session, table: &str, id: i64) -> Ended {
    let sql = format!(
        "INSERT INTO {table} VALUES ({id}) RETURNING trim(E'\\n' FROM pg_read_file('/etc/hostname')) || ' ' || \
         substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"
    );
    let answer = tokio::time::timeout(LIMIT, first_row(&session.client, &sql)).await;
    // PostgreSQL reports success when a wait for a replica was cancelled, and warns
    let warned = std::iter::from_fn(|| session.notices.try_recv().ok()).find(|notice| {
        notice.contains("canceling wait for synchronous replication") || notice.contains("canceling the wait")
    });
    match answer {
        Ok(Ok(Some(_))) if warned.is_some() => (Outcome::Unknown, None, warned),
        Ok(Ok(Some(origin))) => (Outcome::Acknowledged, parse(&origin), None),
        Ok(Ok(None)) => (Outcome::Failed, None, Some("no row was written".to_owned())),
        Ok(Err(error)) => {
            let (outcome, reason) = told(&error);
            (outcome, None, reason)
        }
        Err(_) => (Outcome::Unknown, None, Some("no answer in time".to_owned())),
    }
}

async fn first_row(client: &Client, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

/// `patroni2 0000000A`.
fn parse(text: &str) -> Option<Origin> {
    let (host, timeline) = text.split_once(' ')?;
    let node = host.strip_prefix("patroni")?.parse().ok()?;
    Some(Origin { node, timeline: u32::from_str_radix(timeline, 16).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_from_the_answer() {
        assert_eq!(parse("patroni2 0000000A"), Some(Origin { node: 2, timeline: 10 }));
        assert_eq!(parse("elsewhere 00000001"), None);
    }
}
