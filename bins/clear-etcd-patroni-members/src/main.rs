//! `clear-etcd-patroni-members`: deletes Patroni's member keys whose address is wrong.

use std::process::ExitCode;

use pgstack_cli::{ClearMembersArgs, Intent, Parser as _, run};
use pgstack_deploy::{ClearMembers, block_on, clear_members};

fn main() -> ExitCode {
    let ClearMembersArgs { stack, all, forget_cluster, intent: Intent { dry_run, yes } } = ClearMembersArgs::parse();
    run(|terminal| {
        let options = ClearMembers { all, forget_cluster, dry_run, yes };
        Ok(block_on(clear_members(&stack.locate()?, options, terminal))?)
    })
}
