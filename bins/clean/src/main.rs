//! `clean`: removes this node's containers and deletes all its data.

use std::process::ExitCode;

use pgstack_cli::{CleanArgs, Parser as _, run};
use pgstack_deploy::{Clean, block_on, clean};

fn main() -> ExitCode {
    let CleanArgs { stack, yes_delete_all_data, dry_run } = CleanArgs::parse();
    run(|terminal| {
        let options = Clean { confirmed: yes_delete_all_data, dry_run };
        Ok(block_on(clean(&stack.locate()?, options, terminal))?)
    })
}
