//! The membership planner and the client against real etcd processes, out of the stack's image.

#[path = "etcd_real/site.rs"]
mod site;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use pgstack_env::EtcdLogin;
use pgstack_etcd::client::{Store, StoreError, Timeouts, ask, healthy, look};
use pgstack_etcd::{Answer, DataDir, Desired, Door, Refusal, Step, Target, Wait, plan_removal};
use pgstack_topology::{NodeId, Secret};
use site::{DEADLINE, Failure, Net, Site, deploy};

const IMAGE: &str = "patroni-stack/etcd:3.5.16";

/// The etcd binary of the stack's image, copied into `folder`.
fn etcd_binary(folder: &Path) -> PathBuf {
    let docker = |args: &[&str]| {
        let out = Command::new("docker").args(args).output().expect("docker runs");
        assert!(out.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).expect("text").trim().to_owned()
    };
    let container = docker(&["create", IMAGE]);
    let binary = folder.join("etcd");
    docker(&["cp", "-L", &format!("{container}:/usr/bin/etcd"), &binary.display().to_string()]);
    docker(&["rm", &container]);
    binary
}

async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < DEADLINE, "in vain: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The member that a site's write-ahead log names; 0 for none, which no member is called.
fn member_of(site: &Site) -> u64 {
    match site.data() {
        DataDir::Initialised { member_id: Some(id), cluster_id: Some(_) } => id.0,
        _ => 0,
    }
}

#[tokio::test]
async fn a_cluster_boots_in_any_order_grows_shrinks_and_mends_a_wiped_member() {
    if !pgstack_tests::docker_or_skip(IMAGE) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let etcd = etcd_binary(folder.path());
    let net = Net::new(0);
    let new = |node| Site::new(&etcd, folder.path(), net, node, 3);
    let (mut one, mut two, mut three) = (new(1), new(2), new(3));

    // Node 3 alone: it runs, and never serves.
    three.round().await.expect("a plan");
    wait_until("node 3 has its data", async || matches!(three.data(), DataDir::Initialised { .. })).await;
    let alone = three.round().await.expect("a plan");
    assert!(matches!(alone.steps.as_slice(), [Step::Await(Wait::FirstQuorum { .. })]), "{alone}");
    assert!(three.running());
    assert!(!healthy(&three.desired.me().client_url, Timeouts::default()).await);

    // A majority is enough, and the latecomer joins what serves.
    deploy(&mut [&mut three, &mut two]).await;
    let late = one.round().await.expect("a plan");
    assert!(late.steps.first().is_some_and(|step| step.to_string().starts_with("start etcd, joining: ")), "{late}");
    deploy(&mut [&mut one, &mut two, &mut three]).await;
    for site in [&one, &two, &three] {
        let answer = ask(site.desired.me(), &[], Timeouts::default()).await;
        assert!(
            matches!(&answer, Answer::Serving(view) if view.linearizable
                && view.members.len() == 3
                && view.responder.0 == member_of(site)
                && matches!(site.data(), DataDir::Initialised { cluster_id, .. } if cluster_id == Some(view.cluster_id))),
            "{answer:?} {:?}",
            site.data()
        );
    }

    // From here on etcd takes orders from its users alone: all below goes on behind a closed door.
    close_the_door(&one.desired).await;

    // Growth: a learner that is promoted.
    let mut four = Site::new(&etcd, folder.path(), net, 4, 4);
    for site in [&mut one, &mut two, &mut three] {
        site.resize(4);
    }
    deploy(&mut [&mut four]).await;
    deploy(&mut [&mut one, &mut two, &mut three, &mut four]).await;

    // Node 2 loses its data. The restart policy's etcd gives up instead of coming back under its old id.
    let before = member_of(&two);
    two.wipe();
    two.boot();
    wait_until("etcd without its data gives up", async || !two.running()).await;
    assert_eq!(two.data(), DataDir::Remains);
    deploy(&mut [&mut two]).await;
    assert_ne!(member_of(&two), before);
    deploy(&mut [&mut one, &mut two, &mut three, &mut four]).await;

    // Node 4 dies and is removed by name; its data is then outdated, and it joins again from nothing.
    let gone = member_of(&four);
    four.stop();
    let target = Target::Node(NodeId::new(4).expect("a number"));
    wait_until("node 4 is removed", async || {
        let observed = one.observe().await;
        let plan = plan_removal(target, &one.desired, &observed).expect("a plan");
        let Some(Step::Change(change)) = plan.steps.first() else { return true };
        let timeouts = Timeouts::default();
        pgstack_etcd::client::execute(change, &one.desired, &observed, timeouts, DEADLINE, &mut |_| {})
            .await
            .expect("removed");
        false
    })
    .await;
    deploy(&mut [&mut four]).await;
    assert_ne!(member_of(&four), gone);
}

/// What the last deploy of a new cluster does.
async fn close_the_door(desired: &Desired) {
    let mut store = Store::open(desired, Timeouts::default()).await.expect("etcd");
    assert!(store.login().is_none(), "open");
    let users = store.users().await.expect("users");
    for change in users.prepare().into_iter().chain(users.admit(&desired.logins()[0])) {
        store.change_user(&change).await.expect("changed");
    }
    store.close_door().await.expect("closed");
}

