//! Ports, addresses, the other nodes, VRRP, the VIP.

use std::fmt::Write as _;

use super::{Check, Holder, Machine, PORTS, Peer, Place, VipUse, Vrrp, Way, by_hand, finding};
use crate::{Finding, Mend, Risk, Severity};

pub(super) fn checks(machine: &Machine) -> Vec<Check> {
    vec![place(machine), ports(machine), peers(machine), vrrp(machine), vip(machine)]
}

/// `2379`, `2379 and 2380`, `2379, 2380 and 5432`.
fn list(ports: &[u16]) -> String {
    let mut text = String::new();
    for (at, port) in ports.iter().enumerate() {
        let before = if at == 0 {
            ""
        } else if at + 1 == ports.len() {
            " and "
        } else {
            ", "
        };
        // write! to a String cannot fail
        let _ = write!(text, "{before}{port}");
    }
    text
}

fn service(port: u16) -> &'static str {
    PORTS.iter().find(|(number, _)| *number == port).map_or("the stack", |(_, service)| service)
}

fn place(machine: &Machine) -> Check {
    Check::of("address, interface", &machine.place, |place| {
        let (code, wrong, cause) = match place {
            Place::Right { address, interface } => return (format!("{address} on {interface}"), Vec::new()),
            Place::WrongAddress(wrong) => {
                let cause = ".env was copied from another node, or the machine's address has changed";
                ("PGS-103", wrong, cause)
            }
            Place::WrongInterface(wrong) => {
                ("PGS-104", wrong, "the interface has another name on this machine than on the one that .env came from")
            }
        };
        let found = Finding {
            mends: vec![by_hand(machine, "", wrong.hint.clone())],
            ..finding(machine, code, Severity::Critical, wrong.what.clone(), cause)
        };
        (String::new(), vec![found])
    })
}

fn ports(machine: &Machine) -> Check {
    Check::of("ports", &machine.ports, |ports| {
        let taken = |(port, holder): (&u16, &Holder)| {
            let (service, name) = (service(*port), &holder.name);
            let what = format!("port {port}, which {service} needs, is taken by {name}");
            let cause = "another program, or another stack, runs on this machine";
            let mends = vec![by_hand(
                machine,
                &format!("ss -ltnp 'sport = :{port}'"),
                "shows it: stop it and keep it from starting again, or give it another port",
            )];
            let evidence = vec![format!("kernel: {name} listens at {port}")];
            Finding { evidence, mends, ..finding(machine, "PGS-102", Severity::Critical, what, cause) }
        };
        let findings: Vec<Finding> = ports.iter().filter(|(_, holder)| !holder.ours).map(taken).collect();
        let ours = ports.values().filter(|holder| holder.ours).count();
        let free = PORTS.len().saturating_sub(ours);
        let detail = if ours == 0 {
            format!("all {free} are free")
        } else {
            format!("{ours} are this stack's own, {free} are free")
        };
        (detail, findings)
    })
}

fn peers(machine: &Machine) -> Check {
    Check::of("other nodes", &machine.peers, |peers| {
        let findings: Vec<Finding> = peers.iter().filter_map(|peer| reach(machine, peer)).collect();
        let names: Vec<String> = peers.iter().map(|peer| peer.node.to_string()).collect();
        (format!("nodes {} are reached at every port", names.join(", ")), findings)
    })
}

