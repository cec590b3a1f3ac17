//! The page of `status --serve`: one picture, what is wrong, and what mends it. It needs nothing but itself, and no
//! JavaScript; with it, it renews its parts in place.

mod picture;

use askama::Template;
use pgstack_topology::port;

use crate::view::{Margin, Row, Unknown, moment, nodes, rows, survival, unknown};
use crate::{Finding, Mend, Risk, Severity, Snapshot};

use picture::Picture;

/// The whole page. Only scripts and styles with `nonce` are to run, as the server's headers demand.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    nonce: &'a str,
    from: String,
    parts: String,
}

/// The parts that the page renews.
#[derive(Template)]
#[template(path = "parts.html")]
struct Parts {
    verdict: Verdict,
    when: String,
    pictures: [Picture; 2],
    survives: String,
    margins: [(&'static str, Margin); 2],
    connect: Vec<(String, &'static str)>,
    rows: Vec<Row>,
    findings: Vec<Trouble>,
    unknown: Vec<Unknown>,
}

/// The one sentence that matters.
struct Verdict {
    class: &'static str,
    text: String,
}

/// A finding, ready to be shown.
struct Trouble {
    code: &'static str,
    severity: &'static str,
    what: String,
    cause: String,
    evidence: Vec<String>,
    mends: Vec<Step>,
}

/// A mend, ready to be shown.
struct Step {
    place: String,
    command: String,
    note: String,
    risk: &'static str,
}

/// The page.
pub fn page(snapshot: &Snapshot, findings: &[Finding], nonce: &str) -> Result<String, askama::Error> {
    let page = Page { nonce, from: nodes(&[snapshot.from]), parts: parts(snapshot, findings)? };
    page.render()
}

/// The parts of the page that change, for its script.
pub fn parts(snapshot: &Snapshot, findings: &[Finding]) -> Result<String, askama::Error> {
    let survival = survival(snapshot);
    let parts = Parts {
        verdict: verdict(snapshot, findings),
        when: moment(snapshot.taken_at_ms),
        pictures: [Picture::wide(snapshot), Picture::tall(snapshot)],
        survives: survival.headline(),
        margins: [("PostgreSQL", survival.postgres), ("etcd", survival.etcd)],
        connect: connect(snapshot),
        rows: rows(snapshot),
        findings: findings.iter().map(trouble).collect(),
        unknown: unknown(snapshot),
    };
    parts.render()
}

fn verdict(snapshot: &Snapshot, findings: &[Finding]) -> Verdict {
    let (class, text) = match findings.iter().map(|finding| finding.severity).max() {
        Some(worst) => {
            let count =
                if findings.len() == 1 { "1 finding".to_owned() } else { format!("{} findings", findings.len()) };
            let (class, word) = match worst {
                Severity::Critical => ("bad", "critical"),
                Severity::Warning => ("warn", "a warning"),
                Severity::Notice => ("plain", "a notice"),
            };
            (class, format!("{count}, the worst is {word}"))
        }
        None if unknown(snapshot).is_empty() => ("good", "Everything is as it should be".to_owned()),
        None => ("warn", "Nothing that is known is wrong, but not everything is known".to_owned()),
    };
    Verdict { class, text }
}

fn connect(snapshot: &Snapshot) -> Vec<(String, &'static str)> {
    let ports = [(port::WRITE, "read and write"), (port::READ, "read only"), (port::POOLER, "pooled, read and write")];
    let host = if snapshot.with_vip { snapshot.vip.to_string() } else { "any node's address".to_owned() };
    ports.map(|(port, what)| (format!("{host}:{port}"), what)).into()
}

fn trouble(finding: &Finding) -> Trouble {
    Trouble {
        code: finding.code,
        severity: match finding.severity {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
        },
        what: finding.what.clone(),
        cause: finding.cause.clone(),
        evidence: finding.evidence.clone(),
        mends: finding.mends.iter().map(step).collect(),
    }
}

fn step(mend: &Mend) -> Step {
    Step {
        place: mend.node.map_or_else(|| "on any node that runs".to_owned(), |node| format!("on node {node}")),
        command: mend.command.clone(),
        note: mend.note.clone(),
        risk: match mend.risk {
            Risk::Safe => "safe",
            Risk::Disturbing => "cuts clients off for a moment",
            Risk::Destructive => "deletes or moves data",
            Risk::Manual => "by hand",
        },
    }
}
