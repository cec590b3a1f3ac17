//! `clean`: takes a node back to before its first deploy. Deletes data, so it names what goes.

use std::collections::BTreeMap;

use pgstack_containers::{Compose, Engine, Service};
use pgstack_diagnostics::{Console, Ended};
use pgstack_env::EtcdLogin;
use pgstack_etcd::Mark;
use pgstack_workdir::{DATA_DIRS, DataState, StackDir};

use crate::files::only_ours;
use crate::{DeployError, consent, reset_etcd};

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clean {
    /// `--yes-delete-all-data`: do not ask.
    pub confirmed: bool,
    /// Only list what would go.
    pub dry_run: bool,
}

/// Removes the containers, all data of etcd and PostgreSQL, and the mark of membership.
/// Settings and generated files stay.
pub async fn clean(stack: &StackDir, options: Clean, console: &dyn Console) -> Result<Ended, DeployError> {
    let _lock = if options.dry_run { None } else { Some(stack.lock()?) };
    stack.check_data_dirs()?;
    let engine = Engine::connect().await?;
    let mut states = BTreeMap::new();
    for service in Service::ALL {
        if let Some(state) = engine.inspect(service.name()).await? {
            states.insert(service, state);
        }
    }
    only_ours(stack, &states)?;
    let containers: Vec<&str> = states.keys().map(|service| service.name()).collect();
    let folders = DATA_DIRS.into_iter().chain([reset_etcd::COPY]);
    let data: Vec<&str> = folders.filter(|dir| stack.data_state(dir) != DataState::Empty).collect();
    let marked = stack.read(Mark::PATH)?.is_some();
    let logged_in = stack.read(EtcdLogin::PATH)?.is_some();
    if containers.is_empty() && data.is_empty() && !marked && !logged_in {
        if !options.dry_run {
            stack.forget_loaded()?;
        }
        console.out("nothing to delete");
        return Ok(Ended::Done);
    }
    console.out(&format!("On this node, in {}, this deletes:", stack.root().display()));
    if !containers.is_empty() {
        console.out(&format!("  containers  {}", containers.join(", ")));
    }
    for dir in &data {
        let target = stack.target(dir).map(|target| format!(", which is {}", target.display())).unwrap_or_default();
        console.out(&format!("  all data in {}{target}", stack.path(dir).display()));
    }
    if marked {
        console.out(&format!("  the record that this node was an etcd member, {}", stack.path(Mark::PATH).display()));
    }
    if logged_in {
        console.out(&format!("  what this node logs in to etcd with, {}", stack.path(EtcdLogin::PATH).display()));
    }
    if options.dry_run {
        return Ok(Ended::Done);
    }
    let question = "Delete all of it? It cannot be undone.";
    if !consent::given(console, options.confirmed, question, "--yes-delete-all-data") {
        return Ok(Ended::Unfinished);
    }
    if !containers.is_empty() {
        take_down(stack, &engine, &containers).await?;
    }
    for dir in data {
        stack.empty_folder(dir)?;
    }
    stack.remove_folder(reset_etcd::COPY)?;
    stack.remove_file(Mark::PATH)?;
    stack.remove_file(EtcdLogin::PATH)?;
    stack.forget_loaded()?;
    console.out("deleted");
    Ok(Ended::Done)
}

/// Through Compose where its file is there; a container can be removed without it, too, and is where the file
/// does not name it.
async fn take_down(stack: &StackDir, engine: &Engine, containers: &[&str]) -> Result<(), DeployError> {
    if stack.read(pgstack_compose::COMPOSE_PATH)?.is_some() {
        Compose::find(stack.root()).await?.remove().await?;
    }
    for container in containers {
        engine.remove(container).await?;
    }
    Ok(())
}
