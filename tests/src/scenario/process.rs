//! Processes that die or stand still.

use std::time::Duration;

use pgstack_containers::Service;
use pgstack_lab::Process;

use super::stage::Stage;
use crate::cluster::vip_holder;
use crate::history::Via;

pub(super) async fn kill_postmaster(s: &mut Stage<'_>) {
    let (leader, from) = (s.leader().await, s.now());
    leader.kill(Process::Postgres).await.expect("killed");
    s.gap("gap", from, s.times.process_killed()).await;
    s.figure(format!("{} errors at 6432", s.errors(from)));
    s.at_most_promotions(1).await;
}

/// The program is not there any more, as after half an upgrade. (The folder of programs belongs to the
/// container, so a restart of it brings nothing back.)
const HIDE: &str =
    "docker exec -u 0 patroni mv /usr/lib/postgresql/17/bin/postgres /usr/lib/postgresql/17/bin/postgres.away";
const SHOW: &str =
    "docker exec -u 0 patroni mv /usr/lib/postgresql/17/bin/postgres.away /usr/lib/postgresql/17/bin/postgres";

pub(super) async fn cannot_start(s: &mut Stage<'_>) {
    let (leader, from) = (s.leader().await, s.now());
    leader.sh(HIDE).await.expect("hidden");
    leader.kill(Process::Postgres).await.expect("killed");
    // Patroni tries to start it, sees that it cannot, and lets the key go in its next round
    let bound = s.times.process_killed() + s.times.loop_wait;
    s.gap("gap", from, bound).await;
    let new = s.leader().await;
    s.check(new.id() != leader.id(), "another node leads");
    tokio::time::sleep(Duration::from_secs_f64(2.0 * s.times.loop_wait)).await;
    s.check(s.leader().await.id() == new.id(), "the broken node is not elected");
    leader.sh(SHOW).await.expect("back");
}

pub(super) async fn kill_backend(s: &mut Stage<'_>) {
    let (leader, from) = (s.leader().await, s.now());
    let pick =
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND query LIKE 'INSERT%' LIMIT 1";
    let script = format!("docker exec patroni sh -c \"kill -9 \\$(psql -Atc \\\"{pick}\\\")\"");
    leader.sh(&script).await.expect("killed");
    s.gap("gap", from, s.times.process_killed()).await;
    s.figure(format!("{} errors at 6432", s.errors(from)));
    s.at_most_promotions(1).await;
}

pub(super) async fn kill_patroni(s: &mut Stage<'_>) {
    let (leader, from) = (s.leader().await, s.now());
    leader.kill(Process::Patroni).await.expect("killed");
    s.gap("gap", from, s.times.patroni_killed()).await;
    s.at_most_promotions(1).await;
}

pub(super) async fn freeze_patroni(s: &mut Stage<'_>) {
    let (leader, from) = (s.leader().await, s.now());
    leader.freeze_process(Process::Patroni).await.expect("frozen");
    // from here on nobody reaches the old primary through a proxy
    let last = s
        .until(from, 60.0, async || {
            let quiet = Duration::from_millis(1500);
            let now = s.now();
            s.load.look(|history| {
                let recent = history.acknowledged().rev().take_while(|operation| operation.ended + quiet > now);
                let old = recent.filter(|operation| operation.origin.is_some_and(|origin| origin.node == leader.id()));
                old.filter(|operation| matches!(operation.via, Via::Vip(_))).count() == 0
            })
        })
        .await;
    let cut = last.map_or(f64::INFINITY, |last| last - 1.5);
    s.at_most("HAProxy cut the silent node after", cut, s.times.proxy_silent + 1.0);
    s.gap("gap", from, s.times.leader_gone()).await;
    let left = Duration::from_secs(60).saturating_sub(s.now().saturating_sub(from));
    tokio::time::sleep(left).await;
    let straight = s.load.look(|history| {
        let of_old = history
            .acknowledged()
            .filter(|operation| operation.via == Via::Node(leader.id()) && operation.began > from);
        of_old.filter(|operation| operation.origin.is_some_and(|origin| origin.node == leader.id())).count()
    });
    s.figure(format!("{straight} writes acknowledged by the old primary to those who asked it directly"));
    leader.thaw_process(Process::Patroni).await.expect("thawed");
}

pub(super) async fn haproxy_stopped(s: &mut Stage<'_>) {
    let (holder, from) = (vip_holder(s.lab).await, s.now());
    holder.stop(Service::Haproxy).await.expect("stopped");
    s.vip_moves(holder.id(), from, s.times.owner_unfit()).await;
    s.gap("gap", from, s.times.owner_unfit() + s.times.login_retry + 2.0).await;
    let new = vip_holder(s.lab).await;
    let back = s.now();
    holder.start(Service::Haproxy).await.expect("started");
    let flapped = s.vip_moved(new.id(), back, 10.0).await;
    s.check(flapped.is_none(), "the VIP stays when HAProxy comes back");
}

pub(super) async fn kill_pooler(s: &mut Stage<'_>) {
    let (holder, from) = (vip_holder(s.lab).await, s.now());
    holder.kill(Process::Pgbouncer).await.expect("killed");
    s.gap("gap", from, s.times.owner_unfit() + 2.0).await;
    let moved = s.vip_moved(holder.id(), from, 1.0).await;
    s.figure(if moved.is_some() { "the VIP moved" } else { "Docker was faster, the VIP stayed" });
}

pub(super) async fn kill_keepalived(s: &mut Stage<'_>) {
    let (holder, from) = (vip_holder(s.lab).await, s.now());
    holder.kill(Process::Keepalived).await.expect("killed");
    s.gap("gap", from, s.times.owner_silent() + s.times.login_retry + 2.0).await;
    // until the node itself, started again, or another one is the only owner
    tokio::time::sleep(Duration::from_secs_f64(s.times.owner_silent() * 2.0)).await;
    let (end, allowed) = (s.now(), s.times.two_owners());
    let two = s.load.look(|history| history.owners(2, end)).into_iter().map(|(span, _)| span.length()).max();
    let two = two.unwrap_or_default();
    s.check(two <= allowed, format!("two owners for {:.2} s (≤ {:.1})", two.as_secs_f64(), allowed.as_secs_f64()));
}

pub(super) async fn kill_etcd_leader(s: &mut Stage<'_>) {
    let leader = s.etcd_leader().await.expect("etcd has a leader");
    let (machine, from) = (s.lab.machine(leader).await.expect("a machine"), s.now());
    machine.kill(Process::Etcd).await.expect("killed");
    tokio::time::sleep(Duration::from_secs_f64(s.times.loop_wait + 5.0)).await;
    s.gap("gap", from, 1.0).await;
    let errors = s.errors(from);
    s.check(errors == 0, format!("{errors} errors at 6432"));
    s.at_most_promotions(0).await;
}
