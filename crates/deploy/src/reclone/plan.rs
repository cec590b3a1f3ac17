//! From what was seen to the steps: pure.

use std::fmt;

use pgstack_cluster_view::{Instance, PostgresError};
use pgstack_topology::Node;

use super::error::RecloneError;
use super::local::Data;
use super::observe::{Leader, Observed, Proof};
use crate::bytes::Bytes;
use crate::files::PG_DATA;

/// What is done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) source: Source,
    /// What a person should know before saying yes.
    pub(super) notes: Vec<String>,
    /// Old data goes out of use: somebody has to say yes.
    pub(super) asks: bool,
}

/// Whom this node copies from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) leader: Node,
    /// How much there is to copy, in bytes: the databases, without the write-ahead log.
    pub(super) size: u64,
    /// How much a copy takes in the end: the write-ahead log grows with it.
    pub(super) needed: u64,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// PostgreSQL must not run while its data goes.
    Stop,
    /// The old data is kept.
    MoveAside { size: u64 },
    /// The old data goes.
    Delete { entries: Vec<(String, u64)> },
    /// What an earlier run copied goes: the next copy starts from nothing.
    DeleteCopy { size: u64 },
    /// The empty folder, with its owner and its mode, marked.
    Prepare,
    /// Patroni copies by itself.
    Start,
    /// Until this node streams.
    Await(Source),
    /// The copy is complete: the mark goes.
    Finish,
}

impl Step {
    /// Whether it is the same step, whatever its numbers.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop => f.write_str("stop Patroni and PostgreSQL on this node"),
            Self::MoveAside { size } => {
                write!(f, "move {PG_DATA} ({}) aside, to {PG_DATA}.TIME, where it is kept", Bytes(*size))
            }
            Self::Delete { entries } => {
                write!(f, "DELETE what is in {PG_DATA}:")?;
                entries.iter().try_for_each(|(name, size)| write!(f, "\n    {name} ({})", Bytes(*size)))
            }
            Self::DeleteCopy { size } => {
                write!(f, "delete the unfinished copy that an earlier reclone began ({})", Bytes(*size))
            }
            Self::Prepare => write!(f, "make {PG_DATA} anew, for uid 999 alone"),
            Self::Start => f.write_str("start Patroni"),
            Self::Await(Source { leader, size, .. }) => {
                write!(
                    f,
                    "wait until Patroni has copied {} from node {} and this node streams from it",
                    Bytes(*size),
                    leader.id()
                )
            }
            Self::Finish => f.write_str("nothing to copy: what an earlier reclone began is complete"),
        }
    }
}

/// The steps, or why there are none. `delete`: the old data need not be kept.
pub(super) fn plan(seen: &Observed, delete: bool) -> Result<Plan, RecloneError> {
    let source = source(seen)?;
    let Observed { local, mine, .. } = seen;
    let mut notes = Vec::new();
    let mut steps = match way(seen) {
        Way::Finish => return Ok(Plan { steps: vec![Step::Finish], source, notes, asks: false }),
        Way::GoOn => {
            notes.push(if local.marked {
                "a copy that an earlier reclone began is under way, so this one waits for it; to start it anew instead, \
                 stop Patroni (docker compose stop patroni) and run this again"
                    .to_owned()
            } else {
                "Patroni is copying already, so there is nothing to do but wait".to_owned()
            });
            return Ok(Plan { steps: vec![Step::Await(source)], source, notes, asks: false });
        }
        Way::Begin => Vec::new(),
    };
    steps.push(Step::Stop);
    match local.data {
        Data::None => {}
        Data::Copy => steps.push(Step::DeleteCopy { size: local.size() }),
        Data::Old if delete => steps.push(Step::Delete { entries: local.entries.clone() }),
        Data::Old if local.apart => return Err(RecloneError::Apart { path: PG_DATA.to_owned() }),
        Data::Old => steps.push(Step::MoveAside { size: local.size() }),
    }
    enough_room(seen, source, delete)?;
    steps.extend([Step::Prepare, Step::Start, Step::Await(source)]);
    let asks = local.data == Data::Old;
    if asks {
        notes.extend(before_yes(seen, mine.as_ref(), source, delete));
    }
    Ok(Plan { steps, source, notes, asks })
}

/// How a copy goes on.
enum Way {
    /// From the beginning.
    Begin,
    /// It is under way.
    GoOn,
    /// It is complete.
    Finish,
}

