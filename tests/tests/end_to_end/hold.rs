//! The primary's PostgreSQL goes away: clients of the pooler wait for it, and for no longer than that.

use std::time::Duration;

use futures_util::future::join_all;
use pgstack_lab::{Machine, Process};
use pgstack_tests::cluster::{all_streaming, eventually, leader, vip_goes_to, with_cluster};
use pgstack_tests::history::{Outcome, Span, Via};
use pgstack_tests::load::{Load, Plan};

use crate::switchover::{all_resumed, console, is_paused};
use crate::{LAB, PATRONICTL};

/// Every client writes about thirty times a second.
const BUSY: Plan = Plan { clients: 10, rest: Duration::from_millis(30), ports: &[6432] };

#[test]
fn a_killed_postmaster_makes_clients_of_the_pooler_wait_and_refuses_none() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        // a pooler that reaches the primary through this machine alone, and one that is elsewhere
        for beside in [true, false] {
            let led = leader(lab).await;
            let holder = machines.iter().find(|machine| (machine.id() == led.id()) == beside).expect("a machine");
            vip_goes_to(lab, holder.id()).await;
            ready(&machines).await;
            let load = Load::start(lab, "hold", BUSY).await;
            load.goes_on(Duration::from_secs(20)).await;
            led.kill(Process::Postgres).await.expect("killed");
            load.goes_on(Duration::from_secs(30)).await;
            let history = load.stop().await;
            eprintln!("postmaster killed, VIP on the leader's node: {beside}; {history}");
            let all = Span { from: Duration::ZERO, to: Duration::MAX };
            let count = |outcome| history.ended_so(Via::Vip(6432), outcome, all);
            assert_eq!(count(Outcome::Failed), 0, "{history}: {:?}", history.reasons());
            // what was on its way at that moment may be in or not: nobody knows
            assert!(count(Outcome::Unknown) <= usize::from(BUSY.clients), "{history}");
            all_resumed(&machines, Duration::from_secs(1)).await;
            all_streaming(lab).await;
        }
    });
}

#[test]
fn a_person_s_pause_is_left_alone() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        ready(&machines).await;
        let led = leader(lab).await;
        console(&machines[0], "PAUSE").await;
        // the script looks twice a second, and judges by the look before the last
        tokio::time::sleep(Duration::from_millis(1500)).await;
        led.kill(Process::Postgres).await.expect("killed");
        all_resumed(&machines[1..], Duration::from_secs(20)).await;
        all_streaming(lab).await;
        assert!(is_paused(&machines[0]).await, "nobody else ends it");
        console(&machines[0], "RESUME").await;
        ready(&machines).await;
    });
}

#[test]
fn nobody_waits_for_more_than_ten_seconds_where_no_primary_comes_back_and_the_agents_die_too() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        ready(&machines).await;
        let led = leader(lab).await;
        // in maintenance mode Patroni starts nothing and elects nobody
        led.sh(&format!("{PATRONICTL} pause --wait")).await.expect("paused");
        led.kill(Process::Postgres).await.expect("killed");
        eventually("all poolers are paused", Duration::from_secs(5), async || {
            join_all(machines.iter().map(is_paused)).await.iter().all(|paused| *paused).then_some(())
        })
        .await;
        // the script dies: the agent lets them go on
        machines[0].sh("pkill -KILL -f 'pause 9 1 -'").await.expect("killed");
        all_resumed(&machines[..1], Duration::from_secs(3)).await;
        // the agents die: the script does
        join_all(machines.iter().map(async |machine| machine.sh("docker kill agent").await.expect("killed"))).await;
        all_resumed(&machines, Duration::from_secs(10)).await;
        led.sh(&format!("{PATRONICTL} resume --wait")).await.expect("resumed");
        join_all(machines.iter().map(async |machine| machine.sh("docker start agent").await.expect("started"))).await;
        all_streaming(lab).await;
        ready(&machines).await;
    });
}

/// Every agent's script waits in its pooler's container.
async fn ready(machines: &[Machine]) {
    join_all(machines.iter().map(async |machine| {
        eventually("the script is ready", Duration::from_secs(20), async || {
            let processes = machine.sh("docker top pgbouncer").await.ok()?;
            (processes.contains("pause 9 1 -") && processes.contains("psql")).then_some(())
        })
        .await;
    }))
    .await;
}
