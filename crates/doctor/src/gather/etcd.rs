//! One etcd: what it says to clients, else what it says to its peers.

use pgstack_cluster_view::{EtcdProcess, Silence};
use pgstack_etcd::client::{Entry, Look, LookError};
use pgstack_etcd::{Alarm, Door, Member};
use pgstack_health::{Etcd, EtcdAlarm, EtcdMember, NO_LOGIN};
use pgstack_topology::{Node, NodeId, Topology};

/// etcd's own default, and what etcd.yml sets: 2 GiB.
const QUOTA: u64 = 2 << 30;

/// Keys as a quorum has them, and how new they are.
pub(super) struct Keys {
    pub(super) revision: i64,
    pub(super) entries: Vec<Entry>,
}

/// What an endpoint said, and the keys that it read. `process` is what the same etcd says to its peers, which it does
/// without a quorum, too, while it keeps its client port closed.
pub(super) fn told(
    look: Result<Look, LookError>,
    process: Option<EtcdProcess>,
    topology: &Topology,
) -> Result<(Etcd, Option<Keys>), Silence> {
    let look = match (look, process) {
        (Ok(look), process) => return Ok(serving(look, process, topology)),
        // it serves, so that what its peers are told would make it one that waits for a quorum
        (Err(LookError::Locked), _) => LookError::Locked,
        (Err(_), Some(process)) => return Ok((waiting(process, topology), None)),
        (Err(error), None) => error,
    };
    Err(match look {
        LookError::Connect(error) => Silence::from(&error),
        LookError::Late => Silence::Late,
        LookError::Mute => Silence::Mute,
        LookError::Locked => Silence::words(NO_LOGIN),
        LookError::Failed(words) => Silence::words(&words),
    })
}

fn serving(look: Look, process: Option<EtcdProcess>, topology: &Topology) -> (Etcd, Option<Keys>) {
    let members = match (look.members, process) {
        (Some(members), _) => members.into_iter().map(|member| listed(member, topology)).collect(),
        (None, Some(process)) => peers(process, topology),
        (None, None) => Vec::new(),
    };
    let alarm = |alarm: Alarm| match alarm {
        Alarm::NoSpace => "NOSPACE",
        Alarm::Corrupt => "CORRUPT",
    };
    let etcd = Etcd {
        serves: true,
        // a refusal comes after the quorum has been asked
        has_quorum: look.door.is_some(),
        door: look.door.map(door),
        cluster_id: look.cluster_id.to_string(),
        member_id: look.member_id.to_string(),
        leader: look.leader.map(|id| id.to_string()),
        is_learner: look.is_learner,
        members,
        alarms: look
            .alarms
            .iter()
            .map(|(id, raised)| EtcdAlarm { member: id.to_string(), alarm: alarm(*raised).to_owned() })
            .collect(),
        db_size: look.db_size,
        db_in_use: look.db_in_use,
        db_quota: look.db_quota.unwrap_or(QUOTA),
        latency_ms: look.took.map_or(0, |took| took.as_millis().try_into().unwrap_or(u64::MAX)),
        version: look.version,
    };
    (etcd, look.keys.map(|keys| Keys { revision: keys.revision, entries: keys.entries }))
}

fn door(door: Door) -> String {
    let word = match door {
        Door::Open => "open",
        Door::Closed => "closed",
        Door::Locked => "locked",
    };
    word.to_owned()
}

fn waiting(process: EtcdProcess, topology: &Topology) -> Etcd {
    let cluster_id = format!("{:x}", process.cluster_id);
    Etcd { cluster_id, members: peers(process, topology), db_quota: QUOTA, ..Etcd::default() }
}

fn listed(member: Member, topology: &Topology) -> EtcdMember {
    EtcdMember {
        id: member.id.to_string(),
        node: node_of(&member.peer_urls, topology),
        has_started: member.has_started(),
        name: member.name,
        peer_urls: member.peer_urls,
        is_learner: member.is_learner,
    }
}

fn peers(process: EtcdProcess, topology: &Topology) -> Vec<EtcdMember> {
    let peer = |member: pgstack_cluster_view::EtcdMember| EtcdMember {
        id: format!("{:x}", member.id),
        name: member.name,
        node: node_of(&member.peer_urls, topology),
        peer_urls: member.peer_urls,
        is_learner: member.is_learner,
        has_started: !member.client_urls.is_empty(),
    };
    process.members.into_iter().map(peer).collect()
}

