//! The VIP and its owner.

use pgstack_tests::cluster::vip_holder;

use super::trouble;

#[test]
fn a_second_owner() {
    trouble(async |patients| {
        let vip = patients.lab.vip().await.expect("a VIP");
        let owner = vip_holder(patients.lab).await.id();
        let other = patients.machines.iter().find(|machine| machine.id() != owner).expect("another");
        patients.breaks(other, &format!("ip addr add {vip}/24 dev eth0"), &["070"]).await;
    });
}

#[test]
fn no_owner() {
    trouble(async |patients| {
        for machine in &patients.machines {
            machine.sh("docker stop keepalived").await.expect("stopped");
        }
        patients.show(&["010", "071"]).await;
        patients.mend().await;
    });
}

#[test]
fn an_owner_whose_haproxy_is_dead() {
    trouble(async |patients| {
        let owner = vip_holder(patients.lab).await;
        // a keepalived that hangs checks nothing, and its kernel keeps the address
        let freeze = "docker exec keepalived pkill -STOP keepalived; docker stop haproxy";
        owner.sh(freeze).await.expect("broken");
        patients.show(&["010", "070"]).await;
        owner.sh("docker exec keepalived pkill -CONT keepalived").await.expect("freed");
        patients.mend().await;
    });
}

#[test]
fn an_owner_whose_check_was_edited_and_whose_haproxy_is_dead() {
    trouble(async |patients| {
        let owner = vip_holder(patients.lab).await;
        let script = "echo 'exit 0' >keepalived/check_haproxy.sh; docker stop haproxy";
        patients.breaks(&owner, script, &["072", "080"]).await;
    });
}

#[test]
fn a_node_without_keepalived() {
    trouble(async |patients| patients.breaks(patients.replica(), "docker rm -f keepalived", &["074"]).await);
}
