//! How many more losses the cluster survives.

mod sample;

use pgstack_health::{Dcs, Etcd, Fact, Look, Patroni, Snapshot, screen};
use sample::{healthy, id, silence};

/// What the screen says about PostgreSQL and etcd.
fn survives(snapshot: &Snapshot) -> [String; 2] {
    let text = screen(snapshot, &[], Look { colour: false, width: 140 });
    ["PostgreSQL", "etcd"].map(|name| {
        let start = format!("           {name} ");
        let line = text.lines().find(|line| line.starts_with(&start)).expect("a line");
        line[start.len()..].split_whitespace().collect::<Vec<_>>().join(" ")
    })
}

fn patroni(snapshot: &mut Snapshot, node: usize, change: impl FnOnce(&mut Patroni)) {
    if let Fact::Known(patroni) = &mut snapshot.nodes[node - 1].patroni {
        change(patroni);
    }
}

fn every_etcd(snapshot: &mut Snapshot, change: impl Fn(&mut Etcd)) {
    for node in &mut snapshot.nodes {
        if let Fact::Known(etcd) = &mut node.etcd {
            change(etcd);
        }
    }
}

fn dcs(snapshot: &mut Snapshot, change: impl FnOnce(&mut Dcs)) {
    if let Fact::Known(dcs) = &mut snapshot.dcs {
        change(dcs);
    }
}

#[test]
fn of_n_voters_a_majority_must_serve() {
    for (size, losses) in [(3, "1 more loss"), (4, "1 more loss"), (5, "2 more losses"), (6, "2 more losses")] {
        let [_, etcd] = survives(&healthy(size));
        assert!(etcd.starts_with(losses), "{size}: {etcd}");
    }
    let mut one_off = healthy(3);
    silence(&mut one_off.nodes[2], "no answer in time");
    assert_eq!(survives(&one_off)[1], "no more loss 2 of 3 voters serve, 2 are needed");
}

#[test]
fn a_learner_and_a_member_that_env_does_not_name_are_no_help() {
    let mut snapshot = healthy(4);
    every_etcd(&mut snapshot, |etcd| etcd.members[3].is_learner = true);
    assert_eq!(survives(&snapshot)[1], "1 more loss 3 of 3 voters serve, 2 are needed");
    every_etcd(&mut snapshot, |etcd| {
        etcd.members[3].is_learner = false;
        etcd.members[3].node = None;
    });
    assert_eq!(survives(&snapshot)[1], "no more loss 3 of 4 voters serve, 3 are needed");
}

#[test]
fn without_a_quorum_nothing_is_survived() {
    let mut snapshot = healthy(3);
    silence(&mut snapshot.nodes[1], "no answer in time");
    silence(&mut snapshot.nodes[2], "no answer in time");
    every_etcd(&mut snapshot, |etcd| {
        etcd.serves = false;
        etcd.has_quorum = false;
    });
    let [postgres, etcd] = survives(&snapshot);
    assert_eq!(etcd, "broken now no quorum: 0 of 3 voters serve, 2 are needed");
    assert_eq!(postgres, "no more loss without etcd's quorum nobody is promoted");
}

#[test]
fn only_who_can_be_promoted_counts() {
    let all = "2 more losses 3 of 3 nodes can lead";
    assert_eq!(survives(&healthy(3))[0], all);
    let one_less = |change: &dyn Fn(&mut Snapshot), why: &str| {
        let mut snapshot = healthy(3);
        change(&mut snapshot);
        assert_eq!(survives(&snapshot)[0], format!("1 more loss 2 of 3 nodes can lead; node 3 {why}"));
    };
    let of_3 = |snapshot: &mut Snapshot, change: &dyn Fn(&mut Patroni)| patroni(snapshot, 3, change);
    one_less(&|snapshot| of_3(snapshot, &|patroni| patroni.replication_state = None), "does not stream");
    one_less(&|snapshot| of_3(snapshot, &|patroni| patroni.timeline = Some(2)), "is on another timeline");
    let tag = |patroni: &mut Patroni| {
        patroni.tags.insert("nofailover".to_owned(), "true".to_owned());
    };
    one_less(&|snapshot| of_3(snapshot, &tag), "is tagged nofailover");
    let lags = |snapshot: &mut Snapshot| {
        if let Fact::Known(postgres) = &mut snapshot.nodes[0].postgres {
            postgres.standbys[1].lag_bytes = 1_048_577;
        }
    };
    one_less(&lags, "lags too much");
    one_less(&|snapshot| silence(&mut snapshot.nodes[2], "no answer in time"), "does not answer");
}

#[test]
fn synchronous_mode_without_a_standby_and_maintenance_mode_promote_nobody() {
    let mut snapshot = healthy(3);
    dcs(&mut snapshot, |dcs| dcs.config["synchronous_mode"] = true.into());
    assert!(survives(&snapshot)[0].starts_with("no more loss 1 of 3 nodes can lead"), "{:?}", survives(&snapshot));
    dcs(&mut snapshot, |dcs| dcs.sync_standbys.push(id(2).patroni_name()));
    assert!(survives(&snapshot)[0].starts_with("2 more losses"));
    // nobody takes its place before it is gone for Patroni, too; one of a quorum may lead all the same
    let mut lags = snapshot.clone();
    silence(&mut lags.nodes[1], "no answer in time");
    assert_eq!(
        survives(&lags)[0],
        "no more loss nobody but a synchronous standby may lead now, and node 2 does not answer"
    );
    dcs(&mut lags, |dcs| dcs.config["synchronous_mode"] = "quorum".into());
    assert!(survives(&lags)[0].starts_with("1 more loss"), "{:?}", survives(&lags));
    patroni(&mut snapshot, 1, |patroni| patroni.paused = true);
    assert_eq!(survives(&snapshot)[0], "no more loss maintenance mode: Patroni promotes nobody");
}

#[test]
fn without_a_leader_that_writes_it_is_broken_and_unknown_is_said_to_be() {
    let mut snapshot = healthy(3);
    patroni(&mut snapshot, 1, |patroni| patroni.state = "stopped".to_owned());
    assert_eq!(survives(&snapshot)[0], "broken now the leader, node 1, does not take writes");
    silence(&mut snapshot.nodes[0], "no answer in time");
    assert_eq!(survives(&snapshot)[0], "unknown the leader, node 1, does not answer");
    dcs(&mut snapshot, |dcs| dcs.leader = None);
    assert_eq!(survives(&snapshot)[0], "broken now nobody leads, so nobody takes writes");
    assert!(survives(&sample::all_unknown().0)[0].starts_with("unknown"));
}
