//! Whether a machine is fit for a deploy: one check after the other, each with what it found.

mod machine;
mod network;
mod resources;

pub use machine::{Clock, Fsync, Holder, Kernel, Machine, Peer, Place, Tool, VipUse, Vrrp, Way, Wrong};

use pgstack_topology::port;
use serde::Serialize;

use crate::{Fact, Finding, Mend, Risk, Severity};

/// The oldest Docker engine with everything that the containers ask for.
const ENGINE: (u64, u64) = (20, 10);
/// The oldest Compose that knows the project's `name`.
const COMPOSE: (u64, u64) = (2, 3);

/// Every port of the stack, and who listens there once it runs.
pub const PORTS: [(u16, &str); 9] = [
    (port::ETCD_CLIENT, "etcd"),
    (port::ETCD_PEER, "etcd"),
    (port::POSTGRES, "PostgreSQL"),
    (port::PATRONI_REST, "Patroni"),
    (port::WRITE, "HAProxy"),
    (port::READ, "HAProxy"),
    (port::HAPROXY_STATS, "HAProxy"),
    (port::AGENT, "the agent"),
    (port::POOLER, "PgBouncer"),
];

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: `Docker engine`.
    pub title: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// The figures, or why it is not known.
    pub detail: String,
    /// What is wrong.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Something is wrong.
    Finding,
    /// It could not be found out.
    Unknown,
}

/// Everything that is wrong with a machine before a deploy, in the order of the checks.
pub fn preflight(machine: &Machine) -> Vec<Finding> {
    checklist(machine).into_iter().flat_map(|check| check.findings).collect()
}

/// Every check, in the order in which a person would mend what they find.
pub fn checklist(machine: &Machine) -> Vec<Check> {
    let mut checks = vec![
        rights(machine),
        tool(machine, "Docker engine", "PGS-100", &machine.engine, ENGINE),
        tool(machine, "Docker Compose", "PGS-101", &machine.compose, COMPOSE),
        images(machine),
    ];
    checks.extend(network::checks(machine));
    checks.extend(resources::checks(machine));
    checks
}

impl Check {
    /// A fact that is known gives details and findings; one that is not says why.
    fn of<T>(title: &'static str, fact: &Fact<T>, look: impl FnOnce(&T) -> (String, Vec<Finding>)) -> Self {
        match fact {
            Fact::Unknown { unknown } => Self::unknown(title, unknown.clone()),
            Fact::Known(fact) => {
                let (detail, findings) = look(fact);
                Self::known(title, detail, findings)
            }
        }
    }

    fn known(title: &'static str, detail: String, findings: Vec<Finding>) -> Self {
        let outcome = if findings.is_empty() { Outcome::Ok } else { Outcome::Finding };
        // with several findings the report below says which
        let detail = match findings.as_slice() {
            [] => detail,
            [only] => only.what.clone(),
            [first, rest @ ..] => format!("{}, and {} more", first.what, rest.len()),
        };
        Self { title, outcome, detail, findings }
    }

    fn unknown(title: &'static str, why: String) -> Self {
        Self { title, outcome: Outcome::Unknown, detail: why, findings: Vec::new() }
    }

    /// Where nothing is wrong, but something could not be found out, that is what is told.
    fn or_unknown(self, whys: impl Iterator<Item = String>) -> Self {
        let whys: Vec<String> = whys.collect();
        if whys.is_empty() || self.outcome != Outcome::Ok { self } else { Self::unknown(self.title, whys.join("; ")) }
    }
}

/// A finding about this machine; evidence and mends are added by whoever makes it.
fn finding(machine: &Machine, code: &'static str, severity: Severity, what: String, cause: &str) -> Finding {
    let cause = cause.to_owned();
    Finding { code, severity, node: machine.node, what, evidence: Vec::new(), cause, mends: Vec::new() }
}

/// Something that a person does on this machine.
fn by_hand(machine: &Machine, command: &str, note: impl Into<String>) -> Mend {
    Mend { node: machine.node, command: command.to_owned(), note: note.into(), risk: Risk::Manual }
}

