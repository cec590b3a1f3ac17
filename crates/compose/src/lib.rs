//! `docker-compose.yaml`, rendered from a node's settings.
//!
//! Every value is literal and none is secret, so it does not matter from which folder or with which
//! environment Compose is started, and anybody may read the file.

use askama::Template;
use pgstack_config::escape::ComposeString;
use pgstack_config::{ConfigSet, RenderError, RenderedFile};
use pgstack_env::NodeEnv;
use pgstack_topology::{Node, port};

/// Where the file lies below the stack directory.
pub const COMPOSE_PATH: &str = "docker-compose.yaml";

/// The Compose project, whatever the folder is called.
pub const PROJECT: &str = "patroni-stack";

/// The profile that keepalived belongs to.
pub const VIP_PROFILE: &str = "with-vip";

/// The services, which are also the names of their containers.
pub const SERVICES: [&str; 6] = ["etcd", "patroni", "haproxy", "pgbouncer", "agent", "keepalived"];

#[derive(Template)]
#[template(path = "docker-compose.yaml")]
struct Compose<'a> {
    me: Node,
    postgres_address: ComposeString<'a>,
    rest_address: ComposeString<'a>,
    etcd_image: ComposeString<'a>,
    patroni_image: ComposeString<'a>,
    haproxy_image: ComposeString<'a>,
    pgbouncer_image: ComposeString<'a>,
    keepalived_image: ComposeString<'a>,
    agent_image: ComposeString<'a>,
}

/// Compose's only file.
pub fn render(env: &NodeEnv) -> Result<ConfigSet, RenderError> {
    let (me, images) = (env.local.me(), &env.images);
    let (postgres_address, rest_address) = (me.postgres_address(), me.patroni_rest_address());
    let compose = Compose {
        me,
        postgres_address: ComposeString(&postgres_address),
        rest_address: ComposeString(&rest_address),
        etcd_image: ComposeString(images.etcd.as_ref()),
        patroni_image: ComposeString(images.patroni.as_ref()),
        haproxy_image: ComposeString(images.haproxy.as_ref()),
        pgbouncer_image: ComposeString(images.pgbouncer.as_ref()),
        keepalived_image: ComposeString(images.keepalived.as_ref()),
        agent_image: ComposeString(images.agent.as_ref()),
    };
    let contents = compose.render().map_err(|error| RenderError { path: COMPOSE_PATH, source: Box::new(error) })?;
    // the template engine drops the line break at the end
    Ok(ConfigSet::from_iter([RenderedFile::world(COMPOSE_PATH, contents + "\n")]))
}
