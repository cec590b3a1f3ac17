//! Addresses: all nodes, the VIP, and which of the nodes this machine is.

use std::net::Ipv4Addr;

use pgstack_topology::{AddressError, LocalNode, MIN_NODES, NodeId, NodeIp, Topology, Vip};

use super::reader::{Given, Reader};
use crate::key;
use crate::problem::ProblemKind;

const DEFAULT_PREFIX: &str = "24";

/// `NODE<n>_IP` as far as it could be read.
struct Slot {
    key: &'static str,
    given: Option<Given>,
    ip: Option<NodeIp>,
}

/// `None` where a problem was reported.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<LocalNode> {
    let id = reader.required(key::NODE_ID);
    let id = id.and_then(|given| {
        let id = reader.parse(&given, str::parse::<NodeId>, |_, got| ProblemKind::NodeId { got })?;
        Some((id, given))
    });
    let own = reader.required(key::NODE_IP);
    let own = own.and_then(|given| Some((address(reader, &given)?, given)));
    let slots = read_slots(reader);
    let vip = read_vip(reader, &slots);

    let (id, id_given) = id?;
    let slot = &slots[usize::from(id.get()) - 1];
    if slot.given.is_none() && usize::from(id.get()) > MIN_NODES {
        reader.refuse(&id_given, ProblemKind::OwnAddressMissing { id: id.get(), missing: slot.key });
        return None;
    }
    let (own, own_given) = own?;
    let listed = slot.ip?;
    if own != listed {
        let meant = slots.iter().position(|slot| slot.ip == Some(own)).and_then(|at| u8::try_from(at + 1).ok());
        let (expected, got) = (listed.to_string(), own.to_string());
        let kind = ProblemKind::NotOwnAddress { id: id.get(), other: slot.key, expected, got, meant };
        reader.refuse(&own_given, kind);
        return None;
    }
    let (vip, vip_given) = vip?;
    let addresses: Vec<NodeIp> = slots.iter().map_while(|slot| slot.ip).collect();
    match Topology::new(addresses, vip).and_then(|topology| topology.local(id)) {
        Ok(local) => Some(local),
        Err(error) => {
            // Only reached where the same was said of a single key before.
            reader.refuse_if_first(&vip_given, ProblemKind::Cluster(error));
            None
        }
    }
}

fn address(reader: &mut Reader<'_>, given: &Given) -> Option<NodeIp> {
    reader.parse(given, str::parse::<NodeIp>, |error, got| ProblemKind::Address { error, got })
}

fn read_slots(reader: &mut Reader<'_>) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::new();
    for (at, key) in key::NODE_IPS.into_iter().enumerate() {
        let given = if at < MIN_NODES { reader.required(key) } else { reader.optional(key) };
        let ip = given.as_ref().and_then(|given| address(reader, given));
        if let Some(given) = &given
            && let Some(same) = slots.iter().find(|slot| ip.is_some() && slot.ip == ip)
        {
            let (other, got) = (same.key, reader.shown(&given.text));
            reader.refuse(given, ProblemKind::SameAddress { other, got });
        }
        slots.push(Slot { key, given, ip });
    }
    let missing = slots.iter().skip(MIN_NODES).position(|slot| slot.given.is_none()).map(|at| at + MIN_NODES);
    if let Some(missing) = missing
        && let Some(given) = slots.iter().skip(missing).find_map(|slot| slot.given.as_ref())
    {
        reader.refuse(given, ProblemKind::Gap { missing: slots[missing].key });
    }
    slots
}

fn read_vip(reader: &mut Reader<'_>, slots: &[Slot]) -> Option<(Vip, Given)> {
    let given = reader.required(key::VIP);
    let prefix = reader.optional_or(key::VIP_PREFIX, DEFAULT_PREFIX);
    let in_range = |text: &str| super::number(text).filter(|n| (1..=32).contains(n)).ok_or(AddressError::Prefix);
    let prefix = reader.parse(&prefix, in_range, |error, got| ProblemKind::Address { error, got });
    let given = given?;
    let addr = address(reader, &given)?;
    if let Some(same) = slots.iter().find(|slot| slot.ip == Some(addr)) {
        reader.refuse(&given, ProblemKind::SameAddress { other: same.key, got: addr.to_string() });
        return None;
    }
    let vip = Vip::new(addr, prefix?).ok()?;
    if let Some(what) = not_a_host(addr, vip.prefix()) {
        reader.refuse(&given, ProblemKind::NotAHost { what, prefix: vip.prefix(), got: addr.to_string() });
        return None;
    }
    warn_of_network(reader, vip, &given, slots);
    Some((vip, given))
}

fn warn_of_network(reader: &mut Reader<'_>, vip: Vip, given: &Given, slots: &[Slot]) {
    // A /32 is an address without a network, which some sites prefer for a VIP.
    if vip.prefix() == 32 {
        return;
    }
    let mut outside = Vec::new();
    for slot in slots {
        let Some((ip, node)) = slot.ip.zip(slot.given.as_ref()) else { continue };
        if !vip.network_contains(ip) {
            outside.push(slot.key);
        } else if let Some(what) = not_a_host(ip, vip.prefix()) {
            reader.warn(node, ProblemKind::NotAHost { what, prefix: vip.prefix(), got: ip.to_string() });
        }
    }
    let nodes = match outside.as_slice() {
        [] => return,
        [one] => format!("{one} is"),
        [most @ .., last] => format!("{} and {last} are", most.join(", ")),
    };
    reader.warn(given, ProblemKind::OutsideNetwork { network: network(vip), nodes });
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

/// `192.168.0.0/24`.
fn network(vip: Vip) -> String {
    let base = u32::from(vip.ip().addr()) & mask(vip.prefix());
    format!("{}/{}", Ipv4Addr::from(base), vip.prefix())
}

/// Which of the two addresses of a network that no machine can have. A /31 and a /32 have none.
fn not_a_host(ip: NodeIp, prefix: u8) -> Option<&'static str> {
    let host = u32::from(ip.addr()) & !mask(prefix);
    match host {
        _ if prefix > 30 => None,
        0 => Some("network"),
        host if host == !mask(prefix) => Some("broadcast"),
        _ => None,
    }
}
