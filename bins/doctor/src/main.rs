//! `doctor`: finds what is wrong with the cluster and says what mends it.

use std::process::ExitCode;

use pgstack_cli::{DoctorArgs, Parser as _, run, screen};
use pgstack_doctor::{Doctor, block_on, doctor};

fn main() -> ExitCode {
    let DoctorArgs { stack, fix, yes, preflight, json } = DoctorArgs::parse();
    run(|terminal| {
        let screen = screen();
        let options = Doctor { fix, yes, preflight, json, colour: screen.colour, width: screen.width };
        Ok(block_on(doctor(&stack.locate()?, options, terminal))?)
    })
}
