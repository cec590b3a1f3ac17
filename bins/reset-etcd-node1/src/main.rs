//! `reset-etcd-node1`: the last resort when etcd's quorum is lost for good.

use std::process::ExitCode;
use std::time::Duration;

use pgstack_cli::{Intent, Parser as _, ResetEtcdArgs, run};
use pgstack_deploy::{ResetEtcd, block_on, reset_etcd};

fn main() -> ExitCode {
    let ResetEtcdArgs { stack, intent: Intent { dry_run, yes }, without_data, timeout } = ResetEtcdArgs::parse();
    run(|terminal| {
        let options = ResetEtcd { dry_run, yes, without_data, timeout: Duration::from_secs(timeout) };
        Ok(block_on(reset_etcd(&stack.locate()?, options, terminal))?)
    })
}
