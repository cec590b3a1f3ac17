//! The address of a node and the virtual IP.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// An IPv6 address, which the stack does not support.
    #[error("IPv6 is not supported: use an IPv4 address")]
    Ipv6,
    /// Not an address at all.
    #[error("not an IPv4 address")]
    NotAnAddress,
    /// An address that no other machine can reach.
    #[error("{kind} address: other machines cannot reach it")]
    Unreachable {
        /// What kind of address it is, with its article: `a loopback`.
        kind: &'static str,
    },
    /// A prefix length outside 1..=32.
    #[error("must be 1-32")]
    Prefix,
}

/// The IPv4 address under which the other machines reach a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIp(Ipv4Addr);

impl NodeIp {
    /// Refuses addresses that another machine cannot reach.
    pub fn new(addr: Ipv4Addr) -> Result<Self, AddressError> {
        let kind = if addr.is_loopback() {
            "a loopback"
        } else if addr.is_unspecified() || addr.octets()[0] == 0 {
            "an unspecified"
        } else if addr.is_multicast() {
            "a multicast"
        } else if addr.is_link_local() {
            "a link-local"
        } else if addr.is_broadcast() || addr.octets()[0] >= 240 {
            "a reserved"
        } else {
            return Ok(Self(addr));
        };
        Err(AddressError::Unreachable { kind })
    }

    /// The plain address.
    pub fn addr(self) -> Ipv4Addr {
        self.0
    }
}

impl fmt::Display for NodeIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for NodeIp {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(parse_ipv4(text)?)
    }
}

/// The virtual IP that moves between the nodes, with the prefix length of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vip {
    addr: NodeIp,
    prefix: u8,
}

impl Vip {
    /// `prefix` is the prefix length, 1 to 32.
    pub fn new(addr: NodeIp, prefix: u8) -> Result<Self, AddressError> {
        if (1..=32).contains(&prefix) { Ok(Self { addr, prefix }) } else { Err(AddressError::Prefix) }
    }

    /// The address without its prefix length.
    pub fn ip(self) -> NodeIp {
        self.addr
    }

    /// The prefix length, 1 to 32.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether `ip` lies in the VIP's network.
    pub fn network_contains(self, ip: NodeIp) -> bool {
        let mask = u32::MAX << (32 - u32::from(self.prefix));
        u32::from(self.addr.addr()) & mask == u32::from(ip.addr()) & mask
    }
}

/// `ADDRESS/PREFIX`, as `ip addr` and keepalived write it.
impl fmt::Display for Vip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

fn parse_ipv4(text: &str) -> Result<Ipv4Addr, AddressError> {
    text.parse().map_err(|_| {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let bare = bare.split_once('%').map_or(bare, |(addr, _zone)| addr);
        if bare.parse::<std::net::Ipv6Addr>().is_ok() { AddressError::Ipv6 } else { AddressError::NotAnAddress }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_addresses_say_why() {
        let unreachable = |kind| AddressError::Unreachable { kind };
        for (text, want) in [
            ("127.0.0.1", unreachable("a loopback")),
            ("0.0.0.0", unreachable("an unspecified")),
            ("0.1.2.3", unreachable("an unspecified")),
            ("224.0.0.18", unreachable("a multicast")),
            ("169.254.3.4", unreachable("a link-local")),
            ("255.255.255.255", unreachable("a reserved")),
            ("240.0.0.1", unreachable("a reserved")),
            ("fe80::1", AddressError::Ipv6),
            ("[2001:db8::1]", AddressError::Ipv6),
            ("fe80::1%eth0", AddressError::Ipv6),
            ("", AddressError::NotAnAddress),
            ("192.168.0", AddressError::NotAnAddress),
            ("192.168.0.01", AddressError::NotAnAddress),
            ("192.168.0.152 ", AddressError::NotAnAddress),
            ("db1.example", AddressError::NotAnAddress),
        ] {
            assert_eq!(text.parse::<NodeIp>(), Err(want), "{text:?}");
        }
    }

    #[test]
    fn a_private_172_address_is_a_node_address_like_any_other() {
        assert_eq!("172.18.0.3".parse::<NodeIp>().map(|ip| ip.to_string()), Ok("172.18.0.3".into()));
    }

    #[test]
    fn the_vip_knows_its_network() {
        let ip = |text: &str| text.parse::<NodeIp>().expect("an address");
        let vip = Vip::new(ip("192.168.0.161"), 24).expect("a prefix");
        assert!(vip.network_contains(ip("192.168.0.1")));
        assert!(!vip.network_contains(ip("192.168.1.1")));
        assert!(!Vip::new(ip("10.0.0.1"), 32).expect("a prefix").network_contains(ip("10.0.0.2")));
        assert!(Vip::new(ip("10.0.0.1"), 1).expect("a prefix").network_contains(ip("120.0.0.2")));
        assert_eq!(Vip::new(ip("10.0.0.1"), 0), Err(AddressError::Prefix));
        assert_eq!(Vip::new(ip("10.0.0.1"), 33), Err(AddressError::Prefix));
        assert_eq!(vip.to_string(), "192.168.0.161/24");
    }
}
