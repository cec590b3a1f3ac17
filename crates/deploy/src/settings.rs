//! The first `.env` of a machine.

use pgstack_config::Access;
use pgstack_diagnostics::{Answer, Console};
use pgstack_env::{Loaded, NodeEnv};
use pgstack_workdir::{ENV_EXAMPLE, ENV_FILE, StackDir};
use rand::RngCore as _;

use crate::DeployError;

/// For a stack directory that holds no `.env.example`.
const EXAMPLE: &str = include_str!("../../../.env.example");

/// The settings of this node. Where there is no `.env` yet, one is made from `.env.example` with
/// fresh secrets, and unless `yes` was said beforehand, a person is asked; `None` means that a person has to edit it first.
pub(crate) fn ensure(stack: &StackDir, yes: bool, console: &dyn Console) -> Result<Option<NodeEnv>, DeployError> {
    if stack.read(ENV_FILE)?.is_none() {
        create(stack, console)?;
        let question = "Go on with these settings as they are?";
        if !yes && console.ask(question) != Answer::Yes {
            console.note("Nothing was started. Edit .env, then run this again.");
            return Ok(None);
        }
    }
    read(stack, console).map(Some)
}

/// The settings of this node, with what deserves a warning told.
pub(crate) fn read(stack: &StackDir, console: &dyn Console) -> Result<NodeEnv, DeployError> {
    let Loaded { env, warnings } = stack.settings()?;
    for warning in &warnings {
        console.warn(&warning.to_string());
    }
    if stack.env_is_world_readable() {
        console.warn("everybody on this machine can read the passwords in .env: chmod 600 .env");
    }
    Ok(env)
}

fn create(stack: &StackDir, console: &dyn Console) -> Result<(), DeployError> {
    let example = stack.read(ENV_EXAMPLE)?.unwrap_or_else(|| EXAMPLE.to_owned());
    let text = pgstack_env::fresh(&example, &mut |buffer| rand::rng().fill_bytes(buffer));
    stack.create_file(ENV_FILE, &text, Access::Root)?;
    console.note(&format!(
        "Created {} with fresh passwords (mode 0600).\n\
         On this node, set NODE_ID, NODE_IP and KEEPALIVED_INTERFACE.\n\
         On every node the same: NODE1_IP, NODE2_IP, NODE3_IP (…), VIP, VIP_PREFIX and all passwords.\n\
         So edit it here, copy it to the other nodes, and change only the lines of that node there.",
        stack.path(ENV_FILE).display()
    ));
    Ok(())
}
