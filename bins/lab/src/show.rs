//! What the lab shows: its state, the proof that it works, a shell.

use std::io::IsTerminal as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use pgstack_cli::{Ended, Terminal};
use pgstack_cluster_view::{Instance, Observer};
use pgstack_diagnostics::{Console as _, Hint};
use pgstack_lab::{Lab, LabError, Machine};

/// How long the first rows may take after all deploys have ended.
const PROOF: Duration = Duration::from_secs(30);

/// Writes and reads rows at the VIP, then says how to connect.
pub(crate) async fn proof(lab: &Lab, terminal: &Terminal) -> Result<(), LabError> {
    lab.verify(PROOF).await?;
    let vip = lab.vip().await?;
    terminal.out(&format!("wrote and read a row at {vip}: 5000 (write), 5001 (read), 6432 (pooled)"));
    terminal.out("connect     lab psql");
    terminal.out(&format!("from here   psql -h {vip} -p 6432 -U postgres   (password: lab sh 1 grep SUPERUSER .env)"));
    terminal.out(&format!("HAProxy     http://{vip}:8404/stats   (user admin)"));
    Ok(())
}

/// One line per machine.
pub(crate) async fn status(lab: &Lab, terminal: &Terminal) -> Result<(), LabError> {
    let machines = lab.machines().await?;
    if machines.is_empty() {
        return Err(LabError::NotUp { lab: lab.name().to_owned() });
    }
    let vip = lab.vip().await?;
    let observer = Observer::new();
    let holder = observer.vip_holder_at(vip).await;
    for machine in &machines {
        // each is asked about itself: one that is cut off knows nothing new of the others
        let instance = if machine.is_running() { observer.instance_at(machine.address()).await } else { None };
        let patroni = instance.map_or("-".to_owned(), |instance| describe(&instance));
        let power = match (machine.is_running(), machine.is_frozen()) {
            (true, _) => "on",
            (false, true) => "frozen",
            (false, false) => "off",
        };
        let vip = if holder.is_some() && holder == machine.node() { format!("  VIP {vip}") } else { String::new() };
        terminal.out(&format!("node {}  {:<15} {power:<4} {patroni}{vip}", machine.id(), machine.address()));
    }
    Ok(())
}

fn describe(instance: &Instance) -> String {
    let role = if instance.role == "primary" { "leader" } else { &instance.role };
    format!("{role} {}", instance.replication_state.as_ref().unwrap_or(&instance.state))
}

/// Runs a command on a machine, in its stack directory, with this terminal.
pub(crate) async fn shell(lab: &Lab, node: u8, command: Vec<String>) -> Result<Ended, Box<dyn Hint>> {
    let machine = lab.machine(node).await?;
    let command = if command.is_empty() { vec!["bash".to_owned()] } else { command };
    Ok(on_machine(&machine, &[], &command)?)
}

/// psql at the VIP, from the first machine that is on. The password travels in the environment of
/// the psql process alone.
pub(crate) async fn psql(lab: &Lab, arguments: Vec<String>) -> Result<Ended, Box<dyn Hint>> {
    let machines = lab.machines().await?;
    let Some(machine) = machines.iter().find(|machine| machine.is_running()) else {
        return Err(LabError::NotUp { lab: lab.name().to_owned() }.into());
    };
    let endpoint = lab.endpoint(6432).await?;
    let address = endpoint.address.to_string();
    let mut command: Vec<String> =
        ["psql", "-h", &address, "-p", "6432", "-U", "postgres", "-d", "postgres"].map(str::to_owned).into();
    command.extend(arguments);
    Ok(on_machine(machine, &[("PGPASSWORD", &endpoint.password)], &command)?)
}

fn on_machine(machine: &Machine, environment: &[(&str, &str)], command: &[String]) -> Result<Ended, LabError> {
    let mut docker = Command::new("docker");
    docker.args(["exec", "-i", "-w", pgstack_lab::STACK]);
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        docker.arg("-t");
    }
    for (name, value) in environment {
        // only the name is an argument: docker takes the value from its own environment
        docker.args(["-e", name]).env(name, value);
    }
    let status = docker
        .arg(machine.container())
        .args(command)
        .stdin(Stdio::inherit())
        .status()
        .map_err(|source| LabError::File { path: "docker".into(), source })?;
    Ok(if status.success() { Ended::Done } else { Ended::Unfinished })
}
