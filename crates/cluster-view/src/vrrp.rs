//! What the keepalived of other nodes announces to this machine: who holds the VIP, under which password.

use std::io::{self, Read as _};
use std::net::Ipv4Addr;

use socket2::{Domain, Protocol, Socket, Type};

/// The protocol's number (RFC 3768).
pub(crate) const VRRP: i32 = 112;

/// One announcement of a node that holds a VIP.
#[derive(Clone, PartialEq, Eq)]
pub struct Advert {
    /// Where it came from.
    pub from: Ipv4Addr,
    /// `virtual_router_id`.
    pub router_id: u8,
    /// 0 where the sender gives the VIP up.
    pub priority: u8,
    /// The addresses that it holds.
    pub addresses: Vec<Ipv4Addr>,
    password: [u8; 8],
}

impl std::fmt::Debug for Advert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Advert({} id {} {:?})", self.from, self.router_id, self.addresses)
    }
}

impl Advert {
    /// Whether the sender uses this password: VRRP keeps 8 bytes of it.
    pub fn is_under(&self, password: &str) -> bool {
        let mut padded = [0; 8];
        let bytes = password.as_bytes();
        let kept = bytes.len().min(padded.len());
        padded[..kept].copy_from_slice(&bytes[..kept]);
        padded == self.password
    }

    /// Reads an IPv4 packet with VRRP version 2 in it.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let header = usize::from(packet.first()? & 0x0f) * 4;
        let from = <[u8; 4]>::try_from(packet.get(12..16)?).ok()?;
        let vrrp = packet.get(header..)?;
        let [kind, router_id, priority, count, ..] = *vrrp else { return None };
        if kind != 0x21 {
            return None;
        }
        let end = 8 + usize::from(count) * 4;
        let address = |four: &[u8]| <[u8; 4]>::try_from(four).ok().map(Ipv4Addr::from);
        let addresses = vrrp.get(8..end)?.chunks_exact(4).filter_map(address).collect();
        let password = <[u8; 8]>::try_from(vrrp.get(end..end + 8)?).ok()?;
        Some(Self { from: from.into(), router_id, priority, addresses, password })
    }
}

/// Hears every announcement that reaches this machine, beside keepalived.
#[derive(Debug)]
pub struct AdvertListener {
    socket: Socket,
}

impl AdvertListener {
    /// Begins to listen. Takes root, as everything about the VIP does.
    pub fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(VRRP)))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// What was announced since the last look.
    pub fn heard(&self) -> Vec<Advert> {
        let mut adverts = Vec::new();
        let mut packet = [0; 1500];
        // ends with WouldBlock, at the latest
        while let Ok(length) = (&self.socket).read(&mut packet) {
            adverts.extend(packet.get(..length).and_then(Advert::parse));
        }
        adverts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_names_its_sender_the_addresses_and_the_password() {
        let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 255, 112, 0, 0, 10, 0, 0, 2, 10, 0, 0, 3];
        packet.extend([0x21, 51, 103, 1, 1, 1, 0, 0, 10, 0, 0, 9]);
        packet.extend(*b"abc\0\0\0\0\0");
        let advert = Advert::parse(&packet).expect("an advert");
        assert_eq!((advert.from, advert.router_id, advert.priority), (Ipv4Addr::new(10, 0, 0, 2), 51, 103));
        assert_eq!(advert.addresses, [Ipv4Addr::new(10, 0, 0, 9)]);
        assert!(advert.is_under("abc") && !advert.is_under("abd") && !advert.is_under("abcd"));
        assert!(!format!("{advert:?}").contains("abc"), "no password in a message");
        for length in 0..packet.len() {
            assert_eq!(Advert::parse(&packet[..length]), None, "{length} bytes");
        }
        packet[20] = 0x31;
        assert_eq!(Advert::parse(&packet), None, "another version");
    }
}
