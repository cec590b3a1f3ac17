//! `lab`: a whole cluster of virtual machines on this machine's Docker engine.

mod args;
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
        Command::Up { nodes, no_deploy } => {
            let up = args::up(nodes)?;
            lab.prepare(&up, terminal).await?;
            if !no_deploy {
                lab.deploy(&DeployOrder::AtOnce, terminal).await?;
                show::proof(&lab, terminal).await?;
            }
        }
        Command::Status => show::status(&lab, terminal).await?,
        Command::Sh { node, command } => return show::shell(&lab, node, command).await,
        Command::Psql { arguments } => return show::psql(&lab, arguments).await,
        Command::Kill { node } => lab.machine(node).await?.power_off().await?,
        Command::Start { node } => lab.machine(node).await?.power_on().await?,
        Command::Partition { node } => lab.partition(node).await?,
        Command::Heal => lab.heal().await?,
        Command::Down => {
            let removed = lab.down().await?;
            terminal.out(&format!("removed {} machines and everything on them", removed.len()));
        }
        Command::Install { .. } => {}
    }
    Ok(Ended::Done)
}
