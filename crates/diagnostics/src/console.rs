//! What a command tells and asks while it works. The crates below the command line only know
//! this trait; the terminal itself is `pgstack-cli`'s.

/// Somebody who watches a command.
pub trait Console: Send + Sync {
    /// A line of the result, for stdout.
    fn out(&self, line: &str);
    /// A line about what was done.
    fn note(&self, line: &str);
    /// Something that deserves a look but stops nothing.
    fn warn(&self, line: &str);
    /// A step begins: `waiting for etcd`. It replaces the step before it.
    fn begin(&self, step: &str);
    /// Where the step stands: `2 of 3 members`. Told again and again while it lasts.
    fn progress(&self, detail: &str);
    /// The step is over, with its outcome.
    fn end(&self, outcome: &str);
    /// Asks a person.
    fn ask(&self, question: &str) -> Answer;
}

/// What a person answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Yes,
    /// Leave it.
    No,
    /// Nobody is there: not a terminal.
    Nobody,
}