#[tokio::test]
async fn a_closed_door_opens_for_the_passwords_of_the_cluster_alone_and_they_can_change() {
    if !pgstack_tests::docker_or_skip(IMAGE) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let etcd = etcd_binary(folder.path());
    let mut one = Site::new(&etcd, folder.path(), Net::new(2), 1, 1);
    deploy(&mut [&mut one]).await;
    let own = one.desired.logins()[0].clone();
    let (desired, url) = (one.desired.clone(), one.desired.me().client_url.clone());
    let with = |logins: &[&EtcdLogin]| desired.clone().with_logins(logins.iter().copied().cloned().collect());
    let open = async |desired: Desired| Store::open(&desired, Timeouts::default()).await;
    let seen = async |logins: &[EtcdLogin]| {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        let look = Box::pin(look(&url, "/", logins, true, deadline)).await.expect("etcd");
        (look.door, look.keys.map(|keys| keys.entries.len()))
    };
    let mut early = open(with(&[])).await.expect("open to all");
    early.put_for("/kept", "x", 600).await.expect("written");
    assert_eq!(seen(&[]).await, (Some(Door::Open), Some(1)));
    close_the_door(&desired).await;

    assert!(early.list("/").await.is_err(), "who came in before has to log in, too");
    assert!(early.put_for("/kept", "y", 600).await.is_err());
    let wrong = EtcdLogin { password: Secret::new("guessed"), ..own.clone() };
    for strangers in [with(&[]), with(&[&wrong])] {
        assert_eq!(seen(strangers.logins()).await, (Some(Door::Locked), None));
        assert!(matches!(open(strangers).await, Err(StoreError::Unknown)));
    }
    assert_eq!(seen(std::slice::from_ref(&own)).await, (Some(Door::Closed), Some(1)));

    // Passwords change: who has the old one makes the new one known, both are let in, then the old one is forgotten.
    let new = EtcdLogin { user: "patroni-stack-00000000".to_owned(), password: Secret::new("new") };
    assert!(matches!(open(with(&[&new])).await, Err(StoreError::Unknown)));
    let mut store = open(with(&[&new, &own])).await.expect("let in as before");
    let mut older = open(with(&[&own])).await.expect("let in");
    assert_eq!(store.login(), Some(&own));
    for change in store.users().await.expect("users").admit(&new) {
        store.change_user(&change).await.expect("changed");
    }
    assert_eq!(older.one("/kept").await.expect("read").expect("a key").value, "x", "logs in anew by itself");
    let mut store = open(with(&[&new, &own])).await.expect("let in");
    assert_eq!(store.login(), Some(&new));
    for change in store.users().await.expect("users").forget_all_but(&new) {
        store.change_user(&change).await.expect("changed");
    }
    assert!(older.one("/kept").await.is_err());
    assert!(matches!(open(with(&[&own])).await, Err(StoreError::Unknown)));
    let entry = store.one("/kept").await.expect("read").expect("a key");
    assert!(store.delete(&entry).await.expect("deleted"));
    // a restart keeps all of it
    one.stop();
    one.boot();
    wait_until("etcd serves again", async || healthy(&url, Timeouts::default()).await).await;
    assert_eq!(seen(&[new]).await, (Some(Door::Closed), Some(0)));
}

#[tokio::test]
async fn data_of_another_cluster_is_refused_and_lost_data_waits_for_a_quorum() {
    if !pgstack_tests::docker_or_skip(IMAGE) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let etcd = etcd_binary(folder.path());
    let net = Net::new(1);
    let (mut one, mut two) = {
        let new = |node| Site::new(&etcd, folder.path(), net, node, 3);
        (new(1), new(2))
    };
    // Node 3 once booted with a longer list: another cluster id.
    let mut three = Site::new(&etcd, folder.path(), net, 3, 4);
    three.round().await.expect("a plan");
    wait_until("node 3 has its data", async || matches!(three.data(), DataDir::Initialised { .. })).await;
    three.resize(3);
    deploy(&mut [&mut one, &mut two]).await;
    let refusal = three.round().await.expect_err("a refusal");
    assert!(matches!(refusal, Failure::Refusal(Refusal::OtherCluster { .. })), "{refusal}");
    three.desired = three.desired.clone().allow_wiping(true);
    deploy(&mut [&mut three]).await;

    // Nodes 2 and 3 are down, and 2 comes back without its data: node 1 alone is no quorum.
    two.wipe();
    three.stop();
    let waiting = two.round().await.expect("a plan");
    assert!(matches!(waiting.steps.as_slice(), [Step::Await(Wait::QuorumOfOthers { .. })]), "{waiting}");
    assert!(!two.running());
    deploy(&mut [&mut three]).await;
    deploy(&mut [&mut two]).await;
    deploy(&mut [&mut one, &mut two, &mut three]).await;
}
