//! `status`: the cluster on one screen, once, again and again, as JSON, or as a page.

use std::time::Duration;

use pgstack_diagnostics::{Console, Ended};
use pgstack_health::{Look, Report, examine, screen};
use pgstack_workdir::StackDir;

use crate::{DoctorError, gather, serve, watch};

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Print the snapshot as JSON.
    pub json: bool,
    /// Draw it again and again, so often.
    pub watch: Option<Duration>,
    /// Serve a page there: `127.0.0.1:8406`.
    pub serve: Option<String>,
    /// Use colour.
    pub colour: bool,
    /// How wide the screen is.
    pub width: usize,
    /// How many lines the screen has; none where it is no terminal.
    pub height: Option<usize>,
}

/// Shows the cluster as it is.
pub async fn status(stack: &StackDir, options: Status, console: &dyn Console) -> Result<Ended, DoctorError> {
    let env = stack.settings()?.env;
    if let Some(address) = &options.serve {
        return serve::serve(stack, &env, address, console).await;
    }
    let look = Look { colour: options.colour, width: options.width };
    if let Some(every) = options.watch {
        watch::watch(stack, &env, every, look, options.height, console).await;
        return Ok(Ended::Done);
    }
    let snapshot = gather(stack, &env).await;
    let findings = examine(&snapshot);
    if options.json {
        let report = Report { snapshot: &snapshot, findings: &findings };
        console.out(&serde_json::to_string_pretty(&report).map_err(DoctorError::Json)?);
    } else {
        console.out(screen(&snapshot, &findings, look).trim_end_matches('\n'));
    }
    Ok(Ended::Done)
}
