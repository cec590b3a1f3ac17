//! From the file's entries to a [`NodeEnv`]: every rule, all problems at once.

mod cluster;
mod dcs;
mod members;
mod password;
mod reader;

use pgstack_topology::{ImageRef, InterfaceName, LocalNode};

pub use members::MemberListError;
pub use password::PasswordError;

use crate::dotenv::{self, DotEnv};
use crate::problem::{EnvErrors, Problem, ProblemKind};
use crate::{EtcdState, Images, NodeEnv, Process, Vrrp, VrrpState, key};
use reader::Reader;

const DEFAULT_INTERFACE: &str = "eth0";
const DEFAULT_ROUTER_ID: &str = "51";
/// Node 1 has priority 103, node 2 has 102, and so on.
const PRIORITY_OF_NODE_0: u8 = 104;
const DEFAULT_IMAGES: [(&str, &str); 6] = [
    (key::ETCD_IMAGE, "patroni-stack/etcd:3.5.16"),
    (key::PATRONI_IMAGE, "patroni-stack/patroni:4.1.5"),
    (key::HAPROXY_IMAGE, "patroni-stack/haproxy:3.0"),
    (key::PGBOUNCER_IMAGE, "patroni-stack/pgbouncer:1.24"),
    (key::KEEPALIVED_IMAGE, "patroni-stack/keepalived:2.3"),
    (key::AGENT_IMAGE, "patroni-stack/agent:1"),
];

/// The settings of a node, and what its owner should know about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The settings.
    pub env: NodeEnv,
    /// What is allowed and probably not meant, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// Reads the text of a `.env`. `process` is asked for bare keys and `${…}`, and for keys that the
/// file does not have at all (with a warning); a value in the file wins over it.
pub fn load(text: &[u8], process: Process<'_>) -> Result<Loaded, EnvErrors> {
    let (file, problems) = dotenv::parse_what_can_be(text, process);
    from_file(&file, process, problems)
}

impl NodeEnv {
    /// The settings that a parsed file stands for; [`load`] does both steps.
    pub fn from_dotenv(file: &DotEnv, process: Process<'_>) -> Result<Loaded, EnvErrors> {
        from_file(file, process, Vec::new())
    }
}

fn from_file(file: &DotEnv, process: Process<'_>, problems: Vec<Problem>) -> Result<Loaded, EnvErrors> {
    let mut reader = Reader::new(file, process, problems);
    reader.look_at_names();

    let local = cluster::read(&mut reader);
    let passwords = password::read(&mut reader);
    let vrrp = read_vrrp(&mut reader, local.as_ref());
    let (profile, dcs) = dcs::read(&mut reader);
    let images = read_images(&mut reader);
    let etcd_state = reader.optional(key::ETCD_INITIAL_CLUSTER_STATE).and_then(|given| {
        reader.choose(&given, "new or existing", |text| match text {
            "new" => Some(EtcdState::New),
            "existing" => Some(EtcdState::Existing),
            _ => None,
        })
    });
    let etcd_initial_cluster = members::read(&mut reader, local.as_ref());

    let (problems, warnings) = reader.finish();
    match (problems.is_empty(), local, passwords, vrrp, images) {
        (true, Some(local), Some(passwords), Some(vrrp), Some(images)) => Ok(Loaded {
            env: NodeEnv {
                local,
                vrrp,
                superuser_password: passwords.superuser,
                replication_password: passwords.replication,
                pooler_password: passwords.pooler,
                restapi_password: passwords.restapi,
                stats_password: passwords.stats,
                agent_token: passwords.agent,
                profile,
                dcs,
                images,
                etcd_state,
                etcd_initial_cluster,
            },
            warnings,
        }),
        _ => Err(EnvErrors::new(problems)),
    }
}

fn read_vrrp(reader: &mut Reader<'_>, local: Option<&LocalNode>) -> Option<Vrrp> {
    let password = password::read_vrrp(reader);
    let interface = reader.optional_or(key::KEEPALIVED_INTERFACE, DEFAULT_INTERFACE);
    let interface =
        reader.parse(&interface, str::parse::<InterfaceName>, |error, got| ProblemKind::Name { error, got });
    let router_id = reader.optional_or(key::KEEPALIVED_ROUTER_ID, DEFAULT_ROUTER_ID);
    let router_id = reader.choose(&router_id, "1-255", |text| number(text).filter(|&id| id >= 1));
    let preempt = reader.optional_or(key::KEEPALIVED_PREEMPT, "no");
    let preempt = reader.choose(&preempt, "yes or no", |text| match text {
        "yes" | "true" | "1" => Some(true),
        "no" | "false" | "0" => Some(false),
        _ => None,
    });
    let state = reader.optional(key::KEEPALIVED_STATE).map(|given| {
        let state = reader.choose(&given, "MASTER or BACKUP", |text| match text {
            "master" => Some(VrrpState::Master),
            "backup" => Some(VrrpState::Backup),
            _ => None,
        });
        let first = local.is_none_or(|local| local.me().id().get() == 1);
        let why = match (preempt?, first) {
            (false, _) => "KEEPALIVED_PREEMPT is no, and keepalived ignores `nopreempt` on a MASTER",
            (true, false) => "with KEEPALIVED_PREEMPT=yes node 1 is the MASTER",
            (true, true) => return state,
        };
        if state == Some(VrrpState::Master) {
            reader.warn(&given, ProblemKind::Master { why });
        }
        state
    });
    let priority = reader.optional(key::KEEPALIVED_PRIORITY).map(|given| {
        let priority = reader.choose(&given, "1-254", |text| number(text).filter(|id| (1..=254).contains(id)))?;
        // The priorities of the others follow from their numbers: 103, 102, … 98.
        let same = local.and_then(|local| local.peers().find(|peer| PRIORITY_OF_NODE_0 - peer.id().get() == priority));
        if let Some(node) = same.map(|peer| peer.id().get()) {
            reader.warn(&given, ProblemKind::SamePriority { priority, node });
        }
        Some(priority)
    });
    Some(Vrrp {
        interface: interface?,
        router_id: router_id?,
        password: password?,
        preempt: preempt?,
        state: match state {
            Some(state) => Some(state?),
            None => None,
        },
        priority: match priority {
            Some(priority) => Some(priority?),
            None => None,
        },
    })
}

fn read_images(reader: &mut Reader<'_>) -> Option<Images> {
    let [etcd, patroni, haproxy, pgbouncer, keepalived, agent] = DEFAULT_IMAGES.map(|(key, default)| {
        let given = reader.optional_or(key, default);
        if is_of_the_shell_version(&given.text) {
            let got = reader.shown(&given.text);
            reader.warn(&given, ProblemKind::OldImage { got });
        }
        reader.parse(&given, str::parse::<ImageRef>, |error, got| ProblemKind::Name { error, got })
    });
    Some(Images {
        etcd: etcd?,
        patroni: patroni?,
        haproxy: haproxy?,
        pgbouncer: pgbouncer?,
        keepalived: keepalived?,
        agent: agent?,
    })
}

/// Images whose entrypoints add flags of their own behind the configuration's back, or that are gone.
fn is_of_the_shell_version(image: &str) -> bool {
    image == "patroni:v4.1.0" || ["osixia/keepalived", "bitnami/"].iter().any(|old| image.starts_with(old))
}

/// Decimal digits only: `u8::from_str` would also take a `+`.
fn number(text: &str) -> Option<u8> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}
