//! The picture: a box for each node, an arrow from the leader to each replica, a rail that joins the members of etcd.
//!
//! A node stays where it is whoever leads, so that a switchover moves arrows and never boxes. Drawn twice: side by side
//! for a screen, one below the other for a phone; the style sheet shows one of the two.

use crate::Snapshot;
use crate::view::{Mood, Row, lag_bytes, nodes, rows, size, survival};

/// The box of a node.
const BOX: (i32, i32) = (224, 176);
/// Between two boxes.
const GAP: i32 = 34;
/// Around everything.
const EDGE: i32 = 12;
/// Below a box: the flag of the VIP, and in the wide picture etcd's rail.
const FLAG: i32 = 26;

/// One picture.
pub(super) struct Picture {
    /// `wide` or `tall`.
    pub(super) name: &'static str,
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) description: String,
    pub(super) vip: String,
    pub(super) boxes: Vec<NodeBox>,
    pub(super) arrows: Vec<Arrow>,
    /// From the first member of etcd to the last one.
    pub(super) rail: [i32; 4],
    pub(super) quorum: String,
    pub(super) quorum_at: (i32, i32),
}

/// A node.
pub(super) struct NodeBox {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) class: &'static str,
    pub(super) row: Row,
    /// What the box says: a title and a word each.
    pub(super) facts: Vec<(&'static str, String, &'static str, i32)>,
    /// Where its member of etcd is on the rail.
    pub(super) dot: (i32, i32),
    /// `leader`, `voter`, `learner`, `off`.
    pub(super) dot_class: &'static str,
}

/// Replication.
pub(super) struct Arrow {
    pub(super) path: String,
    pub(super) class: &'static str,
    pub(super) label: String,
    pub(super) at: (i32, i32),
    pub(super) label_width: i32,
}

impl Picture {
    /// The nodes side by side.
    pub(super) fn wide(snapshot: &Snapshot) -> Self {
        Self::draw(snapshot, true)
    }

    /// The nodes one below the other.
    pub(super) fn tall(snapshot: &Snapshot) -> Self {
        Self::draw(snapshot, false)
    }

    fn draw(snapshot: &Snapshot, is_wide: bool) -> Self {
        let rows = rows(snapshot);
        let count = i32::try_from(rows.len()).unwrap_or(1).max(1);
        let leader = rows.iter().position(|row| row.leads);
        let reach = leader.map_or(0, |leader| leader.max(rows.len() - 1 - leader));
        let room = bulge(reach, is_wide) * 3 / 4 + if is_wide { 26 } else { 56 };
        let rail_room = 30;
        let place = |at: usize| {
            let at = i32::try_from(at).unwrap_or(0);
            if is_wide {
                (EDGE + at * (BOX.0 + GAP), EDGE + room)
            } else {
                (EDGE + rail_room, EDGE + at * (BOX.1 + GAP))
            }
        };
        let (width, height) = if is_wide {
            (2 * EDGE + count * (BOX.0 + GAP) - GAP, 2 * EDGE + room + BOX.1 + FLAG + 70)
        } else {
            (2 * EDGE + rail_room + BOX.0 + room, 2 * EDGE + count * (BOX.1 + GAP) + 20)
        };
        let dot = |at: usize| {
            let (x, y) = place(at);
            if is_wide { (x + BOX.0 / 2, y + BOX.1 + FLAG + 22) } else { (EDGE + 8, y + BOX.1 / 2) }
        };
        let survival = survival(snapshot);
        let (first, last) = (dot(0), dot(rows.len().saturating_sub(1)));
        let arrows = leader.map_or_else(Vec::new, |leader| {
            let others = rows.iter().enumerate().filter(|(at, row)| *at != leader && row.reachable);
            others.map(|(at, row)| arrow(snapshot, row, (leader, place(leader)), (at, place(at)), is_wide)).collect()
        });
        Self {
            name: if is_wide { "wide" } else { "tall" },
            width,
            height,
            description: describe(snapshot, &rows, survival.etcd.why()),
            vip: snapshot.vip.to_string(),
            arrows,
            rail: [first.0, first.1, last.0, last.1],
            quorum: format!("etcd: {}", survival.etcd.why()),
            quorum_at: (width / 2, height - EDGE),
            boxes: rows.into_iter().enumerate().map(|(at, row)| node(row, place(at), dot(at))).collect(),
        }
    }
}

