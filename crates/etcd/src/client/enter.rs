//! Comes in: asks as everybody may ask, and logs in where etcd wants to know who asks.

use std::time::Duration;

use etcd_client::{Client, Error};
use pgstack_env::EtcdLogin;
use tokio::time::timeout;

use super::{Timeouts, words};
use crate::Door;

/// etcd's words to one who has not logged in.
pub const NOBODY: &str = "user name is empty";
/// Its words where it knows no such user, or the password is another one.
pub const WRONG: &str = "authentication failed";

/// etcd takes no orders from this node, or none at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Barred {
    /// It asks who this is, and knows none of the logins.
    #[error("it knows no user that the passwords in .env stand for")]
    Unknown,
    /// It has no quorum, or does not answer in time.
    #[error("{0}")]
    Failed(String),
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// This node was not let in.
    #[error(transparent)]
    Barred(Barred),
    /// etcd's words.
    #[error("{}", words(.0))]
    Said(Error),
    /// What became of it is not known.
    #[error("no answer in time")]
    Late,
}

/// Asks, and where etcd wants to know who asks, logs in and asks again. It may also want that anew: its door was closed
/// meanwhile, its users were changed, or it signs with another key. A log-in may take as long as any request, the answer its
/// own time.
pub(super) async fn ask_by_name<T>(
    client: &mut Client,
    logins: &[EtcdLogin],
    timeouts: Timeouts,
    limit: Duration,
    request: impl AsyncFn(&mut Client) -> Result<T, Error>,
) -> Result<T, Refused> {
    let mut answer = timeout(limit, request(client)).await;
    if matches!(&answer, Ok(Err(error)) if is_stale(error)) {
        log_in(client, logins, timeouts.request).await.map_err(Refused::Barred)?;
        answer = timeout(limit, request(client)).await;
    }
    answer.map_err(|_| Refused::Late)?.map_err(Refused::Said)
}

/// Whether etcd wants to know who asks, or no longer believes it.
fn is_stale(error: &Error) -> bool {
    let words = words(error);
    [NOBODY, "revision of auth store is old", "invalid auth token"].iter().any(|known| words.contains(known))
}

/// What a read with a quorum says of the door, and why it fails. A refusal comes after the quorum has been
/// asked, so it proves one just as well.
pub(super) async fn knock(client: &mut Client, limit: Duration) -> Result<Door, String> {
    match timeout(limit, client.get("health", None)).await {
        Ok(Ok(_)) => Ok(Door::Open),
        Ok(Err(error)) if asks_who(&error) => Ok(Door::Locked),
        Ok(Err(error)) => Err(words(&error)),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// Whether etcd refused because nobody has logged in.
pub(super) fn asks_who(error: &Error) -> bool {
    words(error).contains(NOBODY)
}

/// Logs in with the first of the logins that etcd knows, and says which.
pub(super) async fn log_in<'a>(
    client: &mut Client,
    logins: &'a [EtcdLogin],
    limit: Duration,
) -> Result<&'a EtcdLogin, Barred> {
    for login in logins {
        let user = (login.user.clone(), login.password.expose().to_owned());
        match timeout(limit, client.update_user(Some(user))).await {
            Ok(Ok(())) => return Ok(login),
            Ok(Err(error)) if words(&error).contains(WRONG) => {}
            Ok(Err(error)) => return Err(Barred::Failed(words(&error))),
            Err(_) => return Err(Barred::Failed("no answer in time".to_owned())),
        }
    }
    Err(Barred::Unknown)
}
