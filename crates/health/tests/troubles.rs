//! Every trouble in fixtures/snapshots yields its codes and no other, whoever asks; what is not known makes none.
#![expect(clippy::disallowed_methods, reason = "tests read their fixtures; the library itself is pure")]

use std::collections::BTreeSet;
use std::fs;

use pgstack_health::{Fact, Risk, Snapshot, code, examine, report, unknown};
use pgstack_testing::golden::assert_golden;
use pgstack_testing::repository;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value};

/// One file below fixtures/snapshots/troubles: a snapshot is the base with each place of `set` merged into.
#[derive(Deserialize)]
struct Trouble {
    /// The situation, for people.
    what: String,
    /// `three-nodes`, `six-nodes`.
    base: String,
    /// The codes, the worst first.
    expects: Vec<String>,
    /// JSON pointers, and what is merged there (RFC 7396: null deletes; `unknown` alone replaces a fact).
    set: Map<String, Value>,
}

fn base(name: &str) -> Value {
    let text = fs::read_to_string(repository("fixtures/snapshots").join(format!("{name}.json"))).expect("a snapshot");
    serde_json::from_str(&text).expect("JSON")
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    let replaces = fields.len() == 1 && fields.contains_key("unknown");
    if replaces || !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (name, value) in fields {
        let Some(object) = target.as_object_mut() else { return };
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn snapshot_of(value: Value) -> Snapshot {
    serde_json::from_value(value).expect("a snapshot")
}

fn troubles() -> Vec<(String, Trouble)> {
    let mut troubles = Vec::new();
    for entry in fs::read_dir(repository("fixtures/snapshots/troubles")).expect("a folder").flatten() {
        let path = entry.path();
        let text = fs::read_to_string(&path).expect("a file");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        troubles.push((name, serde_json::from_str(&text).expect("a trouble")));
    }
    troubles.sort_by(|left: &(String, Trouble), right| left.0.cmp(&right.0));
    troubles
}

fn value_of(trouble: &Trouble) -> Value {
    let mut value = base(&trouble.base);
    for (place, patch) in &trouble.set {
        merge(value.pointer_mut(place).expect("a place of the base"), patch);
    }
    value
}

fn codes(snapshot: &Snapshot) -> Vec<&'static str> {
    examine(snapshot).iter().map(|finding| finding.code).collect()
}

#[test]
fn each_trouble_yields_its_codes_and_no_other() {
    let mut wrong = Vec::new();
    for (name, trouble) in troubles() {
        let snapshot = snapshot_of(value_of(&trouble));
        let found = examine(&snapshot);
        if found.iter().map(|finding| finding.code).collect::<Vec<_>>() != trouble.expects {
            wrong.push(format!("{name} ({}): expects {:?}, found {found:#?}", trouble.what, trouble.expects));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_trouble_that_yields_it() {
    let yielded: BTreeSet<String> = troubles().into_iter().flat_map(|(_, trouble)| trouble.expects).collect();
    let missing: Vec<&str> = code::ALL.iter().map(|(code, _)| *code).filter(|code| !yielded.contains(*code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Whoever lowers the alarm lets a damaged member serve again.
#[test]
fn the_alarm_of_damaged_data_is_lowered_only_when_no_damaged_member_is_left() {
    for (name, trouble) in troubles().into_iter().filter(|(name, _)| name.starts_with("PGS-025")) {
        let findings = examine(&snapshot_of(value_of(&trouble)));
        let mends: Vec<_> = findings.iter().flat_map(|finding| &finding.mends).collect();
        let lowers = |command: &str| command.contains("alarm disarm");
        let safe = mends.iter().any(|mend| mend.risk == Risk::Safe && lowers(&mend.command));
        let with_copy = mends.iter().any(|mend| mend.command.contains("./deploy && ") && lowers(&mend.command));
        assert_eq!(safe, name == "PGS-025-gone", "{name}: {mends:#?}");
        assert_eq!(with_copy, name == "PGS-025-corrupt", "{name}: {mends:#?}");
    }
}

#[test]
fn a_healthy_cluster_has_no_trouble() {
    for name in ["three-nodes", "five-nodes"] {
        assert_eq!(codes(&snapshot_of(base(name))), Vec::<&str>::new(), "{name}");
    }
}

/// While a cluster is set up or mended the door is open, and the next deploy closes it.
#[test]
fn an_open_door_is_told_of_a_cluster_that_is_whole_and_of_no_other() {
    const MENDED_FIRST: [&str; 16] = [
        "PGS-001",
        "PGS-004",
        "PGS-020",
        "PGS-021",
        "PGS-023",
        "PGS-024",
        "PGS-025",
        "PGS-027",
        "PGS-028",
        "PGS-030",
        "PGS-038",
        "PGS-042",
        "PGS-047",
        "none-learner",
        "none-replica",
        "none-door",
    ];
    const WHOLE: [&str; 6] = ["PGS-037", "PGS-060", "PGS-063", "PGS-080", "PGS-091", "none-without-vip"];
    for (name, trouble) in troubles() {
        let mut snapshot = snapshot_of(value_of(&trouble));
        for node in &mut snapshot.nodes {
            if let Fact::Known(etcd) = &mut node.etcd {
                etcd.door = etcd.has_quorum.then(|| "open".to_owned());
            }
        }
        let is_of = |names: &[&str]| names.iter().any(|start| name.starts_with(start));
        let told = codes(&snapshot).contains(&code::ETCD_DOOR);
        assert!(!(told && is_of(&MENDED_FIRST)) && (told || !is_of(&WHOLE)), "{name}: {told}");
    }
}

#[test]
fn it_does_not_matter_which_node_asked() {
    for (name, trouble) in troubles() {
        let mut snapshot = snapshot_of(value_of(&trouble));
        let wanted = codes(&snapshot);
        for from in snapshot.nodes.iter().filter(|node| node.reachable).map(|node| node.id).collect::<Vec<_>>() {
            snapshot.from = from;
            assert_eq!(codes(&snapshot), wanted, "{name} from node {from}");
        }
    }
}

#[test]
fn every_finding_says_all_that_a_person_needs() {
    for (name, trouble) in troubles() {
        let snapshot = snapshot_of(value_of(&trouble));
        for finding in examine(&snapshot) {
            let told = [&finding.what, &finding.cause].into_iter().chain(&finding.evidence);
            for text in told {
                assert!(!text.is_empty() && !text.ends_with('.'), "{name}: {text:?}");
            }
            assert!(!finding.evidence.is_empty() && !finding.mends.is_empty(), "{name}: {finding:?}");
            let todo = finding.mends.iter().all(|mend| !mend.command.is_empty() || !mend.note.is_empty());
            assert!(todo, "{name}: {finding:?}");
            assert!(!code::title(finding.code).is_empty());
        }
    }
}

#[test]
fn the_text_at_80_columns() {
    let text = |name: &str, colour: bool| {
        let all = troubles();
        let (_, trouble) = all.iter().find(|(known, _)| known == name).expect("a trouble");
        let snapshot = snapshot_of(value_of(trouble));
        report(&examine(&snapshot), &unknown(&snapshot), 80, colour)
    };
    for name in ["PGS-001-node-off", "PGS-020-quorum-lost", "PGS-024-nospace", "PGS-063-paused", "PGS-084-vip-differs"]
    {
        let plain = text(name, false);
        assert_golden(&format!("snapshots/text/{name}.txt"), &plain);
        for line in plain.lines().filter(|line| !line.starts_with("            ")) {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
    }
    assert_golden("snapshots/text/PGS-020-quorum-lost.colour.txt", &text("PGS-020-quorum-lost", true));
    let healthy = snapshot_of(base("three-nodes"));
    assert_eq!(report(&examine(&healthy), &unknown(&healthy), 80, false), "nothing is wrong\n");
    assert_eq!(
        report(&[], &["node 3: everything".to_owned()], 80, false).lines().next(),
        Some("nothing is wrong, as far as can be seen")
    );
}

/// Every fact of a snapshot, as a JSON pointer.
fn facts(nodes: usize) -> Vec<String> {
    let of = ["local", "clock_offset_ms", "etcd", "patroni", "postgres", "haproxy", "pgbouncer", "local/settings"];
    let each = (0..nodes).flat_map(|at| of.map(|fact| format!("/nodes/{at}/{fact}")));
    each.chain(["/vip_answers".to_owned(), "/dcs".to_owned()]).collect()
}

fn blank(value: &mut Value, places: &[String], why: &str) {
    for place in places {
        if let Some(fact) = value.pointer_mut(place) {
            *fact = serde_json::json!({ "unknown": why });
        }
    }
}

const WHYS: [&str; 6] = [
    "no answer in time",
    "connection refused",
    "no route",
    "connected, but no answer in time",
    "the connection was cut",
    "not asked",
];

proptest! {
    #[test]
    fn what_is_not_known_makes_no_trouble_but_those_about_not_knowing(
        places in prop::sample::subsequence(facts(3), 0..=26),
        silent in prop::collection::vec(any::<bool>(), 3),
        why in prop::sample::select(&WHYS[..]),
    ) {
        let mut value = base("three-nodes");
        blank(&mut value, &places, why);
        for (at, silent) in silent.iter().enumerate() {
            if *silent && at > 0 {
                let own: Vec<String> = facts(3).into_iter().filter(|place| place.starts_with(&format!("/nodes/{at}/"))).collect();
                blank(&mut value, &own, why);
                value["nodes"][at]["reachable"] = Value::Bool(false);
            }
        }
        let lost = silent.iter().skip(1).filter(|silent| **silent).count() == 2;
        for code in codes(&snapshot_of(value)) {
            // with two of three machines gone the quorum is gone, too, unless somebody says otherwise
            prop_assert!(code < "PGS-005" || lost && code == code::QUORUM_LOST, "{code}");
        }
    }

    #[test]
    fn no_snapshot_makes_it_panic_and_the_order_is_always_the_same(
        at in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        places in prop::sample::subsequence(facts(3), 0..=26),
        width in 0usize..200,
    ) {
        let all = troubles();
        let mut value = value_of(&at.get(&all).1);
        // a second trouble beside the first, as far as it fits
        for (place, patch) in &other.get(&all).1.set {
            if let Some(target) = value.pointer_mut(place) {
                merge(target, patch);
            }
        }
        blank(&mut value, &places, "no answer in time");
        let Ok(snapshot) = serde_json::from_value::<Snapshot>(value) else { return Ok(()) };
        let found = examine(&snapshot);
        prop_assert_eq!(&found, &examine(&snapshot));
        let key = |finding: &pgstack_health::Finding| (std::cmp::Reverse(finding.severity), finding.code, finding.node);
        prop_assert!(found.windows(2).all(|pair| key(&pair[0]) <= key(&pair[1])));
        prop_assert!(report(&found, &unknown(&snapshot), width, true).ends_with('\n'));
    }
}
