//! Arguments of the commands that take nodes out and mend what is broken.

use pgstack_topology::NodeId;

use super::StackArgs;

/// Whether something that cannot be undone is really to be done.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Intent {
    /// Show what would be done, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
}

/// `remove-node`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "remove-node",
    version,
    about = "Takes a node out of the cluster for good; run it on any other node, also when that machine is dead",
    after_help = "Examples:\n  remove-node 4 --dry-run      what would be done?\n  remove-node 4                \
                  asks first\n  remove-node 4 --yes          for scripts\n  remove-node 4 --switchover   when node 4 leads: \
                  move the leadership away first\n\nExit codes: 0 it is out, 1 refused, failed or not confirmed, 2 usage"
)]
pub struct RemoveNodeArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
    /// The number of the node that is to go, 1 to 6
    #[arg(value_name = "N")]
    pub node: NodeId,
    /// Whether it is really to be done.
    #[command(flatten)]
    pub intent: Intent,
    /// When that node leads, move the leadership to another one first
    #[arg(long)]
    pub switchover: bool,
    /// How long to wait for that node to be stopped, for etcd and for Patroni, in seconds
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: u64,
}

/// `reset-etcd-node1`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "reset-etcd-node1",
    version,
    about = "The last resort when etcd's quorum is lost for good: makes a new etcd cluster of this node alone, \
             from its own data where that can be read; the old data is kept aside",
    after_help = "Examples:\n  reset-etcd-node1 --dry-run   what would be done?\n  reset-etcd-node1             asks first\n  \
                  reset-etcd-node1 --yes       for scripts\n\nThen run deploy on the other nodes: they join by themselves.\n\n\
                  Exit codes: 0 ok, 1 refused, failed or not confirmed, 2 usage"
)]
pub struct ResetEtcdArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Whether it is really to be done.
    #[command(flatten)]
    pub intent: Intent,
    /// Begin without the old keys where this node's data is lost or cannot be read; Patroni writes them anew
    #[arg(long)]
    pub without_data: bool,
    /// How long to wait for etcd and Patroni, in seconds
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: u64,
}

/// `clear-etcd-patroni-members`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "clear-etcd-patroni-members",
    version,
    about = "Deletes Patroni's member keys in etcd whose address is wrong; each Patroni registers anew by itself",
    after_help = "Examples:\n  clear-etcd-patroni-members --dry-run   what would be deleted?\n  clear-etcd-patroni-members             \
                  lists them, then asks\n  clear-etcd-patroni-members --yes       for scripts\n  clear-etcd-patroni-members --all       \
                  every member key, right or wrong\n  clear-etcd-patroni-members --forget-cluster   when no node has data any more\n\n\
                  Exit codes: 0 ok, 1 refused, failed or not confirmed, 2 usage"
)]
pub struct ClearMembersArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Every member key, also those whose address is right
    #[arg(long)]
    pub all: bool,
    /// Everything that Patroni keeps in etcd, once it is proven that no node has PostgreSQL data: the cluster
    /// begins anew
    #[arg(long, conflicts_with = "all")]
    pub forget_cluster: bool,
    /// Whether it is really to be done.
    #[command(flatten)]
    pub intent: Intent,
}

/// `fix-patroni-connect-address`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "fix-patroni-connect-address",
    version,
    about = "Makes this node's Patroni register NODE_IP in etcd: regenerates, makes the container anew, proves it",
    after_help = "Examples:\n  fix-patroni-connect-address --dry-run   what would be done?\n  fix-patroni-connect-address\n\n\
                  Where the registered address is right already, nothing is restarted.\n\n\
                  Exit codes: 0 the registered address is right, 1 failure, 2 usage"
)]
pub struct FixAddressArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Show what would be done, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How long to wait until the right address is registered, in seconds
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: u64,
}

/// `reclone`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "reclone",
    version,
    about = "Gives this node a fresh copy of the leader's PostgreSQL data; never on the leader's own node",
    after_help = "Examples:\n  reclone --dry-run           what would be done?\n  reclone                     asks first; \
                  the old data is kept aside (data/pg.TIME)\n  reclone --yes               for scripts\n  reclone \
                  --delete-old-data   where there is no room for both\n\nExit codes: 0 this node streams, 1 refused, failed or \
                  not confirmed, 2 usage"
)]
pub struct RecloneArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Whether it is really to be done.
    #[command(flatten)]
    pub intent: Intent,
    /// Delete the old data instead of keeping it in data/pg.TIME
    #[arg(long)]
    pub delete_old_data: bool,
    /// How long to wait until this node streams, in seconds
    #[arg(long, value_name = "S", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=604800))]
    pub timeout: u64,
}

/// `switchover`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "switchover",
    version,
    about = "Moves the leadership of PostgreSQL to another node; clients of port 6432 wait a moment and see no error",
    after_help = "Examples:\n  switchover             to the replica that is fit, on any node\n  switchover --to 2      to \
                  node 2\n  switchover --dry-run   what would be done?\n\nThe VIP stays where it is. Connections past the \
                  poolers (ports 5000, 5001) are cut off.\n\nExit codes: 0 it leads, 1 refused or failed, 2 usage"
)]
pub struct SwitchoverArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
    /// The number of the node that is to lead. Without it: a replica that follows synchronously, or lacks least
    #[arg(long, value_name = "N")]
    pub to: Option<NodeId>,
    /// Show what would be done, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go on without pausing a pooler whose agent does not answer; its clients may see errors
    #[arg(long)]
    pub unpaused: bool,
    /// How long running transactions are waited for, in seconds; clients wait as long
    #[arg(long, value_name = "S", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3))]
    pub wait: u64,
    /// How long to wait, in all, until the former primary streams again, in seconds
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: u64,
}
