//! `/metrics`: the text format, and that what is unknown has no series.
#![expect(clippy::disallowed_methods, reason = "tests read their fixtures; the library itself is pure")]

mod sample;

use std::collections::BTreeSet;

use pgstack_health::{Fact, METRICS, metrics};
use pgstack_testing::golden::assert_golden;
use pgstack_testing::repository;

#[test]
fn every_metric_is_documented_and_written_as_prometheus_reads_it() {
    let (snapshot, findings) = sample::full();
    let text = metrics(&snapshot, &findings);
    assert_golden("metrics/full.prom", &text);
    let mut announced = BTreeSet::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ") {
            assert!(announced.insert(name.trim_end_matches(" gauge").to_owned()), "{line} once");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(announced.contains(series.split('{').next().expect("a name")), "{line}");
        }
    }
    let known: BTreeSet<String> = METRICS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(announced, known, "the full sample has every metric");
    let document = std::fs::read_to_string(repository("docs/status-json.md")).expect("the document");
    let documented: BTreeSet<String> = document
        .split('`')
        .filter(|word| word.starts_with("pgstack_"))
        .map(|word| word.split('{').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(documented, known, "docs/status-json.md names every metric and no other");
}

#[test]
fn what_is_unknown_has_no_series() {
    let (snapshot, findings) = sample::all_unknown();
    let text = metrics(&snapshot, &findings);
    assert!(text.contains("pgstack_up{node=\"1\",service=\"patroni\"} 0"), "{text}");
    for absent in ["pgstack_leader", "pgstack_postgres_", "pgstack_etcd_", "pgstack_vip_owner", "pgstack_clock"] {
        assert!(!text.contains(absent), "{absent}");
    }
}

#[test]
fn no_label_breaks_out_of_its_quotes() {
    let mut snapshot = sample::healthy(3);
    if let Fact::Known(pooler) = &mut snapshot.nodes[0].pgbouncer {
        pooler.pools[0].user = "a\"} 1\nevil \\".to_owned();
    }
    let text = metrics(&snapshot, &[]);
    assert!(text.contains(r#"user="a\"} 1\nevil \\"} 3"#), "{text}");
    assert!(text.lines().all(|line| line.starts_with("pgstack_") || line.starts_with("# ")), "{text}");
}
