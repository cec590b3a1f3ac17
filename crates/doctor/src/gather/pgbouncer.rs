//! One PgBouncer, through its console.

use std::net::Ipv4Addr;

use pgstack_cluster_view::{Login, Row, Silence, Source, Sql};
use pgstack_health::{Pgbouncer, Pool};
use pgstack_topology::port;
use tokio::time::Instant;

/// Its own console, which is a database to it.
const CONSOLE: &str = "pgbouncer";

/// Stands for all databases: what `PAUSE` without a name does is shown by `SHOW STATE` only.
const ALL: &str = "*";

/// Asks the console of the PgBouncer at an address.
pub(super) async fn ask(address: Ipv4Addr, login: Login<'_>, deadline: Instant) -> Result<Pgbouncer, Silence> {
    let source = Source { address, port: port::POOLER, database: CONSOLE, options: None };
    let console = Sql::connect(source, login, deadline).await?;
    let version = console.rows("SHOW VERSION").await?;
    let state = console.rows("SHOW STATE").await?;
    let databases = console.rows("SHOW DATABASES").await?;
    let pools = console.rows("SHOW POOLS").await?;
    Ok(told(&version, &state, &databases, &pools))
}

fn told(version: &[Row], state: &[Row], databases: &[Row], pools: &[Row]) -> Pgbouncer {
    let version = version.first().and_then(Row::first).unwrap_or_default();
    let stopped = state
        .iter()
        .any(|row| matches!(row.get("key"), Some("paused" | "suspended")) && row.get("value") == Some("yes"));
    let with = |column: &str| {
        let of = databases.iter().filter(|row| row.get(column) == Some("1")).filter_map(|row| row.get("name"));
        of.filter(|name| *name != CONSOLE).map(str::to_owned).collect::<Vec<_>>()
    };
    let all = stopped.then(|| ALL.to_owned());
    Pgbouncer {
        version: version.strip_prefix("PgBouncer ").unwrap_or(version).to_owned(),
        paused: all.into_iter().chain(with("paused")).collect(),
        disabled: with("disabled"),
        pools: pools.iter().map(pool).filter(|pool| pool.database != CONSOLE).collect(),
    }
}

fn pool(row: &Row) -> Pool {
    let text = |column: &str| row.get(column).unwrap_or_default().to_owned();
    let number = |column: &str| row.get(column).and_then(|value| value.parse().ok()).unwrap_or(0_u32);
    Pool {
        database: text("database"),
        user: text("user"),
        clients_active: number("cl_active"),
        clients_waiting: number("cl_waiting"),
        max_wait_ms: u64::from(number("maxwait")) * 1000 + u64::from(number("maxwait_us")) / 1000,
        servers_active: number("sv_active"),
        // those that were used a moment ago are free as well
        servers_idle: number("sv_idle").saturating_add(number("sv_used")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(paused: &str) -> [Row; 3] {
        [
            Row::from([("key", "active"), ("value", if paused == "yes" { "no" } else { "yes" })]),
            Row::from([("key", "paused"), ("value", paused)]),
            Row::from([("key", "suspended"), ("value", "no")]),
        ]
    }

    fn database(name: &'static str, paused: &'static str, disabled: &'static str) -> Row {
        Row::from([("name", name), ("host", "10.213.0.11"), ("paused", paused), ("disabled", disabled)])
    }

    #[test]
    fn a_console_s_answers_are_read() {
        let pools = [
            Row::from([("database", "pgbouncer"), ("user", "pgbouncer"), ("cl_active", "1")]),
            Row::from([
                ("database", "postgres"),
                ("user", "app"),
                ("cl_active", "3"),
                ("cl_waiting", "2"),
                ("sv_active", "4"),
                ("sv_idle", "1"),
                ("sv_used", "5"),
                ("maxwait", "7"),
                ("maxwait_us", "250999"),
            ]),
        ];
        let databases = [database("pgbouncer", "0", "0"), database("postgres", "0", "0")];
        let pooler = told(&[Row::from([("version", "PgBouncer 1.24.1")])], &state("no"), &databases, &pools);
        assert_eq!(pooler.version, "1.24.1");
        assert!(pooler.paused.is_empty() && pooler.disabled.is_empty());
        let want = Pool {
            database: "postgres".to_owned(),
            user: "app".to_owned(),
            clients_active: 3,
            clients_waiting: 2,
            max_wait_ms: 7250,
            servers_active: 4,
            servers_idle: 6,
        };
        assert_eq!(pooler.pools, [want]);
    }

    #[test]
    fn a_pause_of_everything_stands_in_the_state_and_one_of_a_database_beside_it() {
        let databases = [database("pgbouncer", "0", "0"), database("other", "1", "0"), database("gone", "0", "1")];
        let pooler = told(&[], &state("yes"), &databases, &[]);
        assert_eq!(
            (pooler.paused, pooler.disabled),
            (vec!["*".to_owned(), "other".to_owned()], vec!["gone".to_owned()])
        );
        assert_eq!(told(&[], &state("no"), &databases, &[]).paused, ["other"]);
    }
}
