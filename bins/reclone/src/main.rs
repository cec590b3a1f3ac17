//! `reclone`: gives this node a fresh copy of the leader's PostgreSQL data.

use std::process::ExitCode;
use std::time::Duration;

use pgstack_cli::{Intent, Parser as _, RecloneArgs, run};
use pgstack_deploy::{Reclone, block_on, reclone};

fn main() -> ExitCode {
    let RecloneArgs { stack, intent: Intent { dry_run, yes }, delete_old_data, timeout } = RecloneArgs::parse();
    run(|terminal| {
        let options = Reclone { dry_run, yes, delete_old_data, timeout: Duration::from_secs(timeout) };
        Ok(block_on(reclone(&stack.locate()?, options, terminal))?)
    })
}
