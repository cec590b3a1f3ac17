//! docs/faults.md: a table that later runs complete and renew row by row.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use pgstack_tests::scenario::{ALL, IMPOSSIBLE};

/// What marks the part that is written by hand.
const BY_HAND: &str = "<!-- by hand, kept by `just faults` -->";

/// One scenario's result.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) verdict: String,
    pub(crate) figures: String,
    pub(crate) seconds: u64,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({} s): {}", self.name, self.verdict, self.seconds, self.figures)
    }
}

/// The whole document.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) settings: String,
    rows: BTreeMap<String, (String, String)>,
    by_hand: String,
}

impl Report {
    /// What an earlier run has written.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let rows = text.lines().filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
            let [name, _, _, verdict, figures] = cells.try_into().ok()?;
            ALL.iter()
                .any(|scenario| scenario.name == name)
                .then(|| (name.to_owned(), (verdict.to_owned(), figures.to_owned())))
        });
        let by_hand = text.split_once(BY_HAND).map_or_else(String::new, |(_, rest)| rest.to_owned());
        Self { settings: String::new(), rows: rows.collect(), by_hand }
    }

    pub(crate) fn put(&mut self, row: Row) {
        let figures = row.figures.replace('|', "/").replace('\n', " ");
        self.rows.insert(row.name, (row.verdict, figures));
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut lines = vec![
            "# Faults".to_owned(),
            String::new(),
            "What was done to a cluster of three virtual machines, what had to hold, and what it cost. `just faults`".to_owned(),
            "plays all of it and writes this table; `just chaos` composes faults at random. Clients append rows with ids of".to_owned(),
            "their own through VIP:5000 and VIP:6432 and to each node directly. In each scenario, beside what the table names:".to_owned(),
            "D no acknowledged row is missing on any node, W no node acknowledges after another one on a later timeline has,".to_owned(),
            "V one owner of the VIP (two for one advert at most, or while they cannot hear each other), H all members stream on".to_owned(),
            "one timeline within 120 s, with nobody doing anything. Bounds are computed from what the cluster is set to".to_owned(),
            "(`tests/src/times.rs`); the machines share two cores, for which those of writes have two seconds.".to_owned(),
            String::new(),
            format!("Settings of the last run: {}.", self.settings),
            String::new(),
            "| # | fault | must hold | verdict | figures |".to_owned(),
            "|---|---|---|---|---|".to_owned(),
        ];
        for scenario in ALL {
            let missing = ("not played".to_owned(), String::new());
            let (verdict, figures) = self.rows.get(scenario.name).unwrap_or(&missing);
            lines.push(format!(
                "| {} | {} | {} | {verdict} | {figures} |",
                scenario.name, scenario.fault, scenario.pass
            ));
        }
        lines.extend([String::new(), "What this lab cannot produce:".to_owned(), String::new()]);
        lines.extend(IMPOSSIBLE.iter().map(|(what, why)| format!("- {what}: {why}.")));
        let text = lines.join("\n")
            + "\n\n"
            + BY_HAND
            + &(if self.by_hand.is_empty() { "\n".to_owned() } else { self.by_hand.clone() });
        fs::write(path, text)
    }
}
