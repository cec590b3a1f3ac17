//! The planner against a model of etcd: histories of deploys, kills, races and misfortune.
//!
//! The promises (design: one change at a time, no live majority lost, convergence, an empty plan
//! at the goal, foreign members untouched unless asked for, kills and races survived) are asserted
//! in the model, where the world changes.

mod model;

use model::{Gone, World};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Event {
    Deploy(usize),
    DeployKilled(usize, usize),
    Begin(usize),
    End(usize),
    PowerOff(usize),
    PowerOn(usize),
    Isolate(usize, bool),
    Wipe(usize, bool),
    Replace(usize),
    Stale(usize),
    Remove(usize, Gone),
    RemovalBegins(usize, Gone),
    RemovalEnds(usize),
}

/// One number makes one event: a `prop_oneof` spends most of a test's time on random numbers.
fn event(dice: u32) -> Event {
    let (at, detail) = (dice as usize % 6, dice as usize / 6 % 3);
    let flag = detail == 0;
    match dice / 18 % FACES {
        0..8 => Event::Deploy(at),
        8..12 => Event::DeployKilled(at, detail),
        12..16 => Event::Begin(at),
        16..20 => Event::End(at),
        20..22 => Event::PowerOff(at),
        22..24 => Event::PowerOn(at),
        24..26 => Event::Isolate(at, flag),
        26..28 => Event::Wipe(at, flag),
        28 => Event::Replace(at),
        29 => Event::Stale(at),
        30 => Event::RemovalEnds(at),
        face => {
            let gone = match dice / (18 * FACES) % 7 {
                6 => Gone::Foreign,
                other => Gone::Machine(other as usize),
            };
            if face < 33 { Event::Remove(at, gone) } else { Event::RemovalBegins(at, gone) }
        }
    }
}

/// How many kinds of events there are, counted by how often they happen.
const FACES: u32 = 34;

fn happen(world: &mut World, size: usize, event: &Event) {
    let among = |gone| if let Gone::Machine(at) = gone { Gone::Machine(at % size) } else { gone };
    match *event {
        Event::Deploy(at) => drop(world.deploy(at % size, usize::MAX)),
        Event::DeployKilled(at, kill) => drop(world.deploy(at % size, kill)),
        Event::Begin(at) => world.deploy_begins(at % size),
        Event::End(at) => world.deploy_ends(at % size),
        Event::PowerOff(at) => world.power_off(at % size),
        Event::PowerOn(at) => world.power_on(at % size),
        Event::Isolate(at, cut) => world.isolate(at % size, cut),
        Event::Wipe(at, leave) => world.wipe(at % size, leave),
        Event::Replace(at) => world.replace(at % size),
        Event::Stale(at) => world.stale(at % size),
        Event::Remove(from, gone) => drop(world.remove(from % size, among(gone))),
        Event::RemovalBegins(from, gone) => world.removal_begins(from % size, among(gone)),
        Event::RemovalEnds(from) => world.removal_ends(from % size),
    }
}

fn histories(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(0u32..18 * FACES * 7, 0..30).prop_map(|dice| dice.into_iter().map(event).collect())
}

fn live_and_recover(size: usize, formed: usize, foreign: bool, events: &[Event]) -> Result<(), TestCaseError> {
    let mut world = World::new(size, formed, foreign);
    for event in events {
        happen(&mut world, size, event);
    }
    let can_recover = world.can_recover();
    world.recover(true);
    if can_recover {
        prop_assert!(world.is_at_the_goal(foreign), "{world}");
        for at in 0..size {
            prop_assert!(world.deploy(at, usize::MAX), "the plan is not empty at the goal: {world}");
        }
        // whoever got here can also have one node fewer
        if size > 3 {
            world.shrink(events.len().is_multiple_of(2));
            world.recover(false);
            prop_assert!(world.is_at_the_goal(foreign), "one fewer: {world}");
        }
    }
    Ok(())
}

/// Two removals by name at the same time, and the third node's data is lost: what is left is the foreign member alone, and
/// nothing that `deploy` could do.
#[test]
fn where_only_a_foreign_member_is_left_nobody_can_be_asked() {
    let events = [
        Event::RemovalBegins(1, Gone::Machine(2)),
        Event::Remove(1, Gone::Machine(0)),
        Event::Wipe(1, true),
        Event::DeployKilled(1, 2),
        Event::RemovalEnds(1),
        Event::Deploy(0),
    ];
    live_and_recover(3, 3, true, &events).expect("left alone");
}

proptest! {
    #![proptest_config(histories(5_200))]

    #[test]
    fn from_nothing_every_history_with_a_majority_of_the_data_ends_at_the_goal(
        size in 3usize..=6,
        events in events(),
    ) {
        live_and_recover(size, 0, false, &events)?;
    }

    #[test]
    fn from_a_running_cluster_every_history_with_a_majority_of_the_data_ends_at_the_goal(
        size in 3usize..=6,
        formed in 3usize..=6,
        foreign in any::<bool>(),
        events in events(),
    ) {
        live_and_recover(size, formed.min(size), foreign, &events)?;
    }
}
