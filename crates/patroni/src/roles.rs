//! How `deploy` keeps the stack's own roles as `.env` says: run [`LOOK`] inside the container
//! `patroni`, and on the primary [`MEND`], and read the words that they print.
//!
//! Where nothing differs both only read a few catalog rows, on the primary and on a standby alike.
//! No secret is in the commands; the files hold them.

use std::str::FromStr;

/// The file with the pooler's role, as the container sees it.
pub const POOLER_FILE: &str = "/config/pooler.sql";
/// The file with the superuser's and the replicas' passwords.
const ROLES_FILE: &str = "/config/roles.sql";

const fn psql(connection: &'static str) -> [&'static str; 11] {
    #[rustfmt::skip]
    let command = [
        "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "--set=VERBOSITY=terse", "-d", connection,
        "-f", POOLER_FILE, "-f", ROLES_FILE,
    ];
    command
}

/// Mends what differs. Runs in the container as its own user (`postgres`, which needs no password there).
pub const MEND: [&str; 11] = psql("dbname=postgres");
/// Only looks: [`RolesState::Outdated`] stands for what [`MEND`] would mend.
pub const LOOK: [&str; 11] = psql("dbname=postgres options='-c pgstack.check_only=on'");
/// What the files found, all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RolesState {
    /// All was as it should be.
    Current,
    /// Something differed and is mended.
    Repaired,
    /// Something differs and was left so.
    Outdated,
    /// Something differs, and this is a standby: only the primary can mend it.
    Standby,
}

/// psql said something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the SQL did not say what it found")]
pub struct UnknownRolesState;

impl FromStr for RolesState {
    type Err = UnknownRolesState;

    fn from_str(stdout: &str) -> Result<Self, Self::Err> {
        let words = stdout.split_whitespace().map(|word| match word {
            "current" => Ok(Self::Current),
            "repaired" => Ok(Self::Repaired),
            "outdated" => Ok(Self::Outdated),
            "standby" => Ok(Self::Standby),
            _ => Err(UnknownRolesState),
        });
        // the worst of them
        let states: Vec<Self> = words.collect::<Result<_, _>>()?;
        states.into_iter().max().ok_or(UnknownRolesState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_word_of_psql_counts() {
        assert_eq!("repaired\n".parse(), Ok(RolesState::Repaired));
        assert_eq!("current\ncurrent\n".parse(), Ok(RolesState::Current));
        assert_eq!("current\nrepaired\n".parse(), Ok(RolesState::Repaired));
        assert_eq!("standby\ncurrent\n".parse(), Ok(RolesState::Standby));
        for other in ["", "psql: error: connection refused"] {
            assert_eq!(other.parse::<RolesState>(), Err(UnknownRolesState));
        }
    }
}
