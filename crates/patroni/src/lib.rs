//! patroni.yml, patroni.env and the stack's own roles, rendered from a node's settings.
//!
//! `patroni.yml` is Patroni's configuration, `patroni.env` the three addresses that must never come
//! from inside a container, `pooler.sql` the role and the function with which PgBouncer finds out
//! who may log in, `roles.sql` the passwords of the superuser and of the replicas ([`roles`]).
//! [`dynamic`] compares what lives in the DCS with `.env`.

pub mod dynamic;
pub mod roles;

use askama::Template;
use pgstack_config::escape::{SqlLiteral, YamlString};
use pgstack_config::{Access, ConfigSet, RenderError, RenderedFile, scram};
use pgstack_env::NodeEnv;
use pgstack_env::dcs::DcsSettings;
use pgstack_topology::{Node, Secret, port};

/// Where [`render`] puts Patroni's configuration.
pub const PATRONI_YML: &str = "patroni/patroni.yml";
/// Where [`render`] puts the addresses.
pub const PATRONI_ENV: &str = "patroni/patroni.env";
/// Where [`render`] puts the pooler's role; inside the container it is [`roles::POOLER_FILE`].
pub const POOLER_SQL: &str = "patroni/pooler.sql";
/// Where [`render`] puts the passwords of the superuser and of the replicas.
pub const ROLES_SQL: &str = "patroni/roles.sql";

#[derive(Template)]
#[template(path = "patroni.yml")]
struct PatroniYml<'a> {
    me: Node,
    nodes: Vec<Node>,
    superuser_password: YamlString<'a>,
    replication_password: YamlString<'a>,
    restapi_password: YamlString<'a>,
    etcd_user: &'a str,
    etcd_password: YamlString<'a>,
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

#[derive(Template)]
#[template(path = "roles.sql")]
struct RolesSql<'a> {
    superuser: SqlLiteral<'a>,
    replication: SqlLiteral<'a>,
}

/// The four files of one node. The SQL is the same on all nodes of a cluster.
pub fn render(env: &NodeEnv) -> Result<ConfigSet, RenderError> {
    let me = env.local.me();
    let etcd_login = env.etcd_login();
    let nodes = env.local.topology().nodes().collect::<Vec<_>>();
    let etcd_hosts = nodes.iter().map(|node| node.etcd_endpoint()).collect::<Vec<_>>().join(",");
    let pooler = verifier(env, &env.pooler_password, "pgbouncer");
    let superuser = verifier(env, &env.superuser_password, "postgres");
    let replication = verifier(env, &env.replication_password, "replicator");
    let roles = RolesSql { superuser: SqlLiteral(&superuser), replication: SqlLiteral(&replication) };
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
                    etcd_user: &etcd_login.user,
                    etcd_password: YamlString(etcd_login.password.expose()),
                    dcs: &env.dcs,
                    pooler_sql: roles::POOLER_FILE,
                },
            )?,
            secret_markers: &["password:"],
        },
        RenderedFile::world(PATRONI_ENV, text(PATRONI_ENV, &PatroniEnv { me, etcd_hosts })?),
        RenderedFile {
            path: POOLER_SQL,
            access: Access::Service,
            contents: text(POOLER_SQL, &PoolerSql { verifier: SqlLiteral(&pooler) })?,
            secret_markers: &["verifier CONSTANT text :="],
        },
        RenderedFile {
            path: ROLES_SQL,
            access: Access::Service,
            contents: text(ROLES_SQL, &roles)?,
            secret_markers: &["verifier CONSTANT text :="],
        },
    ]))
}

/// What PostgreSQL is to store for a role. The salt follows from the cluster's addresses, so that all
/// nodes agree and a second run finds nothing to change.
fn verifier(env: &NodeEnv, password: &Secret, role: &str) -> String {
    let topology = env.local.topology();
    // Growth must not change the salt, or each new node would have the password set anew: so it is
    // the VIP and the first node, which every cluster has and keeps, that name the cluster.
    let first = topology.nodes().next().map(|node| node.ip().to_string()).unwrap_or_default();
    scram::verifier(password, &format!("pg-cluster {} {first} {role}", topology.vip().ip()))
}

fn text(path: &'static str, template: &impl Template) -> Result<String, RenderError> {
    // askama strips a template's last line break
    template.render().map(|text| text + "\n").map_err(|source| RenderError { path, source: Box::new(source) })
}
