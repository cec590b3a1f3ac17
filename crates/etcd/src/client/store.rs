//! The keys that Patroni keeps in etcd: listed, and changed only while they are as they were seen.

use etcd_client::{Client, Compare, CompareOp, Error, GetOptions, GetResponse, PutOptions, Txn, TxnOp};
use pgstack_diagnostics::Hint;
use tokio::time::timeout;

use super::{Timeouts, ask::connect, ask::quorum_read};
use crate::Seat;

/// A connection to an endpoint that has a quorum behind it.
pub struct Store {
    client: Client,
    timeouts: Timeouts,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `/service/pg-cluster/members/patroni1`.
    pub key: String,
    /// Its value; Patroni writes JSON or plain text.
    pub value: String,
    revision: i64,
}

/// etcd's keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No endpoint passed a quorum read.
    #[error("no etcd endpoint has a quorum ({reason})")]
    NoQuorum {
        /// The last endpoint's words.
        reason: String,
    },
    /// etcd refused, or did not answer in time.
    #[error("etcd could not {what}: {reason}")]
    Failed {
        /// `list /service/`.
        what: String,
        /// Its words.
        reason: String,
    },
}

impl Hint for StoreError {
    fn hints(&self) -> Vec<String> {
        vec!["start etcd on a majority of the nodes (`deploy`), then run this again".to_owned()]
    }
}

impl Store {
    /// The first of the seats whose endpoint passes a quorum read.
    pub async fn open(seats: &[Seat], timeouts: Timeouts) -> Result<Self, StoreError> {
        let mut reason = "none was asked".to_owned();
        for seat in seats {
            match connect(&seat.client_url, timeouts).await {
                Err(why) => reason = format!("{}: {why}", seat.name),
                Ok(mut client) => {
                    if quorum_read(&mut client, timeouts).await {
                        return Ok(Self { client, timeouts });
                    }
                    reason = format!("{} answers without one", seat.name);
                }
            }
        }
        Err(StoreError::NoQuorum { reason })
    }

    /// Every key below a prefix, in order.
    pub async fn list(&mut self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let get = self.client.get(prefix, Some(GetOptions::new().with_prefix()));
        let answer = done(&format!("list {prefix}"), timeout(self.timeouts.request, get).await)?;
        Ok(entries(&answer))
    }

    /// One key, where it is there.
    pub async fn one(&mut self, key: &str) -> Result<Option<Entry>, StoreError> {
        let answer = done(&format!("read {key}"), timeout(self.timeouts.request, self.client.get(key, None)).await)?;
        Ok(entries(&answer).pop())
    }

    /// Deletes a key; false where it has changed since it was listed, and then it stays.
    pub async fn delete(&mut self, entry: &Entry) -> Result<bool, StoreError> {
        let unchanged = Compare::mod_revision(entry.key.as_str(), CompareOp::Equal, entry.revision);
        let txn = Txn::new().when([unchanged]).and_then([TxnOp::delete(entry.key.as_str(), None)]);
        let answer = timeout(self.timeouts.request, self.client.txn(txn)).await;
        Ok(done(&format!("delete {}", entry.key), answer)?.succeeded())
    }

    /// Writes a key that goes by itself after so many seconds.
    pub async fn put_for(&mut self, key: &str, value: &str, seconds: i64) -> Result<(), StoreError> {
        let what = format!("write {key}");
        let lease = timeout(self.timeouts.request, self.client.lease_grant(seconds, None)).await;
        let options = PutOptions::new().with_lease(done(&what, lease)?.id());
        let answer = timeout(self.timeouts.request, self.client.put(key, value, Some(options))).await;
        done(&what, answer).map(drop)
    }
}

/// The keys of an answer.
pub(super) fn entries(answer: &GetResponse) -> Vec<Entry> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let entry = |kv: &etcd_client::KeyValue| Entry {
        key: text(kv.key()),
        value: text(kv.value()),
        revision: kv.mod_revision(),
    };
    answer.kvs().iter().map(entry).collect()
}

fn done<T>(what: &str, answer: Result<Result<T, Error>, tokio::time::error::Elapsed>) -> Result<T, StoreError> {
    let failed = |reason: String| StoreError::Failed { what: what.to_owned(), reason };
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failed(super::words(&error))),
        Err(_) => Err(failed("no answer in time".to_owned())),
    }
}
