//! Waits until what `DURABILITY` promises is so.

use std::time::{Duration, Instant};

use pgstack_env::Durability;
use pgstack_etcd::client::{Store, Timeouts};
use serde_json::Value;

use crate::patroni_keys::SYNC;
use crate::site::Site;

/// The leader's Patroni takes a mode up in its next round, and is not done with it in an instant: until then
/// everything is acknowledged as before. Where no standby streams there is nothing to wait for.
pub(super) async fn in_force(site: &Site<'_>, limit: Duration) {
    let Some(mode) = site.env.dcs.durability().filter(|mode| *mode != Durability::Async) else { return };
    let nobody = "no standby streams yet";
    site.console.begin("durability");
    let began = Instant::now();
    loop {
        if let Some(standbys) = standbys(site).await {
            let standbys = standbys.join(" or ");
            site.console.end(&format!("{}: {standbys} has a row before it is acknowledged", mode.as_str()));
            return;
        }
        if began.elapsed() > limit || !site.pause().await {
            break;
        }
        site.console.progress("not in force yet");
    }
    let until_then =
        if mode == Durability::Strict { "nothing is acknowledged" } else { "the leader alone has each row" };
    site.console.end(&format!("{}: {nobody}, and until then {until_then}", mode.as_str()));
}

/// The members whose word the leader waits for; `None` where there is none.
async fn standbys(site: &Site<'_>) -> Option<Vec<String>> {
    let mut store = Store::open(&site.desired, Timeouts::default()).await.ok()?;
    named(&store.one(SYNC).await.ok()??.value)
}

/// PostgreSQL waits for them already when Patroni names them here.
fn named(sync: &str) -> Option<Vec<String>> {
    let sync: Value = serde_json::from_str(sync).ok()?;
    let names: Vec<String> = sync.get("sync_standby")?.as_str()?.split(',').map(str::to_owned).collect();
    names.iter().all(|name| !name.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standbys_are_those_that_patroni_names() {
        let both = r#"{"leader":"patroni1","sync_standby":"patroni2,patroni3","quorum":1}"#;
        assert_eq!(named(both), Some(vec!["patroni2".to_owned(), "patroni3".to_owned()]));
        for none in [
            r#"{"leader":"patroni1","sync_standby":null,"quorum":0}"#,
            r#"{"leader":"patroni1","sync_standby":"","quorum":0}"#,
            r#"{"leader":"patroni1"}"#,
            "",
        ] {
            assert_eq!(named(none), None, "{none}");
        }
    }
}
