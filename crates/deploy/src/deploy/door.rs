//! etcd's door: open as long as nodes come up, closed as soon as every Patroni logs in by itself. From then on etcd takes
//! orders from the nodes of this cluster alone.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use pgstack_cluster_view::{Control, Postgres};
use pgstack_containers::Service;
use pgstack_env::EtcdLogin;
use pgstack_etcd::client::{Store, StoreError, Timeouts, ask};
use pgstack_etcd::{Answer, UserChange};
use pgstack_topology::Node;
use serde_json::Value;

use super::services;
use crate::patroni_keys::MEMBERS;
use crate::site::Site;
use crate::{DeployError, logins};

/// The tag of a Patroni that says as whom it logs in.
const TAG: &str = "etcd_user";
/// How long a Patroni that was told of its file may take until etcd has its word for it: one round.
const TOLD: Duration = Duration::from_secs(15);
/// How long a Patroni may take to read its file and to go once round.
const READS: Duration = Duration::from_secs(25);
/// Deploys of several nodes may do the same at once.
const TRIES: u8 = 3;
/// What can log in stands in the stack's own image; another one's `etcdctl` would be refused.
const LOGS_IN: [&str; 3] = ["sh", "-c", "grep -q /config/login \"$(command -v etcdctl)\""];

/// Makes etcd know this node's login, before anything of this node uses it. Nothing to do where the door is open.
pub(crate) async fn admit(site: &Site<'_>) -> Result<(), DeployError> {
    loop {
        match admitted(site).await {
            // a quorum that is away for a moment, or a member that is slow
            Err(DeployError::Store(StoreError::NoQuorum { .. } | StoreError::Failed { .. })) if site.pause().await => {}
            other => return other,
        }
    }
}

/// The same before etcd serves for certain: then it is run again when it does.
pub(super) async fn admit_early(site: &Site<'_>) -> Result<(), DeployError> {
    match admitted(site).await {
        Err(DeployError::Store(StoreError::NoQuorum { .. } | StoreError::Failed { .. })) => Ok(()),
        other => other,
    }
}

async fn admitted(site: &Site<'_>) -> Result<(), DeployError> {
    let mut store = Store::open(&site.desired, Timeouts::default()).await?;
    let login = site.env.etcd_login();
    if store.login().is_some_and(|known| *known != login) {
        let changes = store.users().await?.admit(&login);
        carry_out(site, &mut store, changes).await?;
    }
    Ok(())
}

