//! pgbouncer.ini and userlist.txt, rendered from a node's settings.

mod budget;

use askama::Template;
use pgstack_config::escape::UserlistString;
use pgstack_config::{Access, ConfigSet, RenderError, RenderedFile};
use pgstack_env::recovery::query_wait;
use pgstack_env::{NodeEnv, Seconds};
use pgstack_topology::port;

pub use budget::Budget;

/// Where [`render`] puts the settings.
pub const PGBOUNCER_INI: &str = "pgbouncer/pgbouncer.ini";
/// Where [`render`] puts the two passwords that the pooler itself needs.
pub const USERLIST_TXT: &str = "pgbouncer/userlist.txt";

#[derive(Template)]
#[template(path = "pgbouncer.ini")]
struct PgbouncerIni {
    hosts: String,
    budget: Budget,
    profile: &'static str,
    login_retry: Seconds,
    connect: Seconds,
    query_wait: Seconds,
}

#[derive(Template)]
#[template(path = "userlist.txt")]
struct UserlistTxt<'a> {
    superuser_password: UserlistString<'a>,
    pooler_password: UserlistString<'a>,
}

/// The two files of one node.
pub fn render(env: &NodeEnv) -> Result<ConfigSet, RenderError> {
    let times = env.profile.pooler();
    let hosts = format!("{},{}", env.local.me().ip(), env.local.topology().vip().ip());
    let ini = PgbouncerIni {
        hosts,
        budget: Budget::of(env),
        profile: env.profile.as_str(),
        login_retry: Seconds(times.login_retry),
        connect: Seconds(times.connect),
        query_wait: Seconds(query_wait(env.profile, &env.dcs)),
    };
    let userlist = UserlistTxt {
        superuser_password: UserlistString(env.superuser_password.expose()),
        pooler_password: UserlistString(env.pooler_password.expose()),
    };
    Ok(ConfigSet::from_iter([
        RenderedFile::world(PGBOUNCER_INI, text(PGBOUNCER_INI, &ini)?),
        RenderedFile {
            path: USERLIST_TXT,
            access: Access::Service,
            contents: text(USERLIST_TXT, &userlist)?,
            secret_markers: &["\"postgres\"", "\"pgbouncer\""],
        },
    ]))
}

fn text(path: &'static str, template: &impl Template) -> Result<String, RenderError> {
    // askama strips a template's last line break
    template.render().map(|text| text + "\n").map_err(|source| RenderError { path, source: Box::new(source) })
}
