//! Every repeat that was measured, kept in a file so that an interrupted benchmark goes on where it was.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::event::{Event, Set};
use super::figures::Figures;
use super::{median, worst};

/// One repeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What happened.
    pub event: Event,
    /// Under which settings.
    pub settings: Set,
    /// Which repeat it was, from 1 on.
    pub round: u32,
    /// What was measured.
    pub commit: String,
    /// What it cost.
    #[serde(flatten)]
    pub figures: Figures,
    /// How many timelines began; `None` where no node told.
    pub promotions: Option<u64>,
    /// What was not as it had to be, in words.
    pub troubles: Vec<String>,
}

/// A repeat that has no figures; the next start plays it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Broken {
    /// What happened.
    pub event: Event,
    /// Under which settings.
    pub settings: Set,
    /// Which repeat it was, from 1 on.
    pub round: u32,
    /// What was measured.
    pub commit: String,
    /// Why it broke off.
    pub why: String,
}

/// All repeats.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// In the order in which they were played.
    pub runs: Vec<Run>,
    /// Those that broke off.
    #[serde(default)]
    pub broken: Vec<Broken>,
}

impl Record {
    /// What an earlier run has written; nothing where there is no file.
    pub fn read(path: &Path) -> io::Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// One line for each repeat; the old file stays until the new one is complete.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let (runs, broken) = (lines(&self.runs)?, lines(&self.broken)?);
        let text = format!("{{\"runs\": [\n{runs}\n], \"broken\": [\n{broken}\n]}}\n");
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let unfinished = path.with_extension("new");
        fs::write(&unfinished, text)?;
        fs::rename(unfinished, path)
    }

    /// Whether that repeat is there.
    pub fn has(&self, event: Event, settings: Set, round: u32) -> bool {
        self.of(event, settings).any(|run| run.round == round)
    }

    /// All repeats of one cell of the table.
    pub fn of(&self, event: Event, settings: Set) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.event == event && run.settings == settings)
    }

    /// Median and worst of a cell.
    pub fn spread(&self, event: Event, settings: Set, figure: impl Fn(&Figures) -> f64) -> Option<(f64, f64)> {
        let figures: Vec<f64> = self.of(event, settings).map(|run| figure(&run.figures)).collect();
        Some((median(&figures)?, worst(&figures)?))
    }

    /// The repeat whose gap is the median, or the one below it.
    pub fn typical(&self, event: Event, settings: Set) -> Option<&Run> {
        let mut runs: Vec<&Run> = self.of(event, settings).collect();
        runs.sort_by(|one, other| one.figures.gap.total_cmp(&other.figures.gap));
        runs.get(runs.len().checked_sub(1)? / 2).copied()
    }
}

fn lines<T: Serialize>(items: &[T]) -> serde_json::Result<String> {
    let lines = items.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(lines.join(",\n"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn run(event: Event, settings: Set, round: u32, gap: f64) -> Run {
        let figures = Figures {
            gap,
            gap_began: 0.5,
            healing_gap: 0.1,
            acknowledged: 100,
            failed: 2,
            unknown: 1,
            lost: 0,
            bins: [vec![50; 20], vec![0; 10], vec![50; 40]].concat(),
        };
        let (commit, promotions, troubles) = ("abc1234".to_owned(), None, Vec::new());
        Run { event, settings, round, commit, figures, promotions, troubles }
    }

    #[test]
    fn what_is_written_is_read_back_and_the_benchmark_goes_on_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("below").join("record.json");
        let mut record = Record::read(&path).expect("nothing yet");
        assert_eq!(record, Record::default());
        record.runs.push(run(Event::Kill9, Set::Fast, 1, 1.234_56));
        record.runs.push(run(Event::LeaderOff, Set::Seed, 2, 48.0));
        let (event, settings, round) = (Event::Kill9, Set::Fast, 2);
        let (commit, why) = ("abc1234".to_owned(), "a \"reason\"".to_owned());
        record.broken.push(Broken { event, settings, round, commit, why });
        record.write(&path).expect("written");
        let read = Record::read(&path).expect("read");
        assert_eq!(read, record);
        assert!(read.has(Event::LeaderOff, Set::Seed, 2) && !read.has(Event::LeaderOff, Set::Seed, 1));
        assert!(!read.has(Event::Kill9, Set::Fast, 2), "what broke off is played again");
        assert!(!path.with_extension("new").exists());
    }

    #[test]
    fn a_file_that_is_something_else_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("record.json");
        fs::write(&path, "{\"runs\": [{}]}").expect("written");
        assert!(Record::read(&path).is_err());
    }

    #[test]
    fn the_typical_repeat_is_one_that_was_played() {
        let gaps = [4.0, 1.0, 9.0, 2.0];
        let runs = gaps.iter().zip(1..).map(|(gap, round)| run(Event::Kill9, Set::Fast, round, *gap)).collect();
        let record = Record { runs, broken: Vec::new() };
        assert_eq!(record.typical(Event::Kill9, Set::Fast).map(|run| run.round), Some(4));
        let spread = record.spread(Event::Kill9, Set::Fast, |figures| figures.gap);
        assert_eq!(spread.map(|(median, worst)| format!("{median:.1} {worst:.1}")).as_deref(), Some("3.0 9.0"));
        assert_eq!(record.typical(Event::Kill9, Set::Seed), None);
    }
}