/// What a peer's ports say about the way to it.
fn reach(machine: &Machine, peer: &Peer) -> Option<Finding> {
    let Peer { node, address, ports, .. } = peer;
    let blocked: Vec<u16> = ports.iter().filter(|(_, way)| !way.is_free()).map(|(port, _)| *port).collect();
    if blocked.is_empty() {
        return None;
    }
    let answers =
        |way: Way| ports.iter().filter(|(_, found)| **found == way).map(|(port, _)| *port).collect::<Vec<_>>();
    let said = [
        (Way::Silent, "no answer"),
        (Way::Rejected, "refused by a firewall (ICMP)"),
        (Way::Unreachable, "no way there (ICMP)"),
        (Way::Open, "open"),
        (Way::Refused, "nobody listens, the way is free"),
    ];
    let told = said.into_iter().map(|(way, words)| (answers(way), words)).filter(|(ports, _)| !ports.is_empty());
    let evidence = told.map(|(ports, words)| format!("{address}, {}: {words}", list(&ports))).collect();
    // who rejects is there
    let off = blocked.len() == ports.len() && !ports.values().any(|way| *way == Way::Rejected);
    let found = if off {
        Finding {
            evidence,
            mends: vec![by_hand(
                machine,
                &format!("ping -c 3 {address}"),
                format!("switch node {node} on; look at its network, at NODE{node}_IP, and at the firewalls between"),
            )],
            ..finding(
                machine,
                "PGS-105",
                Severity::Warning,
                format!("node {node} ({address}) cannot be reached"),
                "the machine is off, NODEn_IP is wrong, or a firewall drops everything",
            )
        }
    } else {
        let them = list(&blocked);
        let plural = if blocked.len() == 1 { "" } else { "s" };
        let from = machine.address().map_or(String::new(), |address| format!(" from {address}"));
        let note = format!("open TCP {them}{from} in node {node}'s firewall, and in those between");
        Finding {
            evidence,
            mends: vec![Mend { node: Some(*node), command: String::new(), note, risk: Risk::Manual }],
            ..finding(
                machine,
                "PGS-106",
                Severity::Critical,
                format!("node {node} ({address}) is there, but its port{plural} {them} cannot be reached"),
                "a firewall on the way drops or refuses them",
            )
        }
    };
    Some(found)
}

fn vrrp(machine: &Machine) -> Check {
    let title = "VRRP";
    Check::of(title, &machine.peers, |peers| {
        let blocked = |peer: &Peer| {
            let Peer { node, address, .. } = peer;
            let said = match peer.vrrp.known()? {
                Vrrp::Reaches => return None,
                Vrrp::Rejected => "a firewall refuses them (ICMP)",
                Vrrp::Silent => "nothing comes back, though ICMP from there does",
                Vrrp::Unanswered => "nothing comes back, nor does any ICMP from there",
            };
            let is_sure = peer.vrrp.known() != Some(&Vrrp::Unanswered);
            let (severity, verb) =
                if is_sure { (Severity::Critical, "does not reach") } else { (Severity::Warning, "may not reach") };
            let from = machine.address().map_or_else(|| "the other nodes".to_owned(), |address| address.to_string());
            let cause = "a firewall lets TCP through but not IP protocol 112 (VRRP), or the network filters it (many \
                         clouds do)";
            Some(Finding {
                evidence: vec![format!("packets of IP protocol 112 to {address}: {said}")],
                mends: vec![Mend {
                    node: Some(*node),
                    command: format!("iptables -I INPUT -p vrrp -s {from} -j ACCEPT"),
                    note: "likewise in the other firewalls between, and for every node on every node".to_owned(),
                    risk: Risk::Manual,
                }],
                ..finding(
                    machine,
                    "PGS-112",
                    severity,
                    format!("VRRP {verb} node {node} ({address}): both would take the VIP"),
                    cause,
                )
            })
        };
        let findings = peers.iter().filter_map(blocked).collect();
        let names: Vec<String> = peers.iter().map(|peer| peer.node.to_string()).collect();
        (format!("reaches nodes {}", names.join(", ")), findings)
    })
    .or_unknown(machine.peers.known().into_iter().flatten().filter_map(|peer| {
        let why = peer.vrrp.why()?;
        Some(format!("node {}: {why}", peer.node))
    }))
}

fn vip(machine: &Machine) -> Check {
    Check::of("VIP", &machine.vip, |vip| match vip {
        VipUse::Free { address } => (format!("{address} is free"), Vec::new()),
        VipUse::Ours { address, node } => (format!("{address} is held by node {node}"), Vec::new()),
        VipUse::Foreign { address, who, evidence } => {
            let who = who.as_deref().unwrap_or("somebody");
            let found = Finding {
                node: None,
                evidence: evidence.clone(),
                mends: vec![by_hand(
                    machine,
                    &format!("ip neigh show {address}"),
                    "shows the hardware address: take the address away from that machine, or choose another VIP in \
                     .env, on every node",
                )],
                ..finding(
                    machine,
                    "PGS-114",
                    Severity::Critical,
                    format!("the VIP {address} is in use already: {who} answers there"),
                    "another machine has that address, or another stack has the same VIP",
                )
            };
            (String::new(), vec![found])
        }
    })
}
