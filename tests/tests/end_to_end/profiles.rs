//! Recovery profiles on a living cluster: changed through every node's `.env`, and what they promise.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pgstack_env::Profile;
use pgstack_lab::{Lab, Machine};
use pgstack_tests::cluster::{eventually, held_by, until_it_works, vip_holder, with_cluster};
use pgstack_tests::writer::Writer;

use crate::LAB;
use crate::settings::{edit_config, set_everywhere, show_config, vip_moves, watch_the_vip};

const NONE: &[(&str, &str)] = &[("RTO_PROFILE", ""), ("DURABILITY", "")];
/// What a lab of slow machines may take on top of what is promised.
const SLACK: Duration = Duration::from_secs(2);

/// Everything that a profile or a mode has put into the DCS, as a new cluster has it.
pub(crate) async fn put_back(machines: &[Machine]) {
    set_everywhere(machines, NONE).await;
    let back = "-s ttl=30 -s loop_wait=5 -s retry_timeout=10 -s primary_start_timeout=60 \
                -s synchronous_mode=false -s synchronous_mode_strict=false -p wal_sender_timeout=30s";
    edit_config(&machines[0], back).await;
}

pub(crate) async fn in_the_dcs(machine: &Machine, wanted: &[&str]) {
    let config = show_config(machine).await;
    for line in wanted {
        assert!(config.lines().any(|found| found.trim() == *line), "{line} is not in\n{config}");
    }
}

/// `deploy` ends only when it is so.
pub(crate) async fn waits_for_a_standby(lab: &Lab) {
    let names = until_it_works(lab, 5000, "SHOW synchronous_standby_names", Duration::from_secs(10)).await;
    assert!(names.as_ref().is_some_and(|names| names.starts_with("patroni")), "{names:?}");
}

#[test]
fn another_profile_comes_to_a_living_cluster_with_one_owner_and_no_failed_write() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let vip = lab.vip().await.expect("a VIP").to_string();
        let owner = held_by(lab, &vip).await;
        let config = show_config(&machines[0]).await;
        // one node alone neither stops serving nor speaks what the others do not hear
        let writer = Writer::start(lab, "profiles").await;
        watch_the_vip(&machines).await;
        set_everywhere(&machines, &[("RTO_PROFILE", "fast"), ("DURABILITY", "strict")]).await;
        in_the_dcs(&machines[0], &["ttl: 20", "loop_wait: 1", "retry_timeout: 9", "primary_start_timeout: 5"]).await;
        in_the_dcs(&machines[0], &["synchronous_mode: true", "synchronous_mode_strict: true"]).await;
        let spoken = "grep -c '^    version 3' /opt/patroni-stack/keepalived/keepalived.conf";
        for machine in &machines {
            assert_eq!(machine.sh(spoken).await.expect("a file").trim(), "1");
        }
        waits_for_a_standby(lab).await;
        assert_eq!(held_by(lab, &vip).await, owner, "one owner, the same");
        // and back, with a time of its own
        set_everywhere(&machines, &[("RTO_PROFILE", "tolerant"), ("PATRONI_TTL", "90"), ("DURABILITY", "async")]).await;
        in_the_dcs(&machines[0], &["ttl: 90", "loop_wait: 10", "retry_timeout: 20", "synchronous_mode: false"]).await;
        assert_eq!(held_by(lab, &vip).await, owner, "one owner, the same");
        set_everywhere(&machines, &[("RTO_PROFILE", ""), ("PATRONI_TTL", ""), ("DURABILITY", "")]).await;
        // what is no longer named stays as it is
        in_the_dcs(&machines[0], &["ttl: 90", "loop_wait: 10"]).await;
        assert_eq!(vip_moves(&machines, &vip).await, [] as [String; 0], "the VIP has moved");
        let history = writer.stop().await;
        eprintln!("profiles changed three times: {history}");
        assert_eq!(history.troubles().count(), 0, "{history}");
        history.holds(lab).await;
        put_back(&machines).await;
        let after = show_config(&machines[0]).await;
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        let differs: Vec<String> = lines(&config).difference(&lines(&after)).cloned().collect();
        assert_eq!(differs, [] as [String; 0], "nothing else was touched");
    });
}

