//! SQL string literals.

use std::fmt;

/// A standard-conforming SQL string literal; cannot hold NUL. Never for a plain password: send a
/// SCRAM verifier ([`crate::scram`]), which the server's log may show.
///
/// ```
/// # use pgstack_config::escape::SqlLiteral;
/// assert_eq!(SqlLiteral("it's").to_string(), "'it''s'");
/// ```
#[derive(Clone, Copy)]
pub struct SqlLiteral<'a>(pub &'a str);

impl fmt::Display for SqlLiteral<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}
