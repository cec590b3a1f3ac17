//! What Patroni keeps in etcd.

use std::collections::BTreeMap;

use pgstack_health::{Dcs, DcsMember};
use serde::Deserialize;
use serde_json::Value;

use super::mask;

/// Everything of the cluster lies below this: `namespace` and `scope` of patroni.yml.
pub(super) const PREFIX: &str = "/service/pg-cluster/";

/// So many entries of the history are shown.
const HISTORY: usize = 10;

/// The value of a member key.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Member {
    conn_url: Option<String>,
    api_url: Option<String>,
    role: Option<String>,
    state: Option<String>,
    tags: BTreeMap<String, Value>,
    xlog_location: Option<u64>,
}

/// The value of the key `status`, as far as it matters.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    optime: Option<u64>,
}

/// The value of the key `sync`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Sync {
    leader: Option<String>,
    sync_standby: Option<String>,
}

/// What the keys say, and what follows from them.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) dcs: Dcs,
    /// How many bytes each member is behind the leader, as Patroni itself counts it for `GET /cluster`. It is not asked
    /// for that: it would ask etcd again, for up to ten seconds where there is no quorum.
    pub(super) lags: BTreeMap<String, u64>,
}

/// Reads the keys below [`PREFIX`]. What cannot be understood is taken for missing.
pub(super) fn parse<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Told {
    let (mut optime, mut positions) = (None, BTreeMap::new());
    let mut dcs = Dcs::default();
    for (key, value) in entries {
        let Some(key) = key.strip_prefix(PREFIX) else { continue };
        let text = || Some(value.trim().to_owned()).filter(|text| !text.is_empty());
        match key {
            "leader" => dcs.leader = text(),
            "initialize" => dcs.initialize = text(),
            "sync" => {
                let sync: Sync = serde_json::from_str(value).unwrap_or_default();
                dcs.sync_leader = sync.leader.filter(|name| !name.is_empty());
                dcs.sync_standbys = names(sync.sync_standby.as_deref().unwrap_or_default());
            }
            "failover" => dcs.failover_pending = is_pending(value),
            "history" => (dcs.timelines, dcs.history) = history(value),
            "config" => dcs.config = mask::json(serde_json::from_str(value).unwrap_or_default()),
            "failsafe" => {
                let members: BTreeMap<String, Value> = serde_json::from_str(value).unwrap_or_default();
                dcs.failsafe = members.into_keys().collect();
            }
            "status" => optime = serde_json::from_str::<Status>(value).unwrap_or_default().optime,
            key => {
                let Some(name) = key.strip_prefix("members/") else { continue };
                let (member, position) = member(name, value);
                positions.extend(position.map(|position| (member.name.clone(), position)));
                dcs.members.push(member);
            }
        }
    }
    positions.retain(|name, position| *position > 0 && dcs.leader.as_ref() != Some(name));
    let lag = |position: u64| Some(optime?.saturating_sub(position));
    let lags = positions.into_iter().filter_map(|(name, position)| Some((name, lag(position)?))).collect();
    Told { dcs, lags }
}

/// Whether a change of the leader is under way; one that is planned for later is not.
fn is_pending(failover: &str) -> bool {
    let scheduled = serde_json::from_str::<Value>(failover).ok().and_then(|value| value.get("scheduled_at").cloned());
    !matches!(failover.trim(), "" | "{}" | "null") && scheduled.is_none_or(|at| at.is_null())
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// A member, and how far its WAL goes.
fn member(name: &str, value: &str) -> (DcsMember, Option<u64>) {
    let member: Member = serde_json::from_str(value).unwrap_or_default();
    let position = member.xlog_location;
    let member = DcsMember {
        name: name.to_owned(),
        conn_url: mask::text(&member.conn_url.unwrap_or_default()),
        api_url: mask::text(&member.api_url.unwrap_or_default()),
        role: member.role.unwrap_or_default(),
        state: member.state.unwrap_or_default(),
        tags: tags(member.tags),
    };
    (member, position)
}

/// Tags that are set: what is `false` is as if it were not there.
pub(super) fn tags(tags: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let set = tags.into_iter().filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)));
    set.map(|(name, value)| (name, mask::text(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))))
        .collect()
}

