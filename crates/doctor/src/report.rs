//! Findings on the screen.

use pgstack_diagnostics::Console;
use pgstack_health::{Finding, Risk, Severity};

use crate::Doctor;

pub(crate) fn show(findings: &[Finding], _options: Doctor, console: &dyn Console) {
    for finding in findings {
        let severity = match finding.severity {
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        console.out(&format!("{} {severity}: {}", finding.code, finding.what));
        for line in &finding.evidence {
            console.out(&format!("    {line}"));
        }
        console.out(&format!("  likely because {}", finding.cause));
        for mend in &finding.mends {
            let place = mend.node.map_or(String::new(), |node| format!("on node {node}: "));
            let risk = if mend.risk == Risk::Destructive { " (deletes data)" } else { "" };
            console.out(format!("  → {place}{}  {}{risk}", mend.command, mend.note).trim_end());
        }
    }
}
