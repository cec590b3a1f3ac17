//! A machine that is fit gives nothing; each thing that is wrong gives its own code and no other.

use super::*;
use crate::Disk;

fn peer(id: u8) -> Peer {
    Peer {
        node: pgstack_topology::NodeId::new(id).expect("a node"),
        address: format!("10.0.0.{id}").parse().expect("an address"),
        ports: PORTS.iter().map(|(port, _)| (*port, Way::Refused)).collect(),
        vrrp: Fact::Known(Vrrp::Reaches),
        clock_offset_ms: Fact::Known(12),
    }
}

fn fit() -> Machine {
    Machine {
        node: pgstack_topology::NodeId::new(1).ok(),
        is_root: true,
        unusable: Fact::Known(Vec::new()),
        engine: Fact::Known(Tool::Answers("26.1.5+dfsg1".to_owned())),
        compose: Fact::Known(Tool::Answers("2.26.1-4".to_owned())),
        ports: Fact::Known([(5432, Holder { name: "the container patroni".to_owned(), ours: true })].into()),
        place: Fact::Known(Place::Right { address: [10, 0, 0, 1].into(), interface: "eth0".to_owned() }),
        peers: Fact::Known(vec![peer(2), peer(3)]),
        clock: Fact::Known(Clock { synchronised: true, by: "timedatectl".to_owned() }),
        disk: Fact::Known(Disk { path: "data".to_owned(), size: 100 << 30, free: 50 << 30 }),
        fsync: Fact::Known(Fsync { median_us: 900, worst_us: 30_000 }),
        kernel: Fact::Known(Kernel {
            memory: Some(4 << 30),
            shared_buffers: Some(256 << 20),
            commit_left: None,
            open_files: Some(1 << 20),
            ephemeral: Some((32768, 60999)),
            reserved: Vec::new(),
        }),
        images: Fact::Known([("patroni-stack/etcd:3.5.16".to_owned(), true)].into()),
        vip: Fact::Known(VipUse::Free { address: [10, 0, 0, 9].into() }),
    }
}

fn codes(machine: &Machine) -> Vec<&'static str> {
    preflight(machine).iter().map(|finding| finding.code).collect()
}

/// A fit machine, but for one thing.
fn with(change: impl FnOnce(&mut Machine)) -> Vec<&'static str> {
    let mut machine = fit();
    change(&mut machine);
    let findings = preflight(&machine);
    for found in &findings {
        assert!(!found.what.is_empty() && !found.cause.is_empty(), "{found:?}");
        assert!(!found.what.ends_with('.') && !found.cause.ends_with('.'), "{found:?}");
        assert!(!found.mends.is_empty(), "{found:?}");
        assert!(found.mends.iter().all(|mend| mend.risk == Risk::Manual), "nothing here is run by --fix: {found:?}");
    }
    findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_fit_machine_gives_nothing_and_every_check_is_told() {
    let checks = checklist(&fit());
    assert!(checks.iter().all(|check| check.outcome == Outcome::Ok && !check.detail.is_empty()), "{checks:#?}");
    assert_eq!(codes(&fit()), Vec::<&str>::new());
}

#[test]
fn what_is_not_known_is_no_finding_and_says_why() {
    let unknown = |why: &str| why.to_owned();
    let machine = Machine {
        node: None,
        is_root: true,
        unusable: Fact::unknown(unknown("not asked")),
        engine: Fact::unknown("not asked"),
        compose: Fact::unknown("not asked"),
        ports: Fact::unknown("not asked"),
        place: Fact::unknown("not asked"),
        peers: Fact::unknown("not asked"),
        clock: Fact::unknown("not asked"),
        disk: Fact::unknown("not asked"),
        fsync: Fact::unknown("not asked"),
        kernel: Fact::unknown("not asked"),
        images: Fact::unknown("not asked"),
        vip: Fact::unknown("not asked"),
    };
    let checks = checklist(&machine);
    assert!(checks.iter().all(|check| check.outcome == Outcome::Unknown && check.detail == "not asked"), "{checks:#?}");
    assert_eq!(codes(&machine), Vec::<&str>::new());
}

#[test]
fn each_thing_that_is_wrong_has_its_code() {
    let broken = || Tool::Broken { what: "no".to_owned(), detail: Some("why".to_owned()), hint: "start it".to_owned() };
    let wrong = || Wrong { what: "wrong".to_owned(), hint: "set it".to_owned() };
    assert_eq!(with(|m| m.is_root = false), ["PGS-113"]);
    assert_eq!(with(|m| m.unusable = Fact::Known(vec!["data is a file".to_owned()])), ["PGS-113"]);
    assert_eq!(with(|m| m.engine = Fact::Known(broken())), ["PGS-100"]);
    assert_eq!(with(|m| m.engine = Fact::Known(Tool::Answers("20.9.1".to_owned()))), ["PGS-100"]);
    assert_eq!(with(|m| m.compose = Fact::Known(broken())), ["PGS-101"]);
    assert_eq!(with(|m| m.compose = Fact::Known(Tool::Answers("2.2.3".to_owned()))), ["PGS-101"]);
    let holder = || Holder { name: "nginx (pid 7)".to_owned(), ours: false };
    assert_eq!(with(|m| m.ports = Fact::Known([(5432, holder()), (8008, holder())].into())), ["PGS-102", "PGS-102"]);
    assert_eq!(with(|m| m.place = Fact::Known(Place::WrongAddress(wrong()))), ["PGS-103"]);
    assert_eq!(with(|m| m.place = Fact::Known(Place::WrongInterface(wrong()))), ["PGS-104"]);
    assert_eq!(with(|m| m.clock = Fact::Known(Clock { synchronised: false, by: "x".to_owned() })), ["PGS-107"]);
    let disk = |size, free| Fact::Known(Disk { path: "data".to_owned(), size, free });
    assert_eq!(with(|m| m.disk = disk(512 << 20, 512 << 20)), ["PGS-108"]);
    assert_eq!(with(|m| m.disk = disk(1000 << 30, 5 << 30)), ["PGS-108"]);
    assert_eq!(with(|m| m.disk = disk(1000 << 30, 50 << 30)), Vec::<&str>::new(), "a large disk has room");
    assert_eq!(with(|m| m.fsync = Fact::Known(Fsync { median_us: 11_000, worst_us: 11_000 })), ["PGS-109"]);
    assert_eq!(with(|m| m.images = Fact::Known([("a:1".to_owned(), false)].into())), ["PGS-111"]);
    let foreign = VipUse::Foreign { address: [10, 0, 0, 9].into(), who: None, evidence: Vec::new() };
    assert_eq!(with(|m| m.vip = Fact::Known(foreign)), ["PGS-114"]);
}