/// How many timelines have ended, and who began the last ones, and when: `[[1, 83886080, "no recovery target
/// specified", "2026-01-31T04:05:06+00:00", "patroni2"], …]` says that timeline 2 is patroni2's.
fn history(value: &str) -> (u32, Vec<String>) {
    let entries: Vec<Vec<Value>> = serde_json::from_str(value).unwrap_or_default();
    let told = |entry: &Vec<Value>| {
        let begun = entry.first()?.as_u64()?.saturating_add(1);
        let text = |at: usize| entry.get(at).and_then(Value::as_str).filter(|text| !text.is_empty());
        let when = text(3).map(|when| format!(" at {when}")).unwrap_or_default();
        Some(format!("{begun}: {}{when}", text(4).unwrap_or("?")))
    };
    let skipped = entries.len().saturating_sub(HISTORY);
    let last = entries.iter().skip(skipped).filter_map(told).collect();
    (u32::try_from(entries.len()).unwrap_or(u32::MAX), last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(entries: &[(&str, &str)]) -> Dcs {
        told(entries).dcs
    }

    fn told(entries: &[(&str, &str)]) -> Told {
        let full: Vec<(String, &str)> = entries.iter().map(|(key, value)| (format!("{PREFIX}{key}"), *value)).collect();
        parse(full.iter().map(|(key, value)| (key.as_str(), *value)))
    }

    #[test]
    fn the_keys_of_a_real_cluster_are_read() {
        let dcs = parsed(&[
            ("config", r#"{"ttl":30,"failsafe_mode":true,"postgresql":{"parameters":{"work_mem":"4MB"}}}"#),
            (
                "failsafe",
                r#"{"patroni3":"http://10.213.0.13:8008/patroni","patroni1":"http://10.213.0.11:8008/patroni"}"#,
            ),
            (
                "history",
                r#"[[1,83886240,"no recovery target specified","2026-11-25T18:40:01.5+00:00","patroni2"],[2,83890000,"x"]]"#,
            ),
            ("initialize", "7712179950434283552"),
            ("leader", "patroni3"),
            (
                "members/patroni1",
                r#"{"conn_url":"postgres://10.213.0.11:5432/postgres","api_url":"http://10.213.0.11:8008/patroni",
                    "state":"running","role":"replica","version":"4.1.5","xlog_location":67108864,"timeline":1,
                    "tags":{"nofailover":true,"noloadbalance":false,"failover_priority":0}}"#,
            ),
            ("members/patroni3", r#"{"conn_url":"postgres://u:hunter2@10.213.0.13:5432/postgres","role":"primary"}"#),
            ("status", r#"{"optime":67108864,"slots":{"patroni3":67108864},"retain_slots":["patroni3"]}"#),
            ("sync", r#"{"leader":"patroni3","sync_standby":"patroni1, patroni2","quorum":0}"#),
        ]);
        assert_eq!((dcs.leader.as_deref(), dcs.initialize.as_deref()), (Some("patroni3"), Some("7712179950434283552")));
        assert_eq!(dcs.config["postgresql"]["parameters"]["work_mem"], "4MB");
        assert_eq!(dcs.failsafe, ["patroni1", "patroni3"]);
        assert_eq!(dcs.timelines, 2);
        assert_eq!(dcs.history, ["2: patroni2 at 2026-11-25T18:40:01.5+00:00", "3: ?"]);
        assert_eq!(dcs.sync_leader.as_deref(), Some("patroni3"));
        assert_eq!(dcs.sync_standbys, ["patroni1", "patroni2"]);
        assert!(!dcs.failover_pending);
        let [first, third] = dcs.members.as_slice() else { unreachable!("{:?}", dcs.members) };
        assert_eq!(
            (first.name.as_str(), first.role.as_str(), first.state.as_str()),
            ("patroni1", "replica", "running")
        );
        assert_eq!(first.conn_url, "postgres://10.213.0.11:5432/postgres");
        let tags: Vec<String> = first.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(tags, ["failover_priority=0", "nofailover=true"]);
        assert_eq!((third.conn_url.as_str(), third.api_url.as_str()), ("postgres://***@10.213.0.13:5432/postgres", ""));
    }

    #[test]
    fn a_member_is_as_far_behind_as_patroni_says() {
        let told = told(&[
            ("leader", "patroni3"),
            ("members/patroni1", r#"{"xlog_location":900,"replay_lsn":800}"#),
            ("members/patroni2", r#"{"xlog_location":1100}"#),
            ("members/patroni3", r#"{"xlog_location":1000}"#),
            ("members/patroni4", "{}"),
            ("status", r#"{"optime":1000,"slots":{"patroni3":67108864},"retain_slots":["patroni3"]}"#),
        ]);
        let lags: Vec<_> = told.lags.iter().map(|(name, lag)| (name.as_str(), *lag)).collect();
        assert_eq!(lags, [("patroni1", 100), ("patroni2", 0)]);
    }

    #[test]
    fn what_cannot_be_understood_is_missing_and_the_member_is_still_named() {
        let dcs = parsed(&[
            ("leader", ""),
            ("sync", "garbage"),
            ("history", "{}"),
            ("config", "["),
            ("members/patroni9", "garbage"),
            ("failover", r#"{"leader":"patroni1","member":"patroni2"}"#),
        ]);
        assert_eq!((dcs.leader, dcs.timelines, dcs.config), (None, 0, Value::Null));
        assert_eq!(dcs.members[0].name, "patroni9");
        assert!(dcs.failover_pending);
        let tonight = r#"{"leader":"patroni1","scheduled_at":"2026-11-27T03:00:00+00:00"}"#;
        assert!(!parsed(&[("failover", tonight)]).failover_pending);
        for nothing in ["", "{}", "null"] {
            assert!(!parsed(&[("failover", nothing)]).failover_pending, "{nothing}");
        }
    }
}
