//! Six virtual machines: the largest cluster comes up and serves.

use pgstack_tests::cluster::with_cluster;

#[test]
fn six_machines_form_one_cluster() {
    with_cluster("six", 6, async |lab| {
        let first = &lab.machines().await.expect("machines")[0];
        let members = first.sh("docker exec etcd etcdctl member list").await.expect("members");
        assert_eq!(members.matches("started").count(), 6, "{members}");
        let list = first.sh("docker exec patroni patronictl -c /config/patroni.yml list").await.expect("list");
        assert_eq!(list.matches("streaming").count(), 5, "{list}");
        lab.down().await.expect("removed");
    });
}
