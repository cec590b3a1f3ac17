//! Who has the VIP before a deploy.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::join_all;
use pgstack_cluster_view::{Observer, Passage, Proxy, kernel_interfaces, neighbours, tcp_passage};
use pgstack_containers::{Running, Service};
use pgstack_env::NodeEnv;
use pgstack_health::preflight::VipUse;
use pgstack_topology::{NodeId, port};
use pgstack_workdir::StackDir;

use super::gather::is_ours;
use super::reach::Announced;

/// Ports at which a machine answers, open or not: those of a stack, and ssh.
const ASKED: [u16; 4] = [port::HAPROXY_STATS, port::WRITE, port::POOLER, 22];
const LIMIT: Duration = Duration::from_secs(1);

/// What came back from the VIP's address.
pub(super) struct Answers {
    ports: Vec<(u16, Passage)>,
    proxy: Option<(Proxy, bool)>,
}

/// Asks whoever has the VIP.
pub(super) async fn ask(env: &NodeEnv) -> Answers {
    let address = env.local.topology().vip().ip().addr();
    let proxy = async {
        let observer = Observer::new();
        let proxy = observer.haproxy_at(address).await?;
        let ours = is_this_cluster(&observer, env, proxy.node, &proxy.agreement).await;
        Some((proxy, ours))
    };
    let ports = join_all(ASKED.map(|port| async move { (port, tcp_passage(address, port, LIMIT).await) }));
    let (ports, proxy) = tokio::join!(ports, proxy);
    Answers { ports, proxy }
}

/// Whose the VIP is, by the kernel, by what the nodes announce, by what answers there, by the network.
pub(super) async fn in_use(
    stack: &StackDir,
    env: &NodeEnv,
    running: &[Running],
    announced: &Announced,
    answers: &Answers,
) -> VipUse {
    let address = env.local.topology().vip().ip().addr();
    if let Some(interface) = kernel_interfaces().and_then(|kernel| Some(kernel.holder_of(address)?.to_owned())) {
        if running.iter().any(|c| c.name == Service::Keepalived.name() && is_ours(stack, c)) {
            return VipUse::Ours { address, node: env.local.me().id() };
        }
        let evidence = vec![format!("kernel: {interface} has {address}, and no keepalived of this stack runs here")];
        return VipUse::Foreign { address, who: Some("this machine itself".to_owned()), evidence };
    }
    if let Some((node, _)) = announced.iter().find(|(_, addresses)| addresses.contains(&address)) {
        return VipUse::Ours { address, node: *node };
    }
    let mut evidence: Vec<String> = answers.ports.iter().filter_map(|(port, passage)| said(*port, *passage)).collect();
    match &answers.proxy {
        Some((proxy, true)) => return VipUse::Ours { address, node: proxy.node },
        Some((proxy, false)) => evidence.push(format!("HAProxy there: node {} of another patroni-stack", proxy.node)),
        None => {}
    }
    let neighbours = neighbours().await;
    let there = neighbours.iter().find(|neighbour| neighbour.address == address);
    let Some(there) = there.filter(|there| there.fresh || !evidence.is_empty()) else {
        let who = None;
        return if evidence.is_empty() { VipUse::Free { address } } else { VipUse::Foreign { address, who, evidence } };
    };
    evidence.push(format!("network: {} has {address}", there.hardware));
    let mut same = neighbours.iter().filter(|other| other.hardware == there.hardware && other.address != address);
    let who = match same.find_map(|other| node_at(env, other.address)) {
        Some(node) => format!("node {node}, not as its keepalived's,"),
        None => format!("the machine with the hardware address {}", there.hardware),
    };
    VipUse::Foreign { address, who: Some(who), evidence }
}

fn said(port: u16, passage: Passage) -> Option<String> {
    match passage {
        Passage::Open => Some(format!("port {port} there: somebody listens")),
        Passage::Refused => Some(format!("port {port} there: the machine says that nobody listens")),
        // a router between may say so, too
        Passage::Rejected | Passage::Silent | Passage::Unreachable => None,
    }
}

fn node_at(env: &NodeEnv, address: Ipv4Addr) -> Option<NodeId> {
    env.local.topology().nodes().find(|node| node.ip().addr() == address).map(pgstack_topology::Node::id)
}

/// The HAProxy at the VIP has our settings, or those of the HAProxy at that node's own address: the
/// passwords may be under way.
async fn is_this_cluster(observer: &Observer, env: &NodeEnv, node: NodeId, agreement: &str) -> bool {
    if env.agreement() == agreement {
        return true;
    }
    let Some(node) = env.local.topology().node(node) else { return false };
    observer.haproxy_at(node.ip().addr()).await.is_some_and(|proxy| proxy.agreement == agreement)
}
