//! Machines that lose power, and services that stay away.

use std::time::Duration;

use pgstack_containers::Service;

use super::stage::Stage;
use crate::cluster::{leader, vip_goes_to};
use crate::times::Durability;

pub(super) async fn leader_off(s: &mut Stage<'_>, etcd_too: bool) {
    let old = s.leader().await;
    let elsewhere = s.others(old.id()).await[0].id();
    s.etcd_leads(if etcd_too { old.id() } else { elsewhere }).await;
    vip_goes_to(s.lab, old.id()).await;
    s.load.goes_on(Duration::from_secs(30)).await;
    let from = s.now();
    old.power_off().await.expect("off");
    s.vip_moves(old.id(), from, s.times.owner_silent()).await;
    s.gap("gap", from, s.times.node_gone(etcd_too)).await;
    s.figure(format!("{} errors at 6432", s.errors(from)));
    s.at_most_promotions(1).await;
    old.power_on().await.expect("on");
}

pub(super) async fn holder_off(s: &mut Stage<'_>) {
    let leader = s.leader().await;
    let holder = s.others(leader.id()).await.remove(0);
    s.etcd_leads(leader.id()).await;
    vip_goes_to(s.lab, holder.id()).await;
    s.load.goes_on(Duration::from_secs(30)).await;
    let from = s.now();
    holder.power_off().await.expect("off");
    s.vip_moves(holder.id(), from, s.times.owner_silent()).await;
    let endpoint = s.lab.endpoint(6432).await;
    let first = match endpoint {
        Ok(endpoint) => {
            let ask = async || endpoint.query("SELECT 1", Duration::from_millis(500)).await.is_ok();
            s.until(from, 30.0, ask).await
        }
        Err(_) => None,
    };
    s.at_most("new connection after", first.unwrap_or(f64::INFINITY), s.times.owner_silent() + 1.5);
    s.at_most_promotions(0).await;
    holder.power_on().await.expect("on");
}

pub(super) async fn standbys_die(s: &mut Stage<'_>) {
    let leader = s.leader().await;
    let standbys = s.others(leader.id()).await;
    let from = s.now();
    standbys[0].kill_for_good(Service::Patroni).await.expect("killed");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let strict = s.times.durability == Durability::Strict;
    let stall = s.times.standby_gone();
    s.gap("stall when one dies", from, stall).await;
    let from = s.now();
    standbys[1].kill_for_good(Service::Patroni).await.expect("killed");
    tokio::time::sleep(Duration::from_secs_f64(s.times.loop_wait + 5.0)).await;
    if strict {
        // those that had been sent when it died may still be on their way
        let late = s.acknowledged(from + Duration::from_millis(500));
        s.check(late == 0, format!("{late} acknowledged without a standby"));
    } else {
        s.gap("stall when both are dead", from, stall).await;
    }
    s.at_most_promotions(0).await;
    let from = s.now();
    standbys[1].start(Service::Patroni).await.expect("started");
    s.gap("writes after one returned", from, s.times.loop_wait + 10.0).await;
}

pub(super) async fn cold_start(s: &mut Stage<'_>) {
    const ORDERS: [[u8; 3]; 6] = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
    for order in ORDERS {
        for machine in s.lab.machines().await.expect("machines") {
            machine.power_off().await.expect("off");
        }
        let from = s.now();
        for id in order {
            s.lab.machine(id).await.expect("a machine").power_on().await.expect("on");
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        let went_on = s.load.went_on(Duration::from_secs(200)).await;
        let took = s.since(from).length().as_secs_f64();
        s.check(went_on && took <= 120.0, format!("order {order:?}: writable after {took:.0} s (≤ 120)"));
        // the next power loss hits a cluster that is whole
        s.until(s.now(), 120.0, async || s.all_stream().await).await;
    }
}

pub(super) async fn frozen(s: &mut Stage<'_>, with_vip: bool) {
    let old = s.leader().await;
    let owner = if with_vip { old.id() } else { s.others(old.id()).await[0].id() };
    vip_goes_to(s.lab, owner).await;
    s.load.goes_on(Duration::from_secs(30)).await;
    let from = s.now();
    s.cut_begins();
    old.freeze().await.expect("frozen");
    s.promoted(from, s.times.node_gone(true) * 2.0).await;
    s.gap("gap", from, s.times.node_gone(true)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let thawed = s.now();
    old.thaw().await.expect("thawed");
    s.cut_ends();
    let rejoins = async || leader(s.lab).await.id() != old.id() && s.all_stream().await;
    let took = s.until(thawed, 150.0, rejoins).await;
    s.at_most("rejoined after", took.unwrap_or(f64::INFINITY), 120.0);
    s.figure(format!("{} errors at 6432 after the thaw", s.errors(thawed)));
}
