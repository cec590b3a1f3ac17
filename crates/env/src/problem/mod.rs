//! A problem with its place, and all problems of a file.

mod hint;
mod kind;

use std::fmt;

use pgstack_diagnostics::Hint;

use crate::key;
pub use kind::ProblemKind;

/// One thing that is wrong, or a warning, with the place where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    line: Option<usize>,
    key: String,
    kind: ProblemKind,
}

impl Problem {
    pub(crate) fn new(line: Option<usize>, key: &str, kind: ProblemKind) -> Self {
        Self { line, key: key.to_owned(), kind }
    }

    /// The line in the file, from 1; `None` for what is not in the file.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The key, empty where the line has none that could be read.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong.
    pub fn kind(&self) -> &ProblemKind {
        &self.kind
    }

    /// What to do about it: one sentence without a final full stop.
    pub fn hint(&self) -> Option<String> {
        hint::hint(&self.key, &self.kind)
    }
}

/// `.env:24: `VIP_PREFIX` must be 1-32, got `240``.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".env")?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(":")?;
        if !self.key.is_empty() {
            write!(f, " `{}`", Shown(&self.key))?;
        }
        match &self.kind {
            // A variable named inside a secret may be a part of that secret.
            ProblemKind::UnsetVariable { .. } if !key::may_be_shown(&self.key) => {
                f.write_str(" uses a variable that is not set")
            }
            ProblemKind::RequiredVariable { .. } if !key::may_be_shown(&self.key) => {
                f.write_str(" needs a variable that is not set")
            }
            kind => write!(f, "{kind}"),
        }
    }
}

/// A value in a message: what is not printable is escaped, and a long one is cut.
pub(crate) struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 80;
        for c in self.0.chars().take(LONGEST) {
            if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
            {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        if self.0.chars().nth(LONGEST).is_some() { f.write_str("…") } else { Ok(()) }
    }
}

/// Everything that is wrong with a `.env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvErrors {
    problems: Vec<Problem>,
}

impl EnvErrors {
    /// First what is missing, then line by line.
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.line);
        Self { problems }
    }

    /// First what is missing, then line by line.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for EnvErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("`.env` has 1 problem")?,
            n => write!(f, "`.env` has {n} problems")?,
        }
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for EnvErrors {}

impl Hint for EnvErrors {
    fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        for hint in self.problems.iter().filter_map(Problem::hint) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        hints
    }
}
