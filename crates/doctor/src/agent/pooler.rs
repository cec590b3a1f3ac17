//! Pauses this machine's pooler for a few seconds, as a switchover orders it. The pause is a lease. A script inside the
//! pooler's own container begins and ends it, so it ends whoever dies: the caller, the network, the agent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use pgstack_cluster_view::PAUSE_NOTICE;
use pgstack_containers::{ContainersError, Conversation, Engine, Service};
use tokio::time::timeout;

/// Answers whether an order could be given.
pub(super) const PATH: &str = "/pooler";
/// Takes the order, `?seconds=S&wait=W`.
pub(super) const PAUSE: &str = "/pooler/pause";
/// No pause is longer; the script may need a part of a second on top, and all of it stays below ten.
pub(super) const LONGEST: u64 = 9;
/// Nor does `PAUSE` wait longer for transactions: a caller is hung up on after five seconds.
const LONGEST_WAIT: u64 = 3;
/// What an engine may take on top of that.
pub(super) const ENGINE: Duration = Duration::from_secs(1);
/// What it runs.
const SCRIPT: &str = include_str!("pause.sh");

/// How long a pause may last, and how long `PAUSE` may wait for transactions, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    seconds: u64,
    wait: u64,
}

impl Order {
    /// Reads `seconds=9&wait=3`; `None` for anything that is not within the limits.
    fn parse(query: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut values = query.split('&').filter_map(|pair| pair.split_once('='));
            values.find(|(key, _)| *key == name)?.1.parse::<u64>().ok()
        };
        let (seconds, wait) = (value("seconds")?, value("wait")?);
        let fits = (1..=LONGEST).contains(&seconds) && (1..=LONGEST_WAIT.min(seconds)).contains(&wait);
        fits.then_some(Self { seconds, wait })
    }
}

/// How long the pooler may be paused from now on, where the order is one.
pub(super) fn lease(query: &str) -> Option<Duration> {
    let order = Order::parse(query)?;
    Some(Duration::from_secs(order.seconds) + PAUSE_NOTICE + ENGINE)
}

/// Carries the order out: 200 once the pooler is paused, else why it is not.
pub(super) async fn pause(query: &str) -> (StatusCode, String) {
    let Some(order) = Order::parse(query) else {
        let limits = format!("seconds=1..{LONGEST}&wait=1..{LONGEST_WAIT}, and wait no longer than seconds");
        return (StatusCode::BAD_REQUEST, limits);
    };
    let limit = Duration::from_secs(order.wait) + PAUSE_NOTICE + ENGINE;
    match timeout(limit, run(order)).await {
        Ok(Ok(said)) => outcome(&said),
        Ok(Err(reason)) => (StatusCode::BAD_GATEWAY, reason),
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the Docker engine did not answer in time".to_owned()),
    }
}

async fn run(order: Order) -> Result<String, String> {
    let said = |error: ContainersError| {
        use std::error::Error as _;
        error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
    };
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + PAUSE_NOTICE;
    let mut script = start(order.seconds, order.wait, &at.as_micros().to_string()).await.map_err(said)?;
    Ok(script.hear().await.map_err(said)?.unwrap_or_default())
}

/// Starts the script; `at` is when it is to pause: microseconds since 1970, or `-` for when it is told.
pub(super) async fn start(seconds: u64, wait: u64, at: &str) -> Result<Conversation, ContainersError> {
    let arguments = [&seconds.to_string(), &wait.to_string(), at];
    Engine::connect().await?.converse(Service::Pgbouncer.name(), "pause", SCRIPT, &arguments).await
}

/// What the script's first line means.
fn outcome(said: &str) -> (StatusCode, String) {
    match said {
        "paused" => (StatusCode::OK, said.to_owned()),
        "busy" => (StatusCode::REQUEST_TIMEOUT, said.to_owned()),
        _ if said.contains("already suspended/paused") || said.contains("of somebody else") => {
            (StatusCode::CONFLICT, "paused by somebody else".to_owned())
        }
        "" => (StatusCode::BAD_GATEWAY, "the script in the pooler's container said nothing".to_owned()),
        other => (StatusCode::BAD_GATEWAY, other.chars().take(300).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_limits() {
        assert_eq!(Order::parse("seconds=9&wait=3"), Some(Order { seconds: 9, wait: 3 }));
        assert_eq!(Order::parse("wait=1&seconds=1"), Some(Order { seconds: 1, wait: 1 }));
        for bad in [
            "",
            "seconds=9",
            "seconds=10&wait=3",
            "seconds=0&wait=0",
            "seconds=2&wait=3",
            "seconds=9&wait=4",
            "seconds=-1&wait=1",
            "seconds=9;id&wait=1",
        ] {
            assert_eq!(Order::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_script_s_own_word_means_that_the_pooler_is_paused() {
        assert_eq!(outcome("paused").0, StatusCode::OK);
        assert_eq!(outcome("busy").0, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(outcome("ERROR:  already suspended/paused").0, StatusCode::CONFLICT);
        assert_eq!(outcome("a pause of somebody else is in effect").0, StatusCode::CONFLICT);
        for other in ["", "OCI runtime exec failed: exec: \"bash\": executable file not found in $PATH"] {
            assert_eq!(outcome(other).0, StatusCode::BAD_GATEWAY, "{other}");
        }
    }
}
