//! The use cases: bringing a node up, taking it out, mending what is broken. Each observes, plans, then executes.

mod bootstrap;
mod bytes;
mod clean;
mod clear_members;
mod consent;
mod deploy;
mod error;
mod files;
mod fix_address;
mod logins;
mod momentary;
mod patroni_keys;
mod reclone;
mod remove_node;
mod reset_etcd;
mod settings;
mod site;
mod switchover;

pub use bootstrap::{Bootstrap, bootstrap};
pub use clean::{Clean, clean};
pub use clear_members::{ClearMembers, ForgetRefusal, clear_members};
pub use deploy::{Deploy, Summary, changed_since_loaded, check_address, data_trouble, deploy};
pub use error::DeployError;
pub use files::{compose_files, render};
pub use fix_address::{FixAddress, fix_address};
pub use logins::etcd_logins;
pub use reclone::{Reclone, RecloneError, reclone};
pub use remove_node::{RemovalRefusal, RemoveNode, Sign, remove_node};
pub use reset_etcd::{ResetEtcd, ResetRefusal, reset_etcd};
pub use switchover::{Switchover, SwitchoverRefusal, switchover};

/// Runs a use case to its end.
pub fn block_on<T>(work: impl Future<Output = Result<T, DeployError>>) -> Result<T, DeployError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(DeployError::Runtime)?
        .block_on(work)
}
