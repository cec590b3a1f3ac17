//! `etcd/etcd.yml`, and the key with which etcd signs its tokens.

use std::fmt::Write as _;

use pgstack_config::escape::YamlString;
use pgstack_config::{Access, ConfigSet, RenderError, RenderedFile};
use pgstack_env::NodeEnv;
use pgstack_topology::{LocalNode, port};

use crate::{Seat, Start};

/// Where the file lies, relative to the stack directory.
pub const PATH: &str = "etcd/etcd.yml";
/// Where the key lies with which etcd signs what it gives to those who have logged in. Only those who have it
/// could pass for one of them.
pub const TOKEN_KEY_PATH: &str = "etcd/token.key";

const HEADER: &str = "\
# Made by patroni-stack from `.env`: edit that file and run `deploy` or `bootstrap` again.
";

/// The configuration file of this machine's member, and its key.
///
/// It must be etcd's only source of settings: a flag or an ETCD_* variable beside it wins or is
/// ignored without a word, depending on which of the two it is.
pub fn render(env: &NodeEnv, start: &Start) -> Result<ConfigSet, RenderError> {
    let mut out = HEADER.to_owned();
    out += &runtime_settings(&env.local);
    out += "\n# Read only while the data directory is empty. A member that has its data lists itself alone, so\n\
            # that etcd stops instead of joining under its old id should the data ever be lost.\n";
    let state = start.state.as_str();
    // write! to a String cannot fail
    let _ = writeln!(out, "initial-cluster: {}", YamlString(&start.initial_cluster));
    let _ = writeln!(out, "initial-cluster-state: {}", YamlString(state));
    let _ = writeln!(out, "initial-cluster-token: \"patroni-stack\"");
    let key = RenderedFile {
        path: TOKEN_KEY_PATH,
        access: Access::Service,
        contents: format!("{}\n", env.etcd_token_key().expose()),
        secret_markers: &[""],
    };
    Ok(ConfigSet::from_iter([RenderedFile::world(PATH, out), key]))
}

/// Everything in the file that a running etcd obeys: all but `initial-cluster*`. Where this
/// differs from what etcd was started with, it has to be restarted.
pub fn runtime_settings(local: &LocalNode) -> String {
    let seat = Seat::from(local.me());
    format!(
        "\
name: {name}
data-dir: \"/var/lib/etcd\"

# The container listens everywhere; what it announces is the address of the node.
listen-client-urls: \"http://0.0.0.0:{client}\"
listen-peer-urls: \"http://0.0.0.0:{peer}\"
advertise-client-urls: {client_url}
initial-advertise-peer-urls: {peer_url}

# Milliseconds. Room for a slow disk or a busy network, far below Patroni's ttl of 30 s.
heartbeat-interval: 100
election-timeout: 1000
pre-vote: true
strict-reconfig-check: true

# Patroni rewrites a few keys for ever: without compaction their history fills the quota.
auto-compaction-mode: \"periodic\"
auto-compaction-retention: \"1h\"
quota-backend-bytes: 2147483648
snapshot-count: 100000

# Who may give orders: once all nodes run, `deploy` makes etcd ask (etcdctl logs in by itself). A token says who was
# logged in, signed with this key; other kinds of it would be lost in a restart. The passwords are random ones, which
# need no slow hash.
auth-token: \"jwt,sign-method=HS256,priv-key=/config/token.key,ttl=24h\"
bcrypt-cost: 4

logger: \"zap\"
log-level: \"info\"
log-outputs: [\"stderr\"]
enable-grpc-gateway: true
metrics: \"basic\"
",
        name = YamlString(&seat.name),
        client = port::ETCD_CLIENT,
        peer = port::ETCD_PEER,
        client_url = YamlString(&seat.client_url),
        peer_url = YamlString(&seat.peer_url),
    )
}
