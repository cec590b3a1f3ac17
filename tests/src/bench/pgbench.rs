//! What pgbench prints and logs.

use super::percentile;

/// Between what pgbench prints and what it logged, in one text.
pub const MARK: &str = "=== log ===";

/// One run of pgbench.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Transactions per second, without the time to connect.
    pub tps: f64,
    /// The median time of a transaction, in milliseconds.
    pub p50: f64,
    /// Only one of a hundred took longer.
    pub p99: f64,
}

/// Reads both.
///
/// # Errors
/// When there is no figure, a line of the log is not understood, or transactions failed: then the rest
/// cannot be compared.
pub fn read(text: &str) -> Result<Sample, String> {
    let (printed, log) = text.split_once(MARK).ok_or("pgbench broke off")?;
    let tps = printed.lines().find_map(tps).ok_or("pgbench names no tps")?;
    if let Some(failed) = printed.lines().find_map(failed).filter(|failed| *failed > 0) {
        return Err(format!("{failed} transactions failed"));
    }
    let times = log.lines().filter(|line| !line.is_empty()).map(milliseconds).collect::<Result<Vec<f64>, String>>()?;
    match (percentile(&times, 0.5), percentile(&times, 0.99)) {
        (Some(p50), Some(p99)) => Ok(Sample { tps, p50, p99 }),
        _ => Err("pgbench logged no transaction".to_owned()),
    }
}

/// `tps = 8123.456789 (without initial connection time)`
fn tps(line: &str) -> Option<f64> {
    line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok()
}

/// `number of failed transactions: 0 (0.000%)`
fn failed(line: &str) -> Option<u64> {
    line.strip_prefix("number of failed transactions: ")?.split(' ').next()?.parse().ok()
}

/// `client transaction time script epoch microsecond`, the time in microseconds.
fn milliseconds(line: &str) -> Result<f64, String> {
    let time = line.split(' ').nth(2).and_then(|time| time.parse::<f64>().ok());
    time.map(|time| time / 1000.0).ok_or_else(|| format!("not a line of pgbench's log: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "pgbench (17.12)\ntransaction type: <builtin: select only>\nnumber of clients: 2\n\
        number of transactions actually processed: 4\nnumber of failed transactions: 0 (0.000%)\n\
        latency average = 0.5 ms\ninitial connection time = 12.1 ms\n\
        tps = 8123.456789 (without initial connection time)\n";

    fn text(printed: &str, log: &str) -> String {
        format!("{printed}{MARK}\n{log}")
    }

    #[test]
    fn a_run_is_read_as_pgbench_writes_it() {
        let log = "0 1 1500 0 1764108000 123456\n1 1 500 0 1764108000 123999\n0 2 900 0 1764108001 5\n1 2 20000 0 1764108001 9\n";
        let sample = read(&text(PRINTED, log)).expect("read");
        let rounded = [sample.tps, sample.p50, sample.p99].map(|figure| format!("{figure:.2}")).join(" ");
        assert_eq!(rounded, "8123.46 0.90 20.00");
    }

    #[test]
    fn whatever_is_missing_or_failed_is_an_error() {
        let log = "0 1 1500 0 1764108000 123456\n";
        assert!(read(PRINTED).is_err());
        assert!(read(&text("", log)).is_err());
        assert!(read(&text(PRINTED, "")).is_err());
        assert!(read(&text(PRINTED, "0 1 failed 0 1764108000 123456\n")).is_err());
        let failed = PRINTED.replace("failed transactions: 0 (0", "failed transactions: 3 (1");
        assert!(read(&text(&failed, log)).is_err_and(|error| error.starts_with("3 transactions")));
    }
}
