//! What all generators do around the one function that each of them is about.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use pgstack_config::ConfigSet;
use pgstack_diagnostics::{Console, Ended, Hint};
use pgstack_env::NodeEnv;
use pgstack_workdir::{Change, Pending, StackDir};

use crate::{StackArgs, Terminal, run};

/// The arguments of a generator.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    stack: StackArgs,
    /// Write nothing; show what would change (secrets masked) and exit with 1 if anything would
    #[arg(long, conflicts_with = "stdout")]
    check: bool,
    /// Write nothing; print the files, secrets included
    #[arg(long)]
    stdout: bool,
}

/// What a generator may look at.
#[derive(Debug)]
pub struct Context {
    /// The stack directory.
    pub stack: StackDir,
    /// The settings of this node.
    pub env: NodeEnv,
}

/// A whole generator: reads `.env`, renders, and writes what changed.
pub fn generate(
    name: &'static str,
    about: &'static str,
    render: impl FnOnce(&Context) -> Result<ConfigSet, Box<dyn Hint>>,
) -> ExitCode {
    let command = Arguments::command().name(name).about(about).after_help(examples(name));
    let arguments = Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    run(|terminal| write_or_show(&arguments, terminal, render))
}

fn write_or_show(
    arguments: &Arguments,
    terminal: &Terminal,
    render: impl FnOnce(&Context) -> Result<ConfigSet, Box<dyn Hint>>,
) -> Result<Ended, Box<dyn Hint>> {
    let stack = arguments.stack.locate()?;
    let loaded = stack.settings()?;
    for warning in &loaded.warnings {
        terminal.warn(&warning.to_string());
    }
    let context = Context { stack, env: loaded.env };
    let files = render(&context)?;
    if arguments.stdout {
        let several = files.iter().len() > 1;
        for file in &files {
            if several {
                terminal.out(&format!("# ==> {} <==", file.path));
            }
            terminal.out(file.contents.trim_end_matches('\n'));
        }
        return Ok(Ended::Done);
    }
    if arguments.check {
        return Ok(show_changes(terminal, &context.stack.compare(files)?, &[]));
    }
    let _lock = context.stack.lock()?;
    let pending = context.stack.compare(files)?;
    context.stack.write(&pending)?;
    show_written(terminal, &pending, &[]);
    Ok(Ended::Done)
}

/// Prints what would change.
pub fn show_changes(terminal: &Terminal, pending: &[Pending], folders: &[&str]) -> Ended {
    for item in pending {
        terminal.out(&format!(
            "{}: {}",
            item.file.path,
            if item.change == Change::None { "unchanged" } else { "would change" }
        ));
        let diff = item.diff();
        if !diff.is_empty() {
            terminal.out(diff.trim_end_matches('\n'));
        }
    }
    for folder in folders {
        terminal.out(&format!("{folder}: folder would be made ready"));
    }
    if folders.is_empty() && pending.iter().all(|item| item.change == Change::None) {
        Ended::Done
    } else {
        Ended::Unfinished
    }
}

/// Prints what was written, and which folders were made or mended.
pub fn show_written(terminal: &Terminal, pending: &[Pending], folders: &[&str]) {
    for item in pending {
        terminal.out(&format!("{}: {}", item.file.path, word_for(item.change)));
    }
    for folder in folders {
        terminal.out(&format!("{folder}: folder ready"));
    }
}

fn word_for(change: Change) -> &'static str {
    match change {
        Change::New => "created",
        Change::Contents => "updated",
        Change::Access => "mode and group set",
        Change::None => "unchanged",
    }
}

fn examples(name: &str) -> String {
    format!(
        "Examples:\n  {name}                        write what changed\n  {name} --check                what would change?\n  \
         {name} --stack-dir /srv/pg --stdout   just print\n\nExit codes: 0 ok, 1 failure (or --check found a change), 2 usage"
    )
}
