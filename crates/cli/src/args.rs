//! Arguments that every command takes.

use std::env;
use std::path::PathBuf;

use pgstack_workdir::{StackDir, WorkdirError, locate};

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

/// `deploy`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "deploy",
    version,
    about = "Brings this node up: run it on every machine, in any order, again at any time",
    after_help = "Examples:\n  deploy                    this machine, waiting for the others\n  \
                  deploy --dry-run          what would it do?\n  deploy --no-vip           without keepalived\n\n\
                  Exit codes: 0 the node serves, 1 failure or nothing started yet, 2 usage"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct DeployArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Do not start keepalived
    #[arg(long)]
    pub no_vip: bool,
    /// Show what would be done, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where there is no .env yet, go on with the new one without asking
    #[arg(long)]
    pub yes: bool,
    /// Move etcd data that belongs to another cluster aside (data/etcd.TIME) and join the one that serves
    #[arg(long)]
    pub wipe_etcd: bool,
    /// How long to wait for the other nodes and the services, in seconds
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: u64,
}

/// `bootstrap`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "bootstrap",
    version,
    about = "Writes every generated file of this node and makes its data folders; needs no Docker",
    after_help = "Examples:\n  bootstrap            write what changed\n  bootstrap --check    what would change?\n\n\
                  Exit codes: 0 ok, 1 failure (or --check found a change, or .env has to be edited first), 2 usage"
)]
pub struct BootstrapArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Write nothing; show what would change (secrets masked) and exit with 1 if anything would
    #[arg(long)]
    pub check: bool,
}

/// `clean`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "clean",
    version,
    about = "Takes this node back to before its first deploy: removes its containers and DELETES ALL ITS DATA",
    after_help = "Examples:\n  clean --dry-run                 what would be deleted?\n  clean                           \
                  asks before it deletes\n  clean --yes-delete-all-data     for scripts\n\n\
                  Exit codes: 0 ok, 1 failure or not confirmed, 2 usage"
)]
pub struct CleanArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Delete without asking
    #[arg(long)]
    pub yes_delete_all_data: bool,
    /// List what would be deleted, delete nothing
    #[arg(long)]
    pub dry_run: bool,
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
