//! `status`: shows the whole cluster as it is now, from any node.

use std::process::ExitCode;
use std::time::Duration;

use pgstack_cli::{Parser as _, StatusArgs, run, screen};
use pgstack_doctor::{Status, block_on, status};

fn main() -> ExitCode {
    let StatusArgs { stack, json, watch, serve } = StatusArgs::parse();
    run(|terminal| {
        let screen = screen();
        let watch = watch.map(Duration::from_secs);
        let (colour, width, height) = (screen.colour, screen.width, screen.height);
        let options = Status { json, watch, serve, colour, width, height };
        Ok(block_on(status(&stack.locate()?, options, terminal))?)
    })
}
