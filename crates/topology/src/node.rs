//! A node, all nodes, and the node that this machine is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{NodeIp, Vip, port};

/// The fewest nodes a cluster has.
pub const MIN_NODES: usize = 3;
/// The most nodes a cluster has.
pub const MAX_NODES: usize = 6;

/// The number of a node, 1 to 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct NodeId(u8);

impl TryFrom<u8> for NodeId {
    type Error = NodeIdError;

    fn try_from(id: u8) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl From<NodeId> for u8 {
    fn from(id: NodeId) -> Self {
        id.0
    }
}

/// Not a node number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from 1 to 6")]
pub struct NodeIdError;

impl NodeId {
    /// `id` is 1 to 6.
    pub fn new(id: u8) -> Result<Self, NodeIdError> {
        if (1..=6).contains(&id) { Ok(Self(id)) } else { Err(NodeIdError) }
    }

    /// All numbers a node can have, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=6).map(Self)
    }

    /// The plain number.
    pub fn get(self) -> u8 {
        self.0
    }

    /// `etcd1`: what etcd calls the node of that number.
    pub fn etcd_name(self) -> String {
        format!("etcd{self}")
    }

    /// `patroni1`: what Patroni calls it, and the replication slot that it has on the primary.
    pub fn patroni_name(self) -> String {
        format!("patroni{self}")
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for NodeId {
    type Err = NodeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            [digit @ b'1'..=b'6'] => Self::new(digit - b'0'),
            _ => Err(NodeIdError),
        }
    }
}

/// One machine of the cluster. Every name and URL of its services is built here and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    id: NodeId,
    ip: NodeIp,
}

impl Node {
    /// The node's number.
    pub fn id(self) -> NodeId {
        self.id
    }

    /// The node's address.
    pub fn ip(self) -> NodeIp {
        self.ip
    }

    /// `etcd1`: member name and host name.
    pub fn etcd_name(self) -> String {
        self.id.etcd_name()
    }

    /// `patroni1`: member name and host name.
    pub fn patroni_name(self) -> String {
        self.id.patroni_name()
    }

    /// `http://ADDRESS:2380`.
    pub fn etcd_peer_url(self) -> String {
        format!("http://{}:{}", self.ip, port::ETCD_PEER)
    }

    /// `http://ADDRESS:2379`.
    pub fn etcd_client_url(self) -> String {
        format!("http://{}:{}", self.ip, port::ETCD_CLIENT)
    }

    /// `ADDRESS:2379`, as Patroni wants it.
    pub fn etcd_endpoint(self) -> String {
        format!("{}:{}", self.ip, port::ETCD_CLIENT)
    }

    /// `ADDRESS:5432`.
    pub fn postgres_address(self) -> String {
        format!("{}:{}", self.ip, port::POSTGRES)
    }

    /// `ADDRESS:8008`.
    pub fn patroni_rest_address(self) -> String {
        format!("{}:{}", self.ip, port::PATRONI_REST)
    }
}

/// Why a list of nodes is not a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// Fewer than 3 or more than 6 nodes.
    #[error("a cluster has 3 to 6 nodes, got {0}")]
    Size(usize),
    /// Two nodes have the same address.
    #[error("node {first} and node {second} have the same address {ip}")]
    DuplicateAddress {
        /// The lower number.
        first: NodeId,
        /// The higher number.
        second: NodeId,
        /// The shared address.
        ip: NodeIp,
    },
    /// The VIP is the address of a node.
    #[error("the VIP {vip} is the address of node {node}")]
    VipIsNode {
        /// That node.
        node: NodeId,
        /// The address.
        vip: NodeIp,
    },
    /// The cluster has no node of that number.
    #[error("the cluster has {size} nodes and no node {id}")]
    NoSuchNode {
        /// The number asked for.
        id: NodeId,
        /// How many nodes there are.
        size: usize,
    },
}

/// All nodes, numbered 1..=n without a gap, and the VIP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    nodes: Vec<Node>,
    vip: Vip,
}

