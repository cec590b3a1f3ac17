//! `bootstrap`: writes every generated file of this node and makes its data folders.

use std::process::ExitCode;

use pgstack_cli::{BootstrapArgs, Ended, Parser as _, run, show_changes, show_written};
use pgstack_deploy::bootstrap;

fn main() -> ExitCode {
    let BootstrapArgs { stack, check } = BootstrapArgs::parse();
    run(|terminal| {
        let Some(done) = bootstrap(&stack.locate()?, check, terminal)? else { return Ok(Ended::Unfinished) };
        if check {
            return Ok(show_changes(terminal, &done.files, &done.folders));
        }
        show_written(terminal, &done.files, &done.folders);
        Ok(Ended::Done)
    })
}
