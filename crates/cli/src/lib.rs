//! The command line: arguments, exit codes, what is printed where.
//!
//! The only crate that prints. It knows nothing of Docker or etcd, so that the generators stay small.

mod args;
mod generate;
mod screen;
mod terminal;

use std::process::ExitCode;

pub use args::{
    AgentArgs, BootstrapArgs, CleanArgs, ClearMembersArgs, DeployArgs, DoctorArgs, FixAddressArgs, Intent, PrintArgs,
    RecloneArgs, RemoveNodeArgs, ResetEtcdArgs, StackArgs, StatusArgs, SwitchoverArgs,
};
pub use clap::Parser;
pub use generate::{Context, generate, show_changes, show_written};
pub use pgstack_diagnostics::Ended;
use pgstack_diagnostics::{Console, Hint, exit, report};
pub use screen::{Screen, screen};
pub use terminal::Terminal;

/// Runs a command: shows its error once, on stderr, and turns the end into an exit code.
pub fn run(command: impl FnOnce(&Terminal) -> Result<Ended, Box<dyn Hint>>) -> ExitCode {
    let terminal = Terminal::new();
    let ended = command(&terminal);
    match ended {
        Ok(_) if terminal.lost_a_line() => ExitCode::from(exit::FAILURE),
        Ok(Ended::Done) => ExitCode::from(exit::OK),
        Ok(Ended::Unfinished) => ExitCode::from(exit::FAILURE),
        Err(error) => {
            terminal.end("");
            terminal.error(&report(error.as_ref()));
            ExitCode::from(exit::FAILURE)
        }
    }
}
