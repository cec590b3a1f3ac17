//! What etcd, Patroni, PostgreSQL and the node itself say about the node that is to go.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use futures_util::future::join_all;
use pgstack_cluster_view::{Postgres, Role, View};
use pgstack_etcd::client::{Store, Timeouts, ask_all};
use pgstack_etcd::{Answer, DataDir, Desired, Member};
use pgstack_topology::{Node, NodeId, port};
use serde_json::Value;

use super::Sign;
use crate::DeployError;
use crate::momentary::SLOTS_TTL;
use crate::patroni_keys::{MEMBERS, STATUS};
use crate::site::Site;

/// Everything that a plan rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Observed {
    /// What every etcd endpoint says; nothing about this machine's own data.
    pub(super) etcd: pgstack_etcd::Observed,
    /// The cluster as a Patroni sees it, this node's where it answers.
    pub(super) view: Option<View>,
    /// What shows that the node is alive.
    pub(super) signs: Vec<Sign>,
    /// Who holds the VIP.
    pub(super) vip_holder: Option<NodeId>,
    /// The names that have a member key.
    pub(super) registered: BTreeSet<String>,
    /// The slots that Patroni keeps, for members that are there and for those that are away.
    pub(super) retained: BTreeSet<String>,
    /// The primary, where one of the configured nodes leads.
    pub(super) primary: Option<Primary>,
}

/// What the primary says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Primary {
    /// Its node.
    pub(super) node: NodeId,
    /// Whether it has a physical slot for the node that is to go.
    pub(super) has_slot: bool,
    /// `member_slots_ttl` as it stands; null where Patroni's default counts.
    pub(super) slots_ttl: Value,
    /// What it was before a removal shortened it, where that has not been put back.
    pub(super) kept_slots_ttl: Option<Value>,
}

impl Observed {
    /// The members of etcd, as an endpoint with a quorum lists them.
    pub(super) fn etcd_members(&self) -> &[Member] {
        let current = self.etcd.views().find(|(_, view)| view.linearizable);
        current.map_or(&[], |(_, view)| view.members.as_slice())
    }

    /// The node's member of etcd: the one at its place, else one of its name that sits at no node's
    /// place, as after .env was edited first.
    pub(super) fn etcd_member(&self, node: NodeId, desired: &Desired) -> Option<&Member> {
        let members = self.etcd_members();
        let at_its_place = |member: &&Member| desired.seat(node).is_some_and(|seat| member.sits_at(seat));
        let is_stray = |member: &&Member| {
            member.name == node.etcd_name() && !desired.seats().iter().any(|seat| member.sits_at(seat))
        };
        members.iter().find(at_its_place).or_else(|| members.iter().find(is_stray))
    }

    /// Whether a member of that name has the leader key.
    pub(super) fn leads(&self, name: &str) -> bool {
        let mut members = self.view.iter().flat_map(|view| &view.members);
        members.any(|member| member.name == name && matches!(member.role, Role::Leader | Role::StandbyLeader))
    }
}

/// Looks at everything. Where etcd has no quorum or nobody leads, what depends on it stays empty.
pub(super) async fn observe(site: &Site<'_>, target: NodeId) -> Result<Observed, DeployError> {
    let etcd = async {
        let peers = ask_all(&site.desired, Timeouts::default()).await;
        pgstack_etcd::Observed { my_data: DataDir::Empty, mark: None, running: false, peers }
    };
    let (etcd, view, vip_holder) =
        tokio::join!(etcd, view(site, target), site.observer.vip_holder(site.env.local.topology().vip()));
    let mut observed = Observed {
        etcd,
        view,
        signs: Vec::new(),
        vip_holder,
        registered: BTreeSet::new(),
        retained: BTreeSet::new(),
        primary: None,
    };
    let signs = signs(site, target, &observed);
    let (found, (active, primary)) = tokio::join!(signs, async {
        match leader(site, &observed) {
            // the node itself is refused before its slots could matter
            Some(node) if node.id() != target => match primary(site, node, target).await {
                Ok((active, primary)) => (active, Ok(Some(primary))),
                Err(error) => (false, Err(error)),
            },
            _ => (false, Ok(None)),
        }
    });
    observed.signs = found;
    observed.signs.extend(active.then_some(Sign::Replication));
    observed.primary = primary?;
    if !observed.etcd_members().is_empty() {
        let mut store = Store::open(&site.desired, Timeouts::default()).await?;
        let keys = store.list(MEMBERS).await?;
        observed.registered =
            keys.iter().filter_map(|entry| entry.key.strip_prefix(MEMBERS)).map(str::to_owned).collect();
        observed.retained = store.one(STATUS).await?.map(|entry| retained(&entry.value)).unwrap_or_default();
    }
    Ok(observed)
}

