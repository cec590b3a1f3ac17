//! What one repeat cost, out of what clients and observers saw.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::checker::Violation;
use crate::history::{History, Operation, Outcome, Span, Via};

/// The port that is measured.
const POOLED: Via = Via::Vip(6432);
/// How much of the time before the event the picture shows.
pub const BEFORE: Duration = Duration::from_secs(5);
/// How fine the picture is.
pub const BIN: Duration = Duration::from_millis(250);

/// The moments of a repeat, as the recording counts them.
#[derive(Debug, Clone, Copy)]
pub struct Moments {
    /// The event.
    pub event: Duration,
    /// Everything was healed from here on.
    pub healed: Duration,
    /// The end of the recording.
    pub end: Duration,
}

/// What it cost; times in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The longest time from the event to healing without an acknowledgement.
    pub gap: f64,
    /// When that began, after the event.
    pub gap_began: f64,
    /// The longest such time while everything healed.
    pub healing_gap: f64,
    /// Writes that were begun between the event and healing and acknowledged.
    pub acknowledged: usize,
    /// Those that were refused.
    pub failed: usize,
    /// Those of which nobody knows.
    pub unknown: usize,
    /// Acknowledged rows that were missing afterwards.
    pub lost: usize,
    /// Acknowledged writes for each [`BIN`] from [`BEFORE`] the event until healing.
    pub bins: Vec<u32>,
}

impl Figures {
    /// Writes that did not take place.
    pub fn refused(&self) -> f64 {
        count(self.failed)
    }

    /// Writes that may be in or not.
    pub fn open(&self) -> f64 {
        count(self.unknown)
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

/// Computes them.
pub fn figures(history: &History, violations: &[Violation], moments: Moments) -> Figures {
    let event = Span { from: moments.event, to: moments.healed };
    let gap = history.longest_gap(POOLED, event);
    let healing = history.longest_gap(POOLED, Span { from: moments.healed, to: moments.end });
    let count = |outcome| history.ended_so(POOLED, outcome, event);
    let acknowledged = history.acknowledged().filter(|operation| operation.via == POOLED);
    Figures {
        gap: milliseconds(gap.length()),
        gap_began: milliseconds(gap.from.saturating_sub(moments.event)),
        healing_gap: milliseconds(healing.length()),
        acknowledged: count(Outcome::Acknowledged),
        failed: count(Outcome::Failed),
        unknown: count(Outcome::Unknown),
        lost: lost(violations),
        bins: bins(acknowledged, moments),
    }
}

/// In seconds; more digits than that say nothing.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

fn bins<'a>(acknowledged: impl Iterator<Item = &'a Operation>, moments: Moments) -> Vec<u32> {
    let place = |at: Duration| {
        let since = (at + BEFORE).checked_sub(moments.event)?;
        usize::try_from(since.as_nanos() / BIN.as_nanos()).ok()
    };
    let mut bins = vec![0; place(moments.healed).unwrap_or_default()];
    for operation in acknowledged {
        if let Some(bin) = place(operation.ended).and_then(|place| bins.get_mut(place)) {
            *bin += 1;
        }
    }
    bins
}

/// How many acknowledged rows are missing on a node.
fn lost(violations: &[Violation]) -> usize {
    let lost = violations.iter().filter_map(|violation| match violation {
        Violation::Lost { ids, .. } => Some(ids.len()),
        _ => None,
    });
    lost.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn write(id: i64, via: Via, at: f64, outcome: Outcome) -> Operation {
        let at = Duration::from_secs_f64(at);
        Operation { id, via, began: at, ended: at, outcome, origin: None, reason: None }
    }

    fn moments(event: u64, healed: u64, end: u64) -> Moments {
        let [event, healed, end] = [event, healed, end].map(Duration::from_secs);
        Moments { event, healed, end }
    }

    #[test]
    fn the_gap_is_that_of_the_pooler_between_the_event_and_healing() {
        let ok = Outcome::Acknowledged;
        let mut operations: Vec<Operation> = [1.0, 9.9, 10.1, 13.0, 15.0, 19.9, 20.5, 24.0]
            .iter()
            .zip(0..)
            .map(|(at, id)| write(id, POOLED, *at, ok))
            .collect();
        operations.push(write(100, Via::Vip(5000), 12.0, ok));
        operations.push(write(101, POOLED, 12.0, Outcome::Failed));
        operations.push(write(102, POOLED, 12.5, Outcome::Unknown));
        operations.push(write(103, POOLED, 5.0, Outcome::Failed));
        let history = History { operations, vip: Vec::new() };
        let figures = figures(&history, &[], moments(10, 20, 25));
        let rounded =
            [figures.gap, figures.gap_began, figures.healing_gap].map(|figure| format!("{figure:.1}")).join(" ");
        assert_eq!(rounded, "4.9 5.0 3.5");
        assert_eq!((figures.acknowledged, figures.failed, figures.unknown), (4, 1, 1));
    }

    #[test]
    fn bins_count_from_before_the_event_until_healing() {
        let ok = Outcome::Acknowledged;
        let operations = [4.9, 5.0, 5.1, 10.0, 11.9, 12.1].iter().map(|at| write(1, POOLED, *at, ok)).collect();
        let figures = figures(&History { operations, vip: Vec::new() }, &[], moments(10, 12, 20));
        assert_eq!(figures.bins.len(), 28);
        assert_eq!((figures.bins[0], figures.bins[20], figures.bins[27]), (2, 1, 1));
        assert_eq!(figures.bins.iter().sum::<u32>(), 4);
    }

    #[test]
    fn an_event_at_the_beginning_has_empty_bins_before_it() {
        let operations = vec![write(1, POOLED, 1.0, Outcome::Acknowledged)];
        let figures = figures(&History { operations, vip: Vec::new() }, &[], moments(1, 2, 3));
        assert_eq!((figures.bins.len(), figures.bins[20]), (24, 1));
    }

    #[test]
    fn rows_that_all_nodes_lack_count_once() {
        let missing = |node, ids: &[i64]| Violation::Lost { node, ids: ids.iter().copied().collect::<BTreeSet<_>>() };
        assert_eq!(lost(&[missing(1, &[1, 2]), missing(2, &[1, 2]), missing(3, &[1])]), 2);
        assert_eq!(lost(&[]), 0);
    }
}
