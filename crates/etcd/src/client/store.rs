//! The keys that Patroni keeps in etcd: listed, and changed only while they are as they were seen. And etcd's users.

use etcd_client::{Client, Compare, CompareOp, Error, GetOptions, GetResponse, PutOptions, Txn, TxnOp, UserAddOptions};
use pgstack_diagnostics::Hint;
use pgstack_env::EtcdLogin;

use super::enter::{Barred, Refused, ask_by_name, knock, log_in};
use super::{Timeouts, ask::connect};
use crate::{Desired, Door, UserChange, Users};

/// A connection to an endpoint that has a quorum behind it.
pub struct Store {
    client: Client,
    timeouts: Timeouts,
    logins: Vec<EtcdLogin>,
    login: Option<EtcdLogin>,
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
    /// etcd asks who this is, and knows no user that the passwords of this node stand for.
    #[error("etcd takes orders from its users alone, and the passwords in .env are none of theirs")]
    Unknown,
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
        vec![match self {
            Self::Unknown => UNKNOWN.to_owned(),
            _ => "start etcd on a majority of the nodes (`deploy`), then run this again".to_owned(),
        }]
    }
}

/// What to do where etcd knows no login of this node.
pub(super) const UNKNOWN: &str = "the passwords in .env must be those that the cluster runs with, the same on every node; where they \
     are to be changed, run `deploy` with the new ones on a node that has run with the old ones first";

impl Store {
    /// The first of the seats whose endpoint passes a quorum read. Logs in where etcd wants it.
    pub async fn open(desired: &Desired, timeouts: Timeouts) -> Result<Self, StoreError> {
        let mut reason = "none was asked".to_owned();
        let mut unknown = false;
        for seat in desired.seats() {
            let mut client = match connect(&seat.client_url, timeouts).await {
                Ok(client) => client,
                Err(why) => {
                    reason = format!("{}: {why}", seat.name);
                    continue;
                }
            };
            let login = match knock(&mut client, timeouts.request).await {
                Ok(Door::Open) => Ok(None),
                Ok(_) => log_in(&mut client, desired.logins(), timeouts.request).await.map(Some),
                Err(why) => Err(Barred::Failed(why)),
            };
            match login {
                Ok(login) => {
                    let (logins, login) = (desired.logins().to_vec(), login.cloned());
                    return Ok(Self { client, timeouts, logins, login });
                }
                // one of another cluster may be among them
                Err(Barred::Unknown) => unknown = true,
                Err(Barred::Failed(why)) => reason = format!("{} answers without one: {why}", seat.name),
            }
        }
        if unknown { Err(StoreError::Unknown) } else { Err(StoreError::NoQuorum { reason }) }
    }

    /// As whom it has logged in to be opened; `None` where etcd took orders from everybody.
    pub fn login(&self) -> Option<&EtcdLogin> {
        self.login.as_ref()
    }

    /// Every key below a prefix, in order.
    pub async fn list(&mut self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let options = GetOptions::new().with_prefix();
        let what = format!("list {prefix}");
        let answer = self.call(&what, async |client| client.get(prefix, Some(options.clone())).await).await?;
        Ok(entries(&answer))
    }

    /// One key, where it is there.
    pub async fn one(&mut self, key: &str) -> Result<Option<Entry>, StoreError> {
        let answer = self.call(&format!("read {key}"), async |client| client.get(key, None).await).await?;
        Ok(entries(&answer).pop())
    }

    /// Deletes a key; false where it has changed since it was listed, and then it stays.
    pub async fn delete(&mut self, entry: &Entry) -> Result<bool, StoreError> {
        let unchanged = Compare::mod_revision(entry.key.as_str(), CompareOp::Equal, entry.revision);
        let txn = Txn::new().when([unchanged]).and_then([TxnOp::delete(entry.key.as_str(), None)]);
        let what = format!("delete {}", entry.key);
        Ok(self.call(&what, async |client| client.txn(txn.clone()).await).await?.succeeded())
    }

    /// Writes a key that goes by itself after so many seconds.
    pub async fn put_for(&mut self, key: &str, value: &str, seconds: i64) -> Result<(), StoreError> {
        let what = format!("write {key}");
        let lease = self.call(&what, async |client| client.lease_grant(seconds, None).await).await?.id();
        let options = PutOptions::new().with_lease(lease);
        self.call(&what, async |client| client.put(key, value, Some(options.clone())).await).await.map(drop)
    }

    /// Writes a key that is not there, for so many seconds; false where it is.
    pub async fn claim(&mut self, key: &str, value: &str, seconds: i64) -> Result<bool, StoreError> {
        let what = format!("write {key}");
        let lease = self.call(&what, async |client| client.lease_grant(seconds, None).await).await?.id();
        let absent = Compare::create_revision(key, CompareOp::Equal, 0);
        let put = TxnOp::put(key, value, Some(PutOptions::new().with_lease(lease)));
        let txn = Txn::new().when([absent]).and_then([put]);
        Ok(self.call(&what, async |client| client.txn(txn.clone()).await).await?.succeeded())
    }

    /// etcd's users and roles.
    pub async fn users(&mut self) -> Result<Users, StoreError> {
        let what = "list its users";
        let roles = self.call(what, async |client| client.role_list().await).await?.roles().to_vec();
        let names = self.call(what, async |client| client.user_list().await).await?.users().to_vec();
        let mut users = Vec::new();
        for name in names {
            let found = self.call(what, async |client| client.user_get(name.as_str()).await).await?;
            users.push((name, found.roles().iter().any(|role| role == Users::ROOT)));
        }
        Ok(Users { users, roles })
    }

    /// Carries out one change of the users. One that somebody else has made at the same moment is no failure.
    pub async fn change_user(&mut self, change: &UserChange) -> Result<(), StoreError> {
        let what = change.to_string();
        let outcome = match change {
            UserChange::AddRole => self.call(&what, async |client| client.role_add(Users::ROOT).await.map(drop)).await,
            UserChange::AddRoot => {
                let nobody = UserAddOptions::new().with_no_pwd();
                self.call(&what, async |client| client.user_add(Users::ROOT, "", Some(nobody.clone())).await.map(drop))
                    .await
            }
            UserChange::Add(EtcdLogin { user, password }) => {
                let other = format!("not yet {}", password.expose());
                self.call(&what, async |client| client.user_add(user, &*other, None).await.map(drop)).await
            }
            UserChange::SetPassword(EtcdLogin { user, password }) => {
                self.call(&what, async |client| client.user_change_password(user, password.expose()).await.map(drop))
                    .await
            }
            UserChange::Grant(user) => {
                self.call(&what, async |client| client.user_grant_role(user, Users::ROOT).await.map(drop)).await
            }
            UserChange::Delete(user) => self.call(&what, async |client| client.user_delete(user).await.map(drop)).await,
        };
        match outcome {
            Err(StoreError::Failed { reason, .. })
                if reason.contains("already exists")
                    || matches!(change, UserChange::Delete(_)) && reason.contains("user name not found") =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// From now on etcd takes orders from its users alone.
    pub async fn close_door(&mut self) -> Result<(), StoreError> {
        self.call("ask who gives orders", async |client| client.auth_enable().await).await.map(drop)
    }

    async fn call<T>(
        &mut self,
        what: &str,
        request: impl AsyncFn(&mut Client) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let asked = ask_by_name(&mut self.client, &self.logins, self.timeouts, self.timeouts.request, request);
        asked.await.map_err(|refused| match refused {
            Refused::Barred(Barred::Unknown) => StoreError::Unknown,
            other => StoreError::Failed { what: what.to_owned(), reason: other.to_string() },
        })
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
