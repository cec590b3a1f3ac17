//! `agent`: tells the other nodes what only this machine knows. Runs in the container `agent`.

use std::process::ExitCode;

use pgstack_cli::{AgentArgs, Parser as _, run};
use pgstack_doctor::{agent, block_on};

fn main() -> ExitCode {
    let AgentArgs { stack } = AgentArgs::parse();
    run(|terminal| Ok(block_on(agent(&stack.locate()?, terminal))?))
}
