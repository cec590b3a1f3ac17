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
/// `fast`, `balanced` or `tolerant`: how soon silence counts as death; default balanced.
pub const RTO_PROFILE: &str = "RTO_PROFILE";
/// `async`, `sync` or `strict`: how many machines have a row before it is acknowledged.
pub const DURABILITY: &str = "DURABILITY";
/// Seconds after which a silent primary is replaced; in the DCS, like those that follow.
pub const PATRONI_TTL: &str = "PATRONI_TTL";
/// Seconds between two looks of Patroni.
pub const PATRONI_LOOP_WAIT: &str = "PATRONI_LOOP_WAIT";
/// Seconds for which Patroni tries etcd and PostgreSQL again.
pub const PATRONI_RETRY_TIMEOUT: &str = "PATRONI_RETRY_TIMEOUT";
/// Seconds that a primary's PostgreSQL may take to come back after a crash, before another node leads.
pub const PATRONI_PRIMARY_START_TIMEOUT: &str = "PATRONI_PRIMARY_START_TIMEOUT";
/// Bytes: a replica that is further behind is not elected.
pub const PATRONI_MAXIMUM_LAG_ON_FAILOVER: &str = "PATRONI_MAXIMUM_LAG_ON_FAILOVER";
/// PostgreSQL's connections, which the poolers share.
pub const POSTGRES_MAX_CONNECTIONS: &str = "POSTGRES_MAX_CONNECTIONS";
/// PostgreSQL's own cache.
pub const POSTGRES_SHARED_BUFFERS: &str = "POSTGRES_SHARED_BUFFERS";
/// What the planner takes the whole cache for.
pub const POSTGRES_EFFECTIVE_CACHE_SIZE: &str = "POSTGRES_EFFECTIVE_CACHE_SIZE";
/// Memory of one sort or hash.
pub const POSTGRES_WORK_MEM: &str = "POSTGRES_WORK_MEM";
/// Memory of one VACUUM or CREATE INDEX.
pub const POSTGRES_MAINTENANCE_WORK_MEM: &str = "POSTGRES_MAINTENANCE_WORK_MEM";
/// WAL between two checkpoints.
pub const POSTGRES_MAX_WAL_SIZE: &str = "POSTGRES_MAX_WAL_SIZE";
/// WAL that is kept for a replica that is away; -1: without end.
pub const POSTGRES_MAX_SLOT_WAL_KEEP_SIZE: &str = "POSTGRES_MAX_SLOT_WAL_KEEP_SIZE";
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
/// Image that the agent runs in.
pub const AGENT_IMAGE: &str = "AGENT_IMAGE";

/// What is known about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The name in the file.
    pub name: &'static str,
    /// Its value is never shown.
    pub secret: bool,
    /// It has to be the same on every node.
    pub same_on_all_nodes: bool,
}

const fn shared(name: &'static str) -> Key {
    Key { name, secret: false, same_on_all_nodes: true }
}

const fn own(name: &'static str) -> Key {
    Key { name, secret: false, same_on_all_nodes: false }
}

const fn secret(name: &'static str) -> Key {
    Key { name, secret: true, same_on_all_nodes: true }
}

/// Every key, in the order of `.env.example`.
pub const ALL: [Key; 44] = [
    own(NODE_ID),
    own(NODE_IP),
    own(KEEPALIVED_INTERFACE),
    own(ETCD_INITIAL_CLUSTER_STATE),
    own(ETCD_INITIAL_CLUSTER),
    own(KEEPALIVED_STATE),
    own(KEEPALIVED_PRIORITY),
    shared(NODE_IPS[0]),
    shared(NODE_IPS[1]),
    shared(NODE_IPS[2]),
    shared(NODE_IPS[3]),
    shared(NODE_IPS[4]),
    shared(NODE_IPS[5]),
    shared(VIP),
    shared(VIP_PREFIX),
    shared(KEEPALIVED_ROUTER_ID),
    shared(KEEPALIVED_PREEMPT),
    secret(POSTGRES_SUPERUSER_PASSWORD),
    secret(POSTGRES_REPLICATION_PASSWORD),
    secret(KEEPALIVED_AUTH_PASS),
    secret(POSTGRESQL_PASSWORD),
    secret(PGBOUNCER_AUTH_PASSWORD),
    secret(PATRONI_RESTAPI_PASSWORD),
    secret(HAPROXY_STATS_PASSWORD),
    shared(RTO_PROFILE),
    shared(DURABILITY),
    shared(PATRONI_TTL),
    shared(PATRONI_LOOP_WAIT),
    shared(PATRONI_RETRY_TIMEOUT),
    shared(PATRONI_PRIMARY_START_TIMEOUT),
    shared(PATRONI_MAXIMUM_LAG_ON_FAILOVER),
    shared(POSTGRES_MAX_CONNECTIONS),
    shared(POSTGRES_SHARED_BUFFERS),
    shared(POSTGRES_EFFECTIVE_CACHE_SIZE),
    shared(POSTGRES_WORK_MEM),
    shared(POSTGRES_MAINTENANCE_WORK_MEM),
    shared(POSTGRES_MAX_WAL_SIZE),
    shared(POSTGRES_MAX_SLOT_WAL_KEEP_SIZE),
    shared(ETCD_IMAGE),
    shared(PATRONI_IMAGE),
    shared(HAPROXY_IMAGE),
    shared(PGBOUNCER_IMAGE),
    shared(KEEPALIVED_IMAGE),
    shared(AGENT_IMAGE),
];

/// What is known about `name`, if it is one of ours.
pub fn find(name: &str) -> Option<Key> {
    ALL.into_iter().find(|key| key.name == name)
}

/// Whether a message may show the value of `name`: only where it is one of ours and no secret.
/// The value of an unknown key may be a secret whose name was misspelt.
pub fn may_be_shown(name: &str) -> bool {
    find(name).is_some_and(|key| !key.secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_keys_that_are_no_secret_may_be_shown() {
        assert!(may_be_shown(VIP));
        assert!(!may_be_shown(POSTGRES_SUPERUSER_PASSWORD));
        assert!(!may_be_shown("POSTGRES_SUPERUSER_PASWORD"));
        assert!(ALL.into_iter().all(|key| key.secret == key.name.contains("PASS")));
    }
}
