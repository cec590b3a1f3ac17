//! All generated files of a node.

use pgstack_config::{ConfigSet, RenderError};
use pgstack_env::NodeEnv;
use pgstack_etcd::{DataDir, Mark, Start, data_dir};
use pgstack_workdir::{StackDir, WorkdirError};

use crate::DeployError;

/// etcd's folder of data, relative to the stack directory.
pub(crate) const ETCD_DATA: &str = "data/etcd";

/// Every generated file, in the order in which the services depend on each other.
pub fn render(env: &NodeEnv, start: &Start) -> Result<ConfigSet, RenderError> {
    let mut files = pgstack_compose::render(env)?;
    files.extend(pgstack_etcd::render(&env.local, start)?);
    files.extend(pgstack_patroni::render(env)?);
    files.extend(pgstack_haproxy::render(env)?);
    files.extend(pgstack_pgbouncer::render(env)?);
    files.extend(pgstack_keepalived::render(env)?);
    Ok(files)
}

/// The Compose file, and the configuration of etcd, which has no generator of its own.
pub fn compose_files(stack: &StackDir, env: &NodeEnv) -> Result<ConfigSet, DeployError> {
    let mut files = pgstack_compose::render(env)?;
    files.extend(pgstack_etcd::render(&env.local, &start_without_asking(stack, env)?)?);
    Ok(files)
}

/// How etcd starts when nobody asks the other nodes.
pub(crate) fn start_without_asking(stack: &StackDir, env: &NodeEnv) -> Result<Start, WorkdirError> {
    let data = data_dir::inspect(&stack.path(ETCD_DATA));
    let may_have_data = matches!(data, DataDir::Initialised { .. } | DataDir::Unknown { .. });
    let joined = may_have_data || stack.read(Mark::PATH)?.is_some();
    Ok(Start::for_manual_procedure(env, joined))
}
