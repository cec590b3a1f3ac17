//! Whether packets get to another machine and back: TCP to a port, and VRRP.

use std::io::{self, IoSliceMut, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpSocket;

use crate::vrrp::{Advert, VRRP};

/// What came back from a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Passage {
    /// Somebody listens there.
    Open,
    /// The machine says that nobody listens there.
    Refused,
    /// A firewall says no.
    Rejected,
    /// Nothing.
    Silent,
    /// The network says that there is no such machine.
    Unreachable,
}

/// What an ICMP message of the type "destination unreachable" means, by its code.
fn by_icmp_code(code: u8) -> Passage {
    match code {
        // protocol unreachable: the kernel itself, for want of anybody who takes it
        2 => Passage::Refused,
        // port unreachable (a kernel answers TCP otherwise), administratively prohibited
        3 | 9 | 10 | 13 => Passage::Rejected,
        _ => Passage::Unreachable,
    }
}

/// Asks for a connection to a port, and hangs up again.
pub async fn tcp_passage(address: Ipv4Addr, port: u16, limit: Duration) -> Passage {
    match tokio::time::timeout(limit, connect(address, port)).await {
        Ok(Ok(passage)) => passage,
        Ok(Err(_)) => Passage::Unreachable,
        Err(_) => Passage::Silent,
    }
}

async fn connect(address: Ipv4Addr, port: u16) -> io::Result<Passage> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // keeps apart what a machine says (a reset) and what a firewall says (ICMP)
    setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    let errors = socket.try_clone()?;
    let target = SocketAddr::new(IpAddr::V4(address), port);
    let Err(error) = TcpSocket::from_std_stream(socket.into()).connect(target).await else { return Ok(Passage::Open) };
    if let Some(code) = icmp_code(&errors) {
        return Ok(by_icmp_code(code));
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Ok(Passage::Refused),
        io::ErrorKind::TimedOut => Ok(Passage::Silent),
        io::ErrorKind::PermissionDenied => Ok(Passage::Rejected),
        _ => Err(error),
    }
}

/// The code of the ICMP message that a socket got, where it got one.
fn icmp_code(socket: &Socket) -> Option<u8> {
    /// `SO_EE_ORIGIN_ICMP`: another machine said so, not our own kernel.
    const ICMP: u8 = 2;
    let (mut packet, mut control) = ([0; 256], nix::cmsg_space!([u8; 256]));
    let mut parts = [IoSliceMut::new(&mut packet)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags).ok()?;
    message.cmsgs().ok()?.find_map(|part| match part {
        ControlMessageOwned::Ipv4RecvErr(error, _) if error.ee_origin == ICMP => Some(error.ee_code),
        _ => None,
    })
}

/// Sends a machine packets of VRRP's protocol that no keepalived heeds: version 0, group 0. A
/// kernel without keepalived says that it does not know the protocol, which shows that they arrive.
/// A machine that probes in turn answers them.
#[derive(Debug)]
pub struct VrrpProbe {
    address: Ipv4Addr,
    socket: Socket,
    announced: Vec<Ipv4Addr>,
}

const ASK: &[u8; 16] = b"\0\0\0\0pgstack ask!";
const ANSWER: &[u8; 16] = b"\0\0\0\0pgstack yes!";
/// Linux answers few packets a second with ICMP.
const EVERY: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_millis(20);

impl VrrpProbe {
    /// Takes root.
    pub fn open(address: Ipv4Addr) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(VRRP)))?;
        socket.set_nonblocking(true)?;
        socket.connect(&SocketAddr::new(IpAddr::V4(address), 0).into())?;
        Ok(Self { address, socket, announced: Vec::new() })
    }

    /// Asks again and again until something comes back. [`Passage::Open`]: a packet did.
    pub async fn ask(&mut self, limit: Duration) -> Passage {
        let began = Instant::now();
        let mut asked = None::<Instant>;
        while began.elapsed() < limit {
            if asked.is_none_or(|at| at.elapsed() >= EVERY) {
                asked = Some(Instant::now());
                if let Err(Some(passage)) = self.socket.send(ASK).map_err(|error| meaning(&error)) {
                    return passage;
                }
            }
            if let Some(passage) = self.heard() {
                return passage;
            }
            tokio::time::sleep(LOOK).await;
        }
        Passage::Silent
    }

    /// The machine that is asked.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The addresses that the machine has announced as its own meanwhile.
    pub fn announced(&self) -> &[Ipv4Addr] {
        &self.announced
    }

    fn heard(&mut self) -> Option<Passage> {
        let mut packet = [0; 1500];
        loop {
            let length = match (&self.socket).read(&mut packet) {
                Ok(length) => length,
                // an ICMP message comes as an error
                Err(error) => return meaning(&error),
            };
            let packet = packet.get(..length).unwrap_or_default();
            if let Some(advert) = Advert::parse(packet) {
                self.announced.extend(advert.addresses);
                return Some(Passage::Open);
            }
            if packet.ends_with(ASK) {
                // whether it arrives is for the other side to say
                let _ = self.socket.send(ANSWER);
            } else if packet.ends_with(ANSWER) {
                return Some(Passage::Open);
            }
        }
    }
}

fn meaning(error: &io::Error) -> Option<Passage> {
    match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
        Errno::ENOPROTOOPT => Some(Passage::Refused),
        // port unreachable, prohibited, our own firewall
        Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::EACCES | Errno::EPERM => Some(Passage::Rejected),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_is_open_or_refused() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let limit = Duration::from_secs(2);
        assert_eq!(tcp_passage(Ipv4Addr::LOCALHOST, port, limit).await, Passage::Open);
        drop(listener);
        assert_eq!(tcp_passage(Ipv4Addr::LOCALHOST, port, limit).await, Passage::Refused);
    }

    #[test]
    fn icmp_is_told_by_its_code() {
        assert_eq!(by_icmp_code(1), Passage::Unreachable);
        assert_eq!(by_icmp_code(2), Passage::Refused);
        for code in [3, 9, 10, 13] {
            assert_eq!(by_icmp_code(code), Passage::Rejected, "{code}");
        }
    }
}
