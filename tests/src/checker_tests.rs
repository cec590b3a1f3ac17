//! The checker finds every violation that is put into a history, and none in a correct one.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::history::{Via, VipChange};

const ALLOWED: Duration = Duration::from_millis(500);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A history as a correct cluster makes it, and what is found on its nodes at the end.
#[derive(Debug, Clone)]
struct Correct {
    history: History,
    found: Found,
    end: Duration,
}

/// One reign: who writes, for how long, and how long nobody does before it.
type Reign = (u8, u64, u64);
/// One write: in which part of its reign it is committed, how long before that it began, how long
/// after that the answer came, how it ended.
type Write = (Index, u64, u64, u64, u8);

fn correct() -> impl Strategy<Value = Correct> {
    let reigns = vec((1..=3_u8, 100..3000_u64, 0..2000_u64), 2..6);
    let writes = vec((any::<Index>(), 0..3000_u64, 0..4000_u64, 0..4000_u64, 0..10_u8), 1..60);
    let handovers = vec((1..=3_u8, 100..2000_u64, 0..=500_u64), 0..6);
    (reigns, writes, handovers).prop_map(|(reigns, writes, handovers)| simulate(&reigns, &writes, &handovers))
}

fn simulate(reigns: &[Reign], writes: &[Write], handovers: &[(u8, u64, u64)]) -> Correct {
    let mut starts = Vec::new();
    let mut now = 5000;
    for (node, length, pause) in reigns {
        starts.push((*node, now + pause, *length));
        now += pause + length;
    }
    let mut operations = Vec::new();
    let mut rows = BTreeSet::new();
    for (id, (reign, at, before, after, luck)) in (0..).zip(writes) {
        let place = reign.index(starts.len());
        let (node, start, length) = starts[place];
        let committed = start + at % length;
        // 7 of 10 are acknowledged; an unknown one may be in or not; a failed one is not
        let (outcome, is_in) = match luck {
            0..=6 => (Outcome::Acknowledged, true),
            7 => (Outcome::Unknown, true),
            8 => (Outcome::Unknown, false),
            _ => (Outcome::Failed, false),
        };
        if is_in {
            rows.insert(id);
        }
        let timeline = u32::try_from(place).expect("few") + 1;
        let origin = (outcome == Outcome::Acknowledged).then_some(Origin { node, timeline });
        let (began, ended) = (ms(committed.saturating_sub(*before)), ms(committed + after));
        operations.push(Operation { id, via: Via::Vip(6432), began, ended, outcome, origin, reason: None });
    }
    operations.sort_by_key(|operation| operation.ended);
    let (vip, vip_end) = hand_over(handovers);
    let found = Found { rows: (1..=3).map(|node| (node, rows.clone())).collect() };
    Correct { history: History { operations, vip }, found, end: ms(now.max(vip_end) + 10_000) }
}

/// Each owner but the first appears up to half a second before the last one goes.
fn hand_over(handovers: &[(u8, u64, u64)]) -> (Vec<VipChange>, u64) {
    let mut vip = vec![VipChange { at: ms(0), node: 1, held: true }];
    let (mut now, mut owner) = (0, 1);
    for (node, reign, both) in handovers {
        if *node == owner {
            continue;
        }
        now += reign;
        vip.push(VipChange { at: ms(now), node: *node, held: true });
        // what overlaps must end before the next one begins
        vip.push(VipChange { at: ms(now + both), node: owner, held: false });
        now += both + 1;
        owner = *node;
    }
    (vip, now)
}

fn all(correct: &Correct) -> Vec<Violation> {
    let mut found = durability(&correct.history, &correct.found);
    found.extend(one_writer(&correct.history));
    found.extend(one_owner(&correct.history, correct.end, ALLOWED, &[]));
    found
}

