//! `switchover`: moves the leadership of PostgreSQL to another node.

use std::process::ExitCode;
use std::time::Duration;

use pgstack_cli::{Parser as _, SwitchoverArgs, run};
use pgstack_deploy::{Switchover, block_on, switchover};

fn main() -> ExitCode {
    let SwitchoverArgs { stack, to, dry_run, unpaused, wait, timeout } = SwitchoverArgs::parse();
    run(|terminal| {
        let options = Switchover { to, dry_run, unpaused, wait, timeout: Duration::from_secs(timeout) };
        Ok(block_on(switchover(&stack.locate()?, options, terminal))?)
    })
}
