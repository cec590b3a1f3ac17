//! `doctor`: names every trouble that the snapshot shows, and mends what may be mended.

use pgstack_diagnostics::{Console, Ended};
use pgstack_health::{Finding, examine, report, unknown};
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
    let snapshot = gather(stack, &env).await;
    let (findings, unknown) = (examine(&snapshot), unknown(&snapshot));
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
