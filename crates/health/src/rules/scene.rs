//! What the rules ask a snapshot, in one place: who runs, who leads, what has only just changed.

use std::net::Ipv4Addr;

use pgstack_topology::NodeId;
use serde_json::Value;

use crate::{Container, Dcs, Etcd, Fact, Haproxy, Local, Node, Patroni, Snapshot};

/// The services of a node that others depend on.
pub(super) const SERVICES: [&str; 4] = ["etcd", "patroni", "haproxy", "pgbouncer"];
/// So long after its start a service may still be busy with starting.
const YOUNG_MS: u64 = 30_000;
/// So long after a change of the primary the others may still be busy with following.
const SETTLING_S: u64 = 20;

/// A snapshot, and what follows from it at once.
pub(super) struct Scene<'a> {
    pub(super) snapshot: &'a Snapshot,
}

impl<'a> Scene<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot }
    }

    /// The nodes from which anything came back.
    pub(super) fn living(&self) -> impl Iterator<Item = &'a Node> + use<'a> {
        self.snapshot.nodes.iter().filter(|node| node.reachable)
    }

    /// Those with what their machine says.
    pub(super) fn locals(&self) -> impl Iterator<Item = (&'a Node, &'a Local)> + use<'a> {
        self.living().filter_map(|node| Some((node, node.local.known()?)))
    }

    /// Those whose Docker engine answers, too.
    pub(super) fn engines(&self) -> impl Iterator<Item = (&'a Node, &'a Local)> + use<'a> {
        self.living().filter_map(|node| Some((node, engine(node)?)))
    }

    pub(super) fn etcds(&self) -> impl Iterator<Item = (&'a Node, &'a Etcd)> + use<'a> {
        self.living().filter_map(|node| Some((node, node.etcd.known()?)))
    }

    pub(super) fn patronis(&self) -> impl Iterator<Item = (&'a Node, &'a Patroni)> + use<'a> {
        self.living().filter_map(|node| Some((node, node.patroni.known()?)))
    }

    pub(super) fn dcs(&self) -> Option<&'a Dcs> {
        self.snapshot.dcs.known()
    }

    /// An etcd that serves with a quorum, which is to be believed about the members.
    pub(super) fn quorate(&self) -> Option<(&'a Node, &'a Etcd)> {
        let main = self.main_cluster();
        self.etcds().find(|(_, etcd)| etcd.has_quorum && Some(etcd.cluster_id.as_str()) == main)
    }

    /// The etcd cluster that most nodes are in, one with a quorum before one without.
    pub(super) fn main_cluster(&self) -> Option<&'a str> {
        let weight = |id: &str| {
            let of = || self.etcds().filter(|(_, etcd)| etcd.cluster_id == id);
            (of().any(|(_, etcd)| etcd.has_quorum), of().count())
        };
        let ids = self.etcds().map(|(_, etcd)| etcd.cluster_id.as_str()).filter(|id| !id.is_empty());
        // of two that weigh the same, the first by name: whoever asks gets the same answer
        ids.max_by(|left, right| weight(left).cmp(&weight(right)).then_with(|| right.cmp(left)))
    }

    /// The node that leads and whose Patroni says that it takes writes.
    pub(super) fn leader(&self) -> Option<&'a Node> {
        self.snapshot.leader().filter(|node| node.reachable && node.patroni.known().is_some_and(Patroni::takes_writes))
    }

    pub(super) fn leads(&self, id: NodeId) -> bool {
        self.snapshot.leader().is_some_and(|leader| leader.id == id)
    }

    /// The node of an address.
    pub(super) fn node_at(&self, address: Ipv4Addr) -> Option<&'a Node> {
        self.snapshot.nodes.iter().find(|node| node.address == address)
    }

    pub(super) fn holds_vip(&self, id: NodeId) -> bool {
        self.snapshot.vip_holders().any(|node| node.id == id)
    }

    /// Whether there is meant to be a VIP: whoever asks, one node with keepalived is enough.
    pub(super) fn with_vip(&self) -> bool {
        self.snapshot.with_vip || self.locals().any(|(_, local)| local.containers.contains_key("keepalived"))
    }

    /// A setting of the DCS that is a number.
    pub(super) fn number(&self, name: &str, default: u64) -> u64 {
        let value = self.dcs().and_then(|dcs| dcs.config.get(name));
        value.and_then(as_number).unwrap_or(default)
    }

    /// A setting of the DCS that is a switch; `None` where the DCS is not known or does not name it.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        Some(match self.dcs()?.config.get(name)? {
            Value::Bool(on) => *on,
            Value::String(text) => !matches!(text.to_lowercase().as_str(), "off" | "false" | "no" | "0" | ""),
            Value::Number(number) => number.as_u64() != Some(0),
            _ => return None,
        })
    }

    /// Whether the primary has only just become one, or a change is asked for: who follows is about to.
    pub(super) fn settling(&self) -> bool {
        if self.dcs().is_some_and(|dcs| dcs.failover_pending) {
            return true;
        }
        // most proxies saw the primary come or go, or are about to; one alone may be blind
        let changed = |proxy: &Haproxy| {
            let mut servers = proxy.servers.iter().filter(|server| server.backend == "primary");
            servers.any(|server| server.since_s < SETTLING_S || server.is_up && self.has_stepped_down(&server.name))
        };
        let seen: Vec<bool> = self.proxies().map(|(_, proxy)| changed(proxy)).collect();
        2 * seen.iter().filter(|changed| **changed).count() > seen.len()
    }

    /// Whether a member was the primary a moment ago: some HAProxy still takes it for that, and its own Patroni does not.
    fn has_stepped_down(&self, member: &str) -> bool {
        let patroni = self.snapshot.node_of_member(member).and_then(|node| node.patroni.known());
        patroni.is_some_and(|patroni| !patroni.is_primary())
    }

    pub(super) fn proxies(&self) -> impl Iterator<Item = (&'a Node, &'a Haproxy)> + use<'a> {
        self.living().filter_map(|node| Some((node, node.haproxy.known()?)))
    }
}

