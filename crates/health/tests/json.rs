//! `status --json`: its schema is docs/status-json.md, field by field.
#![expect(clippy::disallowed_methods, reason = "tests read their fixtures; the library itself is pure")]

mod sample;

use std::collections::BTreeSet;

use pgstack_health::{Fact, Report, SCHEMA, Snapshot};
use pgstack_testing::golden::assert_golden;
use pgstack_testing::repository;
use serde_json::Value;

/// Objects whose keys are data and not fields.
const MAPS: [&str; 7] = [
    "nodes[].local.containers",
    "nodes[].local.settings.shared",
    "nodes[].local.warnings",
    "nodes[].patroni.pending_restart",
    "nodes[].patroni.tags",
    "dcs.members[].tags",
    "dcs.config",
];

/// Every field below `value`, as the document names it: `nodes[].local.containers{}.status`.
fn fields(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| fields(item, &format!("{path}[]"), into)),
        Value::Object(entries) if MAPS.contains(&path) => {
            let objects = entries.values().filter(|value| value.is_object());
            objects.for_each(|value| fields(value, &format!("{path}{{}}"), into));
        }
        Value::Object(entries) => {
            for (key, value) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                into.insert(path.clone());
                fields(value, &path, into);
            }
        }
        _ => {}
    }
}

#[test]
fn the_document_names_every_field_of_the_json_and_no_other() {
    let (snapshot, findings) = sample::full();
    // an unknown fact has its own form, which is told once and not for each field
    let mut report = serde_json::to_value(Report { snapshot: &snapshot, findings: &findings }).expect("JSON");
    report["nodes"][2]["local"] = Value::Null;
    report["nodes"][2]["clock_offset_ms"] = Value::Null;
    let mut present = BTreeSet::new();
    fields(&report, "", &mut present);
    let document = std::fs::read_to_string(repository("docs/status-json.md")).expect("the document");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: BTreeSet<String> =
        rows.map(|(field, _)| field.to_owned()).filter(|field| !field.starts_with("pgstack_")).collect();
    let missing: Vec<_> = present.difference(&documented).collect();
    let stale: Vec<_> = documented.difference(&present).collect();
    assert!(missing.is_empty() && stale.is_empty(), "missing: {missing:#?}\nstale: {stale:#?}");
    assert!(document.contains(&format!("`schema` is {SCHEMA}")), "the version");
}

#[test]
fn a_report_is_a_snapshot_with_findings_beside_its_fields() {
    let (snapshot, findings) = sample::two_troubles();
    let text = serde_json::to_string_pretty(&Report { snapshot: &snapshot, findings: &findings }).expect("JSON");
    assert_golden("screens/two-troubles.json", &(text.clone() + "\n"));
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["schema"], SCHEMA);
    assert_eq!(value["findings"].as_array().map(Vec::len), Some(2));
    assert_eq!(value["nodes"][2]["local"]["unknown"], "the agent refuses the token");
    assert_eq!(serde_json::from_str::<Snapshot>(&text).expect("a snapshot, whatever is beside it"), snapshot);
    assert_eq!(
        Fact::Known(snapshot.nodes[0].id),
        serde_json::from_value(value["nodes"][0]["id"].clone()).expect("a fact")
    );
}
