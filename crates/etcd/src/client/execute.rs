//! Carries out one change of the member list.

use std::time::Duration;

use etcd_client::{Client, Error, MemberAddOptions};
use pgstack_diagnostics::Hint;
use tokio::time::{Instant, sleep};

use super::enter::{Barred, Refused, ask_by_name};
use super::store::UNKNOWN;
use super::{Timeouts, ask::connect, words};
use crate::{Change, Desired, Observed, View};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// etcd itself gives a change up after some seconds; an answer that comes later than this is lost.
const ANSWER: Duration = Duration::from_secs(8);

/// How a change ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// etcd did it.
    Done,
    /// Somebody else was faster, or the answer got lost: observe and plan again.
    Overtaken {
        /// etcd's words.
        reason: String,
    },
}

/// A change that etcd did not make. The next run observes what became of it.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// etcd kept refusing for now (`unhealthy cluster`, `in sync with leader`) until the deadline.
    #[error("etcd refused for {seconds} s to {change}: {reason}")]
    Refused {
        /// What was to be done.
        change: String,
        /// How long it was tried, in seconds.
        seconds: u64,
        /// etcd's last words.
        reason: String,
    },
    /// No endpoint took the request.
    #[error("no etcd endpoint took the request to {change}: {reason}")]
    NoEndpoint {
        /// What was to be done.
        change: String,
        /// The last endpoint's words.
        reason: String,
    },
    /// etcd asks who gives the order, and knows no user that the passwords of this node stand for.
    #[error("cannot {change}: etcd takes orders from its users alone, and the passwords in .env are none of theirs")]
    Unknown {
        /// What was to be done.
        change: String,
    },
}

impl Hint for ChangeError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Refused { .. } => vec![
                "etcd changes its members only while all voters have been connected for 5 s: start etcd on every \
                 node, or take a dead one out for good (`remove-node N` on another node); nothing has been changed, run this \
                 again afterwards"
                    .to_owned(),
            ],
            Self::NoEndpoint { .. } => {
                vec!["check that TCP 2379 is open between the nodes, then run this again".to_owned()]
            }
            Self::Unknown { .. } => vec![UNKNOWN.to_owned()],
        }
    }
}

/// What etcd's words mean for the change.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Overtaken,
    NotYet,
    OtherEndpoint,
}

/// Carries out `change` through the endpoints that had a quorum in `observed`, one after the other, etcd's leader first:
/// what another one hands on to it, it may refuse as from somebody who has not logged in.
///
/// etcd's "not yet" (no member may have been away in the last 5 s; a learner must be in sync) is
/// retried until the deadline; `progress` hears it, in etcd's words, when it changes.
pub async fn execute(
    change: &Change,
    desired: &Desired,
    observed: &Observed,
    timeouts: Timeouts,
    deadline: Duration,
    progress: &mut (dyn FnMut(&str) + Send),
) -> Result<Outcome, ChangeError> {
    let mut views: Vec<_> = observed.views().filter(|(_, view)| view.linearizable).collect();
    let follows = |view: &View| view.leader != Some(view.responder);
    views.sort_by_key(|(_, view)| follows(view));
    let endpoints: Vec<&str> =
        views.iter().filter_map(|(node, _)| desired.seat(*node)).map(|seat| seat.client_url.as_str()).collect();
    let began = Instant::now();
    let mut told = String::new();
    loop {
        let mut reason = "none had a quorum".to_owned();
        let mut not_yet = false;
        for endpoint in &endpoints {
            let mut client = match connect(endpoint, timeouts).await {
                Ok(client) => client,
                Err(why) => {
                    reason = why;
                    continue;
                }
            };
            let asked = ask_by_name(&mut client, desired.logins(), timeouts, ANSWER, async |client| {
                request(client, change).await
            });
            reason = match asked.await {
                Ok(()) => return Ok(Outcome::Done),
                Err(Refused::Late) => return Ok(Outcome::Overtaken { reason: Refused::Late.to_string() }),
                Err(Refused::Barred(Barred::Unknown)) => {
                    return Err(ChangeError::Unknown { change: change.to_string() });
                }
                Err(Refused::Barred(Barred::Failed(why))) => {
                    reason = why;
                    continue;
                }
                Err(Refused::Said(error)) => words(&error),
            };
            match verdict(&reason) {
                Verdict::Overtaken => return Ok(Outcome::Overtaken { reason }),
                Verdict::NotYet => {
                    not_yet = true;
                    break;
                }
                Verdict::OtherEndpoint => {}
            }
        }
        if began.elapsed() >= deadline {
            let (change, seconds) = (change.to_string(), deadline.as_secs());
            return Err(if not_yet {
                ChangeError::Refused { change, seconds, reason }
            } else {
                ChangeError::NoEndpoint { change, reason }
            });
        }
        if reason != told {
            progress(&reason);
            told.clone_from(&reason);
        }
        sleep(PAUSE).await;
    }
}

async fn request(client: &mut Client, change: &Change) -> Result<(), Error> {
    match change {
        Change::Remove { id, .. } => client.member_remove(id.0).await.map(drop),
        Change::Promote { id, .. } => client.member_promote(id.0).await.map(drop),
        Change::AddLearner { peer_url, .. } => {
            let options = MemberAddOptions::new().with_is_learner();
            client.member_add([peer_url.as_str()], Some(options)).await.map(drop)
        }
    }
}

fn verdict(words: &str) -> Verdict {
    const NOT_YET: [&str; 3] = ["unhealthy cluster", "in sync with leader", "not enough started members"];
    const OVERTAKEN: [&str; 5] = [
        "member not found",
        "Peer URLs already exists",
        "too many learner members",
        "can only promote a learner member",
        "request timed out",
    ];
    if NOT_YET.iter().any(|known| words.contains(known)) {
        Verdict::NotYet
    } else if OVERTAKEN.iter().any(|known| words.contains(known)) {
        Verdict::Overtaken
    } else {
        Verdict::OtherEndpoint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etcds_refusals_are_told_apart() {
        for (words, want) in [
            ("etcdserver: unhealthy cluster", Verdict::NotYet),
            ("etcdserver: can only promote a learner member which is in sync with leader", Verdict::NotYet),
            ("etcdserver: re-configuration failed due to not enough started members", Verdict::NotYet),
            ("etcdserver: can only promote a learner member", Verdict::Overtaken),
            ("etcdserver: member not found", Verdict::Overtaken),
            ("etcdserver: Peer URLs already exists", Verdict::Overtaken),
            ("etcdserver: too many learner members in cluster", Verdict::Overtaken),
            ("etcdserver: request timed out", Verdict::Overtaken),
            ("transport error", Verdict::OtherEndpoint),
        ] {
            assert_eq!(verdict(words), want, "{words}");
        }
    }
}
