//! Talks to etcd: observes endpoints, carries out single changes, reads and changes keys. No decisions here.
//!
//! The client connects lazily and, given several endpoints, does not fail over at once. So there
//! is one client per endpoint, every call has a timeout, and the failover is ours.

mod ask;
mod enter;
mod execute;
mod leader;
mod look;
mod store;

pub use ask::{Timeouts, ask, ask_all, healthy};
pub use enter::{NOBODY, WRONG};
pub use execute::{ChangeError, Outcome, execute};
pub use leader::move_leader;
pub use look::{Keys, Look, LookError, look};
pub use store::{Entry, Store, StoreError};

/// What etcd said, without the client's own wrapping.
fn words(error: &etcd_client::Error) -> String {
    match error {
        etcd_client::Error::GRpcStatus(status) => status.message().to_owned(),
        other => other.to_string(),
    }
}
