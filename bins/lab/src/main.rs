//! `lab`: a whole cluster of virtual machines on this machine's Docker engine.

mod args;
mod faults;
mod show;

use std::process::ExitCode;

use args::{Arguments, Command};
use pgstack_cli::{Ended, Parser as _, Terminal, run};
use pgstack_diagnostics::{Console as _, Hint};
use pgstack_lab::{DeployOrder, Lab, LabError, install};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run(|terminal| {
        let runtime =
            tokio::runtime::Runtime::new().map_err(|source| LabError::File { path: "tokio".into(), source })?;
        runtime.block_on(work(arguments, terminal))
    })
}

async fn work(arguments: Arguments, terminal: &Terminal) -> Result<Ended, Box<dyn Hint>> {
    if let Command::Install { dir } = &arguments.command {
        install(&args::own_folder()?, dir)?;
        terminal.out(&format!("installed into {}", dir.display()));
        return Ok(Ended::Done);
    }
    let lab = Lab::open(&arguments.name).await?;
    match arguments.command {
        Command::Up { nodes, no_deploy, settings } => {
            let up = args::up(nodes, settings)?;
            lab.prepare(&up, terminal).await?;
            if !no_deploy {
                lab.deploy(&DeployOrder::AtOnce, terminal).await?;
                show::proof(&lab, terminal).await?;
            }
        }
        Command::Status => show::status(&lab, terminal).await?,
        Command::Sh { node, command } => return show::shell(&lab, node, command).await,
        Command::Psql { arguments } => return show::psql(&lab, arguments).await,
        Command::Fault(fault) => faults::work(&lab, fault, terminal).await?,
        Command::Down => {
            let removed = lab.down().await?;
            terminal.out(&format!("removed {} machines and everything on them", removed.len()));
        }
        Command::Install { .. } => {}
    }
    Ok(Ended::Done)
}