/// Members are matched with nodes by where the others reach them, never by name.
fn node_of(peer_urls: &[String], topology: &Topology) -> Option<NodeId> {
    topology.nodes().find(|node| peer_urls.contains(&node.etcd_peer_url())).map(Node::id)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use pgstack_etcd::{ClusterId, MemberId};
    use pgstack_testing::example_node;

    use super::*;

    fn look() -> Look {
        let member = |id: u64, last: u8, is_learner: bool| Member {
            id: MemberId(id),
            name: format!("etcd{id}"),
            peer_urls: vec![format!("http://192.168.0.{last}:2380")],
            client_urls: if is_learner { Vec::new() } else { vec!["http://192.168.0.152:2379".to_owned()] },
            is_learner,
        };
        Look {
            cluster_id: ClusterId(0xabc),
            member_id: MemberId(1),
            leader: Some(MemberId(2)),
            is_learner: false,
            members: Some(vec![member(1, 152, false), member(2, 153, true), member(3, 99, false)]),
            alarms: vec![(MemberId(255), Alarm::NoSpace), (MemberId(1), Alarm::Corrupt)],
            db_size: 36864,
            db_in_use: 4096,
            db_quota: None,
            version: "3.5.16".to_owned(),
            door: Some(Door::Closed),
            took: Some(Duration::from_millis(12)),
            keys: Some(pgstack_etcd::client::Keys { revision: 19, entries: Vec::new() }),
        }
    }

    fn process() -> EtcdProcess {
        let members = serde_json::from_str(
            r#"[{"id":1571564688435650569,"peerURLs":["http://192.168.0.152:2380"],"name":"etcd1","clientURLs":["x"]},
                {"id":2,"peerURLs":["http://192.168.0.153:2380"],"isLearner":true}]"#,
        );
        EtcdProcess { cluster_id: 0xabc, members: members.expect("members") }
    }

    #[test]
    fn an_endpoint_that_serves_is_told_whole() {
        let env = example_node(1, 3);
        let (etcd, keys) = told(Ok(look()), None, env.local.topology()).expect("known");
        assert!(etcd.serves && etcd.has_quorum);
        assert_eq!(etcd.door.as_deref(), Some("closed"));
        assert_eq!(keys.map(|keys| keys.revision), Some(19));
        assert_eq!((etcd.cluster_id.as_str(), etcd.leader.as_deref(), etcd.latency_ms), ("abc", Some("2"), 12));
        assert_eq!(etcd.db_quota, 2_147_483_648);
        let members: Vec<_> =
            etcd.members.iter().map(|m| (m.node.map(NodeId::get), m.is_learner, m.has_started)).collect();
        assert_eq!(members, [(Some(1), false, true), (Some(2), true, false), (None, false, true)]);
        let alarms: Vec<_> = etcd.alarms.iter().map(|a| (a.member.as_str(), a.alarm.as_str())).collect();
        assert_eq!(alarms, [("ff", "NOSPACE"), ("1", "CORRUPT")]);
    }

    #[test]
    fn a_closed_client_port_leaves_what_the_peers_are_told() {
        let env = example_node(1, 3);
        let refused = || Err(LookError::Connect(io::Error::from(io::ErrorKind::ConnectionRefused)));
        let (etcd, keys) = told(refused(), Some(process()), env.local.topology()).expect("known");
        assert!(!etcd.serves && !etcd.has_quorum && keys.is_none());
        assert_eq!((etcd.cluster_id.as_str(), etcd.members[0].id.as_str()), ("abc", "15cf51c1f3c12009"));
        let members: Vec<_> =
            etcd.members.iter().map(|m| (m.node.map(NodeId::get), m.is_learner, m.has_started)).collect();
        assert_eq!(members, [(Some(1), false, true), (Some(2), true, false)]);
        assert_eq!(told(refused(), None, env.local.topology()).err(), Some(Silence::Refused));
        assert_eq!(told(Err(LookError::Late), None, env.local.topology()).err(), Some(Silence::Late));
    }

    #[test]
    fn a_member_list_that_did_not_come_in_time_is_the_peers() {
        let env = example_node(1, 3);
        let silent = Look { members: None, door: None, keys: None, ..look() };
        let (etcd, _) = told(Ok(silent), Some(process()), env.local.topology()).expect("known");
        assert!(etcd.serves && !etcd.has_quorum && etcd.door.is_none());
        assert_eq!(etcd.members.len(), 2);
    }

    #[test]
    fn a_locked_door_proves_a_quorum_and_an_etcd_that_tells_nothing_is_not_one_that_waits() {
        let env = example_node(1, 3);
        let locked = Look { door: Some(Door::Locked), keys: None, ..look() };
        let (etcd, keys) = told(Ok(locked), None, env.local.topology()).expect("known");
        assert!(etcd.has_quorum && etcd.is_locked() && keys.is_none());
        for process in [None, Some(process())] {
            let silence = told(Err(LookError::Locked), process, env.local.topology()).err();
            assert_eq!(silence, Some(Silence::words(NO_LOGIN)));
        }
    }
}
