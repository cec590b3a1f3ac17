//! Round after round, and what happens when a repeat breaks off.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use pgstack_lab::Lab;
use pgstack_tests::bench::event::{Event, Set};
use pgstack_tests::bench::record::{Broken, Record, Run};
use pgstack_tests::scenario::judge::is_whole;

use crate::events::Outcome;
use crate::{Arguments, events, report, sets};

/// A lab on which so many repeats in a row broke off is of no use any more.
const HOPELESS: u32 = 4;

/// The sets take turns in each round, so that whatever else this machine does falls on all alike.
pub(crate) async fn measure(arguments: &Arguments, record: &mut Record) {
    let lab = arguments.common.lab(&arguments.lab).await;
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
                    Ok(Outcome { figures, promotions, troubles }) => {
                        broken = 0;
                        let (settings, commit) = (*set, commit.clone());
                        record.runs.push(Run { event, settings, round, commit, figures, promotions, troubles });
                        record.write(&arguments.resume).expect("the record is written");
                        println!("{}", report::line(record.runs.last().expect("just pushed")));
                    }
                    Err(panic) => {
                        broken += 1;
                        in_force = false;
                        let why = report::why(&*panic).to_owned();
                        eprintln!("round {round}, {set}, {event} broke off: {why}");
                        let (settings, commit) = (*set, commit.clone());
                        record.broken.push(Broken { event, settings, round, commit, why });
                        record.write(&arguments.resume).expect("the record is written");
                        assert!(broken < HOPELESS, "{broken} repeats in a row broke off");
                    }
                }
            }
        }
    }
    arguments.common.leave(&lab).await;
}

/// One repeat, on a cluster that is whole and has these settings.
async fn repeat(lab: &Lab, event: Event, set: Set, in_force: &mut bool) -> Outcome {
    if !*in_force || !is_whole(lab).await {
        sets::put_into_force(lab, set).await;
        *in_force = true;
    }
    events::play(lab, event, set).await
}

fn chosen<T: Copy>(named: &[T], all: &[T]) -> Vec<T> {
    if named.is_empty() { all.to_vec() } else { named.to_vec() }
}