fn with_peer(change: impl FnOnce(&mut Peer)) -> Vec<&'static str> {
    let mut changed = peer(3);
    change(&mut changed);
    with(|machine| machine.peers = Fact::Known(vec![peer(2), changed]))
}

#[test]
fn a_machine_that_is_off_is_told_from_a_firewall() {
    let all = |way| move |peer: &mut Peer| peer.ports.values_mut().for_each(|found| *found = way);
    assert_eq!(with_peer(all(Way::Silent)), ["PGS-105"]);
    assert_eq!(with_peer(all(Way::Unreachable)), ["PGS-105"]);
    assert_eq!(with_peer(all(Way::Rejected)), ["PGS-106"]);
    assert_eq!(with_peer(all(Way::Open)), Vec::<&str>::new());
    for way in [Way::Silent, Way::Rejected, Way::Unreachable] {
        assert_eq!(with_peer(|peer| peer.ports.extend([(2380, way)])), ["PGS-106"]);
    }
    let mut machine = fit();
    let mut blocked = peer(3);
    blocked.ports.extend([(2380, Way::Silent), (2379, Way::Silent), (5432, Way::Silent)]);
    machine.peers = Fact::Known(vec![peer(2), blocked]);
    let found = &preflight(&machine)[0];
    assert!(found.what.contains("ports 2379, 2380 and 5432"), "{}", found.what);
    assert_eq!(found.mends[0].node.map(pgstack_topology::NodeId::get), Some(3), "it is mended there");
}

#[test]
fn vrrp_is_wrong_only_where_that_is_known() {
    assert_eq!(with_peer(|peer| peer.vrrp = Fact::Known(Vrrp::Silent)), ["PGS-112"]);
    assert_eq!(with_peer(|peer| peer.vrrp = Fact::Known(Vrrp::Rejected)), ["PGS-112"]);
    assert_eq!(with_peer(|peer| peer.vrrp = Fact::Known(Vrrp::Unanswered)), ["PGS-112"]);
    assert_eq!(with_peer(|peer| peer.vrrp = Fact::unknown("keepalived runs there")), Vec::<&str>::new());
}

#[test]
fn clocks_may_differ_a_little() {
    for (offset, found) in
        [(500, None), (-500, None), (501, Some(Severity::Warning)), (-5001, Some(Severity::Critical))]
    {
        let mut machine = fit();
        let mut other = peer(3);
        other.clock_offset_ms = Fact::Known(offset);
        machine.peers = Fact::Known(vec![other]);
        let severities: Vec<Severity> = preflight(&machine).iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, found.into_iter().collect::<Vec<_>>(), "{offset}");
    }
}

#[test]
fn limits_that_stop_a_service_are_found() {
    let kernel = |change: fn(&mut Kernel)| {
        with(|machine| {
            if let Fact::Known(kernel) = &mut machine.kernel {
                change(kernel);
            }
        })
    };
    assert_eq!(kernel(|k| k.shared_buffers = Some(3 << 30)), ["PGS-110"]);
    assert_eq!(kernel(|k| k.memory = Some(600 << 20)), ["PGS-110"]);
    assert_eq!(kernel(|k| k.commit_left = Some(300 << 20)), ["PGS-110"]);
    assert_eq!(kernel(|k| k.commit_left = Some(2 << 30)), Vec::<&str>::new());
    assert_eq!(kernel(|k| k.open_files = Some(4096)), ["PGS-110"]);
    assert_eq!(kernel(|k| k.ephemeral = Some((1024, 65535))), ["PGS-110"]);
    let reserved = |k: &mut Kernel| {
        k.ephemeral = Some((1024, 65535));
        k.reserved = vec![(2379, 2380), (5000, 9000)];
    };
    assert_eq!(kernel(reserved), Vec::<&str>::new());
}

#[test]
fn versions_are_compared_by_number() {
    assert!(is_older("19.03.15", (20, 10)) && is_older("20.9", (20, 10)) && is_older("2.2.3", (2, 3)));
    for new in ["20.10.24+dfsg1", "26.1.5", "v2.26.1", "2.3", "dev"] {
        assert!(!is_older(new, (2, 3)), "{new}");
    }
    assert!(!is_older("20.10.24+dfsg1", (20, 10)));
}

#[test]
fn the_json_has_every_fact() {
    let json = serde_json::to_value(fit()).expect("JSON");
    assert_eq!(json["ports"]["5432"]["ours"], true);
    assert_eq!(json["peers"][1]["ports"]["2380"], "refused");
    assert_eq!(json["vip"]["free"]["address"], "10.0.0.9");
}
