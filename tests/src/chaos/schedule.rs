//! Schedules of faults: drawn from a seed, printed, read again. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use pgstack_lab::{Process, Traffic, Way};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// Which machine, decided when it is its turn: a schedule that was shortened still makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Whose PostgreSQL leads.
    Leader,
    /// Who has the VIP.
    Holder,
    /// The first that does not lead.
    First,
    /// The last that does not lead.
    Last,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL; what runs it starts it again.
    Kill(Process),
    /// SIGSTOP until the round ends.
    Freeze(Process),
    /// No power until the round ends.
    PowerOff,
    /// The whole machine stands still until the round ends.
    FreezeMachine,
    /// Cut off until the round ends.
    Cut(Way, Traffic),
    /// A share of the packets is lost, each way, until the round ends.
    Loss(u8),
    /// A planned switchover to it, if it does not lead.
    Switchover,
}

impl Fault {
    /// Whether who is hit may not hear the others any more, or may keep the VIP's address without knowing of it: a
    /// second owner is excused as long as that lasts.
    pub fn silences(self) -> bool {
        match self {
            Self::FreezeMachine | Self::Freeze(Process::Keepalived) | Self::Loss(_) | Self::Cut(_, Traffic::All) => {
                true
            }
            Self::Kill(_) | Self::Freeze(_) | Self::PowerOff | Self::Cut(..) | Self::Switchover => false,
        }
    }
}

/// A fault at its moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blow {
    /// Milliseconds since the round began.
    pub after: u64,
    /// To whom.
    pub target: Target,
    /// What.
    pub fault: Fault,
}

/// Faults that fall together; all are healed when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// At least one.
    pub blows: Vec<Blow>,
    /// Milliseconds from its beginning to the healing.
    pub lasts: u64,
    /// Milliseconds from the healing to the next round; nobody waits for the cluster to be whole.
    pub rest: u64,
}

/// What happens in a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    /// One after the other.
    pub rounds: Vec<Round>,
}

/// All that can be done, each as often as its weight.
const FAULTS: &[(u32, Fault)] = &[
    (3, Fault::Kill(Process::Postgres)),
    (2, Fault::Kill(Process::Patroni)),
    (2, Fault::Kill(Process::Haproxy)),
    (2, Fault::Kill(Process::Pgbouncer)),
    (2, Fault::Kill(Process::Keepalived)),
    (2, Fault::Kill(Process::Etcd)),
    (2, Fault::Freeze(Process::Patroni)),
    (2, Fault::Freeze(Process::Postgres)),
    (1, Fault::Freeze(Process::Etcd)),
    (1, Fault::Freeze(Process::Haproxy)),
    (1, Fault::Freeze(Process::Pgbouncer)),
    (1, Fault::Freeze(Process::Keepalived)),
    (4, Fault::PowerOff),
    (3, Fault::FreezeMachine),
    (4, Fault::Cut(Way::Both, Traffic::All)),
    (2, Fault::Cut(Way::In, Traffic::All)),
    (2, Fault::Cut(Way::Out, Traffic::All)),
    (2, Fault::Cut(Way::Both, Traffic::Etcd)),
    (2, Fault::Cut(Way::Both, Traffic::Replication)),
    (2, Fault::Loss(5)),
    (2, Fault::Loss(30)),
    (2, Fault::Switchover),
];

impl Schedule {
    /// The same seed and length give the same schedule.
    pub fn draw(seed: u64, length: Duration) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let (mut rounds, mut all) = (Vec::new(), 0);
        while all < length {
            let round = draw_round(&mut random);
            all += round.lasts + round.rest;
            rounds.push(round);
        }
        Self { rounds }
    }

    /// How long it takes.
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.rounds.iter().map(|round| round.lasts + round.rest).sum())
    }
}

fn draw_round(random: &mut StdRng) -> Round {
    // mostly one; sometimes a second while the first is not over
    let count = *[1, 1, 1, 2, 2, 3].choose(random).unwrap_or(&1);
    let lasts = random.random_range(2_000..=60_000);
    let mut blows: Vec<Blow> = (0..count)
        .map(|_| Blow {
            after: random.random_range(0..=lasts / 2),
            target: *[Target::Leader, Target::Leader, Target::Leader, Target::Holder, Target::First, Target::Last]
                .choose(random)
                .unwrap_or(&Target::Leader),
            fault: draw_fault(random),
        })
        .collect();
    blows.sort_by_key(|blow| blow.after);
    Round { blows, lasts, rest: random.random_range(1_000..=30_000) }
}

fn draw_fault(random: &mut StdRng) -> Fault {
    let drawn = FAULTS.choose_weighted(random, |(weight, _)| *weight);
    drawn.map_or(Fault::PowerOff, |(_, fault)| *fault)
}

fn way(way: Way) -> &'static str {
    match way {
        Way::Both => "both",
        Way::In => "in",
        Way::Out => "out",
    }
}

