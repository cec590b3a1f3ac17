//! The shortest schedule that still fails, found within a number of re-runs. Pure but for the runs.

use super::schedule::{Round, Schedule};

/// Looks for a shorter schedule that fails as well. `fails` plays one; at most `runs` are played. What
/// is returned has failed, or is what was given.
pub async fn shrink(failing: Schedule, runs: usize, mut fails: impl AsyncFnMut(&Schedule) -> bool) -> Schedule {
    let mut best = failing;
    let mut left = runs;
    'better: loop {
        for candidate in candidates(&best) {
            if left == 0 {
                return best;
            }
            left -= 1;
            if fails(&candidate).await {
                best = candidate;
                continue 'better;
            }
        }
        return best;
    }
}

/// Shorter ones, those that save the most first: without half of the rounds, without a single one,
/// without a fault of a round, with shorter rests and rounds.
pub fn candidates(schedule: &Schedule) -> Vec<Schedule> {
    let rounds = &schedule.rounds;
    let mut found = Vec::new();
    // what failed may have been the last straw, so the end is kept first
    let mut size = rounds.len() / 2;
    while size > 0 {
        for from in (0..rounds.len()).step_by(size) {
            let to = (from + size).min(rounds.len());
            if to - from < rounds.len() {
                found.push([&rounds[..from], &rounds[to..]].concat());
            }
        }
        size /= 2;
    }
    let with = |place: usize, round: Round| {
        let mut changed = rounds.clone();
        changed[place] = round;
        changed
    };
    for (place, round) in rounds.iter().enumerate().filter(|(_, round)| round.blows.len() > 1) {
        for without in 0..round.blows.len() {
            let mut fewer = round.clone();
            fewer.blows.remove(without);
            found.push(with(place, fewer));
        }
    }
    for (place, round) in rounds.iter().enumerate() {
        let latest = round.blows.iter().map(|blow| blow.after).max().unwrap_or_default();
        // half of what follows the last fault; less than two seconds are no fault at all
        let lasts = latest + (round.lasts - latest) / 2;
        if lasts >= 2_000 && lasts > latest {
            found.push(with(place, Round { lasts, ..round.clone() }));
        }
        if round.rest > 2_000 {
            found.push(with(place, Round { rest: round.rest / 2, ..round.clone() }));
        }
    }
    found.into_iter().map(|rounds| Schedule { rounds }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;
    use crate::chaos::schedule::Fault;

    /// How much there is in a schedule.
    fn size(schedule: &Schedule) -> (usize, usize, Duration) {
        let blows = schedule.rounds.iter().map(|round| round.blows.len()).sum();
        (schedule.rounds.len(), blows, schedule.length())
    }

    fn contains(schedule: &Schedule, fault: Fault) -> bool {
        schedule.rounds.iter().flat_map(|round| &round.blows).any(|blow| blow.fault == fault)
    }

    fn shrunk(schedule: &Schedule, runs: usize, fails: impl Fn(&Schedule) -> bool) -> (Schedule, usize) {
        let mut played = 0;
        let search = shrink(schedule.clone(), runs, async |candidate: &Schedule| {
            played += 1;
            fails(candidate)
        });
        let found = search.now_or_never().expect("nothing is waited for");
        (found, played)
    }

    proptest! {
        #[test]
        fn candidates_are_smaller_and_well_formed(seed: u64) {
            let schedule = Schedule::draw(seed, Duration::from_secs(900));
            for candidate in candidates(&schedule) {
                prop_assert!(size(&candidate) < size(&schedule));
                prop_assert!(!candidate.rounds.is_empty());
                for round in &candidate.rounds {
                    prop_assert!(!round.blows.is_empty());
                    prop_assert!(round.blows.iter().all(|blow| blow.after < round.lasts));
                }
            }
        }

        #[test]
        fn one_guilty_fault_is_left_alone(seed: u64, which in any::<prop::sample::Index>()) {
            let schedule = Schedule::draw(seed, Duration::from_secs(900));
            let all: Vec<Fault> = schedule.rounds.iter().flat_map(|round| &round.blows).map(|blow| blow.fault).collect();
            let guilty = *which.get(&all);
            let (found, _) = shrunk(&schedule, 10_000, |candidate| contains(candidate, guilty));
            prop_assert_eq!(size(&found).1, 1);
            prop_assert!(contains(&found, guilty));
        }

        #[test]
        fn two_faults_that_are_guilty_together_are_both_kept(seed: u64) {
            let schedule = Schedule::draw(seed, Duration::from_secs(900));
            let all: Vec<Fault> = schedule.rounds.iter().flat_map(|round| &round.blows).map(|blow| blow.fault).collect();
            let (first, last) = (all[0], all[all.len() - 1]);
            let (found, _) = shrunk(&schedule, 10_000, |candidate| contains(candidate, first) && contains(candidate, last));
            prop_assert!(contains(&found, first) && contains(&found, last));
            prop_assert!(size(&found).1 <= 2);
        }

        #[test]
        fn no_more_runs_are_played_than_allowed_and_what_is_told_has_failed(seed: u64, runs in 0..20_usize, salt: u64) {
            let schedule = Schedule::draw(seed, Duration::from_secs(900));
            // fails or not without any rule
            let fails = |candidate: &Schedule| (candidate.length().as_millis() ^ u128::from(salt)).count_ones().is_multiple_of(2);
            let (found, played) = shrunk(&schedule, runs, fails);
            prop_assert!(played <= runs);
            prop_assert!(found == schedule || fails(&found));
        }
    }
}
