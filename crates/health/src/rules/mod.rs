//! What is wrong in a snapshot: one rule for each trouble.

use crate::{Finding, Snapshot};

/// Everything that is wrong, the worst first.
pub fn examine(snapshot: &Snapshot) -> Vec<Finding> {
    let _ = snapshot;
    Vec::new()
}