fn traffic(traffic: Traffic) -> &'static str {
    match traffic {
        Traffic::All => "all",
        Traffic::Etcd => "etcd",
        Traffic::Replication => "replicas",
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::Holder => "holder",
            Self::First => "first",
            Self::Last => "last",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(process) => write!(f, "kill:{}", process.name()),
            Self::Freeze(process) => write!(f, "freeze:{}", process.name()),
            Self::PowerOff => f.write_str("off"),
            Self::FreezeMachine => f.write_str("freeze"),
            Self::Cut(direction, packets) => write!(f, "cut:{}:{}", way(*direction), traffic(*packets)),
            Self::Loss(percent) => write!(f, "loss:{percent}"),
            Self::Switchover => f.write_str("switchover"),
        }
    }
}

/// `0+leader=off,3000+last=kill:etcd/20000/5000 ...`: what `--schedule` takes.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, round) in self.rounds.iter().enumerate() {
            let blows: Vec<String> =
                round.blows.iter().map(|blow| format!("{}+{}={}", blow.after, blow.target, blow.fault)).collect();
            write!(f, "{}{}/{}/{}", if place > 0 { " " } else { "" }, blows.join(","), round.lasts, round.rest)?;
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rounds = text.split_whitespace().map(|word| round(word).ok_or_else(|| format!("not a round: {word}")));
        Ok(Self { rounds: rounds.collect::<Result<_, _>>()? })
    }
}

fn round(word: &str) -> Option<Round> {
    let [blows, lasts, rest] = word.split('/').collect::<Vec<_>>().try_into().ok()?;
    let blows = blows.split(',').map(blow).collect::<Option<Vec<_>>>()?;
    Some(Round { blows, lasts: lasts.parse().ok()?, rest: rest.parse().ok()? })
}

fn blow(word: &str) -> Option<Blow> {
    let (after, rest) = word.split_once('+')?;
    let (target, name) = rest.split_once('=')?;
    let targets = [Target::Leader, Target::Holder, Target::First, Target::Last];
    let target = targets.into_iter().find(|known| known.to_string() == target)?;
    Some(Blow { after: after.parse().ok()?, target, fault: fault(name)? })
}

fn fault(name: &str) -> Option<Fault> {
    if let Some(percent) = name.strip_prefix("loss:") {
        return Some(Fault::Loss(percent.parse().ok()?));
    }
    let processes = Process::ALL.into_iter().flat_map(|process| [Fault::Kill(process), Fault::Freeze(process)]);
    let ways = [Way::Both, Way::In, Way::Out];
    let cuts = ways
        .into_iter()
        .flat_map(|way| [Traffic::All, Traffic::Etcd, Traffic::Replication].map(|traffic| Fault::Cut(way, traffic)));
    let others = [Fault::PowerOff, Fault::FreezeMachine, Fault::Switchover];
    processes.chain(cuts).chain(others).find(|known| known.to_string() == name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_seed_gives_one_schedule_of_the_length_that_was_asked_for(seed: u64, minutes in 1..90_u64) {
            let length = Duration::from_secs(minutes * 60);
            let schedule = Schedule::draw(seed, length);
            prop_assert_eq!(&Schedule::draw(seed, length), &schedule);
            // the last round may go beyond it
            prop_assert!(schedule.length() >= length && schedule.length() < length + Duration::from_secs(90));
        }

        #[test]
        fn every_round_has_a_fault_that_falls_before_it_is_healed(seed: u64) {
            for round in Schedule::draw(seed, Duration::from_secs(3600)).rounds {
                prop_assert!(!round.blows.is_empty() && round.rest > 0);
                prop_assert!(round.blows.iter().all(|blow| blow.after < round.lasts));
                prop_assert!(round.blows.is_sorted_by_key(|blow| blow.after));
            }
        }

        #[test]
        fn a_printed_schedule_is_read_back_as_it_was(seed: u64) {
            let schedule = Schedule::draw(seed, Duration::from_secs(3600));
            prop_assert_eq!(schedule.to_string().parse::<Schedule>(), Ok(schedule));
        }

        #[test]
        fn a_longer_run_begins_like_a_shorter_one(seed: u64) {
            let [short, long] = [600, 3600].map(|seconds| Schedule::draw(seed, Duration::from_secs(seconds)));
            prop_assert_eq!(&long.rounds[..short.rounds.len()], &short.rounds[..]);
        }
    }

    #[test]
    fn every_fault_is_drawn_and_can_be_read() {
        let drawn = Schedule::draw(1, Duration::from_secs(48 * 3600)).to_string();
        for (_, known) in FAULTS {
            assert!(drawn.contains(&format!("={known}")), "{known}");
            assert_eq!(fault(&known.to_string()), Some(*known));
        }
        assert!("0+nobody=off/1/1".parse::<Schedule>().is_err());
    }
}
