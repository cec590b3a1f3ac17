//! How `deploy` keeps the pooler's role as it should be: run [`COMMAND`] inside the container
//! `patroni` of the primary and read the one word that it prints.
//!
//! The run is its own check: where nothing differs it reads a few catalog rows and writes nothing,
//! on the primary and on a standby alike. No secret is in the command; the file holds it.

use std::str::FromStr;

/// The file, as the container sees it.
pub const SQL_FILE: &str = "/config/pooler.sql";

/// What to run in the container, as its own user (`postgres`, which needs no password there).
pub const COMMAND: [&str; 9] =
    ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-f", SQL_FILE, "--set=VERBOSITY=terse"];

/// Set in [`COMMAND`]'s environment, this makes it look only: [`PoolerState::Outdated`] then stands
/// for what would be repaired.
pub const CHECK_ONLY: (&str, &str) = ("PGOPTIONS", "-c pgstack.check_only=on");

/// What [`COMMAND`] prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolerState {
    /// All was as it should be.
    Current,
    /// Something differed and is mended.
    Repaired,
    /// Something differs and was left so, see [`CHECK_ONLY`].
    Outdated,
    /// Something differs, and this is a standby: only the primary can mend it.
    Standby,
}

/// psql said something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownPoolerState;

impl std::fmt::Display for UnknownPoolerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("pooler.sql did not say what it found")
    }
}

impl std::error::Error for UnknownPoolerState {}

impl FromStr for PoolerState {
    type Err = UnknownPoolerState;

    fn from_str(stdout: &str) -> Result<Self, Self::Err> {
        match stdout.trim() {
            "current" => Ok(Self::Current),
            "repaired" => Ok(Self::Repaired),
            "outdated" => Ok(Self::Outdated),
            "standby" => Ok(Self::Standby),
            _ => Err(UnknownPoolerState),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_psql_is_understood() {
        assert_eq!("repaired\n".parse(), Ok(PoolerState::Repaired));
        assert_eq!("psql: error: connection refused".parse::<PoolerState>(), Err(UnknownPoolerState));
    }
}
