//! Strategies, fixtures and goldens for the tests of every crate (never a normal dependency).

pub mod golden;
pub mod strategy;

use std::path::PathBuf;

use pgstack_env::dcs::DcsSettings;
use pgstack_env::{Images, NodeEnv, Profile, Vrrp};
use pgstack_topology::{NodeId, NodeIp, Secret, Topology, Vip};

/// `path` below the repository's top folder.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Node `id` of a cluster of `size` nodes with the example addresses (192.168.0.152 …,
/// VIP .161) and plain passwords.
///
/// # Panics
/// When there is no such node.
#[expect(clippy::expect_used, reason = "a fixture")]
pub fn example_node(id: u8, size: u8) -> NodeEnv {
    let ip = |last: u8| NodeIp::new([192, 168, 0, last].into()).expect("an address");
    let vip = Vip::new(ip(161), 24).expect("a prefix");
    let topology = Topology::new((0..size).map(|n| ip(152 + n)), vip).expect("a topology");
    NodeEnv {
        local: topology.local(NodeId::new(id).expect("a number")).expect("a node"),
        vrrp: Vrrp {
            interface: "eth0".parse().expect("a name"),
            router_id: 51,
            password: Secret::new("Vrrp1234"),
            preempt: false,
            state: None,
            priority: None,
        },
        superuser_password: Secret::new("super-secret-1"),
        replication_password: Secret::new("repl-secret-2"),
        pooler_password: Secret::new("pooler-secret-3"),
        restapi_password: Secret::new("rest-secret-4"),
        stats_password: Secret::new("stats-secret-5"),
        agent_token: Secret::new("agent-secret-6"),
        profile: Profile::Balanced,
        dcs: DcsSettings::default(),
        images: Images {
            etcd: "patroni-stack/etcd:3.5.16".parse().expect("an image"),
            patroni: "patroni-stack/patroni:4.1.5".parse().expect("an image"),
            haproxy: "patroni-stack/haproxy:3.0".parse().expect("an image"),
            pgbouncer: "patroni-stack/pgbouncer:1.24".parse().expect("an image"),
            keepalived: "patroni-stack/keepalived:2.3".parse().expect("an image"),
            agent: "patroni-stack/agent:1".parse().expect("an image"),
        },
        etcd_state: None,
        etcd_initial_cluster: None,
    }
}
