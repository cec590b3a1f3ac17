//! Judges what a scenario recorded, and finds out what the nodes have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pgstack_cluster_view::Observer;
use pgstack_lab::Lab;

use crate::checker::{Found, Violation, durability, one_owner, one_writer, one_writer_for};
use crate::cluster;
use crate::history::{History, Operation, Span, Via};
use crate::load::rows_on;
use crate::times::{Durability, Times};

/// One thing that had to be so.
#[derive(Debug, Clone)]
pub struct Check {
    /// What, with its figure.
    pub what: String,
    /// Whether it was.
    pub holds: bool,
}

/// D, W and V beside what the scenario itself has checked. `found`: where the nodes came together again.
pub(super) fn judge(
    mut checks: Vec<Check>,
    history: History,
    found: Option<&Found>,
    times: &Times,
    end: Duration,
    cut_off: &[Span],
) -> Played {
    // without a watchdog, and without a replica that has to agree, an old primary whose Patroni
    // stands still goes on for those who ask it directly; nobody may get there through the VIP
    let lenient = times.durability == Durability::Async;
    let mut violations = one_writer_for(&history, |op| !lenient || matches!(op.via, Via::Vip(_)));
    if lenient {
        let direct = one_writer(&history).into_iter().filter(|violation| !violations.contains(violation));
        checks.extend(direct.map(|found| Check { what: format!("only for direct clients: {found}"), holds: true }));
    }
    violations.extend(found.map(|found| durability(&history, found)).unwrap_or_default());
    violations.extend(one_owner(&history, end, times.two_owners(), cut_off));
    let unsigned = history.acknowledged().filter(|operation| operation.origin.is_none()).count();
    if unsigned > 0 {
        checks.push(Check { what: format!("{unsigned} acknowledgements do not say whose they are"), holds: false });
    }
    if history.owners(1, end).is_empty() {
        checks.push(Check { what: "nobody was seen to have the VIP".to_owned(), holds: false });
    }
    let mut lost = 0;
    for violation in &violations {
        // asynchronous replication may lose what a failover leaves behind, on all nodes alike
        match violation {
            Violation::Lost { ids, .. }
                if lenient && is_same_everywhere(violation, &violations) && left_behind(&history, ids, times) =>
            {
                lost = ids.len();
            }
            other => checks.push(Check { what: other.to_string(), holds: false }),
        }
    }
    if lost > 0 {
        checks.push(Check { what: format!("{lost} rows lost, which asynchronous replication permits"), holds: true });
    }
    Played { checks, history, violations }
}

/// How a scenario ended.
#[derive(Debug)]
pub struct Played {
    /// What had to be so.
    pub checks: Vec<Check>,
    /// What clients saw.
    pub history: History,
    /// What the checker found.
    pub violations: Vec<Violation>,
}

impl Played {
    /// Whether everything was as it had to be.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }
}

fn is_same_everywhere(violation: &Violation, all: &[Violation]) -> bool {
    let Violation::Lost { ids, .. } = violation else { return false };
    let same = |other: &&Violation| matches!(other, Violation::Lost { ids: lost, .. } if lost == ids);
    all.iter().filter(same).count() >= 3
}

/// Whether each of these rows was acknowledged on a timeline that ended, when its end had already begun or even later.
fn left_behind(history: &History, ids: &BTreeSet<i64>, times: &Times) -> bool {
    let mut first: BTreeMap<u32, Duration> = BTreeMap::new();
    for operation in history.acknowledged() {
        let Some(origin) = operation.origin else { continue };
        let at = first.entry(origin.timeline).or_insert(operation.ended);
        *at = (*at).min(operation.ended);
    }
    let reach = Duration::from_secs_f64(times.node_gone(true));
    let excused = |operation: &Operation| {
        let Some(origin) = operation.origin else { return false };
        let successor = first.range(origin.timeline + 1..).map(|(_, began)| *began).min();
        successor.is_some_and(|began| operation.ended + reach >= began)
    };
    history.acknowledged().filter(|operation| ids.contains(&operation.id)).all(excused)
}

/// Everything leads or streams, and rows go through every port.
pub async fn is_whole(lab: &Lab) -> bool {
    all_stream(lab, &Observer::new()).await && lab.verify(Duration::from_secs(10)).await.is_ok()
}

/// All members lead or stream, on one timeline, by the word of each.
pub async fn all_stream(lab: &Lab, observer: &Observer) -> bool {
    let Ok(machines) = lab.machines().await else { return false };
    let (mut primaries, mut timelines) = (0, BTreeSet::new());
    for machine in &machines {
        let Some(instance) = observer.instance_at(machine.address()).await else { return false };
        if !instance.takes_writes() && !instance.streams() {
            return false;
        }
        primaries += usize::from(instance.takes_writes());
        timelines.insert(instance.timeline);
    }
    primaries == 1 && timelines.len() == 1
}