/// How far an arrow leaves the straight line.
fn bulge(distance: usize, is_wide: bool) -> i32 {
    let distance = i32::try_from(distance).unwrap_or(0);
    if is_wide { 24 + 24 * distance } else { 34 + 18 * distance }
}

fn arrow(snapshot: &Snapshot, row: &Row, from: (usize, (i32, i32)), to: (usize, (i32, i32)), is_wide: bool) -> Arrow {
    let distance = from.0.abs_diff(to.0);
    let bulge = bulge(distance, is_wide);
    // the nearer the replica, the nearer to it its arrow begins: so no two cross
    let nearness = 9 * (6 - i32::try_from(distance).unwrap_or(0));
    let aside = if to.0 < from.0 { -nearness } else { nearness };
    let ((fx, fy), (tx, ty)) = (from.1, to.1);
    let (path, at) = if is_wide {
        let (start, end, top) = (fx + BOX.0 / 2 + aside, tx + BOX.0 / 2, fy);
        let path = format!("M{start} {top}C{start} {},{end} {},{end} {}", top - bulge, top - bulge, top - 7);
        (path, (i32::midpoint(start, end), top - bulge * 3 / 4 - 2))
    } else {
        let (start, end, side) = (fy + BOX.1 / 2 + aside, ty + BOX.1 / 2, fx + BOX.0);
        let path = format!("M{side} {start}C{} {start},{} {end},{} {end}", side + bulge, side + bulge, side + 7);
        (path, (side + bulge * 3 / 4 + 16, i32::midpoint(start, end)))
    };
    let lag = lag_bytes(snapshot, to_node(snapshot, row)).map_or_else(|| "?".to_owned(), size);
    let label = if row.streams { lag } else { "no stream".to_owned() };
    let class = match (row.streams, row.lag.mood) {
        (false, _) => "broken",
        (true, Mood::Bad) => "late",
        (true, _) => "flows",
    };
    let label_width = i32::try_from(label.chars().count()).unwrap_or(8) * 8 + 14;
    Arrow { path, class, label, at, label_width }
}

/// A row is always made of a node.
fn to_node<'a>(snapshot: &'a Snapshot, row: &Row) -> &'a crate::Node {
    snapshot.node(row.id).unwrap_or(&snapshot.nodes[0])
}

fn node(row: Row, (x, y): (i32, i32), dot: (i32, i32)) -> NodeBox {
    let class = if !row.reachable {
        "silent"
    } else if row.leads {
        "leads"
    } else if [&row.role, &row.postgres].iter().any(|word| word.mood == Mood::Bad) {
        "troubled"
    } else {
        "follows"
    };
    let facts = [
        ("PostgreSQL", &row.postgres),
        ("timeline", &row.timeline),
        ("etcd", &row.etcd),
        ("HAProxy", &row.haproxy),
        ("pooler", &row.pooler),
    ];
    let facts =
        (0..).zip(facts).map(|(at, (title, word))| (title, word.text.clone(), word.mood.class(), y + 72 + 22 * at));
    let dot_class = match row.etcd.text.as_str() {
        "leader" => "leader",
        "voter" => "voter",
        "learner" => "learner",
        _ => "off",
    };
    NodeBox { x, y, class, facts: facts.collect(), dot, dot_class, row }
}

/// The picture in words.
fn describe(snapshot: &Snapshot, rows: &[Row], quorum: &str) -> String {
    let mut text = String::new();
    for row in rows {
        text += &nodes(&[row.id]).replacen('n', "N", 1);
        if !row.reachable {
            text += " does not answer";
        } else if row.leads {
            text += " leads";
        } else if row.streams {
            let lag = lag_bytes(snapshot, to_node(snapshot, row)).map_or_else(|| "an unknown lag".to_owned(), size);
            text.extend([" streams from the leader, ", &lag, " behind"]);
        } else {
            text += " does not stream";
        }
        text += if row.owns_vip { ", and owns the VIP. " } else { ". " };
    }
    text + "etcd: " + quorum + "."
}
