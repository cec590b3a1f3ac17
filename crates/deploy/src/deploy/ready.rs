//! Waiting until this node serves, and saying how to connect.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgstack_cluster_view::{Instance, View};
use pgstack_containers::{Service, Up};
use pgstack_diagnostics::Console;
use pgstack_etcd::client::{Store, Timeouts};
use pgstack_topology::{Node, NodeId, port};

use super::services::States;
use super::{roles, vrrp};
use crate::site::Site;
use crate::{DeployError, patroni_keys};

/// How many lines of a failing service's log are read for their meaning; the last few are shown.
const LOG_LINES: usize = 60;

/// A leader that was woken up is given that long before the next time.
const BETWEEN_WAKE_UPS: Duration = Duration::from_secs(2);
/// In maintenance mode Patroni starts no PostgreSQL and elects nobody: after so long it will not come.
const MAINTENANCE: Duration = Duration::from_secs(15);

/// Where the cluster stands at the end of a deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    leader: String,
    streaming: Vec<String>,
    address: Ipv4Addr,
    vip_holder: Option<NodeId>,
}

impl Summary {
    /// The last words of a deploy.
    pub(crate) fn print(&self, console: &dyn Console) {
        let streaming = if self.streaming.is_empty() { "none yet".to_owned() } else { self.streaming.join(", ") };
        let ip = self.address;
        console.out(&format!("leader     {}", self.leader));
        console.out(&format!("streaming  {streaming}"));
        if let Some(holder) = self.vip_holder {
            console.out(&format!("VIP        {ip} on node {holder}"));
        }
        for (what, port) in [("write", port::WRITE), ("read", port::READ), ("pooled", port::POOLER)] {
            console.out(&format!("{what:<10} postgresql://postgres:<password>@{ip}:{port}/postgres"));
        }
    }
}

/// Waits for PostgreSQL, the stack's roles, HAProxy, PgBouncer and the VIP.
pub(crate) async fn wait(site: &Site<'_>, before: &States) -> Result<Summary, DeployError> {
    let leader = postgres(site).await;
    if let Ok(leader) = &leader {
        roles::ensure(site, before, leader).await?;
    }
    if site.up == Up::WithVip && matches!(leader, Ok(_) | Err(DeployError::Maintenance)) {
        // before HAProxy is waited for: the nodes change their VRRP settings together
        site.console.begin("keepalived");
        vrrp::agreed(site, before).await?;
    }
    let leader = leader?;
    proxies(site).await?;
    let vip_holder = if site.up == Up::WithVip { Some(vip(site).await?) } else { None };
    let local = &site.env.local;
    let address = if vip_holder.is_some() { local.topology().vip().ip() } else { local.me().ip() };
    Ok(Summary { leader, streaming: streaming(site).await, address: address.addr(), vip_holder })
}

