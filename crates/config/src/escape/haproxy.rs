//! HAProxy's configuration words.

use std::fmt;

/// A double-quoted HAProxy word; cannot hold NUL.
///
/// ```
/// # use pgstack_config::escape::HaproxyWord;
/// assert_eq!(HaproxyWord("a $b\"").to_string(), r#""a \$b\"""#);
/// ```
#[derive(Clone, Copy)]
pub struct HaproxyWord<'a>(pub &'a str);

impl fmt::Display for HaproxyWord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for byte in self.0.bytes() {
            match byte {
                b'\\' | b'"' | b'$' => write!(f, "\\{}", char::from(byte))?,
                0x20..=0x7e => write!(f, "{}", char::from(byte))?,
                _ => write!(f, "\\x{byte:02X}")?,
            }
        }
        f.write_str("\"")
    }
}
