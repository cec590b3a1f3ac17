//! How a node logs in to etcd: made of its passwords, the same on all nodes.

use pgstack_env::{EtcdLogin, NodeEnv};
use pgstack_testing::example_node;
use pgstack_topology::Secret;

#[test]
fn the_login_is_the_same_on_all_nodes_and_another_where_a_password_is() {
    let env = example_node(1, 3);
    let login = env.etcd_login();
    assert_eq!((login.user.len(), login.password.expose().len()), (22, 32));
    assert_eq!(login, example_node(3, 6).etcd_login(), "growth changes nothing");
    for change in [
        |env: &mut NodeEnv| env.superuser_password = Secret::new("another-1"),
        |env: &mut NodeEnv| env.replication_password = Secret::new("another-1"),
        |env: &mut NodeEnv| env.restapi_password = Secret::new("another-1"),
    ] {
        let mut other = env.clone();
        change(&mut other);
        let other_login = other.etcd_login();
        assert!(other_login.user != login.user && other_login.password != login.password);
        assert_ne!(other.etcd_token_key(), env.etcd_token_key());
    }
    assert!(!env.etcd_token_key().expose().contains(login.password.expose()));
}

#[test]
fn logins_survive_their_text_and_what_else_stands_there_is_skipped() {
    let logins = vec![
        example_node(1, 3).etcd_login(),
        EtcdLogin { user: "patroni-stack-0".to_owned(), password: Secret::new("a:b") },
    ];
    let text = EtcdLogin::to_text(&logins);
    assert_eq!(EtcdLogin::from_text(&text), logins);
    assert_eq!(EtcdLogin::from_text(&format!("\nroot:x\npatroni-stack-1\npatroni-stack-1:\n{text}")), logins);
}
