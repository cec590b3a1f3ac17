//! Everything that one endpoint knows, asked at once and within a deadline, whatever part of it fails.

use std::io;
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, GetOptions};
use pgstack_env::EtcdLogin;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::ask::{alarm, member};
use super::enter::{Barred, asks_who, log_in};
use super::store::{Entry, entries};
use crate::{Alarm, ClusterId, Door, Member, MemberId};

/// Everything that one endpoint knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The cluster that it belongs to.
    pub cluster_id: ClusterId,
    /// The member that answered.
    pub member_id: MemberId,
    /// The leader that it follows.
    pub leader: Option<MemberId>,
    /// It has no vote, and reads nothing that takes a quorum.
    pub is_learner: bool,
    /// The members as it knows them; `None` where it did not tell.
    pub members: Option<Vec<Member>>,
    /// Raised alarms.
    pub alarms: Vec<(MemberId, Alarm)>,
    /// The size of its database file, in bytes.
    pub db_size: u64,
    /// How much of that is used.
    pub db_in_use: u64,
    /// The size at which it stops to write; `None` before etcd 3.6, which does not tell.
    pub db_quota: Option<u64>,
    /// `3.5.16`.
    pub version: String,
    /// Whether it takes orders from those who have not logged in; `None` where there was no quorum in time.
    pub door: Option<Door>,
    /// How long a read with a quorum takes; `None` where there was no quorum in time.
    pub took: Option<Duration>,
    /// What it gave; `None` where there was no quorum in time, or this node was not let in.
    pub keys: Option<Keys>,
}

/// Keys that were read with a quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The revision of etcd's data: what has a greater one is newer.
    pub revision: i64,
    /// Every key below the prefix.
    pub entries: Vec<Entry>,
}

/// A read that takes longer is tried again.
const SLOW: Duration = Duration::from_millis(250);

/// An endpoint did not tell.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// No connection.
    #[error("no connection")]
    Connect(#[source] io::Error),
    /// No connection in time.
    #[error("no answer in time")]
    Late,
    /// A connection, and no answer in time.
    #[error("connected, but no answer in time")]
    Mute,
    /// It tells only its users, and this node is none of them.
    #[error("it tells only those who log in, and the passwords in .env are none of theirs")]
    Locked,
    /// etcd's words.
    #[error("{0}")]
    Failed(String),
}

/// Asks the endpoint `http://ADDRESS:2379` everything, and reads what lies below `prefix` with a quorum. Where etcd wants it, it
/// logs in with one of `logins`, if it `may`: a log-in is a write in etcd's log. Else the keys are not read.
pub async fn look(
    client_url: &str,
    prefix: &str,
    logins: &[EtcdLogin],
    may: bool,
    deadline: Instant,
) -> Result<Look, LookError> {
    let address = client_url.split_once("://").map_or(client_url, |(_, address)| address).trim_end_matches('/');
    // the etcd client connects lazily and would hide a closed port behind the request's timeout
    match timeout_at(deadline, TcpStream::connect(address)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(LookError::Connect(error)),
        Err(_) => return Err(LookError::Late),
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let options = ConnectOptions::new().with_connect_timeout(left);
    let failed = |error: &etcd_client::Error| LookError::Failed(super::words(error));
    let client = timeout(left, Client::connect([client_url], Some(options))).await.map_err(|_| LookError::Mute)?;
    let client = client.map_err(|error| failed(&error))?;
    let (mut status, mut members, told) = tokio::join!(
        self::status(client.clone(), deadline),
        self::members(client.clone(), deadline),
        told(client.clone(), prefix, may.then_some(logins), deadline)
    );
    let door = told.as_ref().map(|told| told.door);
    if matches!(status, Err(Refusal::Stranger)) && door == Some(Door::Closed) {
        // etcd 3.5.28 and later; the log-in for the keys is one for all
        let left = deadline.saturating_duration_since(Instant::now());
        if !may && log_in(&mut client.clone(), logins, left).await.is_err() {
            return Err(LookError::Mute);
        }
        (status, members) = tokio::join!(self::status(client.clone(), deadline), self::members(client, deadline));
    }
    let status = status.map_err(|refusal| match refusal {
        Refusal::Stranger if door == Some(Door::Locked) => LookError::Locked,
        // it has no quorum, without which nobody can log in
        Refusal::Late | Refusal::Stranger => LookError::Mute,
        Refusal::Failed(words) => LookError::Failed(words),
    })?;
    let header = status.header().ok_or_else(|| LookError::Failed("an answer without a header".to_owned()))?;
    let quota = u64::try_from(status.db_size_quota()).ok().filter(|&quota| quota > 0);
    Ok(Look {
        cluster_id: ClusterId(header.cluster_id()),
        member_id: MemberId(header.member_id()),
        leader: (status.leader() != 0).then(|| MemberId(status.leader())),
        is_learner: status.is_learner(),
        members,
        alarms: status.errors().iter().filter_map(|text| alarm(text)).collect(),
        db_size: status.db_size().try_into().unwrap_or_default(),
        db_in_use: status.raft_used_db_size().try_into().unwrap_or_default(),
        db_quota: quota,
        version: status.version().to_owned(),
        door,
        took: told.as_ref().map(|told| told.took),
        keys: told.and_then(|told| told.keys),
    })
}

/// Why there is no status.
enum Refusal {
    Late,
    Stranger,
    Failed(String),
}

async fn status(mut client: Client, deadline: Instant) -> Result<etcd_client::StatusResponse, Refusal> {
    match timeout_at(deadline, client.status()).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(error)) if asks_who(&error) => Err(Refusal::Stranger),
        Ok(Err(error)) => Err(Refusal::Failed(super::words(&error))),
        Err(_) => Err(Refusal::Late),
    }
}

