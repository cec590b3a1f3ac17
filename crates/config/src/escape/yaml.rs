//! YAML as PyYAML (1.1) and Compose read it.

use std::fmt;

/// A double-quoted YAML string. Everything outside printable ASCII is written by code point,
/// because PyYAML and JSON disagree on surrogate pairs, NEL and DEL.
///
/// ```
/// # use pgstack_config::escape::YamlString;
/// assert_eq!(YamlString("12:30 \"é\"").to_string(), r#""12:30 \"\xE9\"""#);
/// ```
#[derive(Clone, Copy)]
pub struct YamlString<'a>(pub &'a str);

impl fmt::Display for YamlString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        self.0.chars().try_for_each(|c| write_char(f, c))?;
        f.write_str("\"")
    }
}

/// A double-quoted YAML string in a compose file: `$` is doubled, so that nothing is interpolated.
///
/// ```
/// # use pgstack_config::escape::ComposeString;
/// assert_eq!(ComposeString("a${b}").to_string(), r#""a$${b}""#);
/// ```
#[derive(Clone, Copy)]
pub struct ComposeString<'a>(pub &'a str);

impl fmt::Display for ComposeString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            if c == '$' {
                f.write_str("$")?;
            }
            write_char(f, c)?;
        }
        f.write_str("\"")
    }
}

fn write_char(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match (c, u32::from(c)) {
        ('\\' | '"', _) => write!(f, "\\{c}"),
        (_, 0x20..=0x7e) => write!(f, "{c}"),
        (_, code @ ..=0xff) => write!(f, "\\x{code:02X}"),
        (_, code @ ..=0xffff) => write!(f, "\\u{code:04X}"),
        (_, code) => write!(f, "\\U{code:08X}"),
    }
}
