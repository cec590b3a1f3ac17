//! `status --json`: a snapshot and what is wrong with it.

use serde::Serialize;

use crate::{Finding, Snapshot};

/// A snapshot with its findings beside its fields. Documented in docs/status-json.md.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Report<'a> {
    /// Everything that is known.
    #[serde(flatten)]
    pub snapshot: &'a Snapshot,
    /// What is wrong, the worst first.
    pub findings: &'a [Finding],
}
