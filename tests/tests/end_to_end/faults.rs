//! A proxy dies, a machine loses power: the VIP moves, writes go on, the lost part comes back.

use std::time::Duration;

use pgstack_lab::STACK;
use pgstack_tests::cluster::{
    all_streaming, eventually, held_by, leader, serving, until_it_works, vip_goes_to, vip_holder, with_cluster,
};

use crate::LAB;

#[test]
fn a_dead_haproxy_moves_the_vip_and_its_return_does_not() {
    with_cluster(LAB, 3, async |lab| {
        let first = vip_holder(lab).await;
        first.sh("docker stop -t 1 haproxy").await.expect("stopped");
        let vip = lab.vip().await.expect("a VIP");
        let second = eventually("another node holds the VIP", Duration::from_secs(20), async || {
            let machine = vip_holder(lab).await;
            (machine.id() != first.id()).then_some(machine)
        })
        .await;
        until_it_works(lab, 6432, "SELECT 1", Duration::from_secs(20)).await;
        first.sh("docker start haproxy").await.expect("started");
        let output = first.run(&[&format!("{STACK}/deploy")]).await.expect("run");
        assert_eq!(output.code, 0, "{}", output.stderr);
        // keepalived on the first node has seen two good checks in a row by now, or will soon
        let healthy = "for i in 1 2 3; do docker exec keepalived bash /config/check_haproxy.sh; done";
        eventually("the first node may hold the VIP again", Duration::from_secs(30), async || {
            first.sh(healthy).await.ok()
        })
        .await;
        assert_eq!(vip_holder(lab).await.id(), second.id(), "the VIP stays where it is");
        let holders = held_by(lab, &vip.to_string()).await;
        assert_eq!(holders, [second.id()], "exactly one node has the address");
    });
}

#[test]
fn power_off_of_the_leaders_node_costs_no_acknowledged_row_and_it_comes_back_by_itself() {
    with_cluster(LAB, 3, async |lab| {
        let setup = "CREATE TABLE IF NOT EXISTS survivors (id int PRIMARY KEY); TRUNCATE survivors";
        until_it_works(lab, 5000, setup, Duration::from_secs(20)).await;
        // an attempt that was given up may have been committed all the same
        let insert = |id: u32| format!("INSERT INTO survivors VALUES ({id}) ON CONFLICT DO NOTHING");
        for id in 0..20 {
            until_it_works(lab, 6432, &insert(id), Duration::from_secs(20)).await;
        }
        let old = leader(lab).await;
        // replication is asynchronous here: what is acknowledged counts once a replica has it
        let everywhere = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn() - 0";
        eventually("the rows are on both replicas", Duration::from_secs(30), async || {
            let count = until_it_works(lab, 5000, everywhere, Duration::from_secs(20)).await?;
            (count == "2").then_some(())
        })
        .await;
        vip_goes_to(lab, old.id()).await;
        old.power_off().await.expect("power off");
        let new = eventually("another node leads", Duration::from_secs(60), async || {
            let machine = leader(lab).await;
            (machine.id() != old.id()).then_some(machine)
        })
        .await;
        until_it_works(lab, 6432, &insert(100), Duration::from_secs(30)).await;
        let holder = vip_holder(lab).await;
        assert_ne!(holder.id(), old.id(), "the VIP has moved");
        old.power_on().await.expect("power on");
        all_streaming(lab).await;
        eventually("every row is on the replicas", Duration::from_secs(30), async || {
            let count = until_it_works(lab, 5001, "SELECT count(*) FROM survivors", Duration::from_secs(20)).await?;
            (count == "21").then_some(())
        })
        .await;
        assert_ne!(new.id(), old.id());
        assert_eq!(vip_holder(lab).await.id(), holder.id(), "the VIP does not come back with the node");
        assert_eq!(held_by(lab, &lab.vip().await.expect("a VIP").to_string()).await.len(), 1, "one owner of the VIP");
        serving(lab).await;
    });
}
