//! One Patroni, as it describes itself and its PostgreSQL.

use std::collections::BTreeMap;

use pgstack_cluster_view::Instance;
use pgstack_health::Patroni;

use super::{dcs, mask};

/// What a Patroni said about itself.
pub(super) fn told(instance: Instance) -> Patroni {
    let xlog = instance.xlog.clone().unwrap_or_default();
    let mut pending_restart: BTreeMap<String, String> = instance
        .pending_restart_reason
        .iter()
        .map(|(name, difference)| (name.clone(), mask::text(&difference.to_string())))
        .collect();
    if instance.pending_restart && pending_restart.is_empty() {
        // before Patroni 4 it did not say which
        pending_restart.insert("a setting".to_owned(), "not told which".to_owned());
    }
    Patroni {
        version: instance.patroni.version,
        role: instance.role,
        state: instance.state,
        replication_state: instance.replication_state,
        timeline: instance.timeline,
        system_id: instance.database_system_identifier.filter(|id| !id.is_empty()),
        paused: instance.pause,
        failsafe: instance.failsafe_mode_is_active,
        pending_restart,
        dcs_last_seen: instance.dcs_last_seen,
        wal_position: xlog.location.or(xlog.received_location),
        replayed: xlog.replayed_location,
        sync_standby: instance.sync_standby || instance.quorum_standby,
        lag_bytes: None,
        tags: dcs::tags(instance.tags),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_s_own_answer_is_read() {
        let instance: Instance = serde_json::from_str(
            r#"{"state": "running", "postmaster_start_time": "2026-11-25 18:37:07.725008+00:00", "role": "replica",
                "server_version": 170012, "xlog": {"received_location": 67323464, "replayed_location": 67323460,
                "replayed_timestamp": "2026-11-25 18:37:09.928890+00:00", "paused": false}, "timeline": 1,
                "replication_state": "streaming", "dcs_last_seen": 1795631829, "quorum_standby": true,
                "tags": {"nofailover": true, "nosync": false}, "pause": true, "failsafe_mode_is_active": true,
                "pending_restart": true,
                "pending_restart_reason": {"max_connections": {"old_value": "100", "new_value": "200"}},
                "database_system_identifier": "7712179950434283552",
                "patroni": {"version": "4.1.5", "scope": "pg-cluster", "name": "patroni1"}}"#,
        )
        .expect("an instance");
        let patroni = told(instance);
        assert_eq!((patroni.version.as_str(), patroni.role.as_str()), ("4.1.5", "replica"));
        assert!(patroni.streams() && patroni.paused && patroni.failsafe && patroni.sync_standby);
        assert_eq!((patroni.wal_position, patroni.replayed), (Some(67_323_464), Some(67_323_460)));
        assert_eq!(patroni.pending_restart["max_connections"], "100 -> 200");
        assert_eq!(patroni.tags.keys().collect::<Vec<_>>(), ["nofailover"]);
        assert_eq!(patroni.system_id.as_deref(), Some("7712179950434283552"));
    }

    #[test]
    fn a_patroni_without_postgresql_is_read_too() {
        let instance: Instance = serde_json::from_str(
            r#"{"state": "stopped", "role": "uninitialized", "cluster_unlocked": true, "dcs_last_seen": 0,
                "pending_restart": true, "patroni": {"version": "4.1.5", "scope": "pg-cluster"}}"#,
        )
        .expect("an instance");
        let patroni = told(instance);
        assert!(!patroni.takes_writes() && !patroni.sync_standby);
        assert_eq!((patroni.wal_position, patroni.timeline, patroni.system_id), (None, None, None));
        assert_eq!(patroni.pending_restart.len(), 1);
    }
}
