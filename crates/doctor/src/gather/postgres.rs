//! One PostgreSQL, asked with SQL by its superuser.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::join_all;
use pgstack_cluster_view::{Login, Row, Silence, Source, Sql};
use pgstack_health::Postgres;
use pgstack_topology::port;
use serde::Deserialize;
use tokio::time::Instant;

use super::clock::{self, Stopwatch};

/// Nobody's functions but PostgreSQL's own, nobody's tables, and no statement that outlives its question.
const OPTIONS: &str = "-c search_path=pg_catalog -c statement_timeout=2s -c default_transaction_read_only=on";

/// Everything in one round trip, as JSON whose `facts` are [`Postgres`].
///
/// The timeline: a primary's is the one that it writes now; that of its last checkpoint is old after a promotion. A
/// replica's is the one that it gets WAL of, or where it gets none, the newest that its own data has reached.
const FACTS: &str = "
WITH here AS MATERIALIZED (
    SELECT pg_is_in_recovery() AS replica
), wal AS MATERIALIZED (
    SELECT replica,
           CASE WHEN replica THEN pg_last_wal_receive_lsn() END AS received,
           CASE WHEN replica THEN pg_last_wal_replay_lsn() END AS replayed,
           CASE WHEN replica THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                ELSE pg_current_wal_lsn() END AS reached
    FROM here
)
SELECT json_build_object(
    'clock_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    'replayed', replayed::text,
    'facts', json_build_object(
        'version', split_part(current_setting('server_version'), ' ', 1),
        'in_recovery', replica,
        'timeline', CASE
            WHEN replica THEN greatest(
                (SELECT received_tli FROM pg_stat_wal_receiver WHERE status = 'streaming'),
                (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
                (SELECT timeline_id FROM pg_control_checkpoint()))
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
        'system_id', (SELECT system_identifier::text FROM pg_control_system()),
        'data_checksums', current_setting('data_checksums') <> 'off',
        'connections', (SELECT count(*) FROM pg_stat_activity
                        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
        'max_connections', current_setting('max_connections')::int,
        'replay_lag_s', CASE WHEN received > replayed THEN
            greatest(0, extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())) END,
        'replay_paused', CASE WHEN replica THEN pg_is_wal_replay_paused() ELSE false END,
        'synchronous_standby_names', current_setting('synchronous_standby_names'),
        'standbys', (SELECT coalesce(json_agg(json_build_object(
                'name', coalesce(application_name, ''),
                'state', coalesce(state, ''),
                'sync_state', coalesce(sync_state, ''),
                'lag_bytes', greatest(0, coalesce(pg_wal_lsn_diff(reached, replay_lsn), 0))::bigint,
                'lag_s', extract(epoch FROM replay_lag)) ORDER BY application_name), '[]'::json)
            FROM pg_stat_replication),
        'slots', (SELECT coalesce(json_agg(json_build_object(
                'name', slot_name,
                'active', active,
                'holds_bytes', greatest(0, coalesce(pg_wal_lsn_diff(reached, restart_lsn), 0))::bigint,
                'wal_status', coalesce(wal_status, '')) ORDER BY slot_name), '[]'::json)
            FROM pg_replication_slots)))
FROM wal";

/// A replica that is further behind is looked at twice.
const DOUBTFUL_S: f64 = 1.0;
/// Between the two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// What [`FACTS`] answers.
#[derive(Debug, Deserialize)]
struct Told {
    clock_ms: i64,
    replayed: Option<String>,
    facts: Postgres,
}

/// Asks the PostgreSQL at an address as the superuser, and a primary also whether it lets the `others` in. Tells
/// how far its clock is ahead of ours, too, in milliseconds.
pub(super) async fn ask(
    address: Ipv4Addr,
    superuser: Login<'_>,
    others: &[Login<'_>],
    deadline: Instant,
) -> Result<(Postgres, i64), Silence> {
    let source = || Source { address, port: port::POSTGRES, database: "postgres", options: Some(OPTIONS) };
    let sql = Sql::connect(source(), superuser, deadline).await?;
    let stopwatch = Stopwatch::start();
    let rows = sql.rows(FACTS).await?;
    let way = stopwatch.stop();
    let Told { clock_ms, replayed, mut facts } =
        told(&rows).ok_or_else(|| Silence::words("its answer cannot be read"))?;
    if facts.replay_lag_s.is_some_and(|lag| lag > DOUBTFUL_S)
        && let Some(position) = replayed.filter(|position| is_position(position))
    {
        // After a quiet hour the first record that comes in seems to be an hour behind until it is replayed, and so
        // does a long transaction until it ends. Where the replay moves on, the leader knows how far behind it is.
        tokio::time::sleep(PAUSE).await;
        let moved = format!("SELECT pg_last_wal_replay_lsn() > '{position}'");
        if sql.rows(&moved).await?.first().and_then(Row::first) == Some("t") {
            facts.replay_lag_s = None;
        }
    }
    if !facts.in_recovery {
        let refused = others.iter().map(async |other| {
            let refused = matches!(Sql::connect(source(), *other, deadline).await, Err(Silence::Password));
            refused.then(|| other.role.to_owned())
        });
        facts.refused_roles = join_all(refused).await.into_iter().flatten().collect();
    }
    Ok((facts, clock::offset(clock_ms, way)))
}

fn told(rows: &[Row]) -> Option<Told> {
    serde_json::from_str(rows.first()?.first()?).ok()
}

/// Whether that is a position in the WAL, and nothing else: `0/4034648`.
fn is_position(text: &str) -> bool {
    let hex = |part: &str| !part.is_empty() && part.len() <= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split_once('/').is_some_and(|(high, low)| hex(high) && hex(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole() {
        let row = Row::from([(
            "json_build_object",
            r#"{"clock_ms" : 1795631829123, "replayed" : "0/4034648", "facts" : {"version" : "17.12", "in_recovery" : true,
                "timeline" : 3, "system_id" : "7712179950434283552", "data_checksums" : true, "connections" : 7,
                "max_connections" : 100, "replay_lag_s" : 1.250000, "replay_paused" : false,
                "synchronous_standby_names" : "", "standbys" : [{"name" : "patroni2", "state" : "streaming",
                "sync_state" : "async", "lag_bytes" : 0, "lag_s" : null}], "slots" : [{"name" : "patroni2",
                "active" : true, "holds_bytes" : 16777216, "wal_status" : "reserved"}]}}"#,
        )]);
        let told = told(&[row]).expect("an answer");
        assert_eq!((told.clock_ms, told.replayed.as_deref()), (1_795_631_829_123, Some("0/4034648")));
        assert_eq!((told.facts.version.as_str(), told.facts.timeline), ("17.12", 3));
        assert_eq!(told.facts.replay_lag_s, Some(1.25));
        assert_eq!(told.facts.standbys[0].lag_s, None);
        assert_eq!(told.facts.slots[0].holds_bytes, 16_777_216);
    }

    #[test]
    fn something_else_is_no_answer() {
        assert!(told(&[]).is_none());
        assert!(told(&[Row::from([("a", "b")])]).is_none());
    }

    #[test]
    fn only_a_position_gets_into_a_statement() {
        assert!(is_position("0/4034648") && is_position("FFFFFFFF/0"));
        for other in ["", "0", "/", "0/", "0/1'; DROP", "0/123456789", "0/1/2"] {
            assert!(!is_position(other), "{other}");
        }
    }
}
