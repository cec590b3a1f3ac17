//! The command line: arguments, exit codes, what is printed where.
//!
//! The only crate that prints. It knows nothing of Docker or etcd, so that the generators stay small.

mod args;
mod generate;
mod terminal;

use std::process::ExitCode;

pub use args::{BootstrapArgs, CleanArgs, DeployArgs, PrintArgs, StackArgs};
pub use clap::Parser;
pub use generate::{Context, generate, show_changes, show_written};
use pgstack_diagnostics::{Console, Hint, exit, report};
pub use terminal::Terminal;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Done,
    /// `--check` found something that would change, or a person said no.
    Unfinished,
}

/// Runs a command: shows its error once, on stderr, and turns the end into an exit code.
pub fn run(command: impl FnOnce(&Terminal) -> Result<Outcome, Box<dyn Hint>>) -> ExitCode {
    let terminal = Terminal::new();
    match command(&terminal) {
        Ok(Outcome::Done) => ExitCode::from(exit::OK),
        Ok(Outcome::Unfinished) => ExitCode::from(exit::FAILURE),
        Err(error) => {
            terminal.end("");
            terminal.error(&report(error.as_ref()));
            ExitCode::from(exit::FAILURE)
        }
    }
}
