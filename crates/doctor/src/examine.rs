//! `doctor`: names every trouble that the snapshot shows, and mends what may be mended.

use std::collections::BTreeSet;
use std::time::Duration;

use pgstack_diagnostics::{Console, Ended};
use pgstack_env::NodeEnv;
use pgstack_health::{Finding, examine, report, unknown};
use pgstack_topology::NodeId;
use pgstack_workdir::StackDir;
use serde::Serialize;

use crate::{DoctorError, fix, gather, preflight};

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Doctor {
    /// Run the safe mends after asking.
    pub fix: bool,
    /// Do not ask.
    pub yes: bool,
    /// Look at this machine before a deploy, instead of at the cluster.
    pub preflight: bool,
    /// Print JSON.
    pub json: bool,
    /// Use colour.
    pub colour: bool,
    /// How wide the screen is.
    pub width: usize,
}

/// The version of the JSON: a field is only ever added, or it grows.
const SCHEMA: u32 = 1;

/// Between two looks: longer than what a switchover shows for a moment.
const PAUSE: Duration = Duration::from_secs(2);
/// So often at most: what comes and goes is told as the last look found it.
const LOOKS: u32 = 5;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    /// [`SCHEMA`].
    schema: u32,
    /// The worst first.
    findings: &'a [Finding],
    /// What could not be looked at, and why.
    unknown: &'a [String],
}

/// Names every trouble; [`Ended::Unfinished`] where there is one.
pub async fn doctor(stack: &StackDir, options: Doctor, console: &dyn Console) -> Result<Ended, DoctorError> {
    if options.preflight {
        return preflight::preflight(stack, options, console).await;
    }
    let env = stack.settings()?.env;
    let (findings, unknown) = lasting(stack, &env).await;
    if options.json {
        let report = Report { schema: SCHEMA, findings: &findings, unknown: &unknown };
        console.out(&serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        console.out(report(&findings, &unknown, options.width, options.colour).trim_end());
    }
    if options.fix {
        return fix::fix(stack, &env, &findings, options, console).await;
    }
    Ok(if findings.is_empty() { Ended::Done } else { Ended::Unfinished })
}

/// What is wrong, and what is not known, once two looks in a row have found the same; nothing at all is believed at
/// once. The parts of a snapshot are asked for one after the other, so that a change of the primary, while it lasts,
/// looks like one trouble and then like another.
pub(crate) async fn lasting(stack: &StackDir, env: &NodeEnv) -> (Vec<Finding>, Vec<String>) {
    let mut before = BTreeSet::new();
    for _ in 1..LOOKS {
        let (findings, unknown) = look(stack, env).await;
        let found = named(&findings);
        if found == before {
            return (findings, unknown);
        }
        before = found;
        tokio::time::sleep(PAUSE).await;
    }
    look(stack, env).await
}

async fn look(stack: &StackDir, env: &NodeEnv) -> (Vec<Finding>, Vec<String>) {
    let snapshot = gather(stack, env).await;
    (examine(&snapshot), unknown(&snapshot))
}

/// Which troubles these are; what they say of sizes and times changes with every look.
fn named(findings: &[Finding]) -> BTreeSet<(&'static str, Option<NodeId>)> {
    findings.iter().map(|finding| (finding.code, finding.node)).collect()
}
