//! How long clients wait when something dies, under the shell version's times and under each profile.
//! `just bench-failover [--help]`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

mod events;
mod report;
mod rounds;
mod sets;

use std::path::PathBuf;

use clap::Parser;
use pgstack_tests::bench::event::{Event, Set};
use pgstack_tests::bench::record::Record;
use pgstack_tests::settings::Settings;

#[derive(Debug, Parser)]
#[command(about = "Measures how long clients wait when something dies, and writes it into docs/performance.md")]
struct Arguments {
    /// How often each event is measured under each set of settings
    #[arg(long, default_value_t = 5)]
    repeats: u32,
    /// Only these events
    #[arg(long, value_delimiter = ',')]
    only: Vec<Event>,
    /// Only these sets of settings
    #[arg(long = "settings", value_delimiter = ',', value_name = "SET")]
    sets: Vec<Set>,
    /// All repeats so far; what is in it is not measured again
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/failover/record.json"))]
    resume: PathBuf,
    /// Measure nothing, only write table and pictures anew
    #[arg(long)]
    render: bool,
    /// Where the table goes; pictures go into the folder `failover` beside it
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md"))]
    out: PathBuf,
    /// The name of the lab
    #[arg(long, default_value = "failover")]
    lab: String,
    #[command(flatten)]
    common: Settings,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let mut record = Record::read(&arguments.resume).expect("a record of this benchmark");
    if !arguments.render {
        rounds::measure(&arguments, &mut record).await;
    }
    report::write(&record, &arguments.out).expect("the report is written");
}
