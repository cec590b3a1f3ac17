//! Everything a deploy works with: the stack directory, the settings, the engine, the clock.

use std::time::{Duration, Instant};

use pgstack_cluster_view::Observer;
use pgstack_containers::{Compose, Engine, Service, Up};
use pgstack_diagnostics::Console;
use pgstack_env::NodeEnv;
use pgstack_etcd::Desired;
use pgstack_workdir::StackDir;

use super::Deploy;
use crate::DeployError;

/// How often a condition is looked at that is being waited for.
const POLL: Duration = Duration::from_millis(200);

/// Everything a deploy works with.
pub(super) struct Site<'a> {
    pub(super) stack: &'a StackDir,
    pub(super) env: NodeEnv,
    pub(super) desired: Desired,
    pub(super) engine: Engine,
    pub(super) compose: Compose,
    pub(super) observer: Observer,
    pub(super) up: Up,
    pub(super) console: &'a dyn Console,
    started: Instant,
    timeout: Duration,
}

impl<'a> Site<'a> {
    pub(super) async fn open(
        stack: &'a StackDir,
        env: NodeEnv,
        up: Up,
        options: Deploy,
        console: &'a dyn Console,
    ) -> Result<Self, DeployError> {
        let (engine, compose) = tokio::try_join!(Engine::connect(), Compose::find(stack.root()))?;
        let desired = Desired::from(&env.local).allow_wiping(options.wipe_etcd);
        Ok(Self {
            stack,
            env,
            desired,
            engine,
            compose,
            observer: Observer::new(),
            up,
            console,
            started: Instant::now(),
            timeout: options.timeout,
        })
    }

    /// The services that this deploy starts.
    pub(super) fn services(&self) -> &'static [Service] {
        match self.up {
            Up::WithVip => &Service::ALL,
            Up::WithoutVip => &Service::ALL[..4],
        }
    }

    /// How much of the timeout is left.
    pub(super) fn time_left(&self) -> Duration {
        self.timeout.saturating_sub(self.started.elapsed())
    }

    /// The whole timeout in seconds, for messages.
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout.as_secs()
    }

    /// Lets a moment pass between two looks; false when the time is up.
    pub(super) async fn pause(&self) -> bool {
        let left = self.time_left();
        tokio::time::sleep(POLL.min(left)).await;
        !left.is_zero()
    }
}
