//! Arguments that every command takes.

mod look;
mod node;
mod repair;

use std::env;
use std::path::PathBuf;

pub use look::{AgentArgs, DoctorArgs, StatusArgs};
pub use node::{BootstrapArgs, CleanArgs, DeployArgs};
use pgstack_workdir::{StackDir, WorkdirError, locate};
pub use repair::{
    ClearMembersArgs, FixAddressArgs, Intent, RecloneArgs, RemoveNodeArgs, ResetEtcdArgs, SwitchoverArgs,
};

/// Where the stack directory is.
#[derive(Debug, Clone, clap::Args)]
pub struct StackArgs {
    /// The folder that holds .env and the generated files. Without it: the folder in which this
    /// program lies (or whose scripts/ it lies in) when a .env or .env.example is there, else
    /// the current folder.
    #[arg(long, value_name = "DIR")]
    pub stack_dir: Option<PathBuf>,
}

impl StackArgs {
    /// Finds the stack directory.
    pub fn locate(&self) -> Result<StackDir, WorkdirError> {
        let current = env::current_dir().map_err(|source| WorkdirError::Read { path: PathBuf::from("."), source })?;
        // called by a bare name, the shell found it in PATH: only the kernel knows where it lies
        let called = env::args_os().next().map(PathBuf::from).filter(|path| path.components().count() > 1);
        let program: Vec<PathBuf> = called.into_iter().chain(env::current_exe().ok()).collect();
        locate(self.stack_dir.as_deref(), &program, &current)
    }
}

/// Arguments of a command that only reads.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "build-etcd-initial-cluster",
    version,
    about = "Prints the ETCD_INITIAL_CLUSTER line of this cluster, for the .env of a new node",
    after_help = "Examples:\n  build-etcd-initial-cluster\n  build-etcd-initial-cluster | head -1 >> new-node.env\n\n\
                  Exit codes: 0 ok, 1 failure, 2 usage"
)]
pub struct PrintArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
}
