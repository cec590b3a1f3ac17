//! One service or process of a machine: killed, frozen, stopped.

use pgstack_containers::Service;

use crate::{LabError, Machine};

/// A process that the lab can signal, by the name that the kernel gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// etcd.
    Etcd,
    /// Patroni alone, without its PostgreSQL.
    Patroni,
    /// PostgreSQL: its postmaster where it is killed, all of it where it is frozen.
    Postgres,
    /// HAProxy.
    Haproxy,
    /// PgBouncer.
    Pgbouncer,
    /// keepalived.
    Keepalived,
}

impl Process {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Etcd, Self::Patroni, Self::Postgres, Self::Haproxy, Self::Pgbouncer, Self::Keepalived];

    /// What the kernel calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Patroni => "patroni",
            Self::Postgres => "postgres",
            Self::Haproxy => "haproxy",
            Self::Pgbouncer => "pgbouncer",
            Self::Keepalived => "keepalived",
        }
    }

    /// The service in whose container it runs.
    pub fn service(self) -> Service {
        match self {
            Self::Etcd => Service::Etcd,
            Self::Patroni | Self::Postgres => Service::Patroni,
            Self::Haproxy => Service::Haproxy,
            Self::Pgbouncer => Service::Pgbouncer,
            Self::Keepalived => Service::Keepalived,
        }
    }
}

/// Where the lab remembers what it has stopped itself.
const STOPPED: &str = "/run/pgstack-stopped";

impl Machine {
    /// SIGKILL, as the kernel does when memory runs out. What runs it starts it again: Docker, or
    /// Patroni its PostgreSQL. (`docker kill` would look to Docker like a stop by hand.)
    pub async fn kill(&self, process: Process) -> Result<(), LabError> {
        // the oldest: the postmaster, and of HAProxy and keepalived the one that watches the others
        self.sh(&format!("pkill -KILL -o -x {}", process.name())).await.map(drop)
    }

    /// SIGSTOP: it is there, its connections stand, and it does nothing.
    pub async fn freeze_process(&self, process: Process) -> Result<(), LabError> {
        self.sh(&format!("pkill -STOP -x {}", process.name())).await.map(drop)
    }

    /// Lets a frozen process go on.
    pub async fn thaw_process(&self, process: Process) -> Result<(), LabError> {
        self.sh(&format!("pkill -CONT -x {}", process.name())).await.map(drop)
    }

    /// Lets every process of the stack go on.
    pub(super) async fn continue_all(&self) -> Result<(), LabError> {
        let names = Process::ALL.map(Process::name).join("|");
        self.sh(&format!("pkill -CONT -x '{names}' || true")).await.map(drop)
    }

    /// Stops a service's container in order; neither Docker nor a power-off starts it again.
    pub async fn stop(&self, service: Service) -> Result<(), LabError> {
        self.sh(&format!("echo {service} >>{STOPPED}; docker stop {service} >/dev/null")).await.map(drop)
    }

    /// Kills a service's container; neither Docker nor a power-off starts it again.
    pub async fn kill_for_good(&self, service: Service) -> Result<(), LabError> {
        self.sh(&format!("echo {service} >>{STOPPED}; docker kill {service} >/dev/null")).await.map(drop)
    }

    /// Starts a service's container.
    pub async fn start(&self, service: Service) -> Result<(), LabError> {
        let forget = format!("if [ -e {STOPPED} ]; then sed -i '/^{service}$/d' {STOPPED}; fi");
        self.sh(&format!("docker start {service} >/dev/null\n{forget}")).await.map(drop)
    }

    /// Starts what [`Machine::stop`] stopped.
    pub(super) async fn start_stopped(&self) -> Result<(), LabError> {
        let script = format!(
            "[ -s {STOPPED} ] || exit 0\n\
             for service in $(sort -u {STOPPED}); do docker start $service >/dev/null; done\n\
             rm -f {STOPPED}"
        );
        self.sh(&script).await.map(drop)
    }
}
