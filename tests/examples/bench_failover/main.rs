//! How long clients wait when something dies, under the shell version's times and under each profile.
//! `just bench-failover [--help]`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

mod events;
mod report;
mod sets;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use clap::Parser;
use futures_util::FutureExt as _;
use pgstack_lab::Lab;
use pgstack_tests::bench::event::{Event, Set};
use pgstack_tests::bench::record::{Record, Run};
use pgstack_tests::cluster::{Telling, serving, up};
use pgstack_tests::settings::Settings;

/// A lab on which so many repeats in a row broke off is of no use any more.
const HOPELESS: u32 = 4;

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
    /// Use the lab if it is there, and leave it there
    #[arg(long)]
    keep: bool,
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
        measure(&arguments, &mut record).await;
    }
    report::write(&record, &arguments.out).expect("the report is written");
}

/// The sets take turns in each round, so that whatever else this machine does falls on all alike.
async fn measure(arguments: &Arguments, record: &mut Record) {
    let lab = Lab::open(&arguments.lab).await.expect("a Docker engine");
    if !arguments.keep {
        lab.down().await.expect("what an earlier run left is removed");
    }
    let mut machines = up(3);
    machines.settings.extend(arguments.common.of_env());
    lab.prepare(&machines, &Telling).await.expect("machines");
    serving(&lab).await;
    let commit = report::commit();
    let (events, sets) = (chosen(&arguments.only, &Event::ALL), chosen(&arguments.sets, &Set::ALL));
    let mut broken = 0;
    for round in 1..=arguments.repeats {
        for set in &sets {
            let due: Vec<Event> = events.iter().copied().filter(|event| !record.has(*event, *set, round)).collect();
            // they are taken up only when something breaks off or another set was there
            let mut in_force = false;
            for event in due {
                let repeat = repeat(&lab, event, *set, &mut in_force);
                match AssertUnwindSafe(repeat).catch_unwind().await {
                    Ok(figures) => {
                        broken = 0;
                        record.runs.push(Run { round, commit: commit.clone(), ..figures });
                        record.write(&arguments.resume).expect("the record is written");
                        println!("{}", report::line(record.runs.last().expect("just pushed")));
                    }
                    Err(panic) => {
                        broken += 1;
                        in_force = false;
                        eprintln!(
                            "round {round}, {set}, {event} broke off and is not counted: {}",
                            report::why(&*panic)
                        );
                        assert!(broken < HOPELESS, "{broken} repeats in a row broke off");
                    }
                }
            }
        }
    }
    if !arguments.keep {
        lab.down().await.expect("removed");
    }
}

/// One repeat, on a cluster that is whole and has these settings.
async fn repeat(lab: &Lab, event: Event, set: Set, in_force: &mut bool) -> Run {
    if !*in_force || !sets::is_whole(lab).await {
        sets::put_into_force(lab, set).await;
        *in_force = true;
    }
    events::play(lab, event, set).await
}

fn chosen<T: Copy>(named: &[T], all: &[T]) -> Vec<T> {
    if named.is_empty() { all.to_vec() } else { named.to_vec() }
}
