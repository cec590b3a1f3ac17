//! `doctor --preflight`: silent on machines that are fit, and each trouble under its own code.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pgstack_lab::{Lab, Machine, STACK};
use pgstack_tests::cluster::{eventually, with_cluster, with_machines};

use crate::LAB;
use crate::orders::from_nothing;

/// What preflight found on a machine, by code, and its whole answer. It must come in time and fit its exit code.
async fn found(machine: &Machine) -> (BTreeSet<String>, String) {
    let began = Instant::now();
    let output = machine.run(&[&format!("{STACK}/doctor"), "--preflight", "--json"]).await.expect("run");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(6), "took {took:?}");
    let json: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let findings = json["findings"].as_array().expect("a list");
    let codes: BTreeSet<String> = findings.iter().filter_map(|f| f["code"].as_str()).map(str::to_owned).collect();
    let all = format!("{}{}", output.stdout, output.stderr);
    if output.stderr.is_empty() {
        assert_eq!(output.code, i64::from(!codes.is_empty()), "{all}");
    }
    (codes, all)
}

/// Every file and folder of the stack directory, with its times.
async fn footprint(machine: &Machine) -> String {
    machine.sh(&format!("cd {STACK}; find . -printf '%p %i %T@\\n' | sort")).await.expect("files")
}

/// Breaks something on one machine, looks from machine 1, and puts it right before anything is judged.
async fn finds(lab: &Lab, broken: u8, code: &str, words: &str, break_it: &str, undo: &str) {
    let machines = lab.machines().await.expect("machines");
    let there = &machines[usize::from(broken) - 1];
    there.sh(break_it).await.expect("broken");
    let (codes, all) = found(&machines[0]).await;
    there.sh(undo).await.expect("put right");
    assert_eq!(codes, BTreeSet::from([code.to_owned()]), "{break_it}: {all}");
    assert!(all.contains(words), "{words:?} is not in {all}");
}

#[test]
fn preflight_is_silent_on_fit_machines_and_leaves_nothing_behind() {
    with_machines(LAB, 3, async |lab| {
        from_nothing(lab).await;
        let machines = lab.machines().await.expect("machines");
        let mut before = Vec::new();
        for machine in &machines {
            before.push(footprint(machine).await);
        }
        // at once, as people do it: each one answers the others' packets
        for (codes, all) in futures_util::future::join_all(machines.iter().map(found)).await {
            assert_eq!(codes, BTreeSet::new(), "{all}");
            assert_eq!(all.matches("\"vrrp\": \"reaches\"").count(), 2, "{all}");
        }
        for (machine, before) in machines.iter().zip(before) {
            assert_eq!(footprint(machine).await, before, "node {}", machine.id());
        }
    });
}

#[test]
fn preflight_names_each_trouble_of_a_machine_and_no_other() {
    with_machines(LAB, 3, async |lab| {
        from_nothing(lab).await;
        let listen = "setsid perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalAddr => \"127.0.0.1:5432\", \
                      Listen => 1) or die; sleep 300' >/dev/null 2>&1 </dev/null & \
                      until ss -ltn | grep -q 127.0.0.1:5432; do sleep 0.1; done";
        finds(lab, 1, "PGS-102", "taken by perl", listen, "killall perl").await;
        let image = "$(docker images --format '{{.Repository}}:{{.Tag}}' | grep /etcd:)";
        let squat = format!("docker run -d --name squat -p 6432:80 --entrypoint sleep {image} 300");
        finds(lab, 1, "PGS-102", "taken by the container squat", &squat, "docker rm -f squat").await;
        let env = |change: &str| format!("cp -a {STACK}/.env /root/.env.kept && sed -i '{change}' {STACK}/.env");
        let kept = format!("cp -a /root/.env.kept {STACK}/.env && rm /root/.env.kept");
        let address = lab.machine(2).await.expect("machine 2").address();
        let other = env(&format!("s/^NODE_IP=.*/NODE_IP={address}/; s/^NODE_ID=.*/NODE_ID=2/"));
        finds(lab, 1, "PGS-103", "is not an address of this machine", &other, &kept).await;
        let other = env("s/^KEEPALIVED_INTERFACE=.*/KEEPALIVED_INTERFACE=ens9/");
        finds(lab, 1, "PGS-104", "ens9 does not exist", &other, &kept).await;
        let other = env("s/^KEEPALIVED_INTERFACE=.*/KEEPALIVED_INTERFACE=lo/");
        finds(lab, 1, "PGS-104", "is on eth0", &other, &kept).await;
        let other = format!("{} && echo ETCD_IMAGE=nowhere/etcd:0 >> {STACK}/.env", env(""));
        finds(lab, 1, "PGS-111", "nowhere/etcd:0", &other, &kept).await;
        let data = format!("{STACK}/data");
        let small = format!("mkdir -p {data} && mount -t tmpfs -o size=200m tmpfs {data}");
        let large = format!("umount {data} && rmdir --ignore-fail-on-non-empty {data}");
        finds(lab, 1, "PGS-108", "are free where data", &small, &large).await;
        let agent = format!("{STACK}/scripts/agent");
        finds(lab, 1, "PGS-113", "scripts/agent", &format!("mv {agent} /root/"), &format!("mv /root/agent {agent}"))
            .await;
    });
}

