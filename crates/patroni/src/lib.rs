//! patroni.yml, patroni.env and the pooler's role, rendered from a node's settings.
//!
//! `patroni.yml` is Patroni's configuration, `patroni.env` the three addresses that must never come
//! from inside a container, `pooler.sql` the role and the function with which PgBouncer finds out
//! who may log in ([`pooler`]).

pub mod dynamic;
pub mod pooler;

use askama::Template;
use pgstack_config::escape::{SqlLiteral, YamlString};
use pgstack_config::{Access, ConfigSet, RenderError, RenderedFile, scram};
use pgstack_env::NodeEnv;
use pgstack_env::dcs::DcsSettings;
use pgstack_topology::{Node, port};

/// Where [`render`] puts Patroni's configuration.
pub const PATRONI_YML: &str = "patroni/patroni.yml";
/// Where [`render`] puts the addresses.
pub const PATRONI_ENV: &str = "patroni/patroni.env";
/// Where [`render`] puts the pooler's role; inside the container it is [`pooler::SQL_FILE`].
pub const POOLER_SQL: &str = "patroni/pooler.sql";

#[derive(Template)]
#[template(path = "patroni.yml")]
struct PatroniYml<'a> {
    me: Node,
    nodes: Vec<Node>,
    superuser_password: YamlString<'a>,
    replication_password: YamlString<'a>,
    restapi_password: YamlString<'a>,
    dcs: &'a DcsSettings,
    pooler_sql: &'static str,
}

#[derive(Template)]
#[template(path = "patroni.env")]
struct PatroniEnv {
    me: Node,
    etcd_hosts: String,
}

#[derive(Template)]
#[template(path = "pooler.sql")]
struct PoolerSql<'a> {
    verifier: SqlLiteral<'a>,
}

/// The three files of one node. `pooler.sql` is the same on all nodes of a cluster.
pub fn render(env: &NodeEnv) -> Result<ConfigSet, RenderError> {
    let me = env.local.me();
    let nodes = env.local.topology().nodes().collect::<Vec<_>>();
    let etcd_hosts = nodes.iter().map(|node| node.etcd_endpoint()).collect::<Vec<_>>().join(",");
    let verifier = pooler_verifier(env);
    Ok(ConfigSet::from_iter([
        RenderedFile {
            path: PATRONI_YML,
            access: Access::Service,
            contents: text(
                PATRONI_YML,
                &PatroniYml {
                    me,
                    nodes,
                    superuser_password: YamlString(env.superuser_password.expose()),
                    replication_password: YamlString(env.replication_password.expose()),
                    restapi_password: YamlString(env.restapi_password.expose()),
                    dcs: &env.dcs,
                    pooler_sql: pooler::SQL_FILE,
                },
            )?,
            secret_markers: &["password:"],
        },
        RenderedFile::world(PATRONI_ENV, text(PATRONI_ENV, &PatroniEnv { me, etcd_hosts })?),
        RenderedFile {
            path: POOLER_SQL,
            access: Access::Service,
            contents: text(POOLER_SQL, &PoolerSql { verifier: SqlLiteral(&verifier) })?,
            secret_markers: &["verifier CONSTANT text :="],
        },
    ]))
}

/// What PostgreSQL is to store for the role `pgbouncer`. The salt follows from the cluster's
/// addresses, so that all nodes agree and a second run finds nothing to change.
fn pooler_verifier(env: &NodeEnv) -> String {
    let topology = env.local.topology();
    // Growth must not change the salt, or each new node would have the password set anew: so it is
    // the VIP and the first node, which every cluster has and keeps, that name the cluster.
    let first = topology.nodes().next().map(|node| node.ip().to_string()).unwrap_or_default();
    scram::verifier(&env.pooler_password, &format!("pg-cluster {} {first} pgbouncer", topology.vip().ip()))
}

fn text(path: &'static str, template: &impl Template) -> Result<String, RenderError> {
    // askama strips a template's last line break
    template.render().map(|text| text + "\n").map_err(|source| RenderError { path, source: Box::new(source) })
}