/// A number, or a text that is one.
pub(super) fn as_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

pub(super) fn container<'a>(node: &'a Node, service: &str) -> Option<&'a Container> {
    engine(node)?.containers.get(service)
}

/// What a machine says of its containers, where its Docker engine answers.
pub(super) fn engine(node: &Node) -> Option<&Local> {
    node.local.known().filter(|local| !local.engine.is_empty())
}

/// Whether a service's container runs, without a complaint, and for some time.
pub(super) fn runs_well(node: &Node, service: &str) -> bool {
    let Some(container) = container(node, service) else { return false };
    container.status == "running"
        && container.health.as_deref().is_none_or(|health| health == "healthy")
        && !is_young(node, service)
}

/// Whether a service was started only a moment ago, by its machine's own clock.
pub(super) fn is_young(node: &Node, service: &str) -> bool {
    let Some(local) = node.local.known() else { return false };
    let started = local.containers.get(service).map(|container| container.started_at_ms).filter(|at| *at > 0);
    started.is_some_and(|at| local.clock_ms > 0 && local.clock_ms.saturating_sub(at) < YOUNG_MS)
}

/// How a question went without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nothing came back, or the machine refused the connection.
    Network,
    /// The password was refused.
    Password,
    /// The node's `.env` has been invalid ever since its agent started.
    NoSettings,
    /// Something accepted the connection and said nothing.
    Mute,
    /// It was never asked, or the answer says something else.
    Other,
}

/// Why a fact is not known, as far as rules need to tell.
pub(super) fn silence<T>(fact: &Fact<T>) -> Option<Silence> {
    let why = fact.why()?.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| why.contains(word));
    // an agent without a valid .env knows no token, and is asked in vain by everybody
    Some(if has(&["has problems"]) {
        Silence::NoSettings
    } else if has(&["password", "token"]) {
        Silence::Password
    } else if has(&["connected, but", "connection was cut"]) {
        // the kernel or Docker accepted, so nothing on the way is shut
        Silence::Mute
    } else if has(&["no answer in time", "connection refused", "no route"]) {
        Silence::Network
    } else {
        Silence::Other
    })
}
