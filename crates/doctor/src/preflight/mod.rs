//! `doctor --preflight`: whether this machine is fit for a deploy, before anything runs on it.

use pgstack_diagnostics::{Console, Ended};
use pgstack_workdir::StackDir;

use crate::{Doctor, DoctorError};

pub(crate) async fn preflight(stack: &StackDir, options: Doctor, console: &dyn Console) -> Result<Ended, DoctorError> {
    let _ = (stack, options, console);
    Ok(Ended::Done)
}
