//! Pauses all poolers at once, or none.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgstack_cluster_view::{NotPaused, PAUSE_NOTICE, PoolerConsole, Postgres};
use pgstack_topology::Node;

use super::SwitchoverRefusal;
use crate::DeployError;
use crate::site::Site;

/// How long a pause lasts when nobody ends it; the agent allows no more.
pub(super) const LEASE: Duration = Duration::from_secs(9);
/// The consoles are of no use for longer.
const CONSOLE: Duration = Duration::from_secs(60);

/// One pooler whose clients wait.
pub(super) struct Paused {
    pub(super) node: Node,
    console: PoolerConsole,
    /// Not before this moment its clients began to wait.
    since: Instant,
}

impl Paused {
    /// When its clients began to wait.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Lets its clients go on; how long they have waited at most, or why it has to end by itself.
    pub(super) async fn resume(&self) -> Result<Duration, String> {
        self.console.resume().await.map_err(|why| why.to_string())?;
        Ok(self.since.elapsed())
    }
}

/// Pauses the poolers of these nodes. Where one cannot be paused, all go on, and nothing has happened.
pub(super) async fn pause(
    site: &Site<'_>,
    primary: &Postgres,
    nodes: &[Node],
    wait: u64,
) -> Result<Vec<Paused>, DeployError> {
    // logged in beforehand: each is to be resumed without a delay
    let consoles = join_all(nodes.iter().map(|&node| async move {
        let console = PoolerConsole::connect(node.ip().addr(), site.superuser(), CONSOLE).await;
        console.map_err(|why| unreachable(node, &why.to_string()))
    }));
    let consoles = consoles.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let asked = nodes.iter().zip(consoles).map(|(&node, console)| async move {
        let since = Instant::now() + PAUSE_NOTICE;
        let outcome = site.observer.pause_pooler(node, &site.env.agent_token, LEASE.as_secs(), wait).await;
        (Paused { node, console, since }, outcome)
    });
    let answers = join_all(asked).await;
    if answers.iter().all(|(_, outcome)| outcome.is_ok()) {
        return Ok(answers.into_iter().map(|(paused, _)| paused).collect());
    }
    // before anything else: clients wait
    let ours = answers.iter().filter(|(_, outcome)| !matches!(outcome, Err(NotPaused::Already)));
    let busy = answers.iter().find(|(_, outcome)| matches!(outcome, Err(NotPaused::Busy)));
    join_all(ours.map(|(paused, _)| paused.resume())).await;
    if let Some((pooler, _)) = busy {
        let transactions = transactions(&pooler.console, primary).await;
        return Err(SwitchoverRefusal::Busy { node: pooler.node.id(), seconds: wait, transactions }.into());
    }
    let failed = answers.iter().find_map(|(paused, outcome)| Some((paused.node, outcome.as_ref().err()?)));
    Err(match failed {
        Some((node, NotPaused::Failed(why))) => unreachable(node, why),
        Some((node, _)) => SwitchoverRefusal::PoolerPaused { node: node.id() }.into(),
        None => SwitchoverRefusal::NoQuorum.into(),
    })
}

fn unreachable(node: Node, why: &str) -> DeployError {
    SwitchoverRefusal::PoolerUnreachable { node: node.id(), reason: why.to_owned() }.into()
}

/// Who holds the transactions that a pooler waits for. No statement is shown: it may hold what is nobody's business.
async fn transactions(console: &PoolerConsole, primary: &Postgres) -> Vec<String> {
    let Ok(pids) = console.busy().await else { return Vec::new() };
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let sql = format!(
        "SELECT pid, usename, datname, application_name, state, round(extract(epoch FROM clock_timestamp() - xact_start)) \
         FROM pg_catalog.pg_stat_activity WHERE pid = ANY (ARRAY[{}]::int[]) AND xact_start IS NOT NULL \
         AND clock_timestamp() - xact_start > interval '1 s' ORDER BY xact_start LIMIT 10",
        pids.join(",")
    );
    let rows = primary.rows(&sql).await.unwrap_or_default();
    let text = |row: &[Option<String>], at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    let line = |row: &Vec<Option<String>>| {
        format!(
            "pid {}: {} in {} ({}), {}, for {} s",
            text(row, 0),
            text(row, 1).escape_debug(),
            text(row, 2).escape_debug(),
            text(row, 3).escape_debug(),
            text(row, 4),
            text(row, 5)
        )
    };
    rows.iter().map(line).collect()
}
