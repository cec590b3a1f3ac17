//! A fact, or why it is not known.

use serde::{Deserialize, Serialize};

/// Why nothing is known of a machine whose agent knows another token than ours.
pub const TOKEN_REFUSED: &str = "it refuses our token: its .env has another superuser password";

/// Why nothing is known of a machine whose agent started with a `.env` that has problems, and so knows no token.
pub const NO_TOKEN: &str = "its .env has problems, so its agent knows no token: run ./doctor there";

/// Why nothing is known of an etcd that tells its users alone, or of what lies in it.
pub const NO_LOGIN: &str = "etcd knows no login of the node that asks";

/// Why nothing is known of what did not answer.
pub const NO_ANSWER: &str = "no answer in time";

/// Why nothing is known of what is not there.
pub const REFUSED: &str = "connection refused";

/// A fact, or why it is not known. Not knowing is a value, never an error: in JSON
/// `{"unknown": "no answer in time"}` stands where the fact would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fact<T> {
    /// Nobody told.
    Unknown {
        /// Why, in a few words: `no answer in time`.
        unknown: String,
    },
    /// It is so.
    Known(T),
}

impl<T> Fact<T> {
    /// Not known, and why.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { unknown: why.into() }
    }

    /// The fact, where it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(fact) => Some(fact),
            Self::Unknown { .. } => None,
        }
    }

    /// The same fact, seen otherwise.
    pub fn map<U>(self, look: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Known(fact) => Fact::Known(look(fact)),
            Self::Unknown { unknown } => Fact::Unknown { unknown },
        }
    }

    /// Why it is not known.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unknown { unknown } => Some(unknown),
        }
    }
}

impl<T> From<Result<T, String>> for Fact<T> {
    fn from(answer: Result<T, String>) -> Self {
        match answer {
            Ok(fact) => Self::Known(fact),
            Err(unknown) => Self::Unknown { unknown },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_survives_its_json_known_or_not() {
        for fact in [Fact::Known(7_u64), Fact::unknown("no answer in time")] {
            let text = serde_json::to_string(&fact).expect("JSON");
            assert_eq!(serde_json::from_str::<Fact<u64>>(&text).expect("a fact"), fact, "{text}");
        }
    }
}