fn way(seen: &Observed) -> Way {
    let Some(mine) = &seen.mine else { return Way::Begin };
    let works = matches!(mine.state.as_str(), "creating replica" | "starting" | "running");
    match seen.local.data {
        _ if mine.state == "creating replica" => Way::GoOn,
        // Patroni runs on an empty folder: it begins by itself, or tries again in a moment
        Data::None if seen.local.marked => Way::GoOn,
        Data::Copy if works => Way::GoOn,
        // PostgreSQL runs on a complete copy, whose maker did not live to see it
        Data::Old if seen.local.marked && mine.streams() => Way::Finish,
        Data::Old if seen.local.marked && works => Way::GoOn,
        Data::None | Data::Copy | Data::Old => Way::Begin,
    }
}

/// A leader that is worth copying from.
fn source(seen: &Observed) -> Result<Source, RecloneError> {
    let dcs = &seen.dcs;
    let Some(name) = &dcs.leader else {
        return Err(if seen.mine.as_ref().is_some_and(Instance::is_primary) {
            RecloneError::Leads { proof: Proof::Patroni }
        } else {
            RecloneError::NoLeader
        });
    };
    if *name == seen.me.patroni_name() {
        return Err(RecloneError::Leads { proof: Proof::Key });
    }
    if seen.mine.as_ref().is_some_and(Instance::is_primary) {
        return Err(RecloneError::Leads { proof: Proof::Patroni });
    }
    if dcs.paused {
        return Err(RecloneError::Paused);
    }
    let Some(Leader { node, instance, sizes, replication }) = &seen.leader else {
        return Err(RecloneError::UnknownLeader { name: name.clone() });
    };
    let id = node.id();
    let (configured, registered) = (node.ip().to_string(), dcs.hosts.get(name).cloned().unwrap_or_default());
    if configured != registered {
        return Err(RecloneError::LeaderElsewhere { node: id, configured, registered });
    }
    let Some(instance) = instance else { return Err(RecloneError::SilentLeader { node: id }) };
    if !instance.takes_writes() {
        let (role, state) = (instance.role.clone(), instance.state.clone());
        return Err(RecloneError::NotPrimary { node: id, role, state });
    }
    let Some(cluster) = dcs.identity.clone() else { return Err(RecloneError::NoIdentity) };
    let leader = instance.database_system_identifier.clone().unwrap_or_default();
    if leader != cluster {
        return Err(RecloneError::OtherIdentity { node: id, leader, cluster });
    }
    let refused = |error: &PostgresError, role, key| match error {
        PostgresError::Password { .. } => RecloneError::WrongPassword { node: id, role, key },
        PostgresError::Other { reason, .. } => RecloneError::NoPostgres { node: id, reason: reason.clone() },
    };
    let sizes = sizes.as_ref().map_err(|error| refused(error, "postgres", "POSTGRES_SUPERUSER_PASSWORD"))?;
    replication.as_ref().map_err(|error| refused(error, "replicator", "POSTGRES_REPLICATION_PASSWORD"))?;
    Ok(Source { leader: *node, size: sizes.databases, needed: sizes.total() })
}

fn enough_room(seen: &Observed, source: Source, delete: bool) -> Result<(), RecloneError> {
    let local = &seen.local;
    let goes = local.data == Data::Copy || (local.data == Data::Old && delete);
    let room = local.room.saturating_add(if goes { local.size() } else { 0 });
    if room >= source.needed {
        return Ok(());
    }
    let old = (local.data == Data::Old && !delete).then(|| local.size());
    Err(RecloneError::NoRoom { needed: source.needed, room, old, kept: local.kept.clone() })
}

fn before_yes(seen: &Observed, mine: Option<&Instance>, source: Source, delete: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let id = source.leader.id();
    let same_timeline = |mine: &Instance| {
        let leader = seen.leader.as_ref().and_then(|leader| leader.instance.as_ref());
        mine.timeline == leader.and_then(|leader| leader.timeline)
    };
    if mine.is_some_and(|mine| mine.streams() && same_timeline(mine)) {
        notes.push(format!("this replica streams from node {id} and looks healthy: is it the right node?"));
    }
    if let (Some(here), Some(cluster)) = (&seen.local.identity, &seen.dcs.identity)
        && here != cluster
    {
        let lost = if delete { ", and deleted it may be lost for good" } else { "" };
        notes.push(format!(
            "the data here is that of another cluster (system identifier {here}, this cluster's is {cluster}){lost}"
        ));
    }
    if seen.streaming.is_empty() {
        notes.push(format!("no other node streams: until the copy is complete, node {id} alone has the data"));
    }
    notes
}

#[cfg(test)]
mod tests;
