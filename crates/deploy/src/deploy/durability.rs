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
        if let Some(key) = sync_key(site).await.filter(|key| key.keeps(mode)) {
            let standbys = key.standbys.join(" or ");
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

/// Whose word the leader waits for, as Patroni keeps it in etcd. PostgreSQL waits for them already when they are named there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyncKey {
    /// Members; at least one.
    pub(crate) standbys: Vec<String>,
    /// How many of them a node has to ask before it leads; 0 where each of them may.
    quorum: u64,
}

impl SyncKey {
    /// Whether it is what `mode` promises, and not yet what the one before it did.
    fn keeps(&self, mode: Durability) -> bool {
        mode != Durability::Strict || self.quorum == 0
    }
}

/// `None` where the leader waits for nobody.
pub(crate) async fn sync_key(site: &Site<'_>) -> Option<SyncKey> {
    let mut store = Store::open(&site.desired, Timeouts::default()).await.ok()?;
    parsed(&store.one(SYNC).await.ok()??.value)
}

fn parsed(sync: &str) -> Option<SyncKey> {
    let sync: Value = serde_json::from_str(sync).ok()?;
    let standbys: Vec<String> = sync.get("sync_standby")?.as_str()?.split(',').map(str::to_owned).collect();
    let quorum = sync.get("quorum").and_then(Value::as_u64).unwrap_or(0);
    standbys.iter().all(|name| !name.is_empty()).then_some(SyncKey { standbys, quorum })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standbys_are_those_that_patroni_names() {
        let both = r#"{"leader":"patroni1","sync_standby":"patroni2,patroni3","quorum":1}"#;
        let both = parsed(both).expect("standbys");
        assert_eq!(both.standbys, ["patroni2", "patroni3"]);
        for none in [
            r#"{"leader":"patroni1","sync_standby":null,"quorum":0}"#,
            r#"{"leader":"patroni1","sync_standby":"","quorum":0}"#,
            r#"{"leader":"patroni1"}"#,
            "",
        ] {
            assert_eq!(parsed(none), None, "{none}");
        }
    }

    #[test]
    fn strict_is_not_in_force_while_the_leader_takes_the_word_of_any_of_a_quorum() {
        let key = |quorum: u64, names: &str| {
            parsed(&format!(r#"{{"leader":"patroni1","sync_standby":"{names}","quorum":{quorum}}}"#)).expect("standbys")
        };
        assert!(key(1, "patroni2,patroni3").keeps(Durability::Sync));
        assert!(!key(1, "patroni2,patroni3").keeps(Durability::Strict));
        assert!(key(0, "patroni3").keeps(Durability::Strict));
    }
}
