//! Asks the agent of a node.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use pgstack_health::{Fact, Local, NO_ANSWER, NO_TOKEN, REFUSED, TOKEN_REFUSED};
use pgstack_topology::{Secret, port};
use reqwest::StatusCode;

use super::serve::{PATH, TOOK};
use crate::local::clock_ms;

/// How long an agent may take; it takes less, even where its engine hangs.
const LIMIT: Duration = Duration::from_secs(2);
/// No machine has more to say.
const LONGEST: usize = 1 << 20;

/// What the agent at an address says, and how far its clock is ahead of ours in milliseconds.
pub(crate) async fn ask(address: Ipv4Addr, token: &Secret) -> (Fact<Local>, Fact<i64>) {
    ask_at(SocketAddr::from((address, port::AGENT)), token).await
}

pub(super) async fn ask_at(address: SocketAddr, token: &Secret) -> (Fact<Local>, Fact<i64>) {
    match tokio::time::timeout(LIMIT, facts(address, token)).await {
        Ok(Ok((local, offset))) => (Fact::Known(local), Fact::Known(offset)),
        Ok(Err(why)) => (Fact::unknown(&why), Fact::unknown(why)),
        Err(_) => (Fact::unknown(NO_ANSWER), Fact::unknown(NO_ANSWER)),
    }
}

async fn facts(address: SocketAddr, token: &Secret) -> Result<(Local, i64), String> {
    // asked directly, whatever proxy the environment names
    let client = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
    let asked = client.get(format!("http://{address}{PATH}")).bearer_auth(token.expose());
    let began = (clock_ms(), Instant::now());
    let mut response = asked.send().await.map_err(|error| reason(&error))?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Err(TOKEN_REFUSED.to_owned()),
        StatusCode::SERVICE_UNAVAILABLE => return Err(NO_TOKEN.to_owned()),
        other => return Err(format!("it answers {other}: something else than an agent, or one of another version")),
    }
    let took = began.1.elapsed();
    let timing = response.headers().get(TOOK).and_then(|value| value.to_str().ok());
    let making =
        timing.and_then(|value| value.split_once("dur=")?.1.parse().ok()).map_or(Duration::ZERO, Duration::from_millis);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST {
            return Err("its answer has no end".to_owned());
        }
    }
    let local: Local = serde_json::from_slice(&body).map_err(|_| "its answer cannot be understood".to_owned())?;
    let offset = offset(local.clock_ms, began.0, took, making);
    Ok((local, offset))
}

/// It read its clock last, when the answer was made. Of the rest of the time half is taken for the way back, so
/// the error is at most that half.
fn offset(theirs: u64, began: u64, took: Duration, making: Duration) -> i64 {
    let back = took.saturating_sub(making) / 2;
    let ours = i128::from(began) + i128::try_from(took.saturating_sub(back).as_millis()).unwrap_or_default();
    i64::try_from(i128::from(theirs) - ours).unwrap_or_default()
}

/// In a few words; the whole error would name the address once more.
fn reason(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                std::io::ErrorKind::ConnectionRefused => REFUSED.to_owned(),
                std::io::ErrorKind::TimedOut => NO_ANSWER.to_owned(),
                _ => io.to_string().to_lowercase(),
            };
        }
        source = inner.source();
    }
    if error.is_timeout() { NO_ANSWER.to_owned() } else { "it hung up".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_way_is_the_way_back_and_making_the_answer_is_no_way() {
        let ms = Duration::from_millis;
        assert_eq!(offset(1_000_500, 1_000_000, ms(1000), ms(0)), 0);
        assert_eq!(offset(1_000_990, 1_000_000, ms(1000), ms(980)), 0);
        assert_eq!(offset(1_007_000, 1_000_000, ms(20), ms(0)), 6990);
        assert_eq!(offset(990_000, 1_000_000, ms(0), ms(7)), -10_000);
    }
}
