//! Sees the whole cluster from one node: gathers a snapshot, shows it, serves it, and mends what may be mended.

mod agent;
mod error;
mod examine;
mod fix;
mod gather;
mod local;
mod preflight;
mod serve;
mod status;
mod stop;
mod watch;

pub use agent::agent;
pub use error::DoctorError;
pub use examine::{Doctor, doctor};
pub use gather::gather;
pub use status::{Status, status};

/// Runs one of the functions above to its end.
pub fn block_on<T>(work: impl Future<Output = Result<T, DoctorError>>) -> Result<T, DoctorError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(DoctorError::Runtime)?;
    let outcome = runtime.block_on(work);
    // a disk that hangs keeps a thread, and nobody waits for it
    runtime.shutdown_background();
    outcome
}
