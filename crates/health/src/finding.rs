//! Something that is wrong, who says so, and what mends it.

use pgstack_topology::NodeId;
use serde::Serialize;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `PGS-042`, which never changes its meaning; its section is in docs/troubleshooting.md.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The node that it is about; `None`: the whole cluster.
    pub node: Option<NodeId>,
    /// What is wrong, one sentence without a full stop: `the pooler of node 2 is paused`.
    pub what: String,
    /// Who says what, one line each: `PgBouncer on node 2: database "postgres" is paused`.
    pub evidence: Vec<String>,
    /// Why that is likely so, one sentence without a full stop.
    pub cause: String,
    /// What mends it, in this order.
    pub mends: Vec<Mend>,
}

/// How bad a finding is. The worst comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look by day.
    Notice,
    /// Something does not work, and clients do not notice yet; or one more trouble and they do.
    Warning,
    /// Clients notice, or data is in danger.
    Critical,
}

/// One step that mends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mend {
    /// Where it has to be done; `None`: on any node that runs.
    pub node: Option<NodeId>,
    /// The command, as it is typed in the stack directory; empty where it is nothing to type.
    pub command: String,
    /// What it does, or what a person has to do: `edit .env there: NODE2_IP is 10.0.0.2 on the others`.
    pub note: String,
    /// Whether `doctor --fix` may run it.
    pub risk: Risk,
}

/// What a mend can do besides mending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Cuts no client off and deletes nothing: `doctor --fix` runs it after asking.
    Safe,
    /// Cuts clients off for a moment, moves the leadership, or may be too early: a person chooses the moment.
    Disturbing,
    /// Deletes or moves data aside: only with its own flag, by a person.
    Destructive,
    /// Cannot be run by a machine.
    Manual,
}
