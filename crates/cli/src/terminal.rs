//! A person at a terminal, or a log file: the same facts, shown fittingly.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pgstack_diagnostics::{Answer, Console};

/// stdout for results, stderr for everything else; a spinner on a terminal, plain lines elsewhere.
#[derive(Debug)]
pub struct Terminal {
    interactive: bool,
    step: Mutex<Step>,
    /// Why a line of the result could not be written.
    lost: Mutex<Option<io::Error>>,
}

#[derive(Debug, Default)]
struct Step {
    name: String,
    detail: String,
    spinner: Option<ProgressBar>,
}

impl Terminal {
    /// Looks whether stderr is a terminal.
    pub fn new() -> Self {
        Self { interactive: io::stderr().is_terminal(), step: Mutex::default(), lost: Mutex::default() }
    }

    /// Whether some of the result did not reach stdout, such as for a full disk behind it; says so.
    pub fn lost_a_line(&self) -> bool {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = &lost {
            self.error(&format!("error: cannot write the result to stdout\n  caused by: {error}"));
        }
        lost.is_some()
    }

    /// An error as `report` made it.
    pub fn error(&self, text: &str) {
        self.stderr(text.trim_end());
    }

    #[expect(clippy::print_stderr, reason = "the one place that may")]
    fn stderr(&self, line: &str) {
        match &self.lock().spinner {
            Some(spinner) => spinner.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Step> {
        self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Console for Terminal {
    fn out(&self, line: &str) {
        // a closed pipe (`| head`) is no reason to panic
        match writeln!(io::stdout().lock(), "{line}") {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
            _ => {}
        }
    }

    fn note(&self, line: &str) {
        self.stderr(line);
    }

    fn warn(&self, line: &str) {
        self.stderr(&format!("warning: {line}"));
    }

    fn begin(&self, step: &str) {
        self.end("");
        let mut current = self.lock();
        step.clone_into(&mut current.name);
        current.detail.clear();
        if self.interactive {
            let spinner = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
                spinner.set_style(style);
            }
            spinner.set_message(step.to_owned());
            spinner.enable_steady_tick(Duration::from_millis(120));
            current.spinner = Some(spinner);
        }
    }

    fn progress(&self, detail: &str) {
        let mut current = self.lock();
        if current.detail == detail {
            return;
        }
        detail.clone_into(&mut current.detail);
        let line = format!("{}: {detail}", current.name);
        if let Some(spinner) = &current.spinner {
            spinner.set_message(line);
            return;
        }
        drop(current);
        self.stderr(&format!("  {line}"));
    }

    fn end(&self, outcome: &str) {
        let step = std::mem::take(&mut *self.lock());
        if let Some(spinner) = step.spinner {
            spinner.finish_and_clear();
        }
        if !step.name.is_empty() && !outcome.is_empty() {
            self.stderr(&format!("✓ {}: {outcome}", step.name));
        }
    }

    fn ask(&self, question: &str) -> Answer {
        if !self.interactive || !io::stdin().is_terminal() {
            return Answer::Nobody;
        }
        self.end("");
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "{question} [y/N] ");
        let _ = stderr.flush();
        let mut line = String::new();
        match io::stdin().lock().read_line(&mut line) {
            Ok(_) if matches!(line.trim(), "y" | "Y" | "yes" | "Yes") => Answer::Yes,
            _ => Answer::No,
        }
    }
}
