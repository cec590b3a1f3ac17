//! Networks that do not carry everything.

use std::time::Duration;

use pgstack_containers::Service;
use pgstack_lab::{Cut, Traffic, Way};

use super::stage::Stage;
use crate::cluster::vip_goes_to;
use crate::history::Via;
use crate::times::Durability;

/// When a node was last told directly that it takes writes.
fn last_ack(s: &Stage<'_>, node: u8) -> Option<Duration> {
    s.load.look(|history| history.acknowledged().filter(|op| op.via == Via::Node(node)).map(|op| op.ended).max())
}

pub(super) async fn partition(s: &mut Stage<'_>, long: bool) {
    let old = s.leader().await;
    // the hardest case: the VIP is on the wrong side
    vip_goes_to(s.lab, old.id()).await;
    let etcd_too = s.etcd_leader().await == Some(old.id());
    s.load.goes_on(Duration::from_secs(30)).await;
    let from = s.now();
    s.cut_begins();
    s.lab.partition(old.id()).await.expect("cut off");
    let bound = s.times.node_gone(etcd_too);
    s.promoted(from, bound * 2.0).await;
    s.gap("majority writes, gap", from, bound).await;
    s.check(s.promotions().await == Some(1), "one promotion");
    let refused = last_ack(s, old.id()).map(|at| at.saturating_sub(from).as_secs_f64());
    s.at_most("old primary last acknowledged after", refused.unwrap_or(f64::INFINITY), s.times.demoted());
    if long {
        // who held the VIP says so again each minute, and must not draw clients away
        let calm = s.now();
        tokio::time::sleep(Duration::from_secs(65)).await;
        s.gap("gap while it goes on", calm, 1.0).await;
    }
    let healed = s.now();
    s.lab.heal().await.expect("healed");
    s.cut_ends();
    let took = s.until(healed, 150.0, async || s.all_stream().await).await;
    s.at_most("rejoined after", took.unwrap_or(f64::INFINITY), 120.0);
    s.gap("gap after healing", healed, s.times.owner_unfit() + 2.0).await;
}

pub(super) async fn without_etcd(s: &mut Stage<'_>) {
    let (leader, from) = (s.leader().await, s.now());
    s.lab.cut(leader.id(), Cut { traffic: Traffic::Etcd, ..Cut::default() }).await.expect("cut off");
    tokio::time::sleep(s.hold).await;
    let errors = s.errors(from);
    s.check(errors == 0, format!("{errors} errors at 6432 within {} s", s.hold.as_secs()));
    s.gap("gap", from, 1.0).await;
    s.at_most_promotions(0).await;
    s.lab.heal().await.expect("healed");
    tokio::time::sleep(Duration::from_secs_f64(2.0 * s.times.loop_wait)).await;
    s.at_most_promotions(0).await;
}

pub(super) async fn without_replicas(s: &mut Stage<'_>) {
    let leader = s.leader().await;
    s.lab.cut(leader.id(), Cut { traffic: Traffic::Replication, ..Cut::default() }).await.expect("cut off");
    let from = s.now();
    let hold = Duration::from_secs_f64(s.times.ttl + 10.0);
    tokio::time::sleep(hold).await;
    if s.times.durability == Durability::Strict {
        let meanwhile = s.acknowledged(from + Duration::from_millis(500));
        s.check(meanwhile == 0, format!("{meanwhile} acknowledged without a standby"));
    } else if s.times.durability == Durability::Async {
        s.gap("gap", from, 1.0).await;
    }
    s.at_most_promotions(0).await;
    let healed = s.now();
    s.lab.heal().await.expect("healed");
    s.gap("writes after healing", healed, 10.0).await;
}

pub(super) async fn one_way(s: &mut Stage<'_>, inwards: bool) {
    let (leader, from) = (s.leader().await, s.now());
    let way = if inwards { Way::In } else { Way::Out };
    s.cut_begins();
    s.lab.cut(leader.id(), Cut { way, ..Cut::default() }).await.expect("cut off");
    let took = s.promoted(from, s.times.node_gone(true)).await;
    s.figure(took.map_or_else(|| "no promotion".to_owned(), |took| format!("promotion after {took:.1} s")));
    s.gap("gap", from, s.times.node_gone(true)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let healed = s.now();
    s.lab.heal().await.expect("healed");
    s.cut_ends();
    let took = s.until(healed, 90.0, async || s.all_stream().await).await;
    s.at_most("streams after", took.unwrap_or(f64::INFINITY), 30.0);
}

pub(super) async fn etcd_loss(s: &mut Stage<'_>) {
    let from = s.now();
    for machine in s.lab.machines().await.expect("machines") {
        // inwards on each: every packet has one chance to be lost
        let cut = Cut { way: Way::In, traffic: Traffic::Etcd, percent: Some(5) };
        s.lab.cut(machine.id(), cut).await.expect("lossy");
    }
    tokio::time::sleep(s.hold).await;
    s.gap("gap", from, 1.0).await;
    s.at_most_promotions(0).await;
}

pub(super) async fn leader_loss(s: &mut Stage<'_>) {
    let (leader, from) = (s.leader().await, s.now());
    s.cut_begins();
    s.lab.cut(leader.id(), Cut { percent: Some(30), ..Cut::default() }).await.expect("lossy");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let gap = s.load.look(|history| history.longest_gap(Via::Vip(6432), s.since(from))).length();
    s.figure(format!("longest gap at 6432 {:.1} s", gap.as_secs_f64()));
    s.lab.heal().await.expect("healed");
    s.cut_ends();
    s.at_most_promotions(1).await;
}

pub(super) async fn etcd_majority(s: &mut Stage<'_>) {
    let leader = s.leader().await;
    let others = s.others(leader.id()).await;
    let from = s.now();
    for machine in &others {
        machine.kill_for_good(Service::Etcd).await.expect("killed");
    }
    tokio::time::sleep(s.hold).await;
    s.gap("gap without etcd", from, 1.0).await;
    s.at_most_promotions(0).await;
    let died = s.now();
    others[0].kill_for_good(Service::Patroni).await.expect("killed");
    // by now not all members see each other, so nobody may be primary
    tokio::time::sleep(Duration::from_secs_f64(s.times.demoted() + s.times.loop_wait)).await;
    let last = last_ack(s, leader.id()).map(|at| at.saturating_sub(died).as_secs_f64());
    s.at_most("read-only after", last.unwrap_or(f64::INFINITY), s.times.demoted());
    let back = s.now();
    for machine in &others {
        machine.start(Service::Etcd).await.expect("started");
    }
    let recovered = s.load.went_on(Duration::from_secs(120)).await;
    let took = s.since(back).length().as_secs_f64();
    s.check(
        recovered && took <= s.times.etcd_back().max(30.0),
        format!("writes again {took:.1} s after etcd's return"),
    );
}
