//! `haproxy.cfg`, rendered from a node's settings.
//!
//! Port 5000 leads to the primary, port 5001 to the replicas, and port 8404 says how this HAProxy
//! sees them.

use askama::Template;
use pgstack_config::escape::HaproxyWord;
use pgstack_config::{Access, ConfigSet, RenderError, RenderedFile};
use pgstack_env::NodeEnv;
use pgstack_topology::{Node, port};

/// Where the file lies below the stack directory.
pub const CONFIG_PATH: &str = "haproxy/haproxy.cfg";

/// The user of the statistics page.
pub const STATS_USER: &str = "admin";

#[derive(Template)]
#[template(path = "haproxy.cfg")]
struct Config<'a> {
    me: Node,
    nodes: Vec<Node>,
    agreement: String,
    dcs: Option<String>,
    port: Ports,
    stats_auth: HaproxyWord<'a>,
}

struct Ports {
    write: u16,
    read: u16,
    stats: u16,
    patroni_rest: u16,
}

const PORTS: Ports =
    Ports { write: port::WRITE, read: port::READ, stats: port::HAPROXY_STATS, patroni_rest: port::PATRONI_REST };

/// HAProxy's only file.
pub fn render(env: &NodeEnv) -> Result<ConfigSet, RenderError> {
    // HAProxy splits at the first colon, so the password may hold more of them.
    let stats_auth = format!("{STATS_USER}:{}", env.stats_password.expose());
    let config = Config {
        me: env.local.me(),
        nodes: env.local.topology().nodes().collect(),
        agreement: env.agreement(),
        dcs: env.dcs.fingerprint(),
        port: PORTS,
        stats_auth: HaproxyWord(&stats_auth),
    };
    let contents = config.render().map_err(|error| RenderError { path: CONFIG_PATH, source: Box::new(error) })?;
    Ok(ConfigSet::from_iter([RenderedFile {
        path: CONFIG_PATH,
        access: Access::Service,
        // the template engine drops the line break at the end, without which HAProxy refuses a file
        contents: contents + "\n",
        secret_markers: &["stats auth"],
    }]))
}
