//! `doctor`: names every trouble that the snapshot shows, and mends what may be mended.

use pgstack_diagnostics::{Console, Ended};
use pgstack_health::examine;
use pgstack_workdir::StackDir;

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

/// Names every trouble; [`Ended::Unfinished`] where there is one.
pub async fn doctor(stack: &StackDir, options: Doctor, console: &dyn Console) -> Result<Ended, DoctorError> {
    if options.preflight {
        return preflight::preflight(stack, options, console).await;
    }
    let env = stack.settings()?.env;
    let findings = examine(&gather(stack, &env).await);
    if options.fix {
        return fix::fix(stack, &findings, options, console).await;
    }
    Ok(if findings.is_empty() { Ended::Done } else { Ended::Unfinished })
}