impl Topology {
    /// `addresses` in the order of the node numbers, beginning with node 1.
    pub fn new(addresses: impl IntoIterator<Item = NodeIp>, vip: Vip) -> Result<Self, TopologyError> {
        let addresses: Vec<NodeIp> = addresses.into_iter().collect();
        if !(MIN_NODES..=MAX_NODES).contains(&addresses.len()) {
            return Err(TopologyError::Size(addresses.len()));
        }
        let nodes: Vec<Node> = NodeId::all().zip(addresses).map(|(id, ip)| Node { id, ip }).collect();
        for (at, second) in nodes.iter().enumerate() {
            if let Some(first) = nodes[..at].iter().find(|first| first.ip == second.ip) {
                return Err(TopologyError::DuplicateAddress { first: first.id, second: second.id, ip: second.ip });
            }
        }
        if let Some(node) = nodes.iter().find(|node| node.ip == vip.ip()) {
            return Err(TopologyError::VipIsNode { node: node.id, vip: node.ip });
        }
        Ok(Self { nodes, vip })
    }

    /// The nodes in the order of their numbers.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = Node> + '_ {
        self.nodes.iter().copied()
    }

    /// How many nodes there are, 3 to 6.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// The virtual IP.
    pub fn vip(&self) -> Vip {
        self.vip
    }

    /// The node of that number.
    pub fn node(&self, id: NodeId) -> Option<Node> {
        self.nodes.get(usize::from(id.get()) - 1).copied()
    }

    /// Says which of the nodes this machine is.
    pub fn local(self, id: NodeId) -> Result<LocalNode, TopologyError> {
        match self.node(id) {
            Some(me) => Ok(LocalNode { topology: self, me }),
            None => Err(TopologyError::NoSuchNode { id, size: self.size() }),
        }
    }

    /// `etcd1=http://…:2380,etcd2=…`: etcd's static member list.
    pub fn etcd_initial_cluster(&self) -> String {
        let members: Vec<String> =
            self.nodes().map(|node| format!("{}={}", node.etcd_name(), node.etcd_peer_url())).collect();
        members.join(",")
    }
}

/// The cluster as seen from one of its machines. It only comes out of [`Topology::local`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalNode {
    topology: Topology,
    me: Node,
}

impl LocalNode {
    /// This machine.
    pub fn me(&self) -> Node {
        self.me
    }

    /// The other machines, in the order of their numbers.
    pub fn peers(&self) -> impl Iterator<Item = Node> + '_ {
        let me = self.me.id;
        self.topology.nodes().filter(move |node| node.id != me)
    }

    /// All machines and the VIP.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> NodeIp {
        format!("192.168.0.{last}").parse().expect("an address")
    }

    fn vip() -> Vip {
        Vip::new(ip(161), 24).expect("a prefix")
    }

    #[test]
    fn node_numbers_are_one_digit_from_1_to_6() {
        for good in 1..=6u8 {
            assert_eq!(good.to_string().parse::<NodeId>().map(NodeId::get), Ok(good));
        }
        for bad in ["", "0", "7", "01", "+1", " 1", "1 ", "one", "-1", "1.0"] {
            assert_eq!(bad.parse::<NodeId>(), Err(NodeIdError), "{bad:?}");
        }
    }

    #[test]
    fn a_cluster_has_three_to_six_distinct_nodes() {
        assert_eq!(Topology::new([ip(1), ip(2)], vip()), Err(TopologyError::Size(2)));
        assert_eq!(Topology::new((1..=7).map(ip), vip()), Err(TopologyError::Size(7)));
        assert!(matches!(
            Topology::new([ip(1), ip(2), ip(1)], vip()),
            Err(TopologyError::DuplicateAddress { first, second, .. }) if first.get() == 1 && second.get() == 3
        ));
        assert!(matches!(
            Topology::new([ip(1), ip(161), ip(3)], vip()),
            Err(TopologyError::VipIsNode { node, .. }) if node.get() == 2
        ));
        for size in 3..=6u8 {
            assert_eq!(Topology::new((1..=size).map(ip), vip()).map(|t| t.size()), Ok(usize::from(size)));
        }
    }

    #[test]
    fn a_local_node_sees_the_others_as_peers() {
        let topology = Topology::new((1..=4).map(ip), vip()).expect("a topology");
        let local = topology.clone().local(NodeId(2)).expect("node 2");
        assert_eq!(local.me().etcd_name(), "etcd2");
        assert_eq!(local.peers().map(|peer| peer.id().get()).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(topology.local(NodeId(5)), Err(TopologyError::NoSuchNode { id: NodeId(5), size: 4 }));
    }

    #[test]
    fn the_static_etcd_list_names_every_member_in_order() {
        let topology = Topology::new((1..=3).map(ip), vip()).expect("a topology");
        assert_eq!(
            topology.etcd_initial_cluster(),
            "etcd1=http://192.168.0.1:2380,etcd2=http://192.168.0.2:2380,etcd3=http://192.168.0.3:2380"
        );
    }
}
