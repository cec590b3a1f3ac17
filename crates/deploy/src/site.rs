//! Everything a use case works with: the stack directory, the settings, the engine, the clock.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pgstack_cluster_view::{Login, Observer};
use pgstack_containers::{Compose, Engine, Service, Up};
use pgstack_diagnostics::Console;
use pgstack_env::NodeEnv;
use pgstack_etcd::Desired;
use pgstack_workdir::StackDir;

use crate::{DeployError, etcd_logins};

/// How often a condition is looked at that is being waited for.
const POLL: Duration = Duration::from_millis(200);

/// Everything a use case works with.
pub(crate) struct Site<'a> {
    pub(crate) stack: &'a StackDir,
    pub(crate) env: NodeEnv,
    pub(crate) desired: Desired,
    pub(crate) engine: Engine,
    pub(crate) compose: Compose,
    pub(crate) observer: Observer,
    pub(crate) up: Up,
    pub(crate) console: &'a dyn Console,
    written: Mutex<BTreeSet<String>>,
    started: Instant,
    timeout: Duration,
}

impl<'a> Site<'a> {
    pub(crate) async fn open(
        stack: &'a StackDir,
        env: NodeEnv,
        up: Up,
        timeout: Duration,
        console: &'a dyn Console,
    ) -> Result<Self, DeployError> {
        let (engine, compose) = tokio::try_join!(Engine::connect(), Compose::find(stack.root()))?;
        let desired = Desired::from(&env.local).with_logins(etcd_logins(stack, &env));
        Ok(Self {
            stack,
            env,
            desired,
            engine,
            compose,
            observer: Observer::new(),
            up,
            console,
            written: Mutex::default(),
            started: Instant::now(),
            timeout,
        })
    }

    /// The services that are started.
    pub(crate) fn services(&self) -> &'static [Service] {
        match self.up {
            Up::WithVip => &Service::ALL,
            Up::WithoutVip => &Service::ALL[..5],
        }
    }

    /// PostgreSQL's superuser.
    pub(crate) fn superuser(&self) -> Login<'_> {
        Login { role: "postgres", password: &self.env.superuser_password }
    }

    /// The role that replicas stream and copy with.
    pub(crate) fn replicator(&self) -> Login<'_> {
        Login { role: "replicator", password: &self.env.replication_password }
    }

    /// Remembers that a file was written.
    pub(crate) fn note_written(&self, path: &str) {
        let folder = path.split('/').next().unwrap_or(path);
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
    }

    /// Forgets that: the service has read them.
    pub(crate) fn note_read(&self, service: &str) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(service);
    }

    /// Whether a file of a service was written that it may not have read.
    pub(crate) fn has_written(&self, service: &str) -> bool {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).contains(service)
    }

    /// How much of the timeout is left.
    pub(crate) fn time_left(&self) -> Duration {
        self.timeout.saturating_sub(self.started.elapsed())
    }

    /// The whole timeout in seconds, for messages.
    pub(crate) fn timeout_seconds(&self) -> u64 {
        self.timeout.as_secs()
    }

    /// Lets a moment pass between two looks; false when the time is up.
    pub(crate) async fn pause(&self) -> bool {
        let left = self.time_left();
        tokio::time::sleep(POLL.min(left)).await;
        !left.is_zero()
    }
}