proptest! {
    #[test]
    fn a_correct_history_is_accepted(correct in correct()) {
        prop_assert_eq!(all(&correct), []);
    }

    #[test]
    fn an_acknowledged_row_that_is_missing_on_any_node_is_found(
        mut correct in correct(), which in any::<Index>(), node in 1..=3_u8,
    ) {
        let ids: Vec<i64> = correct.history.acknowledged().map(|operation| operation.id).collect();
        prop_assume!(!ids.is_empty());
        let id = *which.get(&ids);
        correct.found.rows.get_mut(&node).expect("a node").remove(&id);
        prop_assert_eq!(all(&correct), [Violation::Lost { node, ids: BTreeSet::from([id]) }]);
    }

    #[test]
    fn a_row_that_was_refused_and_is_there_is_found(
        mut correct in correct(), which in any::<Index>(), node in 1..=3_u8,
    ) {
        let failed = |operation: &&Operation| operation.outcome == Outcome::Failed;
        let ids: Vec<i64> = correct.history.operations.iter().filter(failed).map(|operation| operation.id).collect();
        prop_assume!(!ids.is_empty());
        let id = *which.get(&ids);
        correct.found.rows.get_mut(&node).expect("a node").insert(id);
        prop_assert_eq!(all(&correct), [Violation::Risen { node, ids: BTreeSet::from([id]) }]);
    }

    #[test]
    fn a_write_by_the_old_primary_after_the_new_ones_first_is_found(
        mut correct in correct(), which in any::<Index>(), later in 1..5000_u64, node in 1..=3_u8, straight: bool,
    ) {
        let newer = |operation: &&Operation| operation.origin.is_some_and(|origin| origin.timeline > 1);
        let firsts: Vec<Operation> = correct.history.operations.iter().filter(newer).cloned().collect();
        prop_assume!(!firsts.is_empty());
        let new = which.get(&firsts);
        let old = Origin { node, timeline: new.origin.expect("known").timeline - 1 };
        let began = new.ended + ms(later);
        let via = if straight { Via::Node(node) } else { Via::Vip(5000) };
        let write = Operation { id: -1, via, began, ended: began + ms(3), origin: Some(old), ..new.clone() };
        correct.history.operations.push(write);
        correct.found.rows.values_mut().for_each(|rows| assert!(rows.insert(-1)));
        let found = one_writer(&correct.history);
        let named = |violation: &Violation| matches!(
            violation, Violation::TwoWriters { old: found, writes, .. } if *found == old && *writes >= 1
        );
        prop_assert!(found.iter().any(named), "{:?}", found);
        // who asks for the VIP's clients alone does not see what others were told
        let through_the_vip = one_writer_for(&correct.history, |op| matches!(op.via, Via::Vip(_)));
        prop_assert_eq!(through_the_vip.iter().any(named), !straight);
        prop_assert_eq!(durability(&correct.history, &correct.found), []);
    }

    #[test]
    fn a_write_that_may_have_been_committed_before_the_takeover_is_no_violation(
        mut correct in correct(), which in any::<Index>(),
    ) {
        // it began before anybody can have taken over, and its answer came late
        let ids: Vec<usize> = (0..correct.history.operations.len()).collect();
        let operation = &mut correct.history.operations[*which.get(&ids)];
        operation.began = ms(0);
        operation.ended = correct.end;
        prop_assert_eq!(one_writer(&correct.history), []);
    }

    #[test]
    fn two_nodes_on_one_timeline_are_found(mut correct in correct(), which in any::<Index>()) {
        let known: Vec<Operation> = correct.history.acknowledged().cloned().collect();
        prop_assume!(!known.is_empty());
        let operation = which.get(&known);
        let origin = operation.origin.expect("known");
        let other = Origin { node: origin.node % 3 + 1, ..origin };
        correct.history.operations.push(Operation { origin: Some(other), ..operation.clone() });
        let nodes = BTreeSet::from([origin.node, other.node]);
        let expected = Violation::SharedTimeline { timeline: origin.timeline, nodes };
        prop_assert!(one_writer(&correct.history).contains(&expected));
    }

    #[test]
    fn a_second_owner_of_the_vip_is_found_and_a_cut_excuses_it(
        mut correct in correct(), from in 0..9000_u64, length in 501..9000_u64, third in 4..=6_u8,
    ) {
        // a node that is no part of the handovers has the address, too
        let span = Span { from: ms(from), to: ms(from + length) };
        let changes = [(span.from, true), (span.to, false)];
        correct.history.vip.extend(changes.map(|(at, held)| VipChange { at, node: third, held }));
        correct.history.vip.sort_by_key(|change| change.at);
        correct.end = correct.end.max(span.to);
        let found = one_owner(&correct.history, correct.end, ALLOWED, &[]);
        let named = |violation: &Violation| matches!(
            violation, Violation::TwoOwners { nodes, .. } if nodes.contains(&third)
        );
        prop_assert!(found.iter().any(named), "{:?}", found);
        // the handovers take half a second on either side of it at most
        let excuse = Span { from: span.from.saturating_sub(ms(500)), to: span.to + ms(500) };
        prop_assert_eq!(one_owner(&correct.history, correct.end, ALLOWED, &[excuse]), []);
        // one that ends too early excuses nothing
        let short = Span { from: excuse.from, to: span.to.saturating_sub(ms(501)) };
        prop_assert!(!one_owner(&correct.history, correct.end, ALLOWED, &[short]).is_empty());
    }
}

#[test]
fn an_overlap_of_one_advert_is_allowed_and_a_longer_one_is_not() {
    let change = |at, node, held| VipChange { at: ms(at), node, held };
    let history = |to| History {
        operations: Vec::new(),
        vip: vec![change(0, 1, true), change(1000, 2, true), change(to, 1, false)],
    };
    assert_eq!(one_owner(&history(1500), ms(9000), ALLOWED, &[]), []);
    let nodes = BTreeSet::from([1, 2]);
    let expected = Violation::TwoOwners { nodes, from: ms(1000), to: ms(1501) };
    assert_eq!(one_owner(&history(1501), ms(9000), ALLOWED, &[]), [expected]);
}
