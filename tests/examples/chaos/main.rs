//! Random faults under load; a run that fails is shrunk. `just chaos --seed S --minutes M`
#![expect(clippy::print_stdout, reason = "it reports")]

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use futures_util::FutureExt as _;
use pgstack_tests::chaos::play::play;
use pgstack_tests::chaos::schedule::Schedule;
use pgstack_tests::chaos::shrink::shrink;
use pgstack_tests::checker::Violation;
use pgstack_tests::cluster::serving;
use pgstack_tests::history::{History, Origin};
use pgstack_tests::scenario::judge::Played;
use pgstack_tests::settings::Settings;
use pgstack_tests::times::Times;

#[derive(Debug, Parser)]
#[command(about = "Random faults under load on a lab of its own; what fails is shrunk to a short schedule")]
struct Arguments {
    /// The same seed gives the same schedule
    #[arg(long)]
    seed: Option<u64>,
    /// How long
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// How many clients write through the VIP
    #[arg(long, default_value_t = 20)]
    clients: u16,
    /// How many runs may be spent on looking for a shorter schedule
    #[arg(long, default_value_t = 12)]
    runs: usize,
    /// This one, as an earlier run has printed it, instead of one drawn from a seed
    #[arg(long)]
    schedule: Option<Schedule>,
    /// The name of the lab
    #[arg(long, default_value = "chaos")]
    lab: String,
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = arguments.seed.unwrap_or(now.as_secs());
    let drawn = || Schedule::draw(seed, Duration::from_secs(arguments.minutes * 60));
    let schedule = arguments.schedule.clone().unwrap_or_else(drawn);
    println!("seed {seed}, {} minutes, {} clients, {}", arguments.minutes, arguments.clients, arguments.settings);
    println!("schedule: {schedule}");
    let lab = arguments.settings.lab(&arguments.lab).await;
    println!("{}", Times::of(&lab).await.describe());
    let played = play(&lab, &schedule, arguments.clients).await;
    tell(&played);
    if played.passed() {
        println!("passed: seed {seed}, {} rounds in {} s", schedule.rounds.len(), schedule.length().as_secs());
    } else {
        println!("FAILED: seed {seed}");
        let shortest = shrink(schedule, arguments.runs, async |candidate: &Schedule| {
            println!("does a shorter one fail? {candidate}");
            let again = async {
                serving(&lab).await;
                play(&lab, candidate, arguments.clients).await
            };
            // a cluster that does not come back proves nothing about this schedule
            let Ok(played) = AssertUnwindSafe(again).catch_unwind().await else { return false };
            tell(&played);
            !played.passed()
        })
        .await;
        println!("the shortest that was found to fail:\n--schedule '{shortest}'");
    }
    arguments.settings.leave(&lab).await;
    if !played.passed() {
        std::process::exit(1);
    }
}

fn tell(played: &Played) {
    println!("clients: {}", played.history);
    for check in &played.checks {
        println!("{} {}", if check.holds { "ok  " } else { "FAIL" }, check.what);
    }
    for violation in &played.violations {
        if let Violation::Lost { ids, .. } = violation {
            return tell_lost(&played.history, ids);
        }
    }
}

/// Beside the times of the faults: who acknowledged what is lost, and each timeline's first row.
fn tell_lost(history: &History, ids: &BTreeSet<i64>) {
    let mut timelines = BTreeSet::new();
    for operation in &history.operations {
        let Some(Origin { node, timeline }) = operation.origin else { continue };
        if timelines.insert(timeline) || ids.contains(&operation.id) {
            let (id, via, ended) = (operation.id, operation.via, operation.ended.as_secs_f64());
            println!("{ended:10.1} s  {id} through {via}: acknowledged by node {node} on timeline {timeline}");
        }
    }
}
