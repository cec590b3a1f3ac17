//! The environment keys, each once.

/// This node's number, 1 to 6.
pub const NODE_ID: &str = "NODE_ID";
/// This node's address; equals `NODE<ID>_IP`.
pub const NODE_IP: &str = "NODE_IP";
/// The addresses of all nodes in order; 4 to 6 are optional.
pub const NODE_IPS: [&str; 6] = ["NODE1_IP", "NODE2_IP", "NODE3_IP", "NODE4_IP", "NODE5_IP", "NODE6_IP"];
/// The virtual IP.
pub const VIP: &str = "VIP";
/// Prefix length of the VIP's network, default 24.
pub const VIP_PREFIX: &str = "VIP_PREFIX";
/// The interface that gets the VIP, default eth0.
pub const KEEPALIVED_INTERFACE: &str = "KEEPALIVED_INTERFACE";
/// VRRP virtual router id, 1 to 255, default 51.
pub const KEEPALIVED_ROUTER_ID: &str = "KEEPALIVED_ROUTER_ID";
/// VRRP password, 1 to 8 bytes.
pub const KEEPALIVED_AUTH_PASS: &str = "KEEPALIVED_AUTH_PASS";
/// `MASTER` or `BACKUP`, instead of what follows from the node number.
pub const KEEPALIVED_STATE: &str = "KEEPALIVED_STATE";
/// 1 to 254, instead of what follows from the node number.
pub const KEEPALIVED_PRIORITY: &str = "KEEPALIVED_PRIORITY";
/// `yes`: node 1 starts as MASTER and takes the VIP back when it returns; default no.
pub const KEEPALIVED_PREEMPT: &str = "KEEPALIVED_PREEMPT";
/// Password of `postgres`.
pub const POSTGRES_SUPERUSER_PASSWORD: &str = "POSTGRES_SUPERUSER_PASSWORD";
/// Password of `replicator`.
pub const POSTGRES_REPLICATION_PASSWORD: &str = "POSTGRES_REPLICATION_PASSWORD";
/// Password of the pooler's own role; default: the superuser's.
pub const POSTGRESQL_PASSWORD: &str = "POSTGRESQL_PASSWORD";
/// Older name of [`POSTGRESQL_PASSWORD`].
pub const PGBOUNCER_AUTH_PASSWORD: &str = "PGBOUNCER_AUTH_PASSWORD";
/// Password of Patroni's REST API; default: derived from the superuser's.
pub const PATRONI_RESTAPI_PASSWORD: &str = "PATRONI_RESTAPI_PASSWORD";
/// Password of HAProxy's statistics page; default: derived from the superuser's.
pub const HAPROXY_STATS_PASSWORD: &str = "HAPROXY_STATS_PASSWORD";
/// `new` or `existing`, for the manual procedure.
pub const ETCD_INITIAL_CLUSTER_STATE: &str = "ETCD_INITIAL_CLUSTER_STATE";
/// `etcd1=http://…:2380,…`, for the manual procedure.
pub const ETCD_INITIAL_CLUSTER: &str = "ETCD_INITIAL_CLUSTER";
/// Image of etcd.
pub const ETCD_IMAGE: &str = "ETCD_IMAGE";
/// Image of Patroni with PostgreSQL.
pub const PATRONI_IMAGE: &str = "PATRONI_IMAGE";
/// Image of HAProxy.
pub const HAPROXY_IMAGE: &str = "HAPROXY_IMAGE";
/// Image of PgBouncer.
pub const PGBOUNCER_IMAGE: &str = "PGBOUNCER_IMAGE";
/// Image of keepalived.
pub const KEEPALIVED_IMAGE: &str = "KEEPALIVED_IMAGE";
