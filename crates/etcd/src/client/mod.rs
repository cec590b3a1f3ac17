//! Talks to etcd: observes endpoints and carries out single changes. No decisions here.
//!
//! The client connects lazily and, given several endpoints, does not fail over at once. So there
//! is one client per endpoint, every call has a timeout, and the failover is ours.

mod ask;
mod execute;

pub use ask::{Timeouts, ask, ask_all, healthy};
pub use execute::{ChangeError, Outcome, execute};
