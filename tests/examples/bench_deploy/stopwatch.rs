//! Takes the two times of one start, as a client and a monitor would see them.

use std::time::{Duration, Instant};

use pgstack_lab::Lab;

/// How long a start may take before the benchmark gives up.
const LIMIT: Duration = Duration::from_secs(300);
/// How often is looked.
const STEP: Duration = Duration::from_millis(50);

/// Seconds since the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Until the first row was written through VIP:6432.
    pub(crate) first_row: f64,
    /// Until one member led and all others streamed.
    pub(crate) streaming: f64,
}

/// Runs `start` and watches from outside meanwhile.
pub(crate) async fn measure(lab: &Lab, start: impl Future<Output = ()>) -> Times {
    let pooled = lab.endpoint(6432).await.expect("an endpoint");
    let began = Instant::now();
    let first_row = async {
        let sql = "CREATE TABLE first_row AS SELECT now()";
        while pooled.query(sql, Duration::from_secs(1)).await.is_err() {
            assert!(began.elapsed() < LIMIT, "no row within {LIMIT:?}");
            tokio::time::sleep(STEP).await;
        }
        began.elapsed().as_secs_f64()
    };
    let streaming = async {
        // PostgreSQL's own word: Patroni's reaches the others only once in each loop_wait
        let sql =
            "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name LIKE 'patroni%'";
        loop {
            let streaming = pooled.query(sql, Duration::from_secs(1)).await;
            if streaming.is_ok_and(|count| count.as_deref() == Some("2")) {
                return began.elapsed().as_secs_f64();
            }
            assert!(began.elapsed() < LIMIT, "not all streaming within {LIMIT:?}");
            tokio::time::sleep(STEP).await;
        }
    };
    let ((), first_row, streaming) = tokio::join!(start, first_row, streaming);
    Times { first_row, streaming }
}

/// Least, median, most.
pub(crate) fn spread(times: &[Times], column: fn(&Times) -> f64) -> [f64; 3] {
    let mut sorted: Vec<f64> = times.iter().map(column).collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.as_slice() {
        [] => [f64::NAN; 3],
        all => [all[0], all[all.len() / 2], all[all.len() - 1]],
    }
}
