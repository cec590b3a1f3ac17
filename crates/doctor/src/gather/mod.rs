//! One snapshot: everybody is asked everything at once, and nobody is waited for longer than a moment.

mod clock;
mod dcs;
mod etcd;
mod haproxy;
mod mask;
mod node;
mod patroni;
mod pgbouncer;
mod postgres;

use std::time::Duration;

use futures_util::future::join_all;
use pgstack_cluster_view::{Observer, Silence};
use pgstack_env::{EtcdLogin, NodeEnv};
use pgstack_etcd::client::Entry;
use pgstack_health::{Dcs, Etcd, Fact, NO_LOGIN, Node, SCHEMA, Snapshot};
use pgstack_topology::NodeId;
use pgstack_workdir::StackDir;
use tokio::time::Instant;

use node::Seen;

/// How long a connection may take: a packet that got lost is sent again after a second.
const CONNECT: Duration = Duration::from_millis(1900);
/// How long a question may take, whatever it consists of.
const ANSWER: Duration = Duration::from_millis(2200);

/// What every question needs.
struct Asker<'a> {
    stack: &'a StackDir,
    env: &'a NodeEnv,
    /// What it may log in to etcd with.
    logins: Vec<EtcdLogin>,
    observer: Observer,
    deadline: Instant,
}

/// Asks all nodes everything. Takes less than 3 s, whatever does not answer.
pub async fn gather(stack: &StackDir, env: &NodeEnv) -> Snapshot {
    // takes a while to compute, which is nobody's time to answer
    let logins = pgstack_deploy::etcd_logins(stack, env);
    let began = Instant::now();
    let taken_at_ms = clock::now_ms();
    let observer = Observer::with_limits(CONNECT, ANSWER);
    let asker = Asker { stack, env, logins, observer, deadline: began + ANSWER };
    let topology = env.local.topology();
    let vip = topology.vip().ip().addr();
    let nodes = join_all(topology.nodes().map(|node| node::look(&asker, node)));
    let (mut seen, vip_answers) = tokio::join!(nodes, asker.observer.haproxy_said(vip));
    let dcs = dcs(&mut seen);
    let me = env.local.me().id();
    let with_vip = with_vip(seen.iter().find(|seen| seen.node.id == me).map(|seen| &seen.node));
    Snapshot {
        schema: SCHEMA,
        taken_at_ms: taken_at_ms.try_into().unwrap_or_default(),
        took_ms: began.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
        from: me,
        vip,
        with_vip,
        vip_answers: fact(vip_answers.map(|proxy| proxy.node)),
        dcs,
        nodes: seen.into_iter().map(|seen| seen.node).collect(),
    }
}

/// A fact, or why it is not known, for people.
fn fact<T>(answer: Result<T, Silence>) -> Fact<T> {
    answer.map_err(|silence| silence.to_string()).into()
}

/// What Patroni keeps in etcd: the newest that any quorum told. Also fills in how far each replica is behind.
fn dcs(seen: &mut [Seen]) -> Fact<Dcs> {
    let newest = seen.iter().filter_map(|seen| seen.keys.as_ref()).max_by_key(|keys| keys.revision);
    let told = newest.map(|keys| dcs::parse(keys.entries.iter().map(|Entry { key, value, .. }| (&**key, &**value))));
    if let Some(told) = told {
        for Node { id, patroni, .. } in seen.iter_mut().map(|seen| &mut seen.node) {
            if let Fact::Known(patroni) = patroni {
                patroni.lag_bytes = told.lags.get(&id.patroni_name()).copied().filter(|_| !patroni.is_primary());
            }
        }
        return Fact::Known(told.dcs);
    }
    let etcds = || seen.iter().map(|seen| &seen.node.etcd);
    let is_locked = |etcd: &Fact<Etcd>| etcd.known().is_some_and(Etcd::is_locked) || etcd.why() == Some(NO_LOGIN);
    Fact::unknown(if etcds().any(is_locked) {
        NO_LOGIN
    } else if etcds().any(|etcd| etcd.known().is_some()) {
        "no quorum"
    } else {
        "no etcd answers"
    })
}

/// Whether a node runs keepalived, or is meant to; not knowing is no reason to say that it is not.
fn with_vip(me: Option<&Node>) -> bool {
    let Some(local) = me.and_then(|me| me.local.known()) else { return true };
    // without an engine, or without any container, nobody knows what is meant
    local.engine.is_empty() || local.containers.is_empty() || local.containers.contains_key("keepalived")
}

/// For the numbers of the nodes that answer for themselves.
fn is_me(env: &NodeEnv, id: NodeId) -> bool {
    env.local.me().id() == id
}

#[cfg(test)]
mod tests {
    use pgstack_health::{Container, Local};

    use super::*;

    fn with(engine: &str, services: &[&str]) -> bool {
        let containers = services.iter().map(|name| ((*name).to_owned(), Container::default())).collect();
        let local = Local { engine: engine.to_owned(), containers, ..Local::default() };
        let node =
            Node { local: Fact::Known(local), ..node::unknown(NodeId::new(1).expect("1"), [10, 0, 0, 1].into()) };
        with_vip(Some(&node))
    }

    #[test]
    fn why_nothing_is_known_of_what_patroni_keeps_in_etcd() {
        let why = |etcd: Fact<Etcd>| {
            let node = node::unknown(NodeId::new(1).expect("1"), [10, 0, 0, 1].into());
            dcs(&mut [Seen { node: Node { etcd, ..node }, keys: None }]).why().map(str::to_owned)
        };
        let door = |word: &str| Fact::Known(Etcd { door: Some(word.to_owned()), ..Etcd::default() });
        for etcd in [door("locked"), Fact::unknown(NO_LOGIN)] {
            assert_eq!(why(etcd).as_deref(), Some(NO_LOGIN));
        }
        assert_eq!(why(Fact::Known(Etcd::default())).as_deref(), Some("no quorum"));
        assert_eq!(why(Fact::unknown("connection refused")).as_deref(), Some("no etcd answers"));
    }

    #[test]
    fn a_node_is_without_a_vip_only_where_that_is_seen() {
        assert!(with_vip(None));
        assert!(with("", &[]) && with("27.0", &[]), "nothing is known about what is meant");
        assert!(with("27.0", &["etcd", "keepalived"]));
        assert!(!with("27.0", &["etcd", "patroni"]));
    }
}
