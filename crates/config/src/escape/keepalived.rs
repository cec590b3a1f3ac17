//! keepalived's configuration words, which know no escapes.

use std::fmt;

/// Why keepalived cannot hold a VRRP password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeepalivedWordError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// VRRP cuts it.
    #[error("has {0} bytes, VRRP keeps only the first 8")]
    TooLong(usize),
    /// It would be read as something else.
    #[error("holds a character that keepalived cannot: use letters and digits")]
    Character,
}

/// A VRRP password of 1 to 8 bytes. keepalived has quotes but no escapes: inside them blanks, `#`
/// and `!` are safe, while `"` and a final `\` break the line, `${` is a variable, and a `}` that is all
/// there is ends the block. What it cannot hold is refused here.
///
/// ```
/// # use pgstack_config::escape::KeepalivedWord;
/// assert_eq!(KeepalivedWord::new("a #!b").map(|word| word.to_string()), Ok("\"a #!b\"".into()));
/// ```
#[derive(Clone, Copy)]
pub struct KeepalivedWord<'a>(&'a str);

impl<'a> KeepalivedWord<'a> {
    /// Takes what keepalived gives back unchanged.
    pub fn new(text: &'a str) -> Result<Self, KeepalivedWordError> {
        let holds = |b: u8| matches!(b, b' '..=b'~') && !b"\"$\\".contains(&b);
        match text.len() {
            0 => Err(KeepalivedWordError::Empty),
            1..=8 if text.bytes().all(holds) && text != "}" => Ok(Self(text)),
            1..=8 => Err(KeepalivedWordError::Character),
            len => Err(KeepalivedWordError::TooLong(len)),
        }
    }
}

impl fmt::Display for KeepalivedWord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}
