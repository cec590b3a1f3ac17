//! `status`: the cluster on one screen that a tired person understands at once. No line is wider than the screen, and
//! everything can be read without colour.

mod changes;
mod paint;
mod table;

use std::net::Ipv4Addr;

use pgstack_topology::port;

use crate::view::{Margin, Mood, moment, rows, survival, unknown};
use crate::{Finding, Severity, Snapshot};

pub use changes::changes;
use paint::{Line, Style, hang};

/// How wide the words at the left are.
const MARGIN: usize = 11;

/// What the screen can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// It has colours.
    pub colour: bool,
    /// So many characters fit on a line.
    pub width: usize,
}

/// The whole screen, each line ended with a line break.
pub fn screen(snapshot: &Snapshot, findings: &[Finding], look: Look) -> String {
    let mut lines = vec![heading(snapshot), Line::default()];
    lines.extend(table::table(&rows(snapshot), look.width));
    lines.push(Line::default());
    lines.extend(margins(snapshot, look));
    lines.extend(connect(snapshot, look));
    lines.push(Line::default());
    lines.extend(wrong(snapshot, findings, look));
    lines.extend(not_known(snapshot, look));
    lines.iter().map(|line| line.print(look) + "\n").collect()
}

fn heading(snapshot: &Snapshot) -> Line {
    let took = format!("{}.{} s", snapshot.took_ms / 1000, snapshot.took_ms % 1000 / 100);
    let long = format!(
        "{} nodes, seen from node {} at {}, in {took}",
        snapshot.nodes.len(),
        snapshot.from,
        moment(snapshot.taken_at_ms)
    );
    Line::default().add("patroni-stack", Style::Strong).add("  ", Style::Plain).add(long, Style::Plain)
}

/// A line with a title at its left.
fn beside(title: &str, text: &str, style: Style, look: Look) -> Vec<Line> {
    hang((title, Style::Strong), (text, style), MARGIN, look.width)
}

fn margins(snapshot: &Snapshot, look: Look) -> Vec<Line> {
    let survival = survival(snapshot);
    let style = |margin: &Margin| match margin {
        Margin::Losses { count: 0, .. } | Margin::Broken { .. } => Style::Bad,
        Margin::Losses { .. } => Style::Plain,
        Margin::Unknown { .. } => Style::Unknown,
    };
    let worst = match (survival.postgres.count(), survival.etcd.count()) {
        (Some(0), _) | (_, Some(0)) => Style::Bad,
        (Some(_), Some(_)) => Style::Good,
        _ => Style::Unknown,
    };
    let mut lines = beside("Survives", &survival.headline(), worst, look);
    for (name, margin) in [("PostgreSQL", &survival.postgres), ("etcd", &survival.etcd)] {
        let left = format!("{:MARGIN$}{name:<11} {:<14} ", "", margin.headline());
        let (why, style) = (margin.why(), style(margin));
        if look.width < 60 {
            lines.extend(beside("", &format!("{name} {}: {why}", margin.headline()), style, look));
        } else {
            lines.extend(hang((&left, style), (why, style), left.len(), look.width));
        }
    }
    lines
}

fn connect(snapshot: &Snapshot, look: Look) -> Vec<Line> {
    let ports = format!(":{} write   :{} read   :{} pooled write", port::WRITE, port::READ, port::POOLER);
    if snapshot.with_vip {
        return beside("Connect", &format!("{}   {ports}", snapshot.vip), Style::Plain, look);
    }
    let addresses: Vec<String> = snapshot.nodes.iter().map(|node| Ipv4Addr::to_string(&node.address)).collect();
    let mut lines = beside("Connect", &format!("{ports}   (no VIP: any node)"), Style::Plain, look);
    lines.extend(beside("", &addresses.join(" "), Style::Plain, look));
    lines
}

fn wrong(snapshot: &Snapshot, findings: &[Finding], look: Look) -> Vec<Line> {
    if findings.is_empty() {
        let (text, style) = if unknown(snapshot).is_empty() {
            ("✓ everything is as it should be", Style::Good)
        } else {
            ("– nothing that is known is wrong; not everything is known", Style::Unknown)
        };
        return vec![Line::default().add(text, style)];
    }
    let count = if findings.len() == 1 { "1 finding".to_owned() } else { format!("{} findings", findings.len()) };
    let mut lines = beside("Wrong", &format!("{count}; ./doctor tells what mends it"), Style::Plain, look);
    for finding in findings {
        let (mark, style) = mark(finding.severity);
        lines.extend(hang(
            (&format!("{mark} {}", finding.code), style),
            (&finding.what, Style::Plain),
            MARGIN,
            look.width,
        ));
    }
    lines
}

/// What stands before a finding of that severity, and its colour.
fn mark(severity: Severity) -> (&'static str, Style) {
    match severity {
        Severity::Critical => ("✗", Style::Bad),
        Severity::Warning => ("!", Style::Unknown),
        Severity::Notice => ("·", Style::Plain),
    }
}

fn not_known(snapshot: &Snapshot, look: Look) -> Vec<Line> {
    let mut lines = Vec::new();
    for (at, group) in unknown(snapshot).into_iter().enumerate() {
        if at == 0 {
            lines.push(Line::default());
        }
        let word = if at == 0 { "Unknown" } else { "" };
        lines.extend(beside(word, &format!("{} ({})", group.what, group.why), Style::Unknown, look));
    }
    lines
}

impl From<Mood> for Style {
    fn from(mood: Mood) -> Self {
        match mood {
            Mood::Good => Self::Good,
            Mood::Plain => Self::Plain,
            Mood::Bad => Self::Bad,
            Mood::Unknown => Self::Unknown,
        }
    }
}
