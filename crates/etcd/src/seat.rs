//! Where the members are to be: one seat per node.

use pgstack_env::EtcdLogin;
use pgstack_topology::{LocalNode, Node, NodeId};

/// The place of one etcd member. Members are matched with seats by peer URL, never by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The node's number.
    pub node: NodeId,
    /// `etcd1`.
    pub name: String,
    /// `http://ADDRESS:2380`.
    pub peer_url: String,
    /// `http://ADDRESS:2379`.
    pub client_url: String,
}

impl From<Node> for Seat {
    fn from(node: Node) -> Self {
        Self {
            node: node.id(),
            name: node.etcd_name(),
            peer_url: node.etcd_peer_url(),
            client_url: node.etcd_client_url(),
        }
    }
}

/// The membership that the topology asks for, seen from one machine, and what its user allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    seats: Vec<Seat>,
    me: Seat,
    wipe: bool,
    logins: Vec<EtcdLogin>,
}

impl From<&LocalNode> for Desired {
    fn from(local: &LocalNode) -> Self {
        Self {
            seats: local.topology().nodes().map(Seat::from).collect(),
            me: local.me().into(),
            wipe: false,
            logins: Vec::new(),
        }
    }
}

impl Desired {
    /// Seats that need not lie at the ports of the stack, as in tests on one machine.
    /// `None` where no seat is node `me`.
    pub fn new(seats: Vec<Seat>, me: NodeId) -> Option<Self> {
        let me = seats.iter().find(|seat| seat.node == me)?.clone();
        Some(Self { seats, me, wipe: false, logins: Vec::new() })
    }

    /// With `wipe`, data of another cluster is moved aside instead of refused (`--wipe-etcd`).
    #[must_use]
    pub fn allow_wiping(mut self, wipe: bool) -> Self {
        self.wipe = wipe;
        self
    }

    /// Whether data of another cluster may be moved aside.
    pub fn wiping_allowed(&self) -> bool {
        self.wipe
    }

    /// With what etcd may be logged in to, where it wants that: the login of this machine's `.env` first, then earlier ones.
    #[must_use]
    pub fn with_logins(mut self, logins: Vec<EtcdLogin>) -> Self {
        self.logins = logins;
        self
    }

    /// What [`Self::with_logins`] was given.
    pub fn logins(&self) -> &[EtcdLogin] {
        &self.logins
    }

    /// This machine's seat.
    pub fn me(&self) -> &Seat {
        &self.me
    }

    /// All seats, this machine's too, in the order of the nodes.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// The seat of a node.
    pub fn seat(&self, node: NodeId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.node == node)
    }

    /// `etcd1=http://…:2380,etcd2=…`: every seat.
    pub fn static_list(&self) -> String {
        let members: Vec<String> = self.seats.iter().map(|seat| format!("{}={}", seat.name, seat.peer_url)).collect();
        members.join(",")
    }
}
