//! Arguments of the commands that make and unmake this node.

use super::StackArgs;

/// `deploy`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "deploy",
    version,
    about = "Brings this node up: run it on every machine, in any order, again at any time",
    after_help = "Examples:\n  deploy                    this machine, waiting for the others\n  \
                  deploy --dry-run          what would it do?\n  deploy --no-vip           without keepalived\n  \
                  deploy --restart-pending  restart what waits for it, node after node\n\n\
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
    /// Restart every PostgreSQL for which a changed setting waits: replicas first, one at a time, the primary last
    #[arg(long)]
    pub restart_pending: bool,
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
