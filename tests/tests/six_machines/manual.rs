//! The way of adding a node that runbooks know: step by step, by hand. And of taking it out while it lives.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use pgstack_lab::{Lab, Machine, STACK};
use pgstack_tests::cluster::{eventually, held_by, leader, vip_holder, with_machines};
use pgstack_tests::doctor::all_name;

use crate::{LAB, cluster_of, containers, deploy, members, name_nodes, remove_node, settled, streaming};

#[test]
fn a_node_is_added_by_hand_as_runbooks_say_and_leaves_while_remove_node_waits_for_it() {
    with_machines(LAB, 6, async |lab| {
        let machines = cluster_of(lab, 3).await;
        let (nodes, old, new) = (&machines[..4], &machines[..3], &machines[3]);
        name_nodes(nodes, 4).await;
        by_hand(lab, old, new).await;
        streaming(nodes).await;
        settled(new, 4).await;

        // deploy finds nothing wrong: it restarts nothing anywhere
        let mut before = Vec::new();
        for machine in nodes {
            before.push(containers(machine).await);
        }
        deploy(nodes).await;
        for (machine, before) in nodes.iter().zip(before) {
            assert_eq!(containers(machine).await, before, "node {}", machine.id());
        }
        streaming(nodes).await;
        leads(lab, nodes).await;
        leaves_while_waited_for(&old[1], new).await;
        name_nodes(old, 3).await;
        deploy(old).await;
        streaming(old).await;
        settled(&old[0], 3).await;
        announces_itself_still(old, new).await;
    });
}

/// A node that left, and whose keepalived somebody started again: `doctor` sees it on the others, who do not know it.
async fn announces_itself_still(rest: &[Machine], gone: &Machine) {
    name_nodes(std::slice::from_ref(gone), 4).await;
    let script = "./scripts/gen-keepalived; ./scripts/gen-compose; echo 'exit 0' >keepalived/check_haproxy.sh
                  docker compose --profile with-vip up -d --no-deps keepalived";
    gone.sh(&format!("cd {STACK}; {script}")).await.expect("started");
    all_name(rest, &["073"]).await;
    gone.sh(&format!("{STACK}/clean --yes-delete-all-data")).await.expect("cleaned");
    all_name(rest, &[]).await;
}

/// Every command as it is written down.
async fn by_hand(lab: &Lab, old: &[Machine], new: &Machine) {
    for machine in old {
        let told = format!("cd {STACK}; ./scripts/bootstrap.sh; docker compose exec -T haproxy kill -HUP 1");
        machine.sh(&told).await.expect("told");
    }
    let add = format!("docker exec etcd etcdctl member add etcd4 --peer-urls=http://{}:2380", new.address());
    // etcd takes no change within five seconds of the last
    eventually("etcd takes the member", Duration::from_secs(20), async || old[0].sh(&add).await.ok()).await;
    let line = old[1].sh(&format!("cd {STACK}; ./scripts/build-etcd-initial-cluster.sh 2>/dev/null")).await;
    let line = line.expect("a line");
    let line = line.lines().find(|line| line.starts_with("ETCD_INITIAL_CLUSTER=")).expect("the list");
    assert!(line.contains("etcd4=http://"), "{line}");
    let env = format!("cd {STACK}; printf '%s\\n' 'ETCD_INITIAL_CLUSTER_STATE=existing' '{line}' >> .env");
    new.sh(&env).await.expect("edited");
    new.sh(&format!("cd {STACK}; ./scripts/bootstrap.sh; docker compose up -d etcd")).await.expect("etcd started");
    eventually("etcd on the new node is healthy", Duration::from_secs(30), async || {
        new.sh("docker exec etcd etcdctl endpoint health").await.ok()
    })
    .await;
    new.sh(&format!(
        "cd {STACK}; docker compose up -d patroni; docker compose up -d haproxy pgbouncer; \
         docker compose --profile with-vip up -d keepalived"
    ))
    .await
    .expect("started");
    one_owner(lab, new).await;
    let list = new.sh("docker exec patroni patronictl -c /config/patroni.yml list").await;
    eprintln!("{}", list.unwrap_or_default());
}

/// Nobody has told keepalived on the old nodes of the new one, which takes the VIP when it hears nobody.
async fn one_owner(lab: &Lab, new: &Machine) {
    let vip = lab.vip().await.expect("a VIP").to_string();
    let check = "docker exec keepalived bash /config/check_haproxy.sh";
    eventually("the new node may hold the VIP", Duration::from_secs(90), async || new.sh(check).await.ok()).await;
    let began = Instant::now();
    // two good checks, three adverts and the skew are less than six seconds
    while began.elapsed() < Duration::from_secs(8) {
        let holders = held_by(lab, &vip).await;
        assert!(holders.len() <= 1 && !holders.contains(&4), "one owner, not the new node: {holders:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Node 4 takes the leadership, which keeps it from being removed, but not the VIP.
async fn leads(lab: &Lab, nodes: &[Machine]) {
    assert_ne!(vip_holder(lab).await.id(), 4);
    let old = leader(lab).await.id();
    let patronictl = "docker exec patroni patronictl -c /config/patroni.yml";
    let command = format!("{patronictl} switchover pg-cluster --leader patroni{old} --candidate patroni4 --force");
    nodes[0].sh(&command).await.expect("moved");
    streaming(nodes).await;
    assert_eq!(leader(lab).await.id(), 4);
    let (code, said) = remove_node(&nodes[1], "4 --yes").await;
    assert!(code == 1 && said.contains("node 4 leads PostgreSQL") && said.contains("--switchover"), "{said}");
    let (code, said) = remove_node(&nodes[1], "4 --switchover --dry-run").await;
    assert!(code == 0 && said.contains("move the leadership from node 4"), "{said}");
    assert_eq!(leader(lab).await.id(), 4, "--dry-run changes nothing");
}

/// The removal moves the leadership, tells to stop the node, and goes on by itself when it is stopped.
async fn leaves_while_waited_for(from: &Machine, gone: &Machine) {
    let said = Mutex::new(String::new());
    let removing = async {
        let mut hear = |line: &str| said.lock().expect("a lock").extend([line, "\n"]);
        let command = format!("{STACK}/scripts/remove-node");
        from.watch(&[&command, "4", "--yes", "--switchover"], &mut hear).await.expect("run")
    };
    let stopping = async {
        eventually("it says what to do", Duration::from_secs(60), async || {
            said.lock().expect("a lock").contains("run ./clean on it").then_some(())
        })
        .await;
        assert_eq!(members(from).await.expect("members").lines().count(), 4, "nothing was changed yet");
        gone.sh(&format!("{STACK}/clean --yes-delete-all-data")).await.expect("cleaned");
    };
    let (code, ()) = tokio::join!(removing, stopping);
    assert_eq!(code, 0, "{}", said.lock().expect("a lock"));
}
