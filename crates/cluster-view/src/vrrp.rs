//! What the keepalived of other nodes announces to this machine: who holds the VIP, under which password.

use std::io::{self, Read as _};
use std::net::Ipv4Addr;
use std::time::Duration;

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
    /// 2 or 3.
    pub version: u8,
    /// Between two announcements.
    pub interval: Duration,
    /// Version 3 has none.
    password: Option<[u8; 8]>,
}

impl std::fmt::Debug for Advert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Advert({} v{} id {} {:?})", self.from, self.version, self.router_id, self.addresses)
    }
}

impl Advert {
    /// Whether the sender uses this password: version 2 keeps 8 bytes of it, version 3 none, so it uses any.
    pub fn is_under(&self, password: &str) -> bool {
        let Some(theirs) = self.password else { return true };
        let mut padded = [0; 8];
        let bytes = password.as_bytes();
        let kept = bytes.len().min(padded.len());
        padded[..kept].copy_from_slice(&bytes[..kept]);
        padded == theirs
    }

    /// Reads an IPv4 packet with VRRP of version 2 or 3 in it.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let header = usize::from(packet.first()? & 0x0f) * 4;
        let from = <[u8; 4]>::try_from(packet.get(12..16)?).ok()?;
        let vrrp = packet.get(header..)?;
        let [kind, router_id, priority, count, high, low, ..] = *vrrp else { return None };
        let end = 8 + usize::from(count) * 4;
        let address = |four: &[u8]| <[u8; 4]>::try_from(four).ok().map(Ipv4Addr::from);
        let addresses = vrrp.get(8..end)?.chunks_exact(4).filter_map(address).collect();
        let (version, interval, password) = match kind {
            // behind the type of the password come whole seconds
            0x21 => (2, Duration::from_secs(low.into()), Some(<[u8; 8]>::try_from(vrrp.get(end..end + 8)?).ok()?)),
            // four bits of nothing, then hundredths of a second
            0x31 => (3, Duration::from_millis(u64::from(u16::from_be_bytes([high & 0x0f, low])) * 10), None),
            _ => return None,
        };
        Some(Self { from: from.into(), router_id, priority, addresses, version, interval, password })
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
        assert_eq!((advert.version, advert.interval), (2, Duration::from_secs(1)));
        packet[20] = 0x41;
        assert_eq!(Advert::parse(&packet), None, "another version");
    }

    #[test]
    fn an_announcement_of_version_3_has_an_interval_below_a_second_and_no_password() {
        let mut packet = vec![0x45, 0, 0, 32, 0, 0, 0, 0, 255, 112, 0, 0, 10, 0, 0, 2, 10, 0, 0, 3];
        packet.extend([0x31, 51, 103, 1, 0xf0, 20, 0, 0, 10, 0, 0, 9]);
        let advert = Advert::parse(&packet).expect("an advert");
        assert_eq!((advert.version, advert.interval), (3, Duration::from_millis(200)));
        assert_eq!((advert.router_id, advert.priority), (51, 103));
        assert_eq!(advert.addresses, [Ipv4Addr::new(10, 0, 0, 9)]);
        assert!(advert.is_under("whatever"));
        for length in 0..packet.len() {
            assert_eq!(Advert::parse(&packet[..length]), None, "{length} bytes");
        }
    }
}
