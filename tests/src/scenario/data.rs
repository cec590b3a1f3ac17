//! Data that is waited for, has no room, is damaged, or carries the wrong time.

use std::time::Duration;

use pgstack_lab::{Cut, Machine, Process, STACK, Traffic};

use super::stage::Stage;
use crate::cluster::switch_to;
use crate::history::Outcome;
use crate::times::Durability;

pub(super) async fn cancelled_wait(s: &mut Stage<'_>) -> Result<(), String> {
    if s.times.durability == Durability::Async {
        return Err("nothing waits for a replica in asynchronous mode".to_owned());
    }
    let leader = s.leader().await;
    s.lab.cut(leader.id(), Cut { traffic: Traffic::Replication, ..Cut::default() }).await.expect("cut off");
    let endpoint = s.straight_to(&leader).await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid = ";
    let operation = s
        .load
        .one_write(endpoint.clone(), async |pid| {
            let waiting = async || {
                let count = endpoint.query(&format!("{waits}{pid}"), Duration::from_secs(2)).await;
                count.is_ok_and(|count| count.as_deref() == Some("1"))
            };
            s.until(s.now(), 8.0, waiting).await;
            // nothing to do if it has been acknowledged meanwhile
            drop(endpoint.query(&format!("SELECT pg_cancel_backend({pid})"), Duration::from_secs(2)).await);
        })
        .await;
    s.check(operation.outcome == Outcome::Unknown, format!("the cancelled write is {:?}", operation.outcome));
    leader.power_off().await.expect("off");
    let from = s.now();
    s.lab.heal().await.expect("healed");
    s.gap("gap", from, s.times.node_gone(true)).await;
    leader.power_on().await.expect("on");
    Ok(())
}

pub(super) async fn clock(s: &mut Stage<'_>, of_leader: bool) {
    // with a clock of its own the container is made anew, which is a failover and none of the matter
    let leader = s.leader().await;
    let node = s.others(leader.id()).await.remove(0);
    node.own_clock().await.expect("a clock of its own");
    s.until(s.now(), 120.0, async || s.all_stream().await).await;
    if of_leader {
        switch_to(s.lab, node.id()).await;
        s.until(s.now(), 120.0, async || s.all_stream().await).await;
    }
    let before = s.promotions().await.expect("somebody leads");
    s.load.goes_on(Duration::from_secs(30)).await;
    let mut was = 0;
    for (seconds, words) in [(3600, "ahead"), (0, "right again"), (-3600, "behind"), (0, "right again")] {
        let from = s.now();
        node.clock(seconds).await.expect("set");
        tokio::time::sleep(Duration::from_secs_f64((s.times.ttl + 5.0).max(2.0 * s.times.loop_wait))).await;
        // only what goes ahead is taken for the end of a key
        let bound = match seconds > was {
            true if of_leader => s.times.clock_jump(),
            // a replica takes its stream for silent then
            true => s.times.standby_gone(),
            false => 1.0,
        };
        was = seconds;
        s.gap(&format!("clock {words}: gap"), from, bound).await;
        let after = s.promotions().await;
        s.check(after == Some(before), format!("clock {words}: no promotion"));
    }
    node.plain_clock().await.expect("as before");
}

pub(super) async fn full_disk(s: &mut Stage<'_>) {
    let leader = s.leader().await;
    let node = s.others(leader.id()).await.remove(0);
    node.small_disk().await.expect("a small disk");
    s.until(s.now(), 120.0, async || s.all_stream().await).await;
    switch_to(s.lab, node.id()).await;
    s.until(s.now(), 120.0, async || s.all_stream().await).await;
    let before = s.promotions().await.expect("somebody leads");
    let from = s.now();
    node.fill_disk().await.expect("full");
    // writers go on until the segment that is there is full, so there is more to write
    let fill = "CREATE TABLE IF NOT EXISTS fills (t text); INSERT INTO fills SELECT repeat(md5(i::text), 30) FROM generate_series(1, 40000) i";
    let endpoint = s.straight_to(&node).await;
    drop(endpoint.query(fill, Duration::from_secs(20)).await);
    tokio::time::sleep(Duration::from_secs_f64(s.times.leader_gone())).await;
    s.at_most_promotions_after(before, 1).await;
    let errors = s.errors(from);
    s.figure(format!("{errors} errors at 6432 while it was full, led by node {} then", s.leader().await.id()));
    let freed = s.now();
    node.free_disk().await.expect("room");
    let took = s.until(freed, 150.0, async || s.all_stream().await).await;
    s.at_most("H after there was room:", took.unwrap_or(f64::INFINITY), 120.0);
    node.large_disk().await.expect("back on its disk");
}

pub(super) async fn damage(s: &mut Stage<'_>, of_leader: bool) {
    let leader = s.leader().await;
    let node = if of_leader { leader.clone() } else { s.others(leader.id()).await.remove(0) };
    let from = s.now();
    let garbage = format!(
        "dd if=/dev/urandom of={STACK}/data/pg/data/global/pg_control bs=8192 count=1 conv=notrunc status=none"
    );
    node.sh(&garbage).await.expect("damaged");
    node.kill(Process::Postgres).await.expect("killed");
    let bound = if of_leader { s.times.process_killed() + s.times.loop_wait } else { s.times.standby_gone() };
    s.gap("gap", from, bound).await;
    tokio::time::sleep(Duration::from_secs_f64(2.0 * s.times.loop_wait)).await;
    s.check(s.leader().await.id() != node.id(), "the damaged node does not lead");
    s.at_most_promotions(u64::from(of_leader)).await;
    reclone(s, &node).await;
}

async fn reclone(s: &mut Stage<'_>, node: &Machine) {
    let from = s.now();
    let output =
        node.run(&[&format!("{STACK}/scripts/reclone"), "--yes", "--delete-old-data", "--timeout", "600"]).await;
    let said = output.map_or_else(
        |error| error.to_string(),
        |output| match output.code {
            0 => String::new(),
            _ => output.stderr.lines().last().unwrap_or_default().to_owned(),
        },
    );
    s.check(said.is_empty(), format!("reclone {said}"));
    let took = s.until(from, 600.0, async || s.all_stream().await).await;
    s.at_most("re-cloned after", took.unwrap_or(f64::INFINITY), 600.0);
}
