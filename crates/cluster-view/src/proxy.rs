//! HAProxy's and PgBouncer's own answers, on a node's address or on the VIP.

use std::net::Ipv4Addr;

use pgstack_topology::{Node, NodeId, Vip, port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Observer, TIMEOUT};

/// PostgreSQL's SSLRequest: length 8, code 80877103. Whoever speaks the protocol answers one byte.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

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
        let url = format!("http://{vip}:{}/healthz", port::HAPROXY_STATS);
        let body = self.get(&url).await?.text().await.ok()?;
        body.trim().rsplit(' ').next()?.parse().ok()
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
