//! `clean`: removes this node's containers and deletes all its data.

use std::process::ExitCode;

use pgstack_cli::{CleanArgs, Outcome, Parser as _, run};
use pgstack_deploy::{Clean, Ended, block_on, clean};

fn main() -> ExitCode {
    let CleanArgs { stack, yes_delete_all_data, dry_run } = CleanArgs::parse();
    run(|terminal| {
        let options = Clean { confirmed: yes_delete_all_data, dry_run };
        Ok(match block_on(clean(&stack.locate()?, options, terminal))? {
            Ended::Done => Outcome::Done,
            Ended::WaitsForUser => Outcome::Unfinished,
        })
    })
}
