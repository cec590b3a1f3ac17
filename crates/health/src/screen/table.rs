//! One line per node.

use super::paint::{Line, Style, pad, shorten, width};
use crate::view::{Mood, Row, Word};

const TITLES: [&str; COLUMNS] =
    ["", "node", "address", "role", "PostgreSQL", "lag", "TL", "etcd", "HAProxy", "pooler", "VIP"];
const COLUMNS: usize = 11;
/// The most that is shown of each; the sum fits into 80 characters with one blank between them.
const MOST: [usize; COLUMNS] = [1, 4, 15, 7, 10, 8, 4, 7, 7, 6, 5];
/// Where a node does not answer at all, the words for that begin here.
const FIRST_FACT: usize = 3;
/// These are numbers, and end at the same place.
const LAG: usize = 5;
const TIMELINE: usize = 6;

type Cells = [(String, Style); COLUMNS];

/// The table with its titles.
pub(super) fn table(rows: &[Row], screen: usize) -> Vec<Line> {
    let lines: Vec<(Cells, bool)> = rows.iter().map(|row| (cells(row), is_silent(row))).collect();
    let mut widths = TITLES.map(width);
    for (cells, is_silent) in &lines {
        let shown = if *is_silent { FIRST_FACT } else { COLUMNS };
        for at in 0..shown {
            widths[at] = widths[at].max(width(&cells[at].0)).min(MOST[at].max(width(TITLES[at])));
        }
    }
    widths[0] = 1;
    let total = |gap: usize| widths.iter().sum::<usize>() + gap * (COLUMNS - 1);
    let gap = if total(2) <= screen { 2 } else { 1 };
    let titles = Line::default()
        .add(join(&TITLES.map(|title| (title.to_owned(), Style::Plain)), widths, gap, 0, COLUMNS), Style::Strong);
    let mut table = vec![titles];
    for (cells, is_silent) in lines {
        let mut line = Line::default();
        let shown = if is_silent { FIRST_FACT } else { COLUMNS };
        for at in 0..shown {
            line = line.add(join(&cells, widths, gap, at, at + 1), cells[at].1);
        }
        table.push(if is_silent { line.add("does not answer", Style::Bad) } else { line });
    }
    table
}

/// Nothing is known from its machine.
fn is_silent(row: &Row) -> bool {
    let facts = [&row.postgres, &row.etcd, &row.haproxy, &row.pooler];
    !row.reachable && facts.iter().all(|word| word.mood == Mood::Unknown)
}

fn join(cells: &Cells, widths: [usize; COLUMNS], gap: usize, from: usize, to: usize) -> String {
    let mut text = String::new();
    for at in from..to {
        // the mark stands close to the number
        let gap = if at == 0 { 1 } else { gap };
        let cell = shorten(&cells[at].0, widths[at]);
        if at == LAG || at == TIMELINE {
            text += &" ".repeat(widths[at].saturating_sub(width(&cell)));
            text += &cell;
        } else {
            text += &pad(&cell, widths[at]);
        }
        text += &" ".repeat(gap);
    }
    text
}

fn cells(row: &Row) -> Cells {
    let word = |word: &Word| (word.text.clone(), Style::from(word.mood));
    let mark = if is_silent(row) {
        ("✗", Style::Bad)
    } else if row.leads {
        ("▶", Style::Good)
    } else {
        ("", Style::Plain)
    };
    let vip = if row.owns_vip { "owner" } else { "" };
    [
        (mark.0.to_owned(), mark.1),
        (row.id.to_string(), Style::Plain),
        (row.address.to_string(), Style::Plain),
        word(&row.role),
        word(&row.postgres),
        word(&row.lag),
        word(&row.timeline),
        word(&row.etcd),
        word(&row.haproxy),
        word(&row.pooler),
        (vip.to_owned(), Style::Good),
    ]
}