fn rights(machine: &Machine) -> Check {
    let root = (!machine.is_root).then(|| Finding {
        evidence: vec!["this command runs as another user than root".to_owned()],
        mends: vec![by_hand(machine, "sudo ./doctor --preflight", "everything here is run as root, deploy too")],
        ..finding(
            machine,
            "PGS-113",
            Severity::Critical,
            "this is not run as root".to_owned(),
            "deploy gives data/ to the services' users, and keepalived's files to root; another user can do neither, \
             and sees less here",
        )
    });
    let unusable = machine.unusable.known().into_iter().flatten().map(|what| Finding {
        mends: vec![by_hand(machine, "ls -la . scripts data", "put it right, then look again")],
        ..finding(
            machine,
            "PGS-113",
            Severity::Critical,
            what.clone(),
            "the stack directory was not laid out as a whole, or something else took a place in it",
        )
    });
    let findings: Vec<Finding> = root.into_iter().chain(unusable).collect();
    match machine.unusable.why() {
        Some(why) if findings.is_empty() => Check::unknown("root, stack directory", why.to_owned()),
        _ => Check::known("root, stack directory", "usable".to_owned(), findings),
    }
}

fn tool(machine: &Machine, title: &'static str, code: &'static str, tool: &Fact<Tool>, oldest: (u64, u64)) -> Check {
    Check::of(title, tool, |tool| match tool {
        Tool::Answers(version) if !is_older(version, oldest) => (version.clone(), Vec::new()),
        Tool::Answers(version) => {
            let (major, minor) = oldest;
            let what = format!("{title} is {version}; it takes {major}.{minor} or newer");
            let cause = "the distribution's package is old; what the containers ask for is newer";
            let mends = vec![by_hand(machine, "", format!("install {title} {major}.{minor} or newer"))];
            (String::new(), vec![Finding { mends, ..finding(machine, code, Severity::Critical, what, cause) }])
        }
        Tool::Broken { what, detail, hint } => {
            let cause = "it is not installed, not started, or this user may not speak to it";
            let found = Finding {
                evidence: detail.iter().cloned().collect(),
                mends: vec![by_hand(machine, "", hint.clone())],
                ..finding(machine, code, Severity::Critical, what.clone(), cause)
            };
            (String::new(), vec![found])
        }
    })
}

/// `26.1.5+dfsg1` is not older than (20, 10). What is no version at all is not called old.
fn is_older(version: &str, oldest: (u64, u64)) -> bool {
    let mut parts = version.trim_start_matches('v').split(|c: char| !c.is_ascii_digit()).map(str::parse::<u64>);
    let Some(Ok(major)) = parts.next() else { return false };
    let minor = parts.next().and_then(Result::ok).unwrap_or(0);
    (major, minor) < oldest
}

fn images(machine: &Machine) -> Check {
    Check::of("images", &machine.images, |images| {
        let missing: Vec<&str> = images.iter().filter(|(_, there)| !**there).map(|(image, _)| image.as_str()).collect();
        let all = format!("all {} are here", images.len());
        if missing.is_empty() {
            return (all, Vec::new());
        }
        let what = match missing.as_slice() {
            [only] => format!("the image {only} is not on this machine"),
            several => format!("{} images are not on this machine", several.len()),
        };
        let cause = "they were not built or copied here yet; deploy tries to fetch them, which works for images that \
                     lie in a registry only";
        let found = Finding {
            evidence: missing.iter().map(|image| format!("Docker: no image {image}")).collect(),
            mends: vec![
                by_hand(machine, "images/build.sh", "builds them, in a checkout"),
                by_hand(machine, "docker save IMAGE | ssh THIS-NODE docker load", "or, from a machine that has them"),
            ],
            ..finding(machine, "PGS-111", Severity::Warning, what, cause)
        };
        (all, vec![found])
    })
}

#[cfg(test)]
mod tests;
