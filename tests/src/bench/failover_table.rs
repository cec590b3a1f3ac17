//! `bench-failover` as Markdown.

use std::collections::BTreeSet;

use super::event::{Event, Set};
use super::figures::Figures;
use super::record::Record;

/// Everything that goes between the marks. Pictures lie in `pictures`, seen from the document.
pub fn markdown(record: &Record, pictures: &str) -> String {
    let mut text = String::from("Longest time without an acknowledged write, in seconds: median (worst).\n\n");
    text += &table(record, Some("goal (fast)"), |event, set| {
        let (median, worst) = record.spread(event, set, |figures| figures.gap)?;
        Some(format!("{median:.1} ({worst:.1})"))
    });
    let number = |figure: fn(&Figures) -> f64| {
        table(record, None, |event, set| {
            let (median, worst) = record.spread(event, set, figure)?;
            Some(format!("{median:.0} ({worst:.0})"))
        })
    };
    text += "\nWrites that were refused: median (worst).\n\n";
    text += &number(Figures::refused);
    text += "\nWrites that were on their way, and may be in or not: median (worst).\n\n";
    text += &number(Figures::open);
    if record.runs.iter().any(|run| run.figures.lost > 0) {
        text += "\nAcknowledged rows that were missing afterwards: the most of any repeat.\n\n";
        text += &table(record, None, |event, set| {
            let lost = record.of(event, set).map(|run| run.figures.lost).max()?;
            Some(lost.to_string())
        });
    }
    let pictures =
        measured(record).map(|event| format!("\n![{}: writes over time]({pictures}/{event}.svg)\n", event.title()));
    text + "\n" + &repeats(record) + "\n" + &pictures.collect::<String>()
}

/// The events that were played at all.
pub fn measured(record: &Record) -> impl Iterator<Item = Event> {
    Event::ALL.into_iter().filter(|event| record.runs.iter().any(|run| run.event == *event))
}

fn table(record: &Record, last: Option<&str>, cell: impl Fn(Event, Set) -> Option<String>) -> String {
    let sets: Vec<Set> =
        Set::ALL.into_iter().filter(|set| record.runs.iter().any(|run| run.settings == *set)).collect();
    let heads = sets.iter().map(|set| set.title()).chain(last);
    let mut lines = vec![row(["event"].into_iter().chain(heads))];
    lines.push(format!("|---|{}", "---|".repeat(sets.len() + usize::from(last.is_some()))));
    for event in measured(record) {
        let cells = sets.iter().map(|set| cell(event, *set).unwrap_or_else(|| "–".to_owned()));
        let goal = event.target().map_or_else(|| "–".to_owned(), |target| format!("≤ {target:.0}"));
        let goal = last.map(|_| goal);
        let cells: Vec<String> = [event.title().to_owned()].into_iter().chain(cells).chain(goal).collect();
        lines.push(row(cells.iter().map(String::as_str)));
    }
    lines.join("\n") + "\n"
}

fn row<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}

/// How many repeats of what; a cell with fewer is told, so that nobody takes it for as good.
fn repeats(record: &Record) -> String {
    let counts: Vec<usize> = measured(record)
        .flat_map(|event| Set::ALL.map(|set| record.of(event, set).count()))
        .filter(|count| *count > 0)
        .collect();
    let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
    let number = if least == most { format!("{most}") } else { format!("{least} to {most}") };
    let commits: BTreeSet<&str> = record.runs.iter().map(|run| run.commit.as_str()).collect();
    let commits = commits.into_iter().collect::<Vec<_>>().join(", ");
    let troubled = record.runs.iter().filter(|run| !run.troubles.is_empty()).count();
    let mut text = format!("Repeats for each cell: {number}. Measured: {commits}.");
    let all = record.runs.len();
    if troubled > 0 {
        let told = "something was not as it had to be; the record says what";
        text.extend([format!(" In {troubled} of {all} repeats {told}.")]);
    }
    if !record.broken.is_empty() {
        let number = record.broken.len();
        text.extend([format!(" Beside them {number} broke off without a figure.")]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::record::Broken;
    use super::super::record::tests::run;
    use super::*;

    #[test]
    fn each_cell_has_median_and_worst_and_what_was_not_measured_has_none() {
        let mut record = Record::default();
        for (round, gap) in [(1, 15.0), (2, 15.4), (3, 16.0)] {
            record.runs.push(run(Event::Kill9, Set::Seed, round, gap));
        }
        record.runs.push(run(Event::Kill9, Set::Fast, 1, 1.25));
        record.runs.push(run(Event::Partition, Set::Fast, 1, 22.0));
        let text = markdown(&record, "failover");
        assert!(text.contains("| event | seed's settings | fast | goal (fast) |\n|---|---|---|---|\n"), "{text}");
        assert!(text.contains("| kill -9 of the postmaster | 15.4 (16.0) | 1.2 (1.2) | ≤ 2 |"), "{text}");
        assert!(text.contains("| leader (and VIP) cut off from the other two | – | 22.0 (22.0) | – |"), "{text}");
        for number in ["2 (2) | 2 (2)", "1 (1) | 1 (1)"] {
            assert!(text.contains(&format!("| kill -9 of the postmaster | {number} |\n")), "{text}");
        }
        assert!(text.contains("Repeats for each cell: 1 to 3. Measured: abc1234."), "{text}");
        assert!(text.contains("](failover/kill9.svg)"), "{text}");
        assert!(!text.contains("missing afterwards") && !text.contains("planned switchover"), "{text}");
    }

    #[test]
    fn lost_rows_and_troubles_are_never_left_out() {
        let mut lossy = run(Event::Partition, Set::Balanced, 1, 30.0);
        (lossy.figures.lost, lossy.troubles) = (325, vec!["something".to_owned()]);
        let (commit, why) = ("abc1234".to_owned(), "it never came back".to_owned());
        let broken = vec![Broken { event: Event::Kill9, settings: Set::Seed, round: 1, commit, why }];
        let text = markdown(&Record { runs: vec![lossy], broken }, "x");
        assert!(text.contains("| leader (and VIP) cut off from the other two | 325 |"), "{text}");
        assert!(text.contains("In 1 of 1 repeats") && text.contains("Beside them 1 broke off"), "{text}");
    }
}
