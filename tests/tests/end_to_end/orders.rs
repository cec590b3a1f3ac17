//! Three virtual machines deployed from nothing again and again: in every order, and killed half-way.

use std::time::Duration;

use pgstack_lab::{DeployOrder, Lab, STACK};
use pgstack_tests::cluster::{Telling, all_streaming, serving, with_machines};

use crate::LAB;

/// Takes every machine back to before its first deploy.
pub(crate) async fn from_nothing(lab: &Lab) {
    for machine in lab.machines().await.expect("machines") {
        machine.sh(&format!("{STACK}/clean --yes-delete-all-data")).await.expect("clean");
        let left = machine.sh(&format!("cd {STACK}; docker ps -aq; ls -A data/etcd data/pg | grep -v : || true")).await;
        assert_eq!(left.expect("looked").trim(), "", "clean leaves no container and no data");
    }
}

async fn deployed(lab: &Lab, order: &DeployOrder) {
    from_nothing(lab).await;
    lab.deploy(order, &Telling).await.expect("deployed");
    all_streaming(lab).await;
    lab.verify(Duration::from_secs(30)).await.expect("rows through every port");
}

#[test]
fn node_3_first_then_2_then_1() {
    with_machines(LAB, 3, async |lab| deployed(lab, &DeployOrder::Staggered(vec![3, 2, 1])).await);
}

#[test]
fn node_2_first_then_3_then_1() {
    with_machines(LAB, 3, async |lab| deployed(lab, &DeployOrder::Staggered(vec![2, 3, 1])).await);
}

#[test]
fn all_at_once() {
    with_machines(LAB, 3, async |lab| deployed(lab, &DeployOrder::AtOnce).await);
}

#[test]
fn a_deploy_that_was_killed_at_random_moments_converges() {
    with_machines(LAB, 3, async |lab| {
        from_nothing(lab).await;
        let machines = lab.machines().await.expect("machines");
        // the seed of this run's moments; a failure prints it
        let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| u64::from(since.subsec_nanos()) | 1);
        eprintln!("seed {seed}");
        let mut random = seed;
        let leftovers = format!("cd {STACK} && find . -name '.pgstack-*'");
        for round in 0..5 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let millis = 50 + (random >> 33) % 4000;
            let script = format!(
                "timeout -s KILL {}.{:03} {STACK}/deploy >/dev/null 2>&1 || true",
                millis / 1000,
                millis % 1000
            );
            eprintln!("round {round}: killed after {millis} ms");
            let killed = machines.iter().map(|machine| machine.sh(&script));
            for ended in futures_util::future::join_all(killed).await {
                ended.expect("killed");
            }
        }
        serving(lab).await;
        for machine in &machines {
            assert_eq!(machine.sh(&leftovers).await.expect("looked"), "", "node {}", machine.id());
        }
    });
}

#[test]
fn a_wiped_etcd_member_is_replaced_and_never_comes_back_under_its_old_id() {
    with_machines(LAB, 3, async |lab| {
        serving(lab).await;
        let machine = &lab.machines().await.expect("machines")[1];
        let id = "sed 's/.*member_id\":\"//; s/\".*//' etcd/member.json";
        let before = machine.sh(&format!("cd {STACK} && {id}")).await.expect("an id");
        machine
            .sh(&format!("cd {STACK} && docker stop etcd && rm -rf data/etcd && docker start etcd"))
            .await
            .expect("wiped");
        for seconds in ["0.4", "1.2", "2.5"] {
            let killed = format!("timeout -s KILL {seconds} {STACK}/deploy >/dev/null 2>&1 || true");
            machine.sh(&killed).await.expect("killed");
        }
        // the second one has nothing left to do
        for _ in 0..2 {
            let output = machine.run(&[&format!("{STACK}/deploy")]).await.expect("run");
            assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
        }
        let after = machine.sh(&format!("cd {STACK} && {id}")).await.expect("an id");
        assert_ne!(after, before, "a new member id");
        let members = machine.sh("docker exec etcd etcdctl member list").await.expect("members");
        assert_eq!(members.matches("started").count(), 3, "{members}");
        assert!(members.lines().all(|line| line.trim_end().ends_with("false")), "no learner is left: {members}");
        serving(lab).await;
    });
}

#[test]
fn etcd_data_of_another_life_is_refused_and_kept() {
    with_machines(LAB, 3, async |lab| {
        serving(lab).await;
        let machine = &lab.machines().await.expect("machines")[2];
        // a cluster of one, made in its place
        let foreign = format!(
            "cd {STACK} && docker stop etcd && mv data/etcd data/etcd.mine && mkdir data/etcd && chown 999:999 data/etcd && \
             chmod 700 data/etcd && docker run -d --rm --name foreign -v {STACK}/data/etcd:/var/lib/etcd patroni-stack/etcd:3.5.16 \
             etcd --data-dir /var/lib/etcd --initial-cluster-token foreign && \
             until docker exec foreign etcdctl endpoint health; do sleep 0.1; done && docker stop foreign"
        );
        machine.sh(&foreign).await.expect("a foreign cluster's data");
        let output = machine.run(&[&format!("{STACK}/deploy")]).await.expect("run");
        assert_eq!(output.code, 1, "{}", output.stdout);
        assert!(output.stderr.contains("--wipe-etcd"), "{}", output.stderr);
        machine.sh(&format!("test -d {STACK}/data/etcd/member/wal")).await.expect("the data is still there");
        let output = machine.run(&[&format!("{STACK}/deploy"), "--wipe-etcd"]).await.expect("run");
        assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
        machine
            .sh(&format!("ls -d {STACK}/data/etcd.[0-9]*/member/wal"))
            .await
            .expect("the foreign data is kept aside");
        serving(lab).await;
    });
}
