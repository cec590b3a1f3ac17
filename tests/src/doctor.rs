//! What `doctor` finds on a machine.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pgstack_containers::ExecOutput;
use pgstack_lab::{Machine, STACK};
use serde_json::{Value, json};

/// How long a trouble may take until it shows, or until what mended it shows.
const SETTLED: Duration = Duration::from_secs(90);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// What `doctor --json` says, and what is left of it where it says nothing that can be read.
async fn ask(machine: &Machine) -> (ExecOutput, Value) {
    let output = machine.run(&[&format!("{STACK}/doctor"), "--json"]).await.expect("run");
    let said = serde_json::from_str(&output.stdout).unwrap_or_default();
    (output, said)
}

/// Whether it finds nothing, and could look at everything.
pub async fn is_silent(machine: &Machine) -> bool {
    let (_, said) = ask(machine).await;
    said["findings"] == json!([]) && said["unknown"] == json!([])
}

/// What it finds; its exit code must say the same.
///
/// # Panics
/// When it says nothing that can be read.
pub async fn findings(machine: &Machine) -> Vec<Value> {
    let (output, said) = ask(machine).await;
    assert!(said["findings"].is_array(), "{}{}", output.stdout, output.stderr);
    let findings = said["findings"].as_array().expect("findings").clone();
    assert_eq!(output.code, i64::from(!findings.is_empty()), "{}", output.stdout);
    findings
}

/// Waits until `doctor` finds exactly these codes on each of the machines. One after the other: each asks all of them, and
/// six at once keep two cores so busy that they find each other silent.
pub async fn all_name(machines: &[Machine], codes: &[&str]) {
    for machine in machines {
        names(machine, codes).await;
    }
}

/// Waits until `doctor` finds exactly these codes (`033`) on a machine.
///
/// # Panics
/// When it does not in 90 s; with what it last found.
pub async fn names(machine: &Machine, codes: &[&str]) {
    let wanted: BTreeSet<String> = codes.iter().map(|code| format!("PGS-{code}")).collect();
    let began = Instant::now();
    loop {
        let findings = findings(machine).await;
        let found: BTreeSet<String> = findings.iter().map(|finding| text(&finding["code"])).collect();
        if found == wanted {
            return;
        }
        let last = || serde_json::to_string_pretty(&findings).unwrap_or_default();
        assert!(began.elapsed() < SETTLED, "node {}: wanted {codes:?}, doctor says: {}", machine.id(), last());
        tokio::time::sleep(PAUSE).await;
    }
}

/// A text of JSON.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