#[test]
fn preflight_tells_a_firewall_from_a_machine_that_is_off() {
    with_machines(LAB, 3, async |lab| {
        from_nothing(lab).await;
        let from = lab.machine(1).await.expect("machine 1").address();
        let drops = |what: &str| format!("iptables -t raw -I PREROUTING {what} -s {from} -j DROP");
        let lets = |what: &str| format!("iptables -t raw -D PREROUTING {what} -s {from} -j DROP");
        let port = "-p tcp --dport 2380";
        finds(lab, 2, "PGS-106", "its port 2380 cannot be reached", &drops(port), &lets(port)).await;
        let reject = "INPUT -p tcp --dport 2379 -j REJECT";
        let (rejects, lets_it) = (format!("iptables -I {reject}"), format!("iptables -D {reject}"));
        finds(lab, 2, "PGS-106", "refused by a firewall", &rejects, &lets_it).await;
        finds(lab, 3, "PGS-112", "VRRP does not reach node 3", &drops("-p 112"), &lets("-p 112")).await;
        let second = lab.machine(2).await.expect("machine 2");
        second.power_off().await.expect("switched off");
        let (codes, all) = found(&lab.machine(1).await.expect("machine 1")).await;
        second.power_on().await.expect("switched on");
        assert_eq!(codes, BTreeSet::from(["PGS-105".to_owned()]), "{all}");
    });
}

#[test]
fn preflight_sees_a_vip_that_is_in_use_and_an_engine_that_is_away() {
    with_machines(LAB, 3, async |lab| {
        from_nothing(lab).await;
        let machines = lab.machines().await.expect("machines");
        let vip = lab.vip().await.expect("a VIP");
        let (take, give) = (format!("ip addr add {vip}/32 dev eth0"), format!("ip addr del {vip}/32 dev eth0"));
        // who had it in an earlier test is none of this one's business
        machines[0].sh(&format!("ip neigh flush to {vip}")).await.expect("forgotten");
        finds(lab, 3, "PGS-114", "node 3", &take, &give).await;
        finds(lab, 1, "PGS-114", "this machine itself", &take, &give).await;
        finds(lab, 1, "PGS-100", "does not answer", "kill -STOP $(pgrep -x dockerd)", "kill -CONT $(pgrep -x dockerd)")
            .await;
        // without settings the rest is looked at all the same, and the reason is told
        machines[0].sh(&format!("mv {STACK}/.env /root/.env.kept")).await.expect("moved");
        let (codes, all) = found(&machines[0]).await;
        machines[0].sh(&format!("mv /root/.env.kept {STACK}/.env")).await.expect("moved back");
        assert_eq!(codes, BTreeSet::new(), "{all}");
        assert!(all.contains("there is no") && all.contains("needs a .env that is right"), "{all}");
    });
}

#[test]
fn preflight_takes_a_deployed_node_for_what_it_is() {
    with_cluster(LAB, 3, async |lab| {
        for machine in lab.machines().await.expect("machines") {
            // a keepalived that has just started holds no VIP yet
            eventually("preflight is silent", Duration::from_secs(30), async || {
                let (codes, all) = found(&machine).await;
                let whose = all.contains("is held by node");
                (codes.is_empty() && whose).then_some(())
            })
            .await;
        }
    });
}
