//! Durability on a living cluster: what `strict` promises, and that it stays one cluster that can be led from any node.

use std::time::Duration;

use futures_util::future::join_all;
use pgstack_lab::{Lab, Machine, Process};
use pgstack_tests::cluster::{all_streaming, eventually, leader, switchover_to, until_it_works, with_cluster};
use pgstack_tests::writer::{Outcome, Writer};

use crate::LAB;
use crate::profiles::{in_the_dcs, put_back, waits_for_a_standby};
use crate::scenarios::holds;
use crate::settings::{deploy, edit_config, set_everywhere, show_config};

/// The cluster with `fast` and `strict`; `deploy` ends when it is so.
async fn strict(lab: &Lab) -> Vec<Machine> {
    let machines = lab.machines().await.expect("machines");
    set_everywhere(&machines, &[("RTO_PROFILE", "fast"), ("DURABILITY", "strict")]).await;
    waits_for_a_standby(lab).await;
    machines
}

/// The leader, the standby that it waits for, and the one that it does not wait for.
async fn cast(lab: &Lab) -> [Machine; 3] {
    let old = leader(lab).await;
    let names = until_it_works(lab, 5000, "SHOW synchronous_standby_names", Duration::from_secs(20)).await;
    let names = names.expect("names");
    let others = lab.machines().await.expect("machines").into_iter().filter(|machine| machine.id() != old.id());
    let (mut chosen, mut rest): (Vec<_>, Vec<_>) =
        others.partition(|machine| names == format!("patroni{}", machine.id()));
    [old, chosen.pop().unwrap_or_else(|| unreachable!("one of {names}")), rest.pop().expect("another one")]
}

#[test]
fn strict_acknowledges_nothing_without_a_standby_and_loses_nothing_with_one() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        // when deploy has ended, nothing is left of what was before
        set_everywhere(&machines, &[("RTO_PROFILE", "fast"), ("DURABILITY", "sync")]).await;
        let names = until_it_works(lab, 5000, "SHOW synchronous_standby_names", Duration::from_secs(10)).await;
        assert!(names.as_ref().is_some_and(|names| names.starts_with("ANY 1 (patroni")), "{names:?}");
        strict(lab).await;
        let old = leader(lab).await;
        let writer = Writer::start(lab, "strict").await;
        // both standbys stand still: their containers are there, and nothing of theirs answers
        let standbys: Vec<&Machine> = machines.iter().filter(|machine| machine.id() != old.id()).collect();
        join_all(standbys.iter().map(|machine| machine.sh("docker pause patroni"))).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let moment = writer.moment();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(writer.since(moment).ids(Outcome::Acknowledged).len(), 0, "{}", writer.since(moment));
        join_all(standbys.iter().map(|machine| machine.sh("docker unpause patroni"))).await;
        writer.goes_on(Duration::from_secs(30)).await;
        all_streaming(lab).await;
        // the machine of the leader loses power: what was acknowledged is on the next one
        let old = leader(lab).await;
        old.power_off().await.expect("power off");
        eventually("another node leads", Duration::from_secs(60), async || {
            (leader(lab).await.id() != old.id()).then_some(())
        })
        .await;
        writer.goes_on(Duration::from_secs(60)).await;
        let history = writer.stop().await;
        eprintln!("strict: {history}");
        history.holds(lab).await;
        old.power_on().await.expect("power on");
        all_streaming(lab).await;
        history.holds(lab).await;
        put_back(&machines).await;
    });
}

#[test]
fn strict_writes_go_on_soon_after_the_replicas_are_back() {
    with_cluster(LAB, 3, async |lab| {
        let machines = strict(lab).await;
        holds(lab, "13").await;
        put_back(&machines).await;
    });
}

#[test]
fn under_strict_the_word_of_the_standby_counts_that_may_lead_and_nobody_elses() {
    with_cluster(LAB, 3, async |lab| {
        let machines = strict(lab).await;
        all_streaming(lab).await;
        until_it_works(lab, 5000, "CREATE TABLE IF NOT EXISTS words (id int)", Duration::from_secs(20)).await;
        let [old, chosen, other] = cast(lab).await;
        // its PostgreSQL goes on, and so does the other standby; nobody can choose another one
        old.freeze_process(Process::Patroni).await.expect("frozen");
        chosen.freeze_process(Process::Patroni).await.expect("frozen");
        chosen.freeze_process(Process::Postgres).await.expect("frozen");
        let streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name = ";
        let psql = |sql: &str| format!("timeout 5 docker exec patroni psql -XqAtc \"{sql}\"");
        let count = old.sh(&psql(&format!("{streams}'patroni{}'", other.id()))).await.expect("an answer");
        assert_eq!(count.trim(), "1", "the other one streams");
        let output = old.run(&["sh", "-c", &psql("INSERT INTO words VALUES (1)")]).await.expect("run");
        assert_eq!(output.code, 124, "acknowledged by the other one's word: {}{}", output.stdout, output.stderr);
        // the leader's key runs out: the other one may not lead, as rows could be missing there
        let role = "curl -sS --noproxy '*' -o /dev/null -w '%{http_code}' http://127.0.0.1:8008/primary";
        for _ in 0..25 {
            assert_ne!(other.sh(role).await.expect("an answer").trim(), "200", "it leads");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        chosen.thaw_process(Process::Postgres).await.expect("thawed");
        chosen.thaw_process(Process::Patroni).await.expect("thawed");
        eventually("the chosen one leads", Duration::from_secs(30), async || {
            (chosen.sh(role).await.ok()?.trim() == "200").then_some(())
        })
        .await;
        old.thaw_process(Process::Patroni).await.expect("thawed");
        all_streaming(lab).await;
        put_back(&machines).await;
    });
}

#[test]
fn under_strict_any_replica_can_be_made_the_primary() {
    with_cluster(LAB, 3, async |lab| {
        let machines = strict(lab).await;
        all_streaming(lab).await;
        let [old, _, other] = cast(lab).await;
        let meanwhile = format!("synchronous_node_count is 2 meanwhile, so that node {} follows", other.id());
        let before = show_config(&old).await;
        let said = old.sh(&format!("{} --dry-run", switchover_to(other.id()))).await.expect("a plan");
        assert!(said.contains(&meanwhile), "{said}");
        assert_eq!(show_config(&old).await, before, "a dry run changes nothing");
        let writer = Writer::start(lab, "any_replica").await;
        old.sh(&switchover_to(other.id())).await.expect("switched over");
        assert_eq!(leader(lab).await.id(), other.id());
        assert_eq!(show_config(&old).await, before, "as before");
        // killed before it could put it back: whichever tool runs next does it
        let killed = "-s synchronous_node_count=2 -s patroni_stack_kept_synchronous_node_count=1";
        edit_config(&old, killed).await;
        let said = deploy(&old, &[]).await;
        assert!(said.contains("synchronous_node_count is put back"), "{said}");
        in_the_dcs(&old, &["synchronous_node_count: 1"]).await;
        assert_eq!(show_config(&old).await, before, "as before");
        edit_config(&old, killed).await;
        let said = old.sh(&switchover_to(other.id())).await.expect("it leads already");
        assert!(said.contains("leads already; synchronous_node_count is put back"), "{said}");
        assert_eq!(show_config(&old).await, before, "as before");
        let history = writer.stop().await;
        assert_eq!(history.troubles().count(), 0, "{history}");
        history.holds(lab).await;
        put_back(&machines).await;
    });
}
