//! What was seen: my data, my mark, and every endpoint's answer.

use std::fmt;

use pgstack_topology::NodeId;
use serde::{Deserialize, Serialize};

use crate::Seat;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u64);

        /// As etcd prints it: hexadecimal, without `0x`.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:x}", self.0)
            }
        }

        /// A hexadecimal string: a JSON number cannot hold 64 bits everywhere.
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                u64::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id! {
    /// The id that all members of one etcd cluster share.
    ClusterId
}
hex_id! {
    /// The id of one member. A member that is removed and added again gets another one.
    MemberId
}

/// What lies in this machine's data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataDir {
    /// No directory, or nothing in it.
    Empty,
    /// Something lies there, but no write-ahead log: an aborted start, or a half-done deletion.
    /// etcd would take it for empty and mix the remains with what it is told next.
    Remains,
    /// A member lived here.
    Initialised {
        /// Its id, when the log's head could be read.
        member_id: Option<MemberId>,
        /// Its cluster's id, when the log's head could be read.
        cluster_id: Option<ClusterId>,
    },
    /// It could not be looked at.
    Unknown {
        /// Why, in the system's words.
        reason: String,
    },
}

/// Stands outside the data directory (`etcd/member.json`) and says that this machine has been a
/// member once: without it, lost data would look like a first boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// This machine's member in it.
    pub member_id: MemberId,
    /// The member's peer URL.
    pub peer_url: String,
}

/// The mark's text is not what [`Mark::to_json`] writes.
#[derive(Debug, thiserror::Error)]
#[error("not a member mark")]
pub struct MarkError(#[from] serde_json::Error);

impl Mark {
    /// Where it lies, relative to the stack directory.
    pub const PATH: &'static str = "etcd/member.json";

    /// Reads what [`Mark::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self, MarkError> {
        Ok(serde_json::from_str(text)?)
    }

    /// One line of JSON, ending with a line break.
    pub fn to_json(&self) -> String {
        // ids and a string always serialise
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

/// One member, as an endpoint's member list names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// Empty until it has started, unless it stood in a static list.
    pub name: String,
    /// Where the other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it. Empty until it has started for the first time.
    pub client_urls: Vec<String>,
    /// It gets the log but has no vote.
    pub is_learner: bool,
}

impl Member {
    /// Whether it has ever served: only then it announces client URLs.
    pub fn has_started(&self) -> bool {
        !self.client_urls.is_empty()
    }

    /// Whether it lies at `url`.
    pub fn has_peer_url(&self, url: &str) -> bool {
        self.peer_urls.iter().any(|known| known.trim_end_matches('/') == url.trim_end_matches('/'))
    }

    /// Whether it lies at the place of `seat`.
    pub fn sits_at(&self, seat: &Seat) -> bool {
        self.has_peer_url(&seat.peer_url)
    }
}

/// A raised alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// The database has reached its quota: nothing can be written.
    NoSpace,
    /// A member's database is damaged.
    Corrupt,
}

/// What a serving endpoint knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its cluster.
    pub cluster_id: ClusterId,
    /// The member that answered.
    pub responder: MemberId,
    /// The members as this one knows them; as of the linearizable read where that succeeded.
    pub members: Vec<Member>,
    /// The leader it follows.
    pub leader: Option<MemberId>,
    /// A quorum read succeeded on this endpoint: it is connected to a majority, and its list is current.
    pub linearizable: bool,
    /// Raised alarms, with the member each concerns.
    pub alarms: Vec<(MemberId, Alarm)>,
}

/// What an endpoint said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing in time. A member that waits for its first quorum keeps its client port closed.
    Unreachable {
        /// Why, in the client's words.
        reason: String,
    },
    /// It serves.
    Serving(View),
    /// It serves as a learner, which tells who it is and nothing else.
    Learner {
        /// Its cluster.
        cluster_id: ClusterId,
        /// The learner.
        member_id: MemberId,
    },
    /// It tells its users alone, and this node could not log in: etcd 3.5.28 and later without a quorum.
    Guarded {
        /// Why, in etcd's words.
        reason: String,
    },
}

/// One node's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The node.
    pub node: NodeId,
    /// What its endpoint said.
    pub answer: Answer,
}

/// Everything that a plan rests on. Ask the endpoints before looking at the data directory: an
/// endpoint that serves has its data, and not the other way round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// This machine's data directory.
    pub my_data: DataDir,
    /// What this machine remembers.
    pub mark: Option<Mark>,
    /// An etcd process or container runs on this machine or keeps being restarted, whether it
    /// serves or not.
    pub running: bool,
    /// The answer of every seat, this machine's too.
    pub peers: Vec<Peer>,
}

impl Observed {
    /// The answer of one node.
    pub fn answer(&self, node: NodeId) -> Option<&Answer> {
        self.peers.iter().find(|peer| peer.node == node).map(|peer| &peer.answer)
    }

    /// The views of the endpoints that serve fully, with their nodes.
    pub fn views(&self) -> impl Iterator<Item = (NodeId, &View)> {
        self.peers.iter().filter_map(|peer| match &peer.answer {
            Answer::Serving(view) => Some((peer.node, view)),
            Answer::Unreachable { .. } | Answer::Guarded { .. } | Answer::Learner { .. } => None,
        })
    }

    /// The mark that belongs beside the data of a member that serves here and has a vote, where
    /// another one or none is there.
    pub(crate) fn mark_due(&self, me: &Seat) -> Option<Mark> {
        let Some(Answer::Serving(view)) = self.answer(me.node) else { return None };
        let listed = view.members.iter().any(|member| member.id == view.responder && member.sits_at(me));
        let mark = Mark { cluster_id: view.cluster_id, member_id: view.responder, peer_url: me.peer_url.clone() };
        (view.linearizable && listed && self.mark.as_ref() != Some(&mark)).then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_survives_its_text_and_ids_are_hexadecimal() {
        let mark = Mark {
            cluster_id: ClusterId(u64::MAX),
            member_id: MemberId(0xabc),
            peer_url: "http://10.0.0.1:2380".to_owned(),
        };
        let text = mark.to_json();
        assert_eq!(
            text,
            "{\"cluster_id\":\"ffffffffffffffff\",\"member_id\":\"abc\",\"peer_url\":\"http://10.0.0.1:2380\"}\n"
        );
        assert_eq!(Mark::from_json(&text).ok(), Some(mark));
        for bad in ["", "{}", "null", "{\"cluster_id\":1}"] {
            assert!(Mark::from_json(bad).is_err(), "{bad:?}");
        }
    }
}
