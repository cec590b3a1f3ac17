//! Plays the fault scenarios on a lab of its own and writes what each cost. `just faults [--help]`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports")]

mod report;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use futures_util::FutureExt as _;
use pgstack_lab::Lab;
use pgstack_tests::cluster::serving;
use pgstack_tests::scenario::judge::is_whole;
use pgstack_tests::scenario::{ALL, Scenario, Verdict};
use pgstack_tests::settings::Settings;
use pgstack_tests::times::Times;
use report::{Report, Row};

#[derive(Debug, Parser)]
#[command(about = "Plays the fault scenarios on a lab of its own and writes docs/faults.md")]
struct Arguments {
    /// Only these, by their names: 1,6etcd,14in
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How long faults last that are to show that nothing happens, in seconds
    #[arg(long, default_value_t = 300)]
    hold: u64,
    /// Where the report goes; what it says of scenarios that are not played now stays
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/faults.md"))]
    out: PathBuf,
    /// The name of the lab
    #[arg(long, default_value = "faults")]
    lab: String,
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let wanted =
        |scenario: &&Scenario| arguments.only.is_empty() || arguments.only.iter().any(|name| name == scenario.name);
    let lab = arguments.settings.lab(&arguments.lab).await;
    let mut report = Report::read(&arguments.out);
    report.settings = format!("{}: {}", arguments.settings, Times::of(&lab).await.describe());
    let mut failed = Vec::new();
    for scenario in ALL.iter().filter(wanted) {
        let row = play(&lab, scenario, Duration::from_secs(arguments.hold)).await;
        println!("{row}");
        if row.verdict == "FAILED" {
            failed.push(scenario.name);
        }
        report.put(row);
        report.write(&arguments.out).expect("the report is written");
    }
    arguments.settings.leave(&lab).await;
    println!("{}", arguments.out.display());
    if !failed.is_empty() {
        eprintln!("failed: {}", failed.join(", "));
        std::process::exit(1);
    }
}

/// One scenario, on a cluster that is whole; whatever goes wrong, the next one begins with one, too.
async fn play(lab: &Lab, scenario: &Scenario, hold: Duration) -> Row {
    let began = Instant::now();
    let play = async {
        if !is_whole(lab).await {
            serving(lab).await;
        }
        scenario.play(lab, hold).await
    };
    let played = AssertUnwindSafe(play).catch_unwind().await;
    let seconds = began.elapsed().as_secs();
    match played {
        Ok(Verdict::Played(played)) => {
            let mut figures: Vec<String> = played
                .checks
                .iter()
                .map(|check| {
                    format!("{}{}", if check.holds { "" } else { "**" }, &check.what)
                        + if check.holds { "" } else { "**" }
                })
                .collect();
            figures.push(format!("clients: {}", played.history));
            for reason in played.history.reasons() {
                eprintln!("    {reason}");
            }
            let verdict = if played.passed() { "passed" } else { "FAILED" };
            Row { name: scenario.name.to_owned(), verdict: verdict.to_owned(), figures: figures.join("; "), seconds }
        }
        Ok(Verdict::Inapplicable(why)) => {
            Row { name: scenario.name.to_owned(), verdict: "does not apply".to_owned(), figures: why, seconds }
        }
        Err(panic) => {
            let why = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it broke off".to_owned());
            let why: String = why.lines().next().unwrap_or_default().to_owned();
            for machine in lab.machines().await.unwrap_or_default() {
                // as far as it goes: `serving` brings everything else back
                drop(machine.heal().await);
            }
            Row {
                name: scenario.name.to_owned(),
                verdict: "FAILED".to_owned(),
                figures: format!("**broke off: {why}**"),
                seconds,
            }
        }
    }
}
