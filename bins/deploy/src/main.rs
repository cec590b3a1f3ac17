//! `deploy`: brings this node up; on every machine, in any order, again at any time.

use std::process::ExitCode;
use std::time::Duration;

use pgstack_cli::{DeployArgs, Parser as _, run};
use pgstack_deploy::{Deploy, block_on, deploy};

fn main() -> ExitCode {
    let DeployArgs { stack, no_vip, dry_run, yes, wipe_etcd, restart_pending, timeout } = DeployArgs::parse();
    run(|terminal| {
        let timeout = Duration::from_secs(timeout);
        let options = Deploy { vip: !no_vip, yes, dry_run, wipe_etcd, restart_pending, timeout };
        Ok(block_on(deploy(&stack.locate()?, options, terminal))?)
    })
}
