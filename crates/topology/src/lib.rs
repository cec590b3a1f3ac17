//! Nodes, addresses, the VIP and secrets: the words that every other crate uses.
//!
//! Every type here can only hold a value that is right, so nothing above this crate checks
//! an address or a name a second time.

mod address;
mod name;
mod node;
mod secret;

pub use address::{AddressError, NodeIp, Vip};
pub use name::{ImageRef, InterfaceName, NameError};
pub use node::{LocalNode, MAX_NODES, MIN_NODES, Node, NodeId, NodeIdError, Topology, TopologyError};
pub use secret::Secret;

/// The ports of the stack, the same on every node.
pub mod port {
    /// etcd, clients.
    pub const ETCD_CLIENT: u16 = 2379;
    /// etcd, members among themselves.
    pub const ETCD_PEER: u16 = 2380;
    /// PostgreSQL itself.
    pub const POSTGRES: u16 = 5432;
    /// Patroni's REST API.
    pub const PATRONI_REST: u16 = 8008;
    /// HAProxy, the primary: reads and writes.
    pub const WRITE: u16 = 5000;
    /// HAProxy, the replicas: reads.
    pub const READ: u16 = 5001;
    /// HAProxy, the statistics page and the health answers.
    pub const HAPROXY_STATS: u16 = 8404;
    /// PgBouncer.
    pub const POOLER: u16 = 6432;
    /// The agent: what only its own machine knows.
    pub const AGENT: u16 = 8405;
}
