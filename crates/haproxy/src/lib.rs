//! `haproxy.cfg`, rendered from a node's settings.
//!
//! Port 5000 leads to the primary, port 5001 to the replicas, and port 8404 says how this HAProxy
//! sees them.

use std::time::Duration;

use askama::Template;
use pgstack_config::escape::HaproxyWord;
use pgstack_config::{Access, ConfigSet, RenderError, RenderedFile};
use pgstack_env::{NodeEnv, ProxyTimes};
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
    profile: &'static str,
    times: ProxyTimes,
    inter: Milliseconds,
    fastinter: Milliseconds,
    downinter: Milliseconds,
    check: Milliseconds,
    connect: Milliseconds,
    retries: u8,
    stats_auth: HaproxyWord<'a>,
}

/// `500ms`, `2s`.
struct Milliseconds(Duration);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_millis() {
            whole if whole.is_multiple_of(1000) => write!(f, "{}s", whole / 1000),
            milliseconds => write!(f, "{milliseconds}ms"),
        }
    }
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
    let times = env.profile.proxy();
    let config = Config {
        me: env.local.me(),
        nodes: env.local.topology().nodes().collect(),
        agreement: env.agreement(),
        dcs: env.dcs.fingerprint(),
        port: PORTS,
        profile: env.profile.as_str(),
        times,
        inter: Milliseconds(times.inter),
        fastinter: Milliseconds(times.fastinter),
        downinter: Milliseconds(times.downinter),
        check: Milliseconds(times.check),
        connect: Milliseconds(times.connect),
        // a refused connection is tried again after a second, or after `timeout connect` where that is less
        retries: if times.connect < Duration::from_secs(1) { 4 } else { 2 },
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
