//! Everything that one endpoint knows, asked at once and within a deadline, whatever part of it fails.

use std::io;
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, GetOptions};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::ask::{alarm, member};
use super::store::{Entry, entries};
use crate::{Alarm, ClusterId, Member, MemberId};

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
    /// What a read with a quorum gave; `None` where there was no quorum in time.
    pub keys: Option<Keys>,
}

/// Keys that were read with a quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// How long the read took.
    pub took: Duration,
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
    /// etcd's words.
    #[error("{0}")]
    Failed(String),
}

/// Asks the endpoint `http://ADDRESS:2379` everything, and reads what lies below `prefix` with a quorum.
pub async fn look(client_url: &str, prefix: &str, deadline: Instant) -> Result<Look, LookError> {
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
    let (status, members, keys) = tokio::join!(
        status(client.clone(), deadline),
        members(client.clone(), deadline),
        keys(client, prefix, deadline)
    );
    let status = status?;
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
        keys,
    })
}

async fn status(mut client: Client, deadline: Instant) -> Result<etcd_client::StatusResponse, LookError> {
    let answer = timeout_at(deadline, client.status()).await.map_err(|_| LookError::Mute)?;
    answer.map_err(|error| LookError::Failed(super::words(&error)))
}

async fn members(mut client: Client, deadline: Instant) -> Option<Vec<Member>> {
    let list = timeout_at(deadline, client.member_list()).await.ok()?.ok()?;
    Some(list.members().iter().map(member).collect())
}

/// A slow read is tried again: once, it may be anybody's fault; twice, it is etcd's.
async fn keys(client: Client, prefix: &str, deadline: Instant) -> Option<Keys> {
    let first = read(client.clone(), prefix, deadline).await?;
    if first.took < SLOW {
        return Some(first);
    }
    let second = read(client, prefix, deadline).await;
    Some(second.filter(|second| second.took < first.took).unwrap_or(first))
}

async fn read(mut client: Client, prefix: &str, deadline: Instant) -> Option<Keys> {
    let began = Instant::now();
    let options = GetOptions::new().with_prefix();
    let answer = timeout_at(deadline, client.get(prefix, Some(options))).await.ok()?.ok()?;
    let revision = answer.header()?.revision();
    Some(Keys { took: began.elapsed(), revision, entries: entries(&answer) })
}
