//! Where the figures go.

use std::any::Any;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use pgstack_tests::bench::figures::Figures;
use pgstack_tests::bench::record::{Record, Run};
use pgstack_tests::bench::{document, failover_table, plot};

/// The folder of the pictures, beside the document.
const PICTURES: &str = "failover";

/// Table and pictures.
pub(crate) fn write(record: &Record, out: &Path) -> io::Result<()> {
    let folder = out.with_file_name(PICTURES);
    fs::create_dir_all(&folder)?;
    for event in failover_table::measured(record) {
        if let Some(svg) = plot::svg(record, event) {
            fs::write(folder.join(format!("{event}.svg")), svg)?;
        }
    }
    let table = failover_table::markdown(record, PICTURES);
    let text = document::put(&fs::read_to_string(out)?, "just bench-failover", &table).map_err(io::Error::other)?;
    fs::write(out, text)
}

/// One repeat in words.
pub(crate) fn line(run: &Run) -> String {
    let Run { event, settings, round, figures, .. } = run;
    let Figures { gap, gap_began, healing_gap, acknowledged, failed, unknown, lost, .. } = figures;
    let mut text = format!(
        "round {round}, {settings}, {event}: gap {gap:.2} s (from {gap_began:.2} s on; {healing_gap:.2} s while it healed), \
         {acknowledged} acknowledged, {failed} failed, {unknown} unknown, {lost} lost"
    );
    text.extend(run.troubles.iter().map(|trouble| format!("\n  {trouble}")));
    text
}

/// What is measured: the commit, marked where the tree differs from it.
pub(crate) fn commit() -> String {
    let described = Command::new("git").args(["describe", "--always", "--dirty", "--exclude=*"]).output();
    let text = described.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    text.map_or_else(|| "unknown".to_owned(), |text| String::from_utf8_lossy(&text).trim().to_owned())
}

/// The first line of what a panic said.
pub(crate) fn why(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("it said nothing")
}