pub(super) async fn timeline(lab: &Lab, observer: &Observer) -> Option<u64> {
    let mut newest = None;
    for machine in lab.machines().await.ok()? {
        let instance = observer.instance_at(machine.address()).await;
        newest = newest.max(instance.and_then(|instance| instance.timeline));
    }
    newest
}

/// What each node has, once each has what the primary had at one moment.
pub(super) async fn found(lab: &Lab, table: &str) -> Found {
    let leader = cluster::leader(lab).await;
    let machines = lab.machines().await.expect("machines");
    let limit = Duration::from_secs(60);
    let reference = rows_on(lab, &leader, table, limit).await;
    let mut rows = BTreeMap::new();
    for machine in &machines {
        // nothing is written any more, so a replica catches up or differs for good
        let mut of_node = rows_on(lab, machine, table, limit).await;
        for _ in 0..100 {
            if of_node == reference {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            of_node = rows_on(lab, machine, table, limit).await;
        }
        rows.insert(machine.id(), of_node);
    }
    Found { rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Origin, Outcome, VipChange};

    const VIP: VipChange = VipChange { at: Duration::ZERO, node: 1, held: true };

    fn times(durability: Durability) -> Times {
        Times {
            ttl: 30.0,
            loop_wait: 10.0,
            retry_timeout: 10.0,
            advert: 1.0,
            check_fails: 3.0,
            proxy_up: 2.0,
            proxy_silent: 8.0,
            login_retry: 1.0,
            durability,
        }
    }

    fn ack(id: i64, via: Via, second: u64, node: u8, timeline: u32) -> Operation {
        let at = Duration::from_secs(second);
        let origin = Some(Origin { node, timeline });
        Operation { id, via, began: at, ended: at, outcome: Outcome::Acknowledged, origin, reason: None }
    }

    fn passes(durability: Durability, operations: Vec<Operation>, rows: [&[i64]; 3]) -> bool {
        let rows = (1..).zip(rows).map(|(node, ids)| (node, ids.iter().copied().collect()));
        let (found, history) = (Found { rows: rows.collect() }, History { operations, vip: vec![VIP] });
        let end = Duration::from_secs(60);
        judge(Vec::new(), history, Some(&found), &times(durability), end, &[]).passed()
    }

    #[test]
    fn a_row_that_is_lost_everywhere_is_permitted_to_asynchronous_replication_alone() {
        let pooled = |id, second, node, timeline| ack(id, Via::Vip(6432), second, node, timeline);
        let written = || vec![pooled(1, 1, 1, 1), pooled(2, 2, 1, 1), pooled(3, 30, 2, 2)];
        let left: [&[i64]; 3] = [&[1, 3], &[1, 3], &[1, 3]];
        assert!(passes(Durability::Async, written(), left));
        assert!(!passes(Durability::Sync, written(), left));
        assert!(!passes(Durability::Strict, written(), left));
        // nodes that differ are broken in any mode
        assert!(!passes(Durability::Async, written(), [&[1, 3], &[1, 2, 3], &[1, 3]]));
        // where nobody took over, nothing was left behind, nor was what came long before
        assert!(!passes(Durability::Async, written()[..2].to_vec(), [&[1], &[1], &[1]]));
        let early = vec![pooled(1, 1, 1, 1), pooled(2, 2, 1, 1), pooled(3, 300, 2, 2)];
        assert!(!passes(Durability::Async, early, left));
    }

    #[test]
    fn an_acknowledgement_of_nobody_proves_nothing() {
        let nobody = Operation { origin: None, ..ack(1, Via::Vip(6432), 1, 1, 1) };
        assert!(!passes(Durability::Strict, vec![nobody], [&[1], &[1], &[1]]));
    }

    #[test]
    fn an_old_primary_may_go_on_for_direct_clients_of_asynchronous_replication_alone() {
        let written = |via| vec![ack(1, Via::Vip(6432), 1, 2, 2), ack(2, via, 5, 1, 1)];
        let all: [&[i64]; 3] = [&[1, 2], &[1, 2], &[1, 2]];
        assert!(passes(Durability::Async, written(Via::Node(1)), all));
        assert!(!passes(Durability::Strict, written(Via::Node(1)), all));
        assert!(!passes(Durability::Async, written(Via::Vip(5000)), all));
        // one timeline with two writers is split brain in any mode
        let split = vec![ack(1, Via::Node(2), 1, 2, 2), ack(2, Via::Node(1), 5, 1, 2)];
        assert!(!passes(Durability::Async, split, all));
    }
}
