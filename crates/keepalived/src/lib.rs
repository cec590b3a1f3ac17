//! `keepalived.conf` and the script that decides whether a node may hold the VIP.

use askama::Template;
use pgstack_config::escape::KeepalivedWord;
use pgstack_config::{Access, ConfigSet, RenderError, RenderedFile};
use pgstack_env::{NodeEnv, Seconds, VrrpState, VrrpTimes, VrrpVersion};
use pgstack_topology::{InterfaceName, Node, NodeId, NodeIp, Vip, port};

/// Where the configuration lies below the stack directory.
pub const CONFIG_PATH: &str = "keepalived/keepalived.conf";

/// Where the check lies below the stack directory.
pub const CHECK_PATH: &str = "keepalived/check_haproxy.sh";

/// Where the check notes, inside the container, which file keepalived has read.
pub const SEEN_PATH: &str = "/run/check_haproxy.seen";

/// Where the check notes, inside the container, which address it has leased on which interface.
pub const LEASED_PATH: &str = "/run/vip.leased";

/// Where the check notes, inside the container, when it last ran: keepalived's start, and seconds since the machine's. In
/// memory, as a disk that takes no more writes would look like a machine that stood still.
pub const LAST_PATH: &str = "/dev/shm/check_haproxy.last";

#[derive(Template)]
#[template(path = "keepalived.conf")]
struct Config<'a> {
    me: Node,
    peers: &'a [Node],
    vip: Vip,
    interface: &'a InterfaceName,
    router_id: u8,
    priority: u8,
    state: &'static str,
    nopreempt: bool,
    auth_pass: KeepalivedWord<'a>,
    profile: &'static str,
    v3: bool,
    advert: Seconds,
    times: VrrpTimes,
    check: Seconds,
    timeout: Seconds,
}

#[derive(Template)]
#[template(path = "check_haproxy.sh")]
struct Check<'a> {
    me: Node,
    peers: &'a [Node],
    vip: NodeIp,
    interface: &'a InterfaceName,
    agreement: String,
    ask: Seconds,
    every: Seconds,
    timeout: Seconds,
    lease: u64,
}

/// keepalived's two files.
pub fn render(env: &NodeEnv) -> Result<ConfigSet, RenderError> {
    let (me, peers) = (env.local.me(), env.local.peers().collect::<Vec<_>>());
    let state = state(env);
    let auth_pass = KeepalivedWord::new(env.vrrp.password.expose())
        .map_err(|error| RenderError { path: CONFIG_PATH, source: Box::new(error) })?;
    let times = env.profile.vrrp();
    let config = Config {
        me,
        peers: &peers,
        vip: env.local.topology().vip(),
        interface: &env.vrrp.interface,
        router_id: env.vrrp.router_id,
        priority: env.vrrp.priority.unwrap_or_else(|| default_priority(me.id())),
        state: match state {
            VrrpState::Master => "MASTER",
            VrrpState::Backup => "BACKUP",
        },
        // keepalived accepts it beside BACKUP only
        nopreempt: !env.vrrp.preempt && state == VrrpState::Backup,
        auth_pass,
        profile: env.profile.as_str(),
        v3: times.version == VrrpVersion::V3,
        advert: Seconds(times.advert),
        times,
        check: Seconds(times.check),
        timeout: Seconds(times.timeout()),
    };
    let check = Check {
        me,
        peers: &peers,
        vip: env.local.topology().vip().ip(),
        interface: &env.vrrp.interface,
        agreement: env.agreement(),
        ask: Seconds(times.ask),
        every: Seconds(times.check),
        timeout: Seconds(times.timeout()),
        lease: times.lease.as_secs(),
    };
    Ok(ConfigSet::from_iter([
        RenderedFile {
            path: CONFIG_PATH,
            access: Access::Root,
            contents: text(CONFIG_PATH, &config)?,
            secret_markers: &["auth_pass"],
        },
        RenderedFile {
            path: CHECK_PATH,
            access: Access::Script,
            contents: text(CHECK_PATH, &check)?,
            secret_markers: &[],
        },
    ]))
}

/// 103 for node 1, 102 for node 2 … 98 for node 6.
pub fn default_priority(id: NodeId) -> u8 {
    104 - id.get()
}

fn state(env: &NodeEnv) -> VrrpState {
    let by_number =
        if env.vrrp.preempt && env.local.me().id().get() == 1 { VrrpState::Master } else { VrrpState::Backup };
    env.vrrp.state.unwrap_or(by_number)
}

fn text(path: &'static str, template: &impl Template) -> Result<String, RenderError> {
    // the template engine drops the line break at the end
    template.render().map(|text| text + "\n").map_err(|error| RenderError { path, source: Box::new(error) })
}
