//! All settings of one node, checked: what `.env` means.

use std::collections::BTreeMap;

use pgstack_topology::{ImageRef, InterfaceName, LocalNode, Secret};
use sha2::Sha256;

use crate::dcs::DcsSettings;
use crate::key;
use crate::profile::Profile;

/// Everything that the generators and `deploy` need to know about this node and its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEnv {
    /// This machine, the other machines, the VIP.
    pub local: LocalNode,
    /// How the VIP moves.
    pub vrrp: Vrrp,
    /// `postgres`, the superuser.
    pub superuser_password: Secret,
    /// `replicator`, the role that replicas stream with.
    pub replication_password: Secret,
    /// `pgbouncer`, the least-privilege role with which the pooler looks passwords up.
    pub pooler_password: Secret,
    /// Guards the writing half of Patroni's REST API; user `patroni`.
    pub restapi_password: Secret,
    /// Guards HAProxy's statistics page; user `admin`.
    pub stats_password: Secret,
    /// What the agents of all nodes ask each other for, and the page where others than this machine may see it.
    pub agent_token: Secret,
    /// How soon silence counts as death.
    pub profile: Profile,
    /// What lives in the DCS, as far as `.env` names it.
    pub dcs: DcsSettings,
    /// One image per service.
    pub images: Images,
    /// `ETCD_INITIAL_CLUSTER_STATE`, a word to the manual procedure; `deploy` finds out itself.
    pub etcd_state: Option<EtcdState>,
    /// `ETCD_INITIAL_CLUSTER`, for the manual procedure: `etcd1=http://…:2380,…`.
    pub etcd_initial_cluster: Option<String>,
}

impl NodeEnv {
    /// Version and interval, without which two keepaliveds do not hear each other; `None` for version 2
    /// each second.
    pub fn vrrp_dialect(&self) -> Option<String> {
        let times = self.profile.vrrp();
        let version = times.version.number();
        let milliseconds = times.advert.as_millis();
        ((version, milliseconds) != (2, 1000)).then(|| format!("vrrp{version}/{milliseconds}"))
    }

    /// A fingerprint, 16 hexadecimal digits, of what must be the same on every node: addresses, VIP,
    /// passwords, VRRP's version and interval. Nodes compare it in public, so it is made slowly and out of all secrets at
    /// once: guessing one of them takes guessing all. The settings of the DCS are not part of it
    /// ([`DcsSettings::fingerprint`]): they endanger no VIP, and any one node may change them.
    pub fn agreement(&self) -> String {
        let topology = self.local.topology();
        let nodes: Vec<String> = topology.nodes().map(|node| node.ip().to_string()).collect();
        let mut public = format!("{} {} {}", topology.vip(), self.vrrp.router_id, nodes.join(" "));
        // where it is what it has always been, it adds nothing: an older deploy agrees
        if let Some(dialect) = self.vrrp_dialect() {
            public.push(' ');
            public.push_str(&dialect);
        }
        let secrets = [
            &self.superuser_password,
            &self.replication_password,
            &self.pooler_password,
            &self.restapi_password,
            &self.vrrp.password,
        ];
        Self::slow_hash::<8>(&secrets, &public)
    }

    /// Hexadecimal digits, two for each of N bytes, that take all of the secrets to compute, and long.
    pub(crate) fn slow_hash<const N: usize>(secrets: &[&Secret], salt: &str) -> String {
        let mut joint = Vec::new();
        for secret in secrets {
            joint.extend_from_slice(&(secret.expose().len() as u64).to_be_bytes());
            joint.extend_from_slice(secret.expose().as_bytes());
        }
        let digest = pbkdf2::pbkdf2_hmac_array::<Sha256, N>(&joint, salt.as_bytes(), 4096);
        joint.fill(0);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What must be the same on every node and is no secret, with its value, set or by default: by key. Of the
    /// DCS's settings those that `.env` names: the others are none of its business.
    pub fn shared(&self) -> BTreeMap<&'static str, String> {
        let topology = self.local.topology();
        let mut values = BTreeMap::from([
            (key::VIP, topology.vip().ip().to_string()),
            (key::VIP_PREFIX, topology.vip().prefix().to_string()),
            (key::KEEPALIVED_ROUTER_ID, self.vrrp.router_id.to_string()),
            (key::KEEPALIVED_PREEMPT, if self.vrrp.preempt { "yes" } else { "no" }.to_owned()),
            (key::ETCD_IMAGE, self.images.etcd.to_string()),
            (key::PATRONI_IMAGE, self.images.patroni.to_string()),
            (key::HAPROXY_IMAGE, self.images.haproxy.to_string()),
            (key::PGBOUNCER_IMAGE, self.images.pgbouncer.to_string()),
            (key::KEEPALIVED_IMAGE, self.images.keepalived.to_string()),
            (key::AGENT_IMAGE, self.images.agent.to_string()),
            (key::RTO_PROFILE, self.profile.as_str().to_owned()),
        ]);
        values.extend(key::NODE_IPS.into_iter().zip(topology.nodes().map(|node| node.ip().to_string())));
        let named = self.dcs.named().filter(|(setting, _)| setting.key != key::DURABILITY);
        values.extend(named.map(|(setting, value)| (setting.key, value.to_owned())));
        values.extend(self.dcs.durability().map(|mode| (key::DURABILITY, mode.as_str().to_owned())));
        values
    }
}

/// keepalived's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vrrp {
    /// The interface that gets the VIP.
    pub interface: InterfaceName,
    /// `virtual_router_id`, 1 to 255.
    pub router_id: u8,
    /// 1 to 8 bytes that keepalived can hold.
    pub password: Secret,
    /// `KEEPALIVED_PREEMPT=yes`: node 1 is MASTER and takes the VIP back when it returns.
    pub preempt: bool,
    /// `KEEPALIVED_STATE`: overrides what follows from the node number.
    pub state: Option<VrrpState>,
    /// `KEEPALIVED_PRIORITY`, 1 to 254: overrides what follows from the node number.
    pub priority: Option<u8>,
}

/// The state in which keepalived starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VrrpState {
    /// Takes the VIP at once.
    Master,
    /// Waits for the others first.
    Backup,
}

/// One image per service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// `ETCD_IMAGE`.
    pub etcd: ImageRef,
    /// `PATRONI_IMAGE`.
    pub patroni: ImageRef,
    /// `HAPROXY_IMAGE`.
    pub haproxy: ImageRef,
    /// `PGBOUNCER_IMAGE`.
    pub pgbouncer: ImageRef,
    /// `KEEPALIVED_IMAGE`.
    pub keepalived: ImageRef,
    /// `AGENT_IMAGE`.
    pub agent: ImageRef,
}

/// How an etcd member starts that has no data yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EtcdState {
    /// Forms a cluster together with all others of the static list.
    New,
    /// Joins a cluster that serves already.
    Existing,
}

impl EtcdState {
    /// As etcd spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Existing => "existing",
        }
    }
}
