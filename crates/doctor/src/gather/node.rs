//! Everything about one node, asked at once.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::join_all;
use pgstack_cluster_view::{Login, Silence};
use pgstack_etcd::client::look as look_at_etcd;
use pgstack_health::{Fact, Haproxy, Local, Node, Patroni};
use pgstack_topology::{NodeId, port};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use super::clock::{self, Stopwatch};
use super::{Asker, dcs, etcd, fact, haproxy, is_me, patroni, pgbouncer, postgres};
use crate::{agent, local};

/// The ports at which a machine is knocked, to see whether it is there at all.
const KNOCK: [u16; 4] = [port::PATRONI_REST, port::ETCD_CLIENT, port::HAPROXY_STATS, port::AGENT];

/// After so long without its own agent, a node looks itself.
const OWN_AGENT: Duration = Duration::from_millis(600);

/// A node, and what its etcd told about the cluster.
pub(super) struct Seen {
    pub(super) node: Node,
    pub(super) keys: Option<etcd::Keys>,
}

/// A node of which nothing is known yet.
pub(super) fn unknown(id: NodeId, address: Ipv4Addr) -> Node {
    const WHY: &str = "not asked";
    Node {
        id,
        address,
        reachable: false,
        local: Fact::unknown(WHY),
        clock_offset_ms: Fact::unknown(WHY),
        etcd: Fact::unknown(WHY),
        patroni: Fact::unknown(WHY),
        postgres: Fact::unknown(WHY),
        haproxy: Fact::unknown(WHY),
        pgbouncer: Fact::unknown(WHY),
    }
}

/// Asks everything about one node.
pub(super) async fn look(asker: &Asker<'_>, node: pgstack_topology::Node) -> Seen {
    let address = node.ip().addr();
    let login = Login { role: "postgres", password: &asker.env.superuser_password };
    let others = [
        Login { role: "replicator", password: &asker.env.replication_password },
        Login { role: "pgbouncer", password: &asker.env.pooler_password },
    ];
    let (there, (local, agent_clock), etcd, (patroni, date), postgres, haproxy, pgbouncer) = tokio::join!(
        is_there(asker, address),
        ask_agent(asker, node),
        ask_etcd(asker, node),
        ask_patroni(asker, address),
        postgres::ask(address, login, &others, asker.deadline),
        ask_haproxy(asker, address),
        pgbouncer::ask(address, login, asker.deadline),
    );
    let silences = [
        etcd.as_ref().err(),
        patroni.as_ref().err(),
        postgres.as_ref().err(),
        haproxy.as_ref().err(),
        pgbouncer.as_ref().err(),
    ];
    let reachable = there || local.known().is_some() || silences.iter().any(|one| one.is_none_or(Silence::came_back));
    // of a machine that is off the kernel says so to some, and to others nothing in time
    let no_route = silences.contains(&Some(&Silence::NoRoute));
    let why = (!reachable).then_some(if no_route { Silence::NoRoute } else { Silence::Late });
    let (local, agent_clock) = match &why {
        Some(why) => (fact(Err(why.clone())), fact(Err(why.clone()))),
        None => (local, agent_clock),
    };
    let told = agent_clock.known().copied();
    let by_sql = postgres.as_ref().ok().map(|(_, offset)| *offset);
    let clock_offset_ms = match told.or(by_sql).or(date) {
        _ if is_me(asker.env, node.id()) => Fact::Known(0),
        Some(offset) => Fact::Known(offset),
        None => agent_clock,
    };
    let (etcd, keys) = match etcd {
        Ok((etcd, keys)) => (Ok(etcd), keys),
        Err(silence) => (Err(silence), None),
    };
    let node = Node {
        reachable,
        local,
        clock_offset_ms,
        etcd: settled(etcd, why.as_ref()),
        patroni: settled(patroni, why.as_ref()),
        postgres: settled(postgres.map(|(postgres, _)| postgres), why.as_ref()),
        haproxy: settled(haproxy, why.as_ref()),
        pgbouncer: settled(pgbouncer, why.as_ref()),
        ..unknown(node.id(), address)
    };
    Seen { node, keys }
}

/// One reason for everything where nothing came back.
fn settled<T>(answer: Result<T, Silence>, why: Option<&Silence>) -> Fact<T> {
    fact(answer.map_err(|silence| why.cloned().unwrap_or(silence)))
}

/// Whether the machine accepts or refuses a connection, wherever it is knocked.
async fn is_there(asker: &Asker<'_>, address: Ipv4Addr) -> bool {
    let knocks = KNOCK.map(|port| async move {
        match timeout_at(asker.deadline, TcpStream::connect((address, port))).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => Silence::from(&error).came_back(),
            Err(_) => false,
        }
    });
    join_all(knocks).await.contains(&true)
}

/// What its agent says and how far its clock is ahead. A node whose own agent is silent looks itself.
async fn ask_agent(asker: &Asker<'_>, node: pgstack_topology::Node) -> (Fact<Local>, Fact<i64>) {
    let late = || (Fact::unknown(Silence::Late.to_string()), Fact::unknown(Silence::Late.to_string()));
    let answer = agent::client::ask(node.ip().addr(), &asker.env.agent_token);
    if !is_me(asker.env, node.id()) {
        return timeout_at(asker.deadline, answer).await.unwrap_or_else(|_| late());
    }
    let told = timeout(OWN_AGENT, answer).await.unwrap_or_else(|_| late());
    if told.0.known().is_some() {
        return told;
    }
    match timeout_at(asker.deadline, local::look(asker.stack)).await {
        Ok(local) => (Fact::Known(local), Fact::Known(0)),
        Err(_) => told,
    }
}

async fn ask_etcd(
    asker: &Asker<'_>,
    node: pgstack_topology::Node,
) -> Result<(pgstack_health::Etcd, Option<etcd::Keys>), Silence> {
    let url = node.etcd_client_url();
    let may = reads_keys(asker, node.id());
    let (look, process) = tokio::join!(
        look_at_etcd(&url, dcs::PREFIX, &asker.logins, may, asker.deadline),
        asker.observer.etcd_process(node)
    );
    etcd::told(look, process, asker.env.local.topology())
}

/// Whether its etcd is logged in to: that of the machine that asks, and the next one's, should the first be down. More of
/// them would tell the same, and each log-in is a write in etcd's log.
fn reads_keys(asker: &Asker<'_>, node: NodeId) -> bool {
    let me = asker.env.local.me().id();
    let nodes: Vec<NodeId> = asker.env.local.topology().nodes().map(pgstack_topology::Node::id).collect();
    let place = nodes.iter().position(|&id| id == me).unwrap_or_default();
    node == me || nodes.get((place + 1) % nodes.len()) == Some(&node)
}

/// What its Patroni says, and how far the machine's clock is ahead, by the answer's date.
async fn ask_patroni(asker: &Asker<'_>, address: Ipv4Addr) -> (Result<Patroni, Silence>, Option<i64>) {
    let stopwatch = Stopwatch::start();
    match asker.observer.instance_said(address).await {
        Ok((instance, date)) => {
            let way = stopwatch.stop();
            (Ok(patroni::told(instance)), date.and_then(|date| clock::offset_of_date(&date, way)))
        }
        Err(silence) => (Err(silence), None),
    }
}

async fn ask_haproxy(asker: &Asker<'_>, address: Ipv4Addr) -> Result<Haproxy, Silence> {
    let (proxy, statistics) = tokio::join!(
        asker.observer.haproxy_said(address),
        asker.observer.haproxy_statistics(address, &asker.env.stats_password)
    );
    Ok(haproxy::told(proxy?, statistics))
}