async fn members(mut client: Client, deadline: Instant) -> Option<Vec<Member>> {
    let list = timeout_at(deadline, client.member_list()).await.ok()?.ok()?;
    Some(list.members().iter().map(member).collect())
}

/// What reading below a prefix told: of the door, of how long a read takes, and of the keys.
struct Told {
    door: Door,
    took: Duration,
    keys: Option<Keys>,
}

/// A read, logged in where etcd wants that. `None` where there was no quorum in time. A refusal comes after the quorum has been
/// asked, so it tells as much of it as a read does.
async fn told(mut client: Client, prefix: &str, logins: Option<&[EtcdLogin]>, deadline: Instant) -> Option<Told> {
    let (took, first) = read(&mut client, prefix, deadline).await?;
    let door = match first {
        // once, a slow read may be anybody's fault; twice, it is etcd's
        Ok(keys) if took < SLOW => return Some(Told { door: Door::Open, took, keys: Some(keys) }),
        Ok(_) => Door::Open,
        Err(ref error) if asks_who(error) => {
            let Some(logins) = logins else {
                let again = if took < SLOW { None } else { read(&mut client, prefix, deadline).await };
                let took = again.map_or(took, |(again, _)| took.min(again));
                return Some(Told { door: Door::Closed, took, keys: None });
            };
            let left = deadline.saturating_duration_since(Instant::now());
            match log_in(&mut client, logins, left).await {
                Err(Barred::Unknown) => return Some(Told { door: Door::Locked, took, keys: None }),
                Ok(_) | Err(Barred::Failed(_)) => Door::Closed,
            }
        }
        Err(_) => return None,
    };
    Some(match (read(&mut client, prefix, deadline).await, first) {
        (Some((again, Ok(keys))), _) => Told { door, took: took.min(again), keys: Some(keys) },
        (_, first) => Told { door, took, keys: first.ok() },
    })
}

/// How long it took, and what came of it; `None` where there was no answer in time.
async fn read(
    client: &mut Client,
    prefix: &str,
    deadline: Instant,
) -> Option<(Duration, Result<Keys, etcd_client::Error>)> {
    let began = Instant::now();
    let options = GetOptions::new().with_prefix();
    let answer = timeout_at(deadline, client.get(prefix, Some(options))).await.ok()?;
    let took = began.elapsed();
    let keys = answer.map(|answer| Keys {
        revision: answer.header().map_or(0, etcd_client::ResponseHeader::revision),
        entries: entries(&answer),
    });
    Some((took, keys))
}
