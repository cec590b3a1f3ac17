//! `status --watch`: draws in place on a terminal; elsewhere it prints what changed, when it does.

use std::collections::VecDeque;
use std::time::Duration;

use pgstack_diagnostics::Console;
use pgstack_env::NodeEnv;
use pgstack_health::{Finding, Look, Snapshot, changes, examine, moment, one_line, screen};
use pgstack_workdir::StackDir;
use tokio::time::{Instant, sleep_until};

use crate::{gather, stop};

/// How many changes stay on the screen.
const KEPT: usize = 8;

/// Draws until it is stopped, and leaves the terminal as it was.
pub(crate) async fn watch(
    stack: &StackDir,
    env: &NodeEnv,
    every: Duration,
    look: Look,
    height: Option<usize>,
    console: &dyn Console,
) {
    let mut drawing = Drawing { look, height, last: None, changed: VecDeque::new() };
    let draw = async {
        loop {
            let next = Instant::now() + every;
            let snapshot = gather(stack, env).await;
            let findings = examine(&snapshot);
            if let Some(text) = drawing.next(snapshot, findings) {
                console.out(&text);
            }
            sleep_until(next).await;
        }
    };
    tokio::select! {
        () = draw => {}
        () = stop::asked_for() => {}
    }
    if height.is_some() {
        console.out(SHOW_CURSOR);
    }
}

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const CLEAR: &str = "\x1b[2J";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// What was drawn last, and what changed until then.
struct Drawing {
    look: Look,
    height: Option<usize>,
    last: Option<(Snapshot, Vec<Finding>)>,
    changed: VecDeque<String>,
}

impl Drawing {
    /// The next piece of output, if there is anything to say.
    fn next(&mut self, snapshot: Snapshot, findings: Vec<Finding>) -> Option<String> {
        let first = self.last.is_none();
        let now = (snapshot, findings);
        let news = self
            .last
            .as_ref()
            .map_or_else(Vec::new, |last| changes((&last.0, last.1.as_slice()), (&now.0, now.1.as_slice())));
        let at = moment(now.0.taken_at_ms);
        let text = match self.height {
            Some(height) => {
                // the time of day is enough on a screen
                let time = at.split(' ').nth(1).unwrap_or_default();
                self.changed.extend(news.iter().map(|news| format!("{time}  {news}")));
                while self.changed.len() > KEPT {
                    self.changed.pop_front();
                }
                Some(self.frame(&now, first, height))
            }
            None if first => Some(screen(&now.0, &now.1, self.look).trim_end().to_owned() + "\n"),
            None if news.is_empty() => None,
            None => {
                let lines: String = news.iter().map(|news| format!("  {}\n", one_line(news))).collect();
                Some(format!("{at}\n{lines}"))
            }
        };
        self.last = Some(now);
        text
    }

    /// The whole screen, to be written over the one before.
    fn frame(&self, (snapshot, findings): &(Snapshot, Vec<Finding>), first: bool, height: usize) -> String {
        let text = screen(snapshot, findings, self.look);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if !self.changed.is_empty() {
            lines.push(String::new());
            lines.push("Changed".to_owned());
            lines.extend(self.changed.iter().map(|line| fit(&format!("  {line}"), self.look.width)));
        }
        // the line break after the last line must not scroll
        let room = height.saturating_sub(1).max(1);
        if lines.len() > room {
            let hidden = lines.len() - room + 1;
            lines.truncate(room - 1);
            lines.push(fit(&format!("… {hidden} more lines on a higher terminal"), self.look.width));
        }
        let start = if first { format!("{HIDE_CURSOR}{CLEAR}{HOME}") } else { HOME.to_owned() };
        let body: Vec<String> = lines.iter().map(|line| format!("{line}{CLEAR_LINE}")).collect();
        format!("{start}{}{CLEAR_BELOW}", body.join("\n"))
    }
}

/// No wider than the screen.
fn fit(text: &str, width: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= width { text } else { text.chars().take(width - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use pgstack_health::Fact;

    use super::*;

    fn snapshot() -> Snapshot {
        let file = std::fs::read_to_string("../../fixtures/screens/two-troubles.json").expect("the sample");
        serde_json::from_str(&file).expect("a snapshot")
    }

    /// A minute later, nobody leads.
    fn later() -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.taken_at_ms += 60_000;
        if let Fact::Known(dcs) = &mut snapshot.dcs {
            dcs.leader = None;
        }
        snapshot
    }

    fn drawing(height: Option<usize>) -> Drawing {
        Drawing { look: Look { colour: false, width: 80 }, height, last: None, changed: VecDeque::new() }
    }

    #[test]
    fn a_terminal_is_cleared_once_and_then_written_over() {
        let mut drawing = drawing(Some(40));
        let first = drawing.next(snapshot(), Vec::new()).expect("a frame");
        assert!(first.starts_with("\x1b[?25l\x1b[2J\x1b[H") && first.ends_with("\x1b[K\x1b[J"), "{first:?}");
        let second = drawing.next(later(), Vec::new()).expect("a frame");
        assert!(second.starts_with(HOME) && !second.contains(CLEAR), "{second:?}");
        assert!(second.contains("04:06:06  leader: node 1 → nobody"), "{second}");
        let third = drawing.next(later(), Vec::new()).expect("a frame");
        assert!(third.contains("04:06:06  leader: node 1 → nobody"), "it stays for a while");
        assert!(third.lines().all(|line| line.contains(CLEAR_LINE)), "what was there before is gone");
    }

    #[test]
    fn a_low_terminal_never_scrolls() {
        for height in 2..40 {
            let mut drawing = drawing(Some(height));
            drawing.next(snapshot(), Vec::new());
            let frame = drawing.next(later(), Vec::new()).expect("a frame");
            assert!(frame.lines().count() < height, "{height}");
        }
    }

    #[test]
    fn without_a_terminal_there_is_a_block_for_each_change_and_nothing_else() {
        let mut drawing = drawing(None);
        let first = drawing.next(snapshot(), Vec::new()).expect("the whole screen");
        assert!(first.contains("patroni-stack") && !first.contains('\x1b'), "{first:?}");
        assert_eq!(drawing.next(snapshot(), Vec::new()), None);
        let second = drawing.next(later(), Vec::new()).expect("a change");
        assert!(second.starts_with("2026-01-31 04:06:06 UTC\n  leader: node 1 → nobody\n"), "{second}");
    }
}
