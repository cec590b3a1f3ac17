//! `fix-patroni-connect-address`: makes this node's Patroni register the right address.

use std::process::ExitCode;
use std::time::Duration;

use pgstack_cli::{FixAddressArgs, Parser as _, run};
use pgstack_deploy::{FixAddress, block_on, fix_address};

fn main() -> ExitCode {
    let FixAddressArgs { stack, dry_run, timeout } = FixAddressArgs::parse();
    run(|terminal| {
        let options = FixAddress { dry_run, timeout: Duration::from_secs(timeout) };
        Ok(block_on(fix_address(&stack.locate()?, options, terminal))?)
    })
}