/// What [`admit`] and [`settle`] would do, as lines.
pub(super) async fn planned(site: &Site<'_>) -> Result<Vec<String>, DeployError> {
    let mut store = match Store::open(&site.desired, Timeouts::default()).await {
        Ok(store) => store,
        Err(StoreError::NoQuorum { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let login = site.env.etcd_login();
    let Some(known) = store.login().cloned() else {
        return Ok(vec!["etcd: take orders from the nodes alone, once all of them log in".to_owned()]);
    };
    let users = store.users().await?;
    let admitted = if known == login { Vec::new() } else { users.admit(&login) };
    let forgotten =
        users.forget_all_but(&login).into_iter().map(|change| format!("etcd: {change}, once no node needs it"));
    Ok(admitted.iter().map(|change| format!("etcd: {change}")).chain(forgotten).collect())
}

/// Closes the door, and lets nobody in any more whose passwords are no longer those of the cluster, once no Patroni needs
/// it otherwise. Whatever keeps it open, the next deploy does it.
pub(super) async fn settle(site: &Site<'_>) {
    for tries in 1.. {
        match settled(site).await {
            Ok(None) => return,
            Ok(Some(Stays::Open(why))) => return site.console.note(&format!("  etcd's door stays open: {why}")),
            Ok(Some(Stays::Earlier(why))) => {
                return site.console.warn(&format!("an earlier login to etcd stays: {why}"));
            }
            // the deploy of another node may have closed it in between
            Err(_) if tries < TRIES && site.pause().await => {}
            Err(error) => return site.console.warn(&format!("etcd's door: {error}")),
        }
    }
}

/// What is not done yet, and why.
enum Stays {
    Open(String),
    Earlier(String),
}

async fn settled(site: &Site<'_>) -> Result<Option<Stays>, DeployError> {
    let login = site.env.etcd_login();
    let mut store = Store::open(&site.desired, Timeouts::default()).await?;
    let is_closed = store.login().is_some();
    let logs_in = site.engine.exec(Service::Etcd.name(), None, &LOGS_IN).await?.code == 0;
    if !logs_in {
        site.console.warn("etcdctl of ETCD_IMAGE cannot log in to etcd: build the stack's own image anew");
    }
    if is_closed && store.users().await?.forget_all_but(&login).is_empty() {
        logins::forget_earlier(site.stack, login)?;
        return Ok(None);
    }
    if !logs_in {
        return Ok(None);
    }
    let stays = |why: String| Ok(Some(if is_closed { Stays::Earlier(why) } else { Stays::Open(why) }));
    if let Some(why) = all_log_in(site, &mut store, &login).await? {
        return stays(why);
    }
    if let Some(why) = nobody_is_missed(site).await {
        return stays(why);
    }
    site.console.begin("etcd's door");
    if let Err(error) = all_have_read(site, &login).await {
        site.console.end("not every Patroni logs in yet");
        return stays(error.to_string());
    }
    let users = store.users().await?;
    for other in users.others() {
        site.console.warn(&format!("etcd has another user that may do everything: {other}"));
    }
    let earlier = users.forget_all_but(&login);
    // a last look: whose passwords changed meanwhile needs the user that would go
    if let Some(why) = all_log_in(site, &mut store, &login).await? {
        site.console.end("not every Patroni logs in yet");
        return stays(why);
    }
    carry_out(site, &mut store, earlier).await?;
    if !is_closed {
        for change in users.prepare().into_iter().chain(users.admit(&login)) {
            store.change_user(&change).await?;
        }
        store.close_door().await?;
    }
    logins::forget_earlier(site.stack, login)?;
    site.console.end("it takes orders from the nodes of this cluster alone");
    Ok(None)
}

async fn carry_out(site: &Site<'_>, store: &mut Store, changes: Vec<UserChange>) -> Result<(), DeployError> {
    for change in changes {
        site.console.note(&format!("  etcd: {change}"));
        store.change_user(&change).await?;
    }
    Ok(())
}

/// A member of etcd that is no node of this `.env` may be off, and come back with another login.
async fn nobody_is_missed(site: &Site<'_>) -> Option<String> {
    let seats = site.desired.seats();
    match ask(site.desired.me(), site.desired.logins(), Timeouts::default()).await {
        Answer::Serving(view) => {
            let stranger = view.members.iter().find(|member| !seats.iter().any(|seat| member.sits_at(seat)));
            stranger.map(|member| format!("{} is a member of etcd and no node of this .env", member.name))
        }
        _ => Some("etcd on this node does not serve".to_owned()),
    }
}

/// Waits until every node's Patroni says that it logs in as this one does, where that is only a matter of time.
async fn all_log_in(site: &Site<'_>, store: &mut Store, login: &EtcdLogin) -> Result<Option<String>, DeployError> {
    let began = Instant::now();
    let mut woken = false;
    loop {
        let others = services::disagreeing(site).await;
        if !others.is_empty() {
            return Ok(Some(services::told_to_agree(&others)));
        }
        let words = store.list(MEMBERS).await?.into_iter().filter_map(|entry| {
            let name = entry.key.strip_prefix(MEMBERS)?.to_owned();
            Some((name, tag(&entry.value)))
        });
        let nodes: Vec<String> = site.env.local.topology().nodes().map(Node::patroni_name).collect();
        let me = site.env.local.me().patroni_name();
        let (soon, why) = match judge(&nodes, &words.collect::<Vec<_>>(), &me, &login.user) {
            Word::All => return Ok(None),
            Word::Later(why) => (false, why),
            Word::Soon(why) => (true, why),
        };
        if !soon || began.elapsed() > TOLD || !site.pause().await {
            return Ok(Some(why));
        }
        if !woken {
            woken = true;
            let nodes = site.env.local.topology().nodes();
            join_all(nodes.map(|node| async move { control(site, node).wake_up().await })).await;
        }
    }
}

/// As whom a Patroni logs in, by its member key.
fn tag(value: &str) -> Option<String> {
    let json: Value = serde_json::from_str(value).ok()?;
    json.get("tags")?.get(TAG)?.as_str().map(str::to_owned)
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    /// Every Patroni logs in as this node's.
    All,
    /// One was told, and has not said so yet.
    Soon(String),
    /// One will not before its node is deployed.
    Later(String),
}

/// `words` are the registered members, each with the user that it says it logs in as.
fn judge(nodes: &[String], words: &[(String, Option<String>)], me: &str, user: &str) -> Word {
    let word = |name: &str| words.iter().find(|(member, _)| member == name).map(|(_, word)| word.as_deref());
    if let Some(missing) = nodes.iter().find(|name| word(name).is_none()) {
        return Word::Later(format!("{missing} has yet to come up"));
    }
    if let Some((stranger, _)) =
        words.iter().find(|(name, word)| !nodes.contains(name) && word.as_deref() != Some(user))
    {
        return Word::Later(format!("{stranger} runs, which is no node of this .env"));
    }
    let behind: Vec<&String> = nodes.iter().filter(|name| word(name) != Some(Some(user))).collect();
    if behind.is_empty() {
        return Word::All;
    }
    let names: Vec<&str> = behind.iter().map(|name| name.as_str()).collect();
    let why = format!("{} has yet to log in as this .env says; run `deploy` there", names.join(", "));
    // one that says nothing is of a version that does not know of it, unless this deploy has just told it
    let is_told = |name: &&&String| **name == me || word(name).flatten().is_some();
    if behind.iter().all(|name| is_told(&name)) { Word::Soon(why) } else { Word::Later(why) }
}

/// Makes every Patroni read its file once more, and waits until it has gone round with what it has read: one that failed in
/// between says its new word all the same, and logs in as before.
async fn all_have_read(site: &Site<'_>, login: &EtcdLogin) -> Result<(), DeployError> {
    let began = Instant::now();
    let nodes = site.env.local.topology().nodes().map(async |node| {
        let before = read_at(site, node).await?;
        control(site, node).reload().await?;
        // it tells PostgreSQL first, takes the login up a second later, and goes round
        while !read_at(site, node).await.is_ok_and(|now| now != before) {
            patience(site, node, began).await?;
        }
        let mut read = None;
        loop {
            if let Some(now) = site.observer.instance(node).await {
                let seen = *read.get_or_insert(now.dcs_last_seen);
                if now.dcs_last_seen > seen && now.tags.get(TAG).and_then(Value::as_str) == Some(&*login.user) {
                    return Ok(());
                }
            }
            patience(site, node, began).await?;
        }
    });
    try_join_all(nodes).await.map(drop)
}

fn control(site: &Site<'_>, node: Node) -> Control {
    site.observer.control(node, &site.env.restapi_password)
}

async fn patience(site: &Site<'_>, node: Node, began: Instant) -> Result<(), DeployError> {
    if began.elapsed() < READS && site.pause().await {
        return Ok(());
    }
    let detail = format!("Patroni on node {} does not say that it has read its file", node.id());
    Err(DeployError::NotReady { what: "etcd's door", detail, seconds: READS.as_secs(), log: None })
}

/// When PostgreSQL has read its settings last.
async fn read_at(site: &Site<'_>, node: Node) -> Result<String, DeployError> {
    let postgres = Postgres::connect(node, site.superuser()).await?;
    let rows = postgres.rows("SELECT pg_catalog.pg_conf_load_time()").await?;
    Ok(rows.into_iter().flatten().flatten().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[(&str, Option<&str>)]) -> Word {
        let nodes = ["patroni1", "patroni2", "patroni3"].map(str::to_owned);
        let words: Vec<_> = words.iter().map(|(name, word)| ((*name).to_owned(), word.map(str::to_owned))).collect();
        judge(&nodes, &words, "patroni1", "new")
    }

    #[test]
    fn the_door_is_closed_only_when_every_patroni_logs_in_as_this_one_does() {
        let (new, old) = (Some("new"), Some("old"));
        assert_eq!(said(&[("patroni1", new), ("patroni2", new), ("patroni3", new)]), Word::All);
        let soon = |words: &[_]| assert!(matches!(said(words), Word::Soon(_)), "{words:?}");
        let later = |words: &[_]| assert!(matches!(said(words), Word::Later(_)), "{words:?}");
        soon(&[("patroni1", None), ("patroni2", new), ("patroni3", old)]);
        later(&[("patroni1", new), ("patroni2", new), ("patroni3", None)]);
        later(&[("patroni1", None), ("patroni2", old), ("patroni3", None)]);
        later(&[("patroni1", new), ("patroni2", new)]);
        later(&[("patroni1", new), ("patroni2", new), ("patroni3", new), ("patroni4", old)]);
        assert_eq!(said(&[("patroni1", new), ("patroni2", new), ("patroni3", new), ("patroni4", new)]), Word::All);
    }

    #[test]
    fn a_member_key_says_as_whom_its_patroni_logs_in() {
        assert_eq!(
            tag(r#"{"state":"running","tags":{"etcd_user":"patroni-stack-1"}}"#),
            Some("patroni-stack-1".to_owned())
        );
        for none in ["", "{}", r#"{"tags":{}}"#, r#"{"tags":{"etcd_user":7}}"#] {
            assert_eq!(tag(none), None, "{none}");
        }
    }
}
