//! `remove-node`: takes a node out of the cluster for good.

use std::process::ExitCode;
use std::time::Duration;

use pgstack_cli::{Intent, Parser as _, RemoveNodeArgs, run};
use pgstack_deploy::{RemoveNode, block_on, remove_node};

fn main() -> ExitCode {
    let RemoveNodeArgs { stack, node, intent: Intent { dry_run, yes }, switchover, timeout } = RemoveNodeArgs::parse();
    run(|terminal| {
        let options = RemoveNode { node, dry_run, yes, switchover, timeout: Duration::from_secs(timeout) };
        Ok(block_on(remove_node(&stack.locate()?, options, terminal))?)
    })
}
