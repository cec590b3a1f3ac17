//! The lab's command line.

use std::env;
use std::path::PathBuf;

use pgstack_lab::{LabError, Up};

use crate::faults::Fault;

/// The lab's command line.
#[derive(Debug, clap::Parser)]
#[command(
    name = "lab",
    version,
    about = "A whole cluster on this machine: virtual machines, each with a Docker engine and the stack",
    after_help = "Examples:\n  lab up                 three machines, deployed, checked\n  lab status\n  \
                  lab psql               SQL at the VIP\n  lab kill 2             pull the plug of machine 2\n  \
                  lab kill 2 postgres    kill one process; what runs it starts it again\n  \
                  lab partition 2 --way in --from etcd\n  lab heal               end every fault\n  \
                  lab down               remove everything\n\nExit codes: 0 ok, 1 failure, 2 usage"
)]
pub(crate) struct Arguments {
    /// Which lab, where there are several
    #[arg(long, global = true, default_value = "lab", value_name = "NAME")]
    pub(crate) name: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make the machines, run `deploy` on all of them at once, write and read a row
    Up {
        /// How many machines
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=6))]
        nodes: u8,
        /// Leave the machines ready for `deploy`, but do not run it
        #[arg(long)]
        no_deploy: bool,
        /// A setting for every machine's .env, as KEY=VALUE
        #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
        settings: Vec<(String, String)>,
    },
    /// Show the machines and the cluster
    Status,
    /// A shell on machine N, or one command
    Sh {
        /// The machine
        #[arg(value_parser = clap::value_parser!(u8).range(1..=6))]
        node: u8,
        /// The command; without one, an interactive shell
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// psql at the VIP, through PgBouncer
    Psql {
        /// Arguments for psql
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    #[command(flatten)]
    Fault(Fault),
    /// Remove the machines and everything on them
    Down,
    /// Lay a stack directory out in DIR, with the binaries that lie beside this one
    Install {
        /// The new stack directory
        dir: PathBuf,
    },
}

/// The folder in which this program lies, and so do the others.
pub(crate) fn own_folder() -> Result<PathBuf, LabError> {
    let program = env::current_exe().map_err(|source| LabError::File { path: PathBuf::from("lab"), source })?;
    Ok(program.parent().map(PathBuf::from).unwrap_or_default())
}

pub(crate) fn up(nodes: u8, settings: Vec<(String, String)>) -> Result<Up, LabError> {
    Ok(Up { nodes, binaries: own_folder()?, settings })
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("not of the form KEY=VALUE".to_owned()),
    }
}
