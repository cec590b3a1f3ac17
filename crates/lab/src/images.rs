//! Building the images that are missing, where this program lies in a checkout.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use pgstack_diagnostics::Console;
use tokio::process::Command;

use crate::LabError;

/// Runs `images/build.sh` of the checkout that `folder` lies in; it skips what has not changed.
/// Outside of a checkout there is nothing to build from, and the images must be there.
pub(crate) async fn build(folder: &Path, console: &dyn Console) -> Result<(), LabError> {
    let script = folder.ancestors().map(|dir| dir.join("images/build.sh")).find(|path| path.is_file());
    let Some(script) = script else { return Ok(()) };
    console.begin("images");
    let output = Command::new(&script).stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(LabError::file(&script))?;
    if output.status.success() {
        console.end("built");
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let detail = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
    Err(LabError::Images { script: PathBuf::from(&script), detail })
}
