//! The use cases: bootstrap, deploy, clean. Each observes, plans, then executes.

mod bootstrap;
mod clean;
mod deploy;
mod error;
mod files;
mod settings;

pub use bootstrap::{Bootstrap, bootstrap};
pub use clean::{Clean, clean};
pub use deploy::{Deploy, Summary, deploy};
pub use error::DeployError;
pub use files::{compose_files, render};
pub use settings::Ended;

/// Runs a use case to its end.
pub fn block_on<T>(work: impl Future<Output = Result<T, DeployError>>) -> Result<T, DeployError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(DeployError::Runtime)?
        .block_on(work)
}
