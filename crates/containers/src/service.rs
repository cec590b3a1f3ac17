//! The six services of a node and what is known about their containers.

use std::fmt;

/// A service of the stack. Its container has the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// The store in which Patroni keeps the cluster's state.
    Etcd,
    /// Patroni and the PostgreSQL that it runs.
    Patroni,
    /// The write and the read port.
    Haproxy,
    /// The connection pooler.
    Pgbouncer,
    /// What tells the other nodes of this machine.
    Agent,
    /// The holder of the VIP.
    Keepalived,
}

impl Service {
    /// All of them, in the order in which they depend on each other; the one for the VIP comes last.
    pub const ALL: [Self; 6] =
        [Self::Etcd, Self::Patroni, Self::Haproxy, Self::Pgbouncer, Self::Agent, Self::Keepalived];

    /// The name of the service, of its container and of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Patroni => "patroni",
            Self::Haproxy => "haproxy",
            Self::Pgbouncer => "pgbouncer",
            Self::Agent => "agent",
            Self::Keepalived => "keepalived",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the engine says about a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    /// The container's id, 64 hexadecimal digits.
    pub id: String,
    /// `running`, `exited`, `restarting`, …
    pub status: String,
    /// Whether its process lives.
    pub running: bool,
    /// When it was last started, RFC 3339, as the engine prints it.
    pub started_at: String,
    /// The folder from which Compose made it; `None` where something else made it.
    pub made_in: Option<String>,
}
