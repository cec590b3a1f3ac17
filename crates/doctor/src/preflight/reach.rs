//! The other nodes: whether packets get there and back, and what time it is there.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use pgstack_cluster_view::{Passage, VrrpProbe, tcp_passage};
use pgstack_env::NodeEnv;
use pgstack_health::preflight::{PORTS, Peer, Vrrp, Way};
use pgstack_health::{Fact, Local};
use pgstack_topology::{Node, NodeId, port};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::agent;

/// Time for a lost packet to be sent again, once.
const TCP: Duration = Duration::from_millis(1500);
/// A kernel answers at once; keepalived announces each second, and another probe answers until it ends.
const SHORT: Duration = Duration::from_millis(1200);
const LONG: Duration = Duration::from_millis(3200);

/// The addresses that each node has announced as its own meanwhile.
pub(super) type Announced = BTreeMap<NodeId, Vec<Ipv4Addr>>;

pub(super) async fn peers(env: &NodeEnv) -> (Vec<Peer>, Announced) {
    let found = join_all(env.local.peers().map(|node| peer(env, node))).await;
    let announced = found.iter().map(|(peer, announced)| (peer.node, announced.clone())).collect();
    (found.into_iter().map(|(peer, _)| peer).collect(), announced)
}

async fn peer(env: &NodeEnv, node: Node) -> (Peer, Vec<Ipv4Addr>) {
    let address = node.ip().addr();
    let mut probe = VrrpProbe::open(address);
    let (ways, first, (local, offset), date) = tokio::join!(
        join_all(PORTS.map(|(port, _)| async move { (port, way(tcp_passage(address, port, TCP).await)) })),
        ask(&mut probe, SHORT),
        agent::client::ask(address, &env.agent_token),
        date(address),
    );
    let ports: BTreeMap<u16, Way> = ways.into_iter().collect();
    let vrrp = vrrp(env, &ports, &mut probe, first, &local).await;
    let announced = probe.map(|probe| probe.announced().to_vec()).unwrap_or_default();
    let clock_offset_ms = if offset.known().is_some() { offset } else { date };
    (Peer { node: node.id(), address, ports, vrrp, clock_offset_ms }, announced)
}

fn way(passage: Passage) -> Way {
    match passage {
        Passage::Open => Way::Open,
        Passage::Refused => Way::Refused,
        Passage::Rejected => Way::Rejected,
        Passage::Silent => Way::Silent,
        Passage::Unreachable => Way::Unreachable,
    }
}

async fn ask(probe: &mut io::Result<VrrpProbe>, limit: Duration) -> Passage {
    match probe {
        Ok(probe) => probe.ask(limit).await,
        Err(_) => Passage::Silent,
    }
}

/// What comes back tells at once. Silence means something only where nothing there swallows the
/// packets: a keepalived does, and says nothing unless it holds the VIP.
async fn vrrp(
    env: &NodeEnv,
    ports: &BTreeMap<u16, Way>,
    probe: &mut io::Result<VrrpProbe>,
    first: Passage,
    local: &Fact<Local>,
) -> Fact<Vrrp> {
    if let Err(error) = probe {
        return Fact::unknown(format!("takes root: {error}"));
    }
    if !ports.values().any(|way| way.is_free()) {
        return Fact::unknown("the node does not answer");
    }
    let me = env.local.me().ip().addr();
    let hears_us = local.known().is_some_and(|local| local.vip_heard_from.contains(&me));
    let last = match first {
        Passage::Silent if hears_us => Passage::Open,
        Passage::Silent => ask(probe, LONG).await,
        other => other,
    };
    match last {
        Passage::Open | Passage::Refused => Fact::Known(Vrrp::Reaches),
        Passage::Rejected => Fact::Known(Vrrp::Rejected),
        _ if ports.values().any(|way| *way == Way::Open) => {
            Fact::unknown("the stack runs there, and a keepalived without the VIP says nothing")
        }
        _ => Fact::Known(if icmp_comes_back(peer_address(probe)).await { Vrrp::Silent } else { Vrrp::Unanswered }),
    }
}

fn peer_address(probe: &io::Result<VrrpProbe>) -> Option<Ipv4Addr> {
    probe.as_ref().ok().map(VrrpProbe::address)
}

/// Whether a machine's ICMP comes back at all: nobody takes UDP at that port, and its kernel says so.
async fn icmp_comes_back(address: Option<Ipv4Addr>) -> bool {
    let Some(address) = address else { return false };
    let attempt = async {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        socket.connect((address, port::AGENT)).await?;
        socket.send(b"pgstack").await?;
        socket.recv(&mut [0; 16]).await
    };
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    matches!(timeout(Duration::from_millis(500), attempt).await, Ok(Err(error)) if refused(&error))
}

/// How far the clock of a node's Patroni is ahead, by the date of its answer. It counts seconds:
/// less than one is no difference.
async fn date(address: Ipv4Addr) -> Fact<i64> {
    let ask = async {
        let http = reqwest::Client::builder().no_proxy().build().ok()?;
        let url = format!("http://{address}:{}/liveness", port::PATRONI_REST);
        let answer = http.head(url).timeout(TCP).send().await.ok()?;
        let now = milliseconds(SystemTime::now())?;
        let date = answer.headers().get("date")?.to_str().ok()?;
        let theirs = milliseconds(httpdate::parse_http_date(date).ok()?)? + 500;
        Some(theirs - now)
    };
    match ask.await {
        Some(offset) if offset.abs() > 1000 => Fact::Known(offset),
        Some(_) => Fact::Known(0),
        None => Fact::unknown("nothing there tells the time"),
    }
}

fn milliseconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}