/// The node that leads, where .env names it.
pub(super) fn leader(site: &Site<'_>, observed: &Observed) -> Option<Node> {
    let name = &observed.view.as_ref()?.leader()?.name;
    site.env.local.topology().nodes().find(|node| node.patroni_name() == *name)
}

/// From any Patroni that answers: each reads it from etcd. The node that is to go is asked last.
async fn view(site: &Site<'_>, target: NodeId) -> Option<View> {
    let (me, peers) = (site.env.local.me(), site.env.local.peers());
    let (last, others): (Vec<Node>, Vec<Node>) = peers.partition(|peer| peer.id() == target);
    let asked = std::iter::once(me).chain(others).chain(last).map(|node| site.observer.patroni_view(node));
    join_all(asked).await.into_iter().flatten().find(|view| !view.members.is_empty())
}

/// Asks the node at every address that it has in .env or in etcd.
async fn signs(site: &Site<'_>, target: NodeId, observed: &Observed) -> Vec<Sign> {
    let listed = observed.etcd_member(target, &site.desired);
    let urls = listed.into_iter().flat_map(|member| &member.peer_urls);
    let mut addresses: BTreeSet<Ipv4Addr> = urls.filter_map(|url| address(url)).collect();
    addresses.extend(site.env.local.topology().node(target).map(|node| node.ip().addr()));
    let asked = addresses.into_iter().map(async |address| {
        let (instance, postgres, proxy) = tokio::join!(
            site.observer.instance_at(address),
            site.observer.speaks_postgres(address, port::POSTGRES),
            site.observer.haproxy_at(address),
        );
        [
            instance.is_some().then_some(Sign::Patroni),
            postgres.then_some(Sign::Postgres),
            proxy.is_some_and(|proxy| proxy.node == target).then_some(Sign::Haproxy),
        ]
    });
    let mut found: Vec<Sign> = join_all(asked).await.into_iter().flatten().flatten().collect();
    if matches!(
        observed.etcd.answer(target),
        Some(Answer::Serving(_) | Answer::Learner { .. } | Answer::Guarded { .. })
    ) {
        found.push(Sign::Etcd);
    }
    let all = [Sign::Patroni, Sign::Postgres, Sign::Haproxy, Sign::Etcd];
    all.into_iter().filter(|sign| found.contains(sign)).collect()
}

/// `http://10.0.0.4:2380`: the address in it.
fn address(url: &str) -> Option<Ipv4Addr> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split([':', '/']).next()?.parse().ok()
}

/// Whether the node's slot is in use, and everything else.
async fn primary(site: &Site<'_>, node: Node, target: NodeId) -> Result<(bool, Primary), DeployError> {
    let slots = async {
        let postgres = Postgres::connect(node, site.superuser()).await?;
        let sql = format!(
            "SELECT active FROM pg_catalog.pg_replication_slots WHERE slot_type = 'physical' AND slot_name = '{}'",
            target.patroni_name()
        );
        Ok::<_, DeployError>(postgres.rows(&sql).await?)
    };
    let control = site.observer.control(node, &site.env.restapi_password);
    let (slots, config) = tokio::join!(slots, control.config());
    let (slots, config) = (slots?, config?);
    let active = slots.iter().flatten().any(|value| value.as_deref() == Some("t"));
    let primary = Primary {
        node: node.id(),
        has_slot: !slots.is_empty(),
        slots_ttl: SLOTS_TTL.current(&config),
        kept_slots_ttl: SLOTS_TTL.kept(&config),
    };
    Ok((active, primary))
}

/// `{"optime": 1, "retain_slots": ["patroni1", "patroni2"]}`: the names.
fn retained(status: &str) -> BTreeSet<String> {
    let status: Value = serde_json::from_str(status).unwrap_or_default();
    let names = status.get("retain_slots").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patronis_status_names_the_slots_that_it_keeps() {
        let status = r#"{"optime":1,"slots":{"patroni1":1},"retain_slots":["patroni1","patroni4"]}"#;
        assert_eq!(retained(status), BTreeSet::from(["patroni1".to_owned(), "patroni4".to_owned()]));
        for none in ["", "{}", "12345", r#"{"retain_slots":null}"#] {
            assert!(retained(none).is_empty(), "{none:?}");
        }
    }

    #[test]
    fn a_peer_url_holds_an_address() {
        assert_eq!(address("http://10.0.0.4:2380"), Some(Ipv4Addr::new(10, 0, 0, 4)));
        for none in ["", "http://", "http://db1:2380"] {
            assert_eq!(address(none), None, "{none:?}");
        }
    }
}
