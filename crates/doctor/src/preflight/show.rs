//! How the checks are shown: one line each, what is wrong below them.

use pgstack_diagnostics::Console;
use pgstack_health::preflight::{Check, Machine, Outcome};
use pgstack_health::{Finding, report};
use serde::Serialize;

use crate::Doctor;

#[derive(Serialize)]
struct Json<'a> {
    machine: &'a Machine,
    checks: &'a [Check],
    findings: &'a [Finding],
}

pub(super) fn json(machine: &Machine, checks: &[Check], findings: &[Finding], console: &dyn Console) {
    console.out(&serde_json::to_string_pretty(&Json { machine, checks, findings }).unwrap_or_default());
}

/// `complete`: there is a `.env` to look by.
pub(super) fn screen(checks: &[Check], findings: &[Finding], complete: bool, options: Doctor, console: &dyn Console) {
    for check in checks {
        console.out(&line(check, options.colour, options.width));
    }
    console.out("");
    match (findings, complete) {
        ([], true) => console.out("nothing stands in a deploy's way: ./deploy"),
        ([], false) => console.out("nothing else is wrong, as far as can be seen without a .env"),
        _ => console.out(report(findings, &[], options.width, options.colour).trim_end()),
    }
}

/// `ok         Docker engine        26.1.5`
fn line(check: &Check, colour: bool, width: usize) -> String {
    let (word, code) = match check.outcome {
        Outcome::Ok => ("ok", "32"),
        Outcome::Finding => ("wrong", "31"),
        Outcome::Unknown => ("not known", "33"),
    };
    let word = if colour { format!("\x1b[{code}m{word:<10}\x1b[0m") } else { format!("{word:<10}") };
    // what is wrong stands below in full
    let room = if check.outcome == Outcome::Finding { width.saturating_sub(32) } else { usize::MAX };
    let detail = if check.detail.chars().count() > room {
        check.detail.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    } else {
        check.detail.clone()
    };
    format!("{word} {:<20} {detail}", check.title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_one_line_and_a_finding_s_fits_the_screen() {
        let check =
            |outcome, detail: &str| Check { title: "ports", outcome, detail: detail.to_owned(), findings: Vec::new() };
        assert_eq!(
            line(&check(Outcome::Ok, "all 9 are free"), false, 80),
            "ok         ports                all 9 are free"
        );
        let long = line(&check(Outcome::Finding, &"x".repeat(99)), false, 80);
        assert!(long.chars().count() <= 80 && long.ends_with('…'), "{long}");
        assert!(line(&check(Outcome::Unknown, "why"), true, 80).starts_with("\x1b[33mnot known"));
    }
}
