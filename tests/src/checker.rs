//! Judges a recorded history: durability (D), one writer (W), one owner of the VIP (V). Pure. It
//! calls something a violation only where no order of events could excuse it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::history::{History, Operation, Origin, Outcome, Span};

/// What was found after everything had been healed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The keys that each node's own PostgreSQL has.
    pub rows: BTreeMap<u8, BTreeSet<i64>>,
}

/// What a correct system would not have done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// D: rows that were acknowledged are not on a node.
    Lost {
        /// The node.
        node: u8,
        /// The keys.
        ids: BTreeSet<i64>,
    },
    /// D: rows are on a node of which a client was told that they are not in, or that nobody wrote.
    Risen {
        /// The node.
        node: u8,
        /// The keys.
        ids: BTreeSet<i64>,
    },
    /// W: two nodes wrote on one timeline.
    SharedTimeline {
        /// The timeline.
        timeline: u32,
        /// Who wrote on it.
        nodes: BTreeSet<u8>,
    },
    /// W: a node acknowledged a write that began when a later timeline had acknowledged one already.
    TwoWriters {
        /// Who wrote although it was over.
        old: Origin,
        /// Who had taken over.
        new: Origin,
        /// How many such writes.
        writes: usize,
        /// How long the last of them came after the first of the successor.
        overlap: Duration,
    },
    /// V: two nodes had the VIP for too long.
    TwoOwners {
        /// Who.
        nodes: BTreeSet<u8>,
        /// From when to when.
        from: Duration,
        /// Its end.
        to: Duration,
    },
}

impl Violation {
    /// Its letter in reference to the scenarios: D, W or V.
    pub fn letter(&self) -> char {
        match self {
            Self::Lost { .. } | Self::Risen { .. } => 'D',
            Self::SharedTimeline { .. } | Self::TwoWriters { .. } => 'W',
            Self::TwoOwners { .. } => 'V',
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |ids: &BTreeSet<i64>| ids.iter().take(5).map(i64::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Lost { node, ids } => {
                write!(f, "D: {} acknowledged rows are not on node {node}: {}, ...", ids.len(), some(ids))
            }
            Self::Risen { node, ids } => {
                write!(f, "D: {} rows are on node {node} that were refused: {}, ...", ids.len(), some(ids))
            }
            Self::SharedTimeline { timeline, nodes } => {
                write!(f, "W: nodes {nodes:?} all wrote on timeline {timeline}")
            }
            Self::TwoWriters { old, new, writes, overlap } => write!(
                f,
                "W: node {} acknowledged {writes} writes on timeline {} up to {:.3} s after node {} had acknowledged on {}",
                old.node,
                old.timeline,
                overlap.as_secs_f64(),
                new.node,
                new.timeline
            ),
            Self::TwoOwners { nodes, from, to } => write!(
                f,
                "V: nodes {nodes:?} had the VIP together for {:.3} s, from {:.1} s on",
                to.saturating_sub(*from).as_secs_f64(),
                from.as_secs_f64()
            ),
        }
    }
}

/// D: nothing that was acknowledged is missing, and nothing that was refused is there, on any node.
pub fn durability(history: &History, found: &Found) -> Vec<Violation> {
    let with = |outcome: Outcome| -> BTreeSet<i64> {
        history
            .operations
            .iter()
            .filter(|operation| operation.outcome == outcome)
            .map(|operation| operation.id)
            .collect()
    };
    let (acknowledged, unknown) = (with(Outcome::Acknowledged), with(Outcome::Unknown));
    let mut violations = Vec::new();
    for (&node, rows) in &found.rows {
        let lost: BTreeSet<i64> = acknowledged.difference(rows).copied().collect();
        if !lost.is_empty() {
            violations.push(Violation::Lost { node, ids: lost });
        }
        let risen = rows.iter().filter(|id| !acknowledged.contains(id) && !unknown.contains(id));
        let risen: BTreeSet<i64> = risen.copied().collect();
        if !risen.is_empty() {
            violations.push(Violation::Risen { node, ids: risen });
        }
    }
    violations
}

/// W: each timeline has one writer, and once a later one has acknowledged a write, no earlier one
/// acknowledges a write that begins after that.
pub fn one_writer(history: &History) -> Vec<Violation> {
    one_writer_for(history, |_| true)
}

/// The same, where only some operations may be guilty; who has taken over is known from all.
pub fn one_writer_for(history: &History, guilty: impl Fn(&Operation) -> bool) -> Vec<Violation> {
    let known = |operation: &&Operation| operation.outcome == Outcome::Acknowledged;
    let written: Vec<(Origin, &Operation)> = history
        .operations
        .iter()
        .filter(known)
        .filter_map(|operation| operation.origin.map(|origin| (origin, operation)))
        .collect();
    let mut writers: BTreeMap<u32, BTreeSet<u8>> = BTreeMap::new();
    // by the end of this operation, its timeline had surely begun
    let mut first: BTreeMap<Origin, Duration> = BTreeMap::new();
    for (origin, operation) in &written {
        writers.entry(origin.timeline).or_default().insert(origin.node);
        let earliest = first.entry(*origin).or_insert(operation.ended);
        *earliest = (*earliest).min(operation.ended);
    }
    let shared = writers.into_iter().filter(|(_, nodes)| nodes.len() > 1);
    let mut violations: Vec<Violation> =
        shared.map(|(timeline, nodes)| Violation::SharedTimeline { timeline, nodes }).collect();
    // of all successors, the one that acknowledged first
    let successor =
        |old: Origin| first.iter().filter(|(new, _)| new.timeline > old.timeline).min_by_key(|(_, ended)| **ended);
    let mut late: BTreeMap<(Origin, Origin), (usize, Duration)> = BTreeMap::new();
    for (old, operation) in &written {
        let Some((new, begun)) = successor(*old) else { continue };
        if operation.began > *begun && guilty(operation) {
            let (count, overlap) = late.entry((*old, *new)).or_default();
            *count += 1;
            *overlap = (*overlap).max(operation.began.saturating_sub(*begun));
        }
    }
    violations.extend(late.into_iter().map(|((old, new), (writes, overlap))| Violation::TwoWriters {
        old,
        new,
        writes,
        overlap,
    }));
    violations
}

/// V: two nodes never have the VIP for longer than `allowed`, but for spans in which they were cut off
/// from each other: then neither can know of the other.
pub fn one_owner(history: &History, end: Duration, allowed: Duration, cut_off: &[Span]) -> Vec<Violation> {
    // what touches belongs together: a third owner does not start the clock anew
    let mut together: Vec<(Span, BTreeSet<u8>)> = Vec::new();
    for (span, nodes) in history.owners(2, end) {
        match together.last_mut() {
            Some((last, who)) if last.to == span.from => {
                last.to = span.to;
                who.extend(nodes);
            }
            _ => together.push((span, nodes)),
        }
    }
    let mut violations = Vec::new();
    for (span, nodes) in together {
        for left in outside(span, cut_off) {
            if left.length() > allowed {
                violations.push(Violation::TwoOwners { nodes: nodes.clone(), from: left.from, to: left.to });
            }
        }
    }
    violations
}

/// What is left of a span outside of others.
fn outside(span: Span, others: &[Span]) -> Vec<Span> {
    others.iter().fold(vec![span], |left, other| {
        let cut = |piece: Span| {
            let before = Span { from: piece.from, to: piece.to.min(other.from) };
            let after = Span { from: piece.from.max(other.to), to: piece.to };
            [before, after].into_iter().filter(|piece| piece.from < piece.to)
        };
        left.into_iter().flat_map(cut).collect()
    })
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
