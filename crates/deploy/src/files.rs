//! All generated files of a node.

use std::path::Path;

use pgstack_config::{ConfigSet, RenderError};
use pgstack_containers::{ContainerState, Service};
use pgstack_env::NodeEnv;
use pgstack_etcd::{DataDir, Mark, Start, data_dir};
use pgstack_workdir::{StackDir, WorkdirError};

use crate::{DeployError, logins};

/// etcd's folder of data, relative to the stack directory.
pub(crate) const ETCD_DATA: &str = "data/etcd";

/// PostgreSQL's folder of data, relative to the stack directory.
pub(crate) const PG_DATA: &str = "data/pg";

/// Every file of a node: the generated ones, and what it logs in to etcd with.
pub(crate) fn all(stack: &StackDir, env: &NodeEnv, start: &Start) -> Result<ConfigSet, DeployError> {
    let mut files = render(env, start)?;
    files.extend([logins::file(stack, env)?]);
    Ok(files)
}

/// Every generated file, in the order in which the services depend on each other.
pub fn render(env: &NodeEnv, start: &Start) -> Result<ConfigSet, RenderError> {
    let mut files = pgstack_compose::render(env)?;
    files.extend(pgstack_etcd::render(env, start)?);
    files.extend(pgstack_patroni::render(env)?);
    files.extend(pgstack_haproxy::render(env)?);
    files.extend(pgstack_pgbouncer::render(env)?);
    files.extend(pgstack_keepalived::render(env)?);
    Ok(files)
}

/// The Compose file, and the configuration of etcd, which has no generator of its own.
pub fn compose_files(stack: &StackDir, env: &NodeEnv) -> Result<ConfigSet, DeployError> {
    let mut files = pgstack_compose::render(env)?;
    files.extend(pgstack_etcd::render(env, &start_without_asking(stack, env)?)?);
    files.extend([logins::file(stack, env)?]);
    Ok(files)
}

/// Refuses when a container with a service's name was not made in this stack directory: bringing
/// it up from here would put it on this folder's data, and taking it down would hit another stack.
pub(crate) fn only_ours<'a>(
    stack: &StackDir,
    states: impl IntoIterator<Item = (&'a Service, &'a ContainerState)>,
) -> Result<(), DeployError> {
    for (&service, state) in states {
        let owner = state.made_in.as_deref();
        // Compose notes the folder as the shell called it, perhaps through a link
        let is_ours = owner.is_some_and(|dir| StackDir::open(Path::new(dir)).is_ok_and(|dir| dir == *stack));
        if !is_ours {
            return Err(DeployError::OtherStack { service, owner: owner.unwrap_or("something else").to_owned() });
        }
    }
    Ok(())
}

/// How etcd starts when nobody asks the other nodes.
pub(crate) fn start_without_asking(stack: &StackDir, env: &NodeEnv) -> Result<Start, WorkdirError> {
    let data = data_dir::inspect(&stack.path(ETCD_DATA));
    let may_have_data = matches!(data, DataDir::Initialised { .. } | DataDir::Unknown { .. });
    let joined = may_have_data || stack.read(Mark::PATH)?.is_some();
    Ok(Start::for_manual_procedure(env, joined))
}
