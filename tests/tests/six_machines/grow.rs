//! Three nodes become four, five, six, then three again, and no client notices.

use std::time::Duration;

use pgstack_cluster_view::Observer;
use pgstack_lab::{Lab, Machine, STACK};
use pgstack_tests::cluster::{eventually, held_by, leader, until_it_works, vip_holder, with_machines};
use pgstack_tests::doctor::all_name;
use pgstack_tests::writer::Writer;

use crate::{LAB, cluster_of, containers, deploy, members, name_nodes, remove_node, settled, streaming};

#[test]
fn growing_to_six_and_shrinking_to_three_costs_no_transaction() {
    with_machines(LAB, 6, async |lab| {
        let machines = cluster_of(lab, 3).await;
        let writer = Writer::start(lab, "grown").await;
        for size in 4..=6 {
            grow(&machines, size).await;
            // an even number of voters bears no more losses than one less
            let codes: &[&str] = if size % 2 == 0 { &["022"] } else { &[] };
            all_name(&machines[..size], codes).await;
            eprintln!("grown to {size}: {}", writer.since(0));
        }
        let grown = writer.moment();
        assert_eq!(writer.since(0).troubles().count(), 0, "growing costs no transaction: {}", writer.since(0));
        for size in (3..=5).rev() {
            if size == 3 {
                refusals(lab, &machines).await;
            }
            shrink(lab, &machines, size).await;
            eprintln!("shrunk to {size}: {}", writer.since(grown));
        }
        let history = writer.stop().await;
        eprintln!("grown and shrunk: {history}");
        assert_eq!(history.troubles().count(), 0, "{history}");
        history.holds(lab).await;
        // not even minutes after they went
        let slots = "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots";
        let slots = until_it_works(lab, 5000, slots, Duration::from_secs(10)).await.unwrap_or_default();
        assert_eq!(slots.split(' ').count(), 2, "{slots}");
        assert!(!["4", "5", "6"].iter().any(|gone| slots.contains(gone)), "{slots}");
    });
}

/// Node `size` joins the others; the order of the deploys differs each time.
async fn grow(machines: &[Machine], size: usize) {
    let (old, new) = (&machines[..size - 1], &machines[size - 1..size]);
    let mut before = Vec::new();
    for machine in old {
        before.push(containers(machine).await);
    }
    name_nodes(&machines[..size], size).await;
    match size {
        // the new one first, which waits for the others to know of it
        4 => {
            let others = async {
                eventually("the new node is a member of etcd", Duration::from_secs(60), async || {
                    members(&old[0]).await.ok()?.contains(&format!("http://{}:2380", new[0].address())).then_some(())
                })
                .await;
                deploy(old).await;
            };
            tokio::join!(deploy(new), others);
        }
        5 => {
            deploy(old).await;
            deploy(new).await;
        }
        _ => deploy(&machines[..size]).await,
    }
    streaming(&machines[..size]).await;
    settled(&machines[0], size).await;
    for (machine, before) in old.iter().zip(before) {
        assert_eq!(containers(machine).await, before, "node {}: nothing was restarted", machine.id());
    }
}

/// Node `size + 1` leaves, by the book: `clean` on it, `remove-node` on another, `.env`, `deploy`.
async fn shrink(lab: &Lab, machines: &[Machine], size: usize) {
    let (rest, gone) = (&machines[..size], &machines[size]);
    let id = gone.id();
    assert_ne!(leader(lab).await.id(), id);
    assert_ne!(vip_holder(lab).await.id(), id);
    gone.sh(&format!("{STACK}/clean --yes-delete-all-data")).await.expect("cleaned");
    let (code, dry) = remove_node(&rest[1], &format!("{id} --dry-run")).await;
    assert!(code == 0 && dry.contains(&format!("(etcd{id})")), "{dry}");
    assert_eq!(members(&rest[0]).await.expect("members").lines().count(), size + 1, "--dry-run changes nothing");
    if size == 4 {
        // killed on its way, the next run finishes
        let killed = format!("timeout -s KILL 1.2 {STACK}/scripts/remove-node {id} --yes || true");
        rest[2].sh(&killed).await.expect("killed");
    }
    let (code, said) = remove_node(&rest[1], &format!("{id} --yes")).await;
    eprintln!("{said}");
    assert_eq!(code, 0, "{said}");
    let line = format!("delete the line NODE{id}_IP={} from .env", gone.address());
    assert!(said.contains(&line) && said.contains("./deploy"), "{said}");
    let (code, again) = remove_node(&rest[0], &format!("{id} --yes")).await;
    assert!(code == 0 && again.contains("nothing left to remove"), "{again}");
    forgotten(lab, rest, id).await;
    name_nodes(rest, size).await;
    deploy(rest).await;
    streaming(rest).await;
    settled(&rest[0], size).await;
    let (code, stranger) = remove_node(&rest[0], &format!("{id} --yes")).await;
    assert!(code == 1 && stranger.contains("is not in .env"), "{stranger}");
}

/// Neither PostgreSQL nor Patroni keeps anything for the node, and Patroni's settings are as before.
async fn forgotten(lab: &Lab, rest: &[Machine], id: u8) {
    let slot = format!("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'patroni{id}'");
    let count = until_it_works(lab, 5000, &slot, Duration::from_secs(10)).await;
    assert_eq!(count.as_deref(), Some("0"), "the slot is gone");
    let keys = rest[0].sh("docker exec etcd etcdctl get /service/pg-cluster/ --prefix").await.expect("keys");
    assert!(!keys.contains(&format!("members/patroni{id}")), "{keys}");
    assert!(!keys.contains("member_slots_ttl"), "{keys}");
    let status = rest[0].sh("docker exec etcd etcdctl get /service/pg-cluster/status").await.expect("a status");
    let retained = status.split("retain_slots").nth(1).unwrap_or_default();
    assert!(!retained.contains(&format!("patroni{id}")), "{status}");
}

/// With four nodes: who leads or holds the VIP stays, and so does who is alive.
async fn refusals(lab: &Lab, machines: &[Machine]) {
    let nodes = &machines[..4];
    let before = members(&nodes[0]).await.expect("members");
    let leader = leader(lab).await.id();
    let other = nodes.iter().find(|machine| machine.id() != leader).expect("another");
    // the same machine may lead and hold the VIP, which is said first
    let (code, said) = remove_node(other, &format!("{leader} --yes")).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("--switchover") || said.contains("stop keepalived"), "{said}");
    let holder = vip_holder(lab).await.id();
    let other = nodes.iter().find(|machine| machine.id() != holder).expect("another");
    let (code, said) = remove_node(other, &format!("{holder} --yes")).await;
    assert!(code == 1 && said.contains(&format!("node {holder} holds the VIP")), "{said}");
    let (code, said) = remove_node(&nodes[0], "4 --yes --timeout 3").await;
    assert!(code == 1 && said.contains("still alive") && said.contains("./clean"), "{said}");
    let (code, said) = remove_node(&nodes[3], "4 --yes").await;
    assert!(code == 1 && said.contains("node 4 is this machine"), "{said}");
    let (code, said) = remove_node(&nodes[0], "4").await;
    assert!(code == 1 && said.contains("--yes"), "{said}");
    assert_eq!(members(&nodes[0]).await.expect("members"), before, "nothing was changed");
    let view = Observer::new().patroni_view_at(nodes[0].address()).await.expect("a view");
    assert_eq!(view.members.len(), 4);
    assert_eq!(held_by(lab, &lab.vip().await.expect("a VIP").to_string()).await, [holder]);
}
