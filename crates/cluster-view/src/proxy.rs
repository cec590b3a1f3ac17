//! HAProxy's and PgBouncer's own answers, on a node's address or on the VIP.

use std::net::Ipv4Addr;

use pgstack_topology::{Node, NodeId, Secret, Vip, port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Observer, Silence, TIMEOUT};

/// PostgreSQL's SSLRequest: length 8, code 80877103. Whoever speaks the protocol answers one byte.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// What a HAProxy of the stack says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The node that it runs on.
    pub node: NodeId,
    /// The fingerprint of its settings that must be the same on every node.
    pub agreement: String,
    /// The fingerprint of what its `.env` names of the settings in the DCS; `None`: nothing.
    pub dcs: Option<String>,
}

impl Proxy {
    /// Reads `patroni-stack node 1 settings 0123456789abcdef`, perhaps with `dcs 0123456789abcdef`.
    fn parse(body: &str) -> Option<Self> {
        let (node, agreement) = body.trim().strip_prefix("patroni-stack node ")?.split_once(" settings ")?;
        let (agreement, dcs) =
            agreement.split_once(" dcs ").map_or((agreement, None), |(agreement, dcs)| (agreement, Some(dcs)));
        Some(Self { node: node.parse().ok()?, agreement: agreement.to_owned(), dcs: dcs.map(str::to_owned) })
    }
}

impl Observer {
    /// Whether the HAProxy of `node` has a primary to send writes to; `None` where it does not answer.
    pub async fn haproxy_sees_primary(&self, node: Node) -> Option<bool> {
        let url = format!("http://{}:{}/primary", node.ip(), port::HAPROXY_STATS);
        Some(self.get(&url).await?.status().is_success())
    }

    /// The node whose HAProxy answers at the VIP, that is, the one that holds it.
    pub async fn vip_holder(&self, vip: Vip) -> Option<NodeId> {
        self.vip_holder_at(vip.ip().addr()).await
    }

    /// The same for a VIP of which only the address is known.
    pub async fn vip_holder_at(&self, vip: Ipv4Addr) -> Option<NodeId> {
        Some(self.haproxy_at(vip).await?.node)
    }

    /// What the HAProxy at an address says about itself; `None` where it does not answer.
    pub async fn haproxy_at(&self, address: Ipv4Addr) -> Option<Proxy> {
        let url = format!("http://{address}:{}/healthz", port::HAPROXY_STATS);
        Proxy::parse(&self.get(&url).await?.text().await.ok()?)
    }

    /// The same, or why it is not known.
    pub async fn haproxy_said(&self, address: Ipv4Addr) -> Result<Proxy, Silence> {
        let answer = self.ask(&format!("http://{address}:{}/healthz", port::HAPROXY_STATS), None).await?;
        Proxy::parse(&answer.text).ok_or_else(|| Silence::words("something else answers there"))
    }

    /// The statistics of the HAProxy at an address, as CSV.
    pub async fn haproxy_statistics(&self, address: Ipv4Addr, password: &Secret) -> Result<String, Silence> {
        let url = format!("http://{address}:{}/stats;csv", port::HAPROXY_STATS);
        Ok(self.ask(&url, Some(("admin", password))).await?.text)
    }

    /// Whether something that speaks PostgreSQL's protocol listens there.
    pub async fn speaks_postgres(&self, address: Ipv4Addr, port: u16) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect((address, port)).await?;
            stream.write_all(&SSL_REQUEST).await?;
            stream.read_u8().await
        };
        matches!(timeout(TIMEOUT, ask).await, Ok(Ok(b'N' | b'S')))
    }

    /// Whether something listens there.
    pub async fn is_listening(&self, address: Ipv4Addr, port: u16) -> bool {
        matches!(timeout(TIMEOUT, TcpStream::connect((address, port))).await, Ok(Ok(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_says_who_it_is_and_what_it_agrees_to() {
        let proxy = Proxy::parse("patroni-stack node 2 settings 0123456789abcdef\n").expect("a proxy");
        assert_eq!((proxy.node.get(), proxy.agreement.as_str()), (2, "0123456789abcdef"));
        assert_eq!(proxy.dcs, None);
        let proxy = Proxy::parse("patroni-stack node 2 settings 0123456789abcdef dcs fedcba9876543210\n");
        let proxy = proxy.expect("a proxy");
        assert_eq!((proxy.agreement.as_str(), proxy.dcs.as_deref()), ("0123456789abcdef", Some("fedcba9876543210")));
        for other in ["", "patroni-stack node 2\n", "<html>", "patroni-stack node 9 settings 0"] {
            assert_eq!(Proxy::parse(other), None, "{other:?}");
        }
    }
}