/// The node that has the VIP, and how often another one had it at the same time.
async fn owners_until(lab: &Lab, vip: &str, limit: Duration, done: impl Fn(&[u8]) -> bool) -> (Duration, Duration) {
    let began = Instant::now();
    let mut two = Duration::ZERO;
    loop {
        let round = Instant::now();
        let holders = held_by(lab, vip).await;
        if done(&holders) {
            return (began.elapsed(), two);
        }
        if holders.len() > 1 {
            two += round.elapsed();
        }
        assert!(began.elapsed() < limit, "after {limit:?}: {holders:?}");
    }
}

#[test]
fn fast_moves_the_vip_off_dead_proxies_and_a_killed_keepalived_leaves_no_second_owner() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let vip = lab.vip().await.expect("a VIP").to_string();
        set_everywhere(&machines, &[("RTO_PROFILE", "fast")]).await;
        let promised = Duration::from_secs(2) + SLACK;
        for service in ["haproxy", "pgbouncer"] {
            let first = vip_holder(lab).await;
            let writer = Writer::start(lab, "proxies").await;
            first.sh(&format!("docker kill {service}")).await.expect("killed");
            let (took, _) = owners_until(lab, &vip, Duration::from_secs(20), |holders| {
                holders.len() == 1 && holders[0] != first.id()
            })
            .await;
            writer.goes_on(Duration::from_secs(20)).await;
            let second = vip_holder(lab).await;
            first.sh(&format!("docker start {service}")).await.expect("started");
            let healthy = "for i in 1 2 3 4 5; do docker exec keepalived bash /config/check_haproxy.sh || exit 1; sleep 0.5; done";
            eventually("the first node may hold the VIP again", Duration::from_secs(30), async || {
                first.sh(healthy).await.ok()
            })
            .await;
            assert_eq!(held_by(lab, &vip).await, [second.id()], "it does not come back");
            let history = writer.stop().await;
            eprintln!("{service} dead on the holder: VIP moved after {took:?}; {history}");
            history.holds(lab).await;
            assert!(took < promised, "{service}: the VIP took {took:?}");
            assert!(history.longest_gap().0 < promised, "{service}: {history}");
        }
        // killed and not started again: nobody is left to take the address away but the kernel
        let first = vip_holder(lab).await;
        let lease = Profile::Fast.vrrp().lease;
        let address = first.sh(&format!("ip -4 -o address show dev eth0 to {vip}")).await.expect("an address");
        assert!(address.contains("valid_lft ") && !address.contains("forever"), "no lease: {address}");
        first.sh("docker kill keepalived").await.expect("killed");
        let (took, two) =
            owners_until(lab, &vip, Duration::from_secs(40), |holders| holders.len() == 1 && holders[0] != first.id())
                .await;
        eprintln!("keepalived killed for good: one owner again after {took:?}, two for {two:?}");
        assert!(took < lease + SLACK && two < lease + SLACK, "{took:?}, {two:?}");
        first.sh("docker start keepalived").await.expect("started");
        // killed by its process number, and started again by Docker
        let first = vip_holder(lab).await;
        first.sh("kill -9 $(docker inspect -f '{{.State.Pid}}' keepalived)").await.expect("killed");
        let began = Instant::now();
        let mut two = Duration::ZERO;
        while began.elapsed() < Duration::from_secs(8) {
            let round = Instant::now();
            if held_by(lab, &vip).await.len() > 1 {
                two += round.elapsed();
            }
        }
        eprintln!("keepalived killed, started by Docker: two owners for {two:?}");
        assert!(two < promised, "two owners for {two:?}");
        assert_eq!(held_by(lab, &vip).await.len(), 1);
        put_back(&machines).await;
    });
}
