//! The text that `doctor` prints.

use std::fmt::Write as _;

use pgstack_topology::NodeId;

use crate::{Finding, Mend, Risk, Severity, Snapshot, view};

const MARGIN: usize = 10;

/// What is not known, and why: one line each.
pub fn unknown(snapshot: &Snapshot) -> Vec<String> {
    view::unknown(snapshot).into_iter().map(|view::Unknown { what, why }| format!("{what} ({why})")).collect()
}

/// The findings as a person reads them, and what could not be looked at. Ends with a line break.
pub fn report(findings: &[Finding], unknown: &[String], width: usize, colour: bool) -> String {
    let mut page = Page { text: String::new(), width: width.max(40), colour };
    match findings.len() {
        0 if unknown.is_empty() => page.line("nothing is wrong"),
        0 => page.line("nothing is wrong, as far as can be seen"),
        1 => page.line("1 trouble"),
        count => page.line(&format!("{count} troubles, the worst first")),
    }
    for finding in findings {
        page.finding(finding);
    }
    if !unknown.is_empty() {
        page.text.push('\n');
        for (at, line) in unknown.iter().enumerate() {
            page.block(if at == 0 { "unknown" } else { "" }, line);
        }
    }
    if !findings.is_empty() {
        page.text.push('\n');
        page.line("Each code has its section in docs/troubleshooting.md");
    }
    page.text
}

struct Page {
    text: String,
    width: usize,
    colour: bool,
}

impl Page {
    fn finding(&mut self, finding: &Finding) {
        let (word, ink) = match finding.severity {
            Severity::Critical => ("CRITICAL", "1;31"),
            Severity::Warning => ("warning", "1;33"),
            Severity::Notice => ("notice", "1;36"),
        };
        self.text.push('\n');
        let head = format!("{} {}", finding.code, finding.what);
        let mut lines = wrap(&head, self.width.saturating_sub(MARGIN)).into_iter();
        let first = lines.next().unwrap_or_default();
        let (word, first) = (self.ink(&format!("{word:<MARGIN$}"), ink), self.ink(&first, "1"));
        self.line(&format!("{word}{first}"));
        for line in lines {
            let line = self.ink(&line, "1");
            self.line(&format!("{:MARGIN$}{line}", ""));
        }
        for (at, line) in finding.evidence.iter().enumerate() {
            self.block(if at == 0 { "  seen" } else { "" }, line);
        }
        self.block("  why", &finding.cause);
        for (at, mend) in finding.mends.iter().enumerate() {
            self.mend(if at == 0 { "  mend" } else { "" }, mend);
        }
    }

    fn mend(&mut self, label: &str, mend: &Mend) {
        let risk = match mend.risk {
            Risk::Safe => "",
            Risk::Disturbing => " [choose the moment]",
            Risk::Destructive => " [removes something]",
            Risk::Manual => " [by hand]",
        };
        let place = place(mend.node);
        if mend.command.is_empty() {
            self.block(label, &format!("{place}{risk}: {}", mend.note));
            return;
        }
        let note = if mend.note.is_empty() { String::new() } else { format!(": {}", mend.note) };
        self.block(label, &format!("{place}{risk}{note}"));
        // never wrapped: it is to be copied
        let shown: String = mend.command.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let command = self.ink(&shown, "1");
        self.line(&format!("{:MARGIN$}  {command}", ""));
    }

    /// Text beside a label, in as many lines as it takes.
    fn block(&mut self, label: &str, text: &str) {
        let mut label = label;
        for line in wrap(text, self.width.saturating_sub(MARGIN)) {
            let left = self.ink(&format!("{label:<MARGIN$}"), "2");
            self.line(&format!("{left}{line}"));
            label = "";
        }
    }

    fn line(&mut self, line: &str) {
        // write! to a String cannot fail
        let _ = writeln!(self.text, "{}", line.trim_end());
    }

    fn ink(&self, text: &str, ink: &str) -> String {
        if self.colour && !text.trim().is_empty() { format!("\u{1b}[{ink}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn place(node: Option<NodeId>) -> String {
    node.map_or_else(|| "any node".to_owned(), |node| format!("node {node}"))
}

/// Breaks a text at its blanks. A word that is longer than a line gets one of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in view::one_line(text).split(' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_breaks_at_blanks_and_keeps_every_word() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrap("aaaaaaaa b", 5), ["aaaaaaaa", "b"]);
        assert!(wrap("", 5).is_empty());
        assert_eq!(wrap("a\u{1b}[31mb\nc", 80), ["a [31mb c"]);
    }
}
