//! How errors, hints and progress are shown, and what exit codes mean.

mod console;

use std::error::Error;
use std::fmt::Write as _;

pub use console::{Answer, Console};

/// The exit codes of every binary.
pub mod exit {
    /// All is well, or nothing had to change.
    pub const OK: u8 = 0;
    /// It failed, or with `--check`: something would change.
    pub const FAILURE: u8 = 1;
    /// The command line was wrong.
    pub const USAGE: u8 = 2;
}

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All is well.
    Done,
    /// Something is left for a person, and it was said what: `--check` found something that would
    /// change, or somebody said no.
    Unfinished,
}

/// An error that can tell what to do about it.
pub trait Hint: Error {
    /// One actionable sentence each, without a final full stop.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }
}

impl<E: Hint + 'static> From<E> for Box<dyn Hint> {
    fn from(error: E) -> Self {
        Box::new(error)
    }
}

/// `error: …` with the causes below it and the hints at the end, ready for stderr.
///
/// ```
/// # use pgstack_diagnostics::{Hint, report};
/// #[derive(Debug)]
/// struct NoEngine;
/// impl std::fmt::Display for NoEngine {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         f.write_str("no Docker engine answers")
///     }
/// }
/// impl std::error::Error for NoEngine {}
/// impl Hint for NoEngine {
///     fn hints(&self) -> Vec<String> {
///         vec!["start it: systemctl start docker".to_owned()]
///     }
/// }
/// assert_eq!(report(&NoEngine), "error: no Docker engine answers\n\nhint: start it: systemctl start docker\n");
/// ```
pub fn report(error: &dyn Hint) -> String {
    let mut out = format!("error: {error}\n");
    let mut source = error.source();
    while let Some(cause) = source {
        // write! to a String cannot fail
        let _ = writeln!(out, "  caused by: {cause}");
        source = cause.source();
    }
    for (at, hint) in error.hints().iter().enumerate() {
        let _ = writeln!(out, "{}hint: {hint}", if at == 0 { "\n" } else { "" });
    }
    out
}

/// The known name that is nearest to `name`, when it is near enough to be a slip of the hand:
/// at most two edits, and fewer than a third of the letters.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|&(edits, candidate)| edits <= 2 && edits * 3 < candidate.chars().count().max(4))
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_finds_its_word() {
        let known = ["NODE_ID", "NODE_IP", "VIP", "VIP_PREFIX", "KEEPALIVED_AUTH_PASS"];
        assert_eq!(nearest("KEEPALIVE_AUTH_PASS", known), Some("KEEPALIVED_AUTH_PASS"));
        assert_eq!(nearest("NDOE_IP", known), Some("NODE_IP"));
        assert_eq!(nearest("VIP_PERFIX", known), Some("VIP_PREFIX"));
        assert_eq!(nearest("VPI", known), Some("VIP"));
        assert_eq!(nearest("HTTP_PROXY", known), None);
        assert_eq!(nearest("", known), None);
    }
}
