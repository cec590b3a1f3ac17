//! What must be the same on every node, as one fingerprint.

use pgstack_testing::example_node;
use pgstack_topology::Secret;

#[test]
fn nodes_of_one_cluster_agree_and_any_other_password_or_address_shows() {
    let here = example_node(1, 3).agreement();
    assert_eq!(here, example_node(2, 3).agreement());
    assert_eq!(here.len(), 16);
    assert_ne!(here, example_node(1, 4).agreement(), "another list of nodes");
    let mut other = example_node(1, 3);
    other.vrrp.password = Secret::new("another1");
    assert_ne!(here, other.agreement(), "another VRRP password");
    let mut moved = example_node(1, 3);
    (moved.superuser_password, moved.replication_password) =
        (Secret::new("super-secret-1repl"), Secret::new("-secret-2"));
    assert_ne!(here, moved.agreement(), "the same letters in other places");
    let mut own = example_node(1, 3);
    own.stats_password = Secret::new("chosen-for-this-node");
    assert_eq!(here, own.agreement(), "what may differ, does not count");
}
