//! PgBouncer's `userlist.txt`.

use std::fmt;

/// A double-quoted word of `userlist.txt`, where `"` is doubled; cannot hold a line break or NUL.
///
/// ```
/// # use pgstack_config::escape::UserlistString;
/// assert_eq!(UserlistString("a\"b\\").to_string(), "\"a\"\"b\\\"");
/// ```
#[derive(Clone, Copy)]
pub struct UserlistString<'a>(pub &'a str);

impl fmt::Display for UserlistString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}
