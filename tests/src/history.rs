//! What clients and observers saw: the recorder's side of a checker. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The database said that the row is in.
    Acknowledged,
    /// The database said that it is not, or was never asked.
    Failed,
    /// The connection broke, or no answer came in time: it may be in or not.
    Unknown,
}

/// Which way a client went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// Through the VIP, at this port.
    Vip(u16),
    /// Straight to the PostgreSQL of this node.
    Node(u8),
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vip(port) => write!(f, "VIP:{port}"),
            Self::Node(node) => write!(f, "node {node}"),
        }
    }
}

/// Who acknowledged: the database's own word, given in the answer to the write itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The node.
    pub node: u8,
    /// The timeline that it wrote on.
    pub timeline: u32,
}

/// One row that a client tried to write. Times count from the start of the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The row's key, never used twice.
    pub id: i64,
    /// Which way it went.
    pub via: Via,
    /// When it was begun.
    pub began: Duration,
    /// When its outcome was known.
    pub ended: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// Who acknowledged it, where that is known.
    pub origin: Option<Origin>,
    /// What went wrong.
    pub reason: Option<String>,
}

/// The VIP appeared on a node, or left it, by the word of that node's kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VipChange {
    /// When.
    pub at: Duration,
    /// The node.
    pub node: u8,
    /// Whether it has the address from now on.
    pub held: bool,
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
}

impl Span {
    /// How long it is.
    pub fn length(self) -> Duration {
        self.to.saturating_sub(self.from)
    }
}

/// Everything that was recorded.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Every operation of every client, in the order in which they ended.
    pub operations: Vec<Operation>,
    /// Every change of the VIP, in order.
    pub vip: Vec<VipChange>,
}

impl History {
    /// How many operations ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.operations.iter().filter(|operation| operation.outcome == outcome).count()
    }

    /// Those that went through the VIP.
    pub fn through_the_vip(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(|operation| matches!(operation.via, Via::Vip(_)))
    }

    /// Those that were acknowledged.
    pub fn acknowledged(&self) -> impl DoubleEndedIterator<Item = &Operation> {
        self.operations.iter().filter(|operation| operation.outcome == Outcome::Acknowledged)
    }

    /// The longest time within `span` in which no write that went that way was acknowledged.
    pub fn longest_gap(&self, via: Via, span: Span) -> Span {
        let mut moments: Vec<Duration> = self
            .acknowledged()
            .filter(|operation| operation.via == via && operation.ended > span.from && operation.ended < span.to)
            .map(|operation| operation.ended)
            .chain([span.from, span.to])
            .collect();
        moments.sort_unstable();
        let gaps = moments.windows(2).map(|pair| Span { from: pair[0], to: pair[1] });
        gaps.max_by_key(|gap| gap.length()).unwrap_or(span)
    }

    /// How many operations through the VIP's port that began within `span` ended so.
    pub fn ended_so(&self, via: Via, outcome: Outcome, span: Span) -> usize {
        let within = |operation: &&Operation| operation.began >= span.from && operation.began <= span.to;
        let such = |operation: &&Operation| operation.via == via && operation.outcome == outcome;
        self.operations.iter().filter(within).filter(such).count()
    }

    /// The spans in which at least `least` nodes had the VIP, up to `end`.
    pub fn owners(&self, least: usize, end: Duration) -> Vec<(Span, BTreeSet<u8>)> {
        let mut spans = Vec::new();
        let mut held: BTreeSet<u8> = BTreeSet::new();
        let mut since = Duration::ZERO;
        let changes = self.vip.iter().map(|change| (change.at, Some(*change))).chain([(end, None)]);
        for (at, change) in changes {
            if held.len() >= least && at > since {
                spans.push((Span { from: since, to: at }, held.clone()));
            }
            since = at;
            match change {
                Some(VipChange { node, held: true, .. }) => drop(held.insert(node)),
                Some(VipChange { node, held: false, .. }) => drop(held.remove(&node)),
                None => {}
            }
        }
        spans
    }

    /// The different reasons of what was not acknowledged through the VIP.
    pub fn reasons(&self) -> BTreeSet<&str> {
        self.through_the_vip().filter_map(|operation| operation.reason.as_deref()).collect()
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |outcome| self.through_the_vip().filter(|operation| operation.outcome == outcome).count();
        write!(
            f,
            "{} acknowledged, {} failed, {} unknown",
            count(Outcome::Acknowledged),
            count(Outcome::Failed),
            count(Outcome::Unknown)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn acknowledged(id: i64, ended: u64) -> Operation {
        let (began, ended) = (at(ended), at(ended));
        Operation { id, via: Via::Vip(6432), began, ended, outcome: Outcome::Acknowledged, origin: None, reason: None }
    }

    #[test]
    fn the_longest_gap_may_lie_at_either_end() {
        let operations = vec![acknowledged(1, 3), acknowledged(2, 4), acknowledged(3, 9)];
        let history = History { operations, vip: Vec::new() };
        let gap = |from, to| history.longest_gap(Via::Vip(6432), Span { from: at(from), to: at(to) });
        assert_eq!(gap(0, 10), Span { from: at(4), to: at(9) });
        assert_eq!(gap(0, 30), Span { from: at(9), to: at(30) });
        assert_eq!(gap(5, 8), Span { from: at(5), to: at(8) });
        assert_eq!(history.longest_gap(Via::Vip(5000), Span { from: at(0), to: at(9) }).length(), at(9));
    }

    #[test]
    fn owners_are_counted_by_what_the_kernels_said() {
        let change = |second, node, held| VipChange { at: at(second), node, held };
        let vip = vec![change(0, 1, true), change(5, 2, true), change(6, 1, false), change(8, 2, false)];
        let history = History { operations: Vec::new(), vip };
        assert_eq!(history.owners(2, at(10)), [(Span { from: at(5), to: at(6) }, BTreeSet::from([1, 2]))]);
        let none: Vec<Span> =
            history.owners(0, at(10)).into_iter().filter(|(_, who)| who.is_empty()).map(|(span, _)| span).collect();
        assert_eq!(none, [Span { from: at(8), to: at(10) }]);
    }
}
