//! The containers: brought up, and told about files that changed under them.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use pgstack_containers::{ContainerState, Service, Up};
use pgstack_etcd::Start;
use pgstack_topology::NodeId;
use pgstack_workdir::{Change, Pending};

use super::{fingerprint, step_down, turns, vrrp};
use crate::site::Site;
use crate::{DeployError, files, render};

/// Every container that there is.
pub(crate) type States = BTreeMap<Service, ContainerState>;

/// The generated files beside those on disk.
pub(crate) fn compare(site: &Site<'_>, start: &Start) -> Result<Vec<Pending>, DeployError> {
    Ok(site.stack.compare(files::all(site.stack, &site.env, start)?)?)
}

/// Writes what changed, and says so.
pub(crate) fn write(site: &Site<'_>, start: &Start) -> Result<Vec<Pending>, DeployError> {
    let files = compare(site, start)?;
    site.stack.write(&files)?;
    for item in files.iter().filter(|item| item.change != Change::None) {
        site.console.note(&format!("  wrote {}", item.file.path));
        site.note_written(item.file.path);
    }
    Ok(files)
}

/// What may come up at this moment: not keepalived, where another node disagrees or has yet to
/// follow a change.
async fn up_now(site: &Site<'_>) -> Result<Up, DeployError> {
    let holds_back = site.up == Up::WithVip && (vrrp::changes(site).await? || !disagreeing(site).await.is_empty());
    Ok(if holds_back { Up::WithoutVip } else { site.up })
}

/// The nodes that serve with other addresses, VIP or passwords than this one's: one that does not
/// know of this node yet, or whose `.env` differs. VRRP goes from node to node, under a password;
/// where two nodes do not understand each other, both hold the VIP.
pub(crate) async fn disagreeing(site: &Site<'_>) -> Vec<NodeId> {
    let here = site.env.agreement();
    let asked = site.env.local.peers().map(async |peer| {
        let proxy = site.observer.haproxy_at(peer.ip().addr()).await?;
        (proxy.agreement != here).then(|| peer.id())
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// What to do about nodes that disagree.
pub(super) fn told_to_agree(others: &[NodeId]) -> String {
    format!(
        "node {} runs with other nodes, VIP or passwords than this .env says: make them the same and run deploy there",
        listed(others)
    )
}

/// `1, 3`.
pub(super) fn listed(nodes: &[NodeId]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Brings every container up. Returns how they are afterwards.
pub(crate) async fn up(site: &Site<'_>) -> Result<States, DeployError> {
    let up = up_now(site).await?;
    let keepalived = site.engine.inspect(Service::Keepalived.name()).await?;
    let starts_it = up == Up::WithVip && !keepalived.is_some_and(|state| state.running);
    step_down::before_up(site).await?;
    site.compose.up(up).await?;
    if starts_it {
        vrrp::record(site)?;
    }
    states(site).await
}

/// Brings this node to its final files and makes the services run with them, but for those that
/// wait for the other nodes: keepalived, and what logs in with passwords that PostgreSQL may not have
/// yet. `before` is how they were before this deploy touched anything.
pub(crate) async fn converge(site: &Site<'_>, before: &States) -> Result<(), DeployError> {
    site.console.begin("services");
    vrrp::step_aside(site).await?;
    let me = site.observer.instance(site.env.local.me()).await;
    let serves = me.is_some_and(|me| me.takes_writes() || me.streams());
    write(site, &Start::settled(&site.desired))?;
    up(site).await?;
    // a Patroni that does not serve may need its new file for that
    let waits = |service| service == Service::Pgbouncer || (serves && service == Service::Patroni);
    let now = |service| service != Service::Keepalived && !waits(service);
    let told = refresh(site, before, now).await?;
    site.console.end(&if told.is_empty() { "up".to_owned() } else { format!("up; reloaded {}", told.join(", ")) });
    Ok(())
}

/// Tells those of the chosen services that run with older files to read them again; returns which.
pub(crate) async fn refresh(
    site: &Site<'_>,
    before: &States,
    chosen: impl Fn(Service) -> bool,
) -> Result<Vec<&'static str>, DeployError> {
    let after = states(site).await?;
    let mut loaded = site.stack.loaded()?;
    let now = fingerprint::of_services(&site.env, &render(&site.env, &Start::settled(&site.desired))?);
    let mut told = Vec::new();
    for &service in site.services().iter().filter(|&&service| chosen(service)) {
        let name = service.name();
        // the agent has no files of its own
        let Some(print) = now.get(name) else { continue };
        // what is written anew may have been loaded by hand in between, whatever the record says
        let rewritten = service != Service::Etcd && site.has_written(name);
        if loaded.get(name) == Some(print) && !rewritten {
            continue;
        }
        let same = |state: &&ContainerState| after.get(&service).is_some_and(|after| is_same_run(state, after));
        // a container that this deploy started has read these very files; an etcd of which nothing
        // is known is left alone, because telling it means a restart
        let known = service != Service::Etcd || loaded.contains_key(name);
        if known && before.get(&service).as_ref().is_some_and(same) {
            tell(site, service).await?;
            told.push(name);
        }
        site.note_read(name);
        loaded.insert(name.to_owned(), print.clone());
        site.stack.record_loaded(&loaded)?;
    }
    Ok(told)
}

/// A reload keeps every connection. etcd has none: it is restarted.
async fn tell(site: &Site<'_>, service: Service) -> Result<(), DeployError> {
    match service {
        // a large future, which every deploy would carry along
        Service::Etcd => Box::pin(turns::restart_etcd(site)).await,
        Service::Keepalived => {
            // what its check has noted of the file before holds no more
            site.engine.exec(service.name(), None, &["rm", "-f", pgstack_keepalived::SEEN_PATH]).await?;
            Ok(site.engine.reload(service.name()).await?)
        }
        _ => Ok(site.engine.reload(service.name()).await?),
    }
}

fn is_same_run(left: &ContainerState, right: &ContainerState) -> bool {
    left.id == right.id && left.started_at == right.started_at
}

/// How every container is at this moment.
pub(crate) async fn states(site: &Site<'_>) -> Result<States, DeployError> {
    let mut states = BTreeMap::new();
    for service in Service::ALL {
        if let Some(state) = site.engine.inspect(service.name()).await? {
            states.insert(service, state);
        }
    }
    Ok(states)
}
