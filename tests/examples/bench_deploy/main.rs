//! How long from nothing to a cluster that serves: plain Compose (the floor), `deploy`, and the
//! order that the shell version needed, side by side in one run. `just bench-deploy [ROUNDS]`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

mod stopwatch;
mod ways;

use pgstack_lab::Lab;
use pgstack_tests::cluster::{Telling, up};
use stopwatch::Times;
use ways::Way;

#[tokio::main]
async fn main() {
    let rounds = std::env::args().nth(1).map_or(5, |rounds| rounds.parse().expect("a number of rounds"));
    let lab = Lab::open("bench").await.expect("a Docker engine");
    lab.down().await.expect("what an earlier run left is removed");
    lab.prepare(&up(3), &Telling).await.expect("machines");
    let mut results: Vec<(Way, Vec<Times>)> = Way::ALL.map(|way| (way, Vec::new())).into();
    for round in 1..=rounds {
        // interleaved, so that whatever else this machine does falls on all alike
        for (way, times) in &mut results {
            ways::make_ready(&lab, *way).await;
            let measured = stopwatch::measure(&lab, ways::go(&lab, *way)).await;
            eprintln!(
                "round {round}, {way}: first row {:.1} s, all streaming {:.1} s",
                measured.first_row, measured.streaming
            );
            times.push(measured);
        }
    }
    lab.down().await.expect("removed");
    report(&results);
}

/// Median and range of each, as a Markdown table, with the ratio to the first row.
fn report(results: &[(Way, Vec<Times>)]) {
    let columns: [fn(&Times) -> f64; 2] = [|times| times.first_row, |times| times.streaming];
    let floor =
        columns.map(|column| results.first().map_or(f64::NAN, |(_, times)| stopwatch::spread(times, column)[1]));
    println!("| way | first row through VIP:6432, s | ratio | all replicas streaming, s | ratio |");
    println!("|---|---|---|---|---|");
    for (way, times) in results {
        let [row, streaming] = columns.map(|column| stopwatch::spread(times, column));
        println!(
            "| {way} | {:.1} ({:.1}–{:.1}) | {:.2} | {:.1} ({:.1}–{:.1}) | {:.2} |",
            row[1],
            row[0],
            row[2],
            row[1] / floor[0],
            streaming[1],
            streaming[0],
            streaming[2],
            streaming[1] / floor[1]
        );
    }
}