/// The members that stream at this moment, each asked itself.
async fn streaming(site: &Site<'_>) -> Vec<String> {
    let asked = site.env.local.topology().nodes().map(async |node| {
        let instance = site.observer.instance(node).await?;
        instance.streams().then(|| node.patroni_name())
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Waits until this node leads, or streams from the leader; returns the leader's name.
async fn postgres(site: &Site<'_>) -> Result<String, DeployError> {
    let me = site.env.local.me();
    site.console.begin("PostgreSQL");
    let mut woken: Option<Instant> = None;
    let mut in_vain: Option<Instant> = None;
    loop {
        let (view, instance) = tokio::join!(site.observer.patroni_view(me), site.observer.instance(me));
        let detail = if let (Some(view), Some(instance)) = (view, instance) {
            let detail = match standing(&view, &instance, me) {
                Ok(leader) => {
                    let outcome = if leader == me.patroni_name() {
                        "this node is the leader".to_owned()
                    } else {
                        format!("streaming from {leader}")
                    };
                    site.console.end(&outcome);
                    return Ok(leader);
                }
                Err(detail) => detail,
            };
            if instance.state == "running" && woken.is_none_or(|last| last.elapsed() > BETWEEN_WAKE_UPS) {
                // it streams through a slot, which the leader's Patroni makes in its next round only
                wake_the_leader(site, &view).await;
                woken = Some(Instant::now());
            }
            in_vain = is_left_alone(&view, &instance).then(|| in_vain.unwrap_or_else(Instant::now));
            if in_vain.is_some_and(|since| since.elapsed() > MAINTENANCE) {
                return Err(DeployError::Maintenance);
            }
            detail
        } else {
            in_vain = None;
            "Patroni on this node does not answer yet".to_owned()
        };
        site.console.progress(&detail);
        if !site.pause().await {
            if let Some(identifier) = remembered_in_vain(site).await {
                return Err(DeployError::NoDataAnywhere { identifier, seconds: site.timeout_seconds() });
            }
            return Err(not_ready(site, "PostgreSQL", detail, Service::Patroni).await);
        }
    }
}

/// Whether maintenance mode is on and nothing changes here in it: this PostgreSQL is stopped, or nobody leads and it is
/// no primary that takes the leader key back.
fn is_left_alone(view: &View, instance: &Instance) -> bool {
    instance.pause && (instance.state == "stopped" || view.leader().is_none() && !instance.takes_writes())
}

async fn wake_the_leader(site: &Site<'_>, view: &View) {
    let leads = |node: &Node| view.leader().is_some_and(|leader| leader.name == node.patroni_name());
    if let Some(leader) = site.env.local.peers().find(leads) {
        site.observer.control(leader, &site.env.restapi_password).wake_up().await;
    }
}

/// The identifier of a cluster that etcd remembers, while nobody leads and no node that answers has data:
/// then every Patroni waits for ever for somebody to clone from.
async fn remembered_in_vain(site: &Site<'_>) -> Option<String> {
    let mut store = Store::open(&site.desired, Timeouts::default()).await.ok()?;
    let keys = store.list(patroni_keys::ALL).await.ok()?;
    let value = |key: &str| keys.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone());
    let asked = site.env.local.topology().nodes().map(|node| site.observer.instance(node));
    let has_data = join_all(asked).await.into_iter().flatten().any(|instance| instance.may_have_data());
    if has_data || value(patroni_keys::LEADER).is_some() {
        return None;
    }
    // empty while a node is just making the first cluster
    value(patroni_keys::INITIALIZE).filter(|identifier| !identifier.is_empty())
}

/// The leader's name when this node's PostgreSQL is where it should be, else why it is not yet.
fn standing(view: &View, instance: &Instance, me: Node) -> Result<String, String> {
    let Some(leader) = view.leader() else {
        let states: Vec<String> =
            view.members.iter().map(|member| format!("{} {}", member.name, member.state)).collect();
        let states = if states.is_empty() { "no member yet".to_owned() } else { states.join(", ") };
        return Err(format!("no leader yet ({states})"));
    };
    if leader.name == me.patroni_name() || instance.streams() {
        return Ok(leader.name.clone());
    }
    Err(format!("{} leads; this node: {}, not streaming yet", leader.name, instance.state))
}

async fn proxies(site: &Site<'_>) -> Result<(), DeployError> {
    let me = site.env.local.me();
    site.console.begin("HAProxy and PgBouncer");
    loop {
        let sees_primary = site.observer.haproxy_sees_primary(me).await;
        let pooler = site.observer.speaks_postgres(me.ip().addr(), port::POOLER).await;
        let (service, detail) = match (sees_primary, pooler) {
            (Some(true), true) => {
                site.console.end("the way to the primary is open");
                return Ok(());
            }
            (None, _) => (Service::Haproxy, "HAProxy does not answer yet"),
            (Some(false), _) => (Service::Haproxy, "HAProxy has not found the primary yet"),
            (Some(true), false) => (Service::Pgbouncer, "PgBouncer does not answer yet"),
        };
        site.console.progress(detail);
        if !site.pause().await {
            return Err(not_ready(site, "HAProxy and PgBouncer", detail.to_owned(), service).await);
        }
    }
}

async fn vip(site: &Site<'_>) -> Result<NodeId, DeployError> {
    let vip = site.env.local.topology().vip();
    site.console.begin("the VIP");
    loop {
        let own = site.engine.inspect(Service::Keepalived.name()).await?;
        let detail = if own.is_some_and(|state| state.status == "running") {
            if let Some(holder) = site.observer.vip_holder(vip).await {
                site.console.end(&format!("{} is on node {holder}", vip.ip()));
                return Ok(holder);
            }
            format!("nobody answers at {}", vip.ip())
        } else {
            "keepalived on this node does not keep running".to_owned()
        };
        site.console.progress(&detail);
        if !site.pause().await {
            return Err(not_ready(site, "the VIP", detail, Service::Keepalived).await);
        }
    }
}

/// A wait that is over, with the last words of the service that is to blame.
pub(crate) async fn not_ready(site: &Site<'_>, what: &'static str, detail: String, service: Service) -> DeployError {
    let log = site.engine.last_log_lines(service.name(), LOG_LINES).await.ok().filter(|lines| !lines.is_empty());
    DeployError::NotReady { what, detail, seconds: site.timeout_seconds(), log: log.map(|lines| (service, lines)) }
}
