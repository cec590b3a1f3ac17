//! Arguments of the commands that look at the cluster.

use super::StackArgs;

/// `status`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "status",
    version,
    about = "Shows the whole cluster as it is now, from any node",
    after_help = "Examples:\n  status                          one screen\n  status --watch                  again \
                  every 2 seconds, with what changed\n  status --json | jq .dcs.leader  for scripts (docs/status-json.md)\n  status \
                  --serve 127.0.0.1:8406  a page, and /metrics for Prometheus\n\nExit codes: 0 shown, 1 failure, 2 usage"
)]
pub struct StatusArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Print everything that is known as JSON
    #[arg(long, conflicts_with_all = ["watch", "serve"])]
    pub json: bool,
    /// Draw again and again, every S seconds
    #[arg(long, value_name = "S", num_args = 0..=1, default_missing_value = "2", conflicts_with = "serve",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub watch: Option<u64>,
    /// Serve a page and /metrics at ADDR:PORT. Other addresses than this machine's own loopback take a token,
    /// which is printed
    #[arg(long, value_name = "ADDR")]
    pub serve: Option<String>,
}

/// `doctor`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "doctor",
    version,
    about = "Finds what is wrong with the cluster, from any node, and says what mends it",
    after_help = "Examples:\n  doctor               what is wrong?\n  doctor --fix         run the safe mends of this node, \
                  after asking\n  doctor --fix --yes   for scripts\n  doctor --preflight   is this machine fit for a \
                  deploy?\n\nEvery trouble has a code, and a section in docs/troubleshooting.md.\n\nExit codes: 0 nothing \
                  is wrong, 1 something is (or it failed), 2 usage"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct DoctorArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Show the plan, ask, and run the mends that are safe on this node
    #[arg(long, conflicts_with = "preflight")]
    pub fix: bool,
    /// With --fix: do not ask
    #[arg(long, requires = "fix")]
    pub yes: bool,
    /// Look at this machine before a deploy, instead of at the cluster
    #[arg(long)]
    pub preflight: bool,
    /// Print the findings as JSON
    #[arg(long, conflicts_with = "fix")]
    pub json: bool,
}

/// `agent`'s arguments.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "agent",
    version,
    about = "Tells the other nodes what only this machine knows (runs in the container `agent`)",
    after_help = "Exit codes: 0 stopped, 1 failure, 2 usage"
)]
pub struct AgentArgs {
    /// Where the stack directory is.
    #[command(flatten)]
    pub stack: StackArgs,
}
