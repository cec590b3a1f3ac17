//! `.env` as `docker compose` reads it (compose-go 2.4, which Compose 2.26 of Debian 13 links).
//!
//! `tests/tests/env_conformance.rs` compares this parser with the real Compose, value by value.
//! It differs on purpose in these points only:
//!
//! - **The file wins over the process environment**, also inside `${…}`. Compose asks the process
//!   first. Here a file means the same for every user and from every shell; what the process has
//!   counts where the file says nothing, and for a bare `KEY`.
//! - Bytes that are not UTF-8 are refused. Compose replaces them by U+FFFD.
//! - Nesting deeper than [`MAX_DEPTH`] and more than [`MAX_BYTES`] of file or values are refused,
//!   so that no file can take the machine's memory or time.
//! - Compose stops at the first problem; here the next line is tried, to list all of them.

mod parser;
mod quoted;
mod template;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use crate::problem::Problem;
use crate::{Process, key};

/// How deep `${A:-${B:-…}}` may be nested.
pub const MAX_DEPTH: usize = 32;
/// How large a file, and all its values together, may be.
pub const MAX_BYTES: usize = 1 << 20;

/// One assignment of the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name before the `=`.
    pub key: String,
    /// The value, unquoted and interpolated.
    pub value: String,
    /// The line of the key, from 1.
    pub line: usize,
    /// How the value was written.
    pub style: Style,
}

/// How a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// A bare `KEY`, whose value the process had.
    Inherited,
}

/// Shows no value that could be a secret.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if key::may_be_shown(&self.key) { self.value.as_str() } else { "***" };
        write!(f, "{}={value:?} (line {})", self.key, self.line)
    }
}

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DotEnv {
    entries: Vec<Entry>,
    /// The position of the last entry of each key.
    last: HashMap<String, usize>,
    warnings: Vec<Problem>,
}

impl DotEnv {
    /// The entry of `key` that counts: the last one.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(*self.last.get(key)?)
    }

    /// All entries in the order of the file, also those that a later one replaces.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What Compose would do silently, and what is probably not meant.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    fn push(&mut self, entry: Entry) {
        self.last.insert(entry.key.clone(), self.entries.len());
        self.entries.push(entry);
    }
}

/// Reads a file. `process` answers for bare keys and for variables that the file does not set.
///
/// ```
/// let env = pgstack_env::dotenv::parse(b"A=1 # one\nB=\"$A\\n\"\n", &|_| None).unwrap();
/// assert_eq!(env.get("B").unwrap().value, "1\n");
/// assert_eq!(env.get("B").unwrap().line, 2);
/// ```
pub fn parse(text: &[u8], process: Process<'_>) -> Result<DotEnv, Vec<Problem>> {
    let (env, problems) = parse_what_can_be(text, process);
    if problems.is_empty() { Ok(env) } else { Err(problems) }
}

/// The same with the entries that could be read beside the problems, so that [`crate::load`] can
/// say what else is wrong.
pub(crate) fn parse_what_can_be(text: &[u8], process: Process<'_>) -> (DotEnv, Vec<Problem>) {
    parser::run(text, process)
}
