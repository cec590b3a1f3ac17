//! The steps of a plan and their wording.

use std::fmt;

use pgstack_env::EtcdState;
use pgstack_topology::NodeId;

use crate::{Mark, MemberId, Note, Start, Wait};

/// One change of the member list. Everything is named by id or URL, so that carrying out an
/// outdated change fails instead of hitting the wrong member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Takes a member out of the list.
    Remove {
        /// The member.
        id: MemberId,
        /// Its name as shown to people.
        name: String,
        /// Why it has to go.
        why: &'static str,
    },
    /// Puts this machine on the list, without a vote.
    AddLearner {
        /// The node.
        node: NodeId,
        /// Its name as shown to people.
        name: String,
        /// Where the others will reach it.
        peer_url: String,
    },
    /// Gives a learner its vote, once it is in sync.
    Promote {
        /// The member.
        id: MemberId,
        /// Its name as shown to people.
        name: String,
    },
}

/// What to do now. All but [`Step::Change`] happen on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Stop etcd on this machine.
    Stop {
        /// Why.
        why: &'static str,
    },
    /// Move the contents of the data directory aside (never delete them). etcd does not run then.
    MoveDataAside {
        /// Why.
        why: &'static str,
    },
    /// Write `etcd.yml` with this start and make sure that etcd runs. Already so: nothing happens.
    Start(Start),
    /// One change of the member list, through any endpoint with a quorum.
    Change(Change),
    /// Nothing can be done until this is so. Observe again, until a deadline: [`crate::Overdue`].
    Await(Wait),
    /// Write the mark to [`Mark::PATH`].
    Remember(Mark),
}

/// What follows, as far as it can be foretold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// This machine's old member leaves the list.
    Replace,
    /// This machine goes on the list as a learner.
    AddLearner,
    /// etcd starts here and joins the serving cluster.
    Join,
    /// The learner gets its vote.
    Promote,
}

/// Carry out `steps` in order; a change or a wait is the last of them. Then observe and plan
/// again. Nothing to do is no steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Now.
    pub steps: Vec<Step>,
    /// Afterwards, for `--dry-run`.
    pub later: Vec<Later>,
    /// To be reported.
    pub notes: Vec<Note>,
}

impl Plan {
    /// Whether the goal is reached.
    pub fn is_done(&self) -> bool {
        self.steps.is_empty()
    }

    /// The start that the plan asks for. Without one the file says [`Start::settled`].
    pub fn start(&self) -> Option<&Start> {
        self.steps.iter().find_map(|step| match step {
            Step::Start(start) => Some(start),
            _ => None,
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove { id, name, why } => write!(f, "remove etcd member {id} ({name}): {why}"),
            Self::AddLearner { name, peer_url, .. } => write!(f, "add {name} ({peer_url}) to etcd as a learner"),
            Self::Promote { id, name } => write!(f, "promote etcd member {id} ({name}) to a voter when it is in sync"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop { why } => write!(f, "stop etcd here: {why}"),
            Self::MoveDataAside { why } => write!(f, "move etcd's data aside: {why}"),
            Self::Start(Start { state: EtcdState::New, initial_cluster }) => {
                write!(f, "start etcd, new cluster: {initial_cluster}")
            }
            Self::Start(Start { state: EtcdState::Existing, initial_cluster }) if initial_cluster.contains(',') => {
                write!(f, "start etcd, joining: {initial_cluster}")
            }
            Self::Start(_) => f.write_str("start etcd on its data"),
            Self::Change(change) => change.fmt(f),
            Self::Await(wait) => write!(f, "wait for {wait}"),
            Self::Remember(mark) => {
                write!(f, "remember membership: member {} of cluster {}", mark.member_id, mark.cluster_id)
            }
        }
    }
}

impl fmt::Display for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replace => "remove this node's old member from etcd",
            Self::AddLearner => "add this node to etcd as a learner",
            Self::Join => "start etcd, joining the cluster",
            Self::Promote => "promote this node to a voter when it is in sync",
        })
    }
}

/// One line per step (`- …`), then what follows (`then …`), then notes (`note: …`).
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "- {step}"))?;
        self.later.iter().try_for_each(|later| writeln!(f, "- then {later}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}
