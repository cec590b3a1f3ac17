//! A number of bytes as people read it.

use std::fmt;

/// `512 bytes`, `16.0 MB`, `1.2 TB`; as in PostgreSQL, each unit is 1024 times the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut whole, mut rest, mut unit) = (self.0, 0, "bytes");
        for larger in ["kB", "MB", "GB", "TB", "PB", "EB"] {
            if whole < 1024 {
                break;
            }
            (rest, whole, unit) = (whole % 1024, whole / 1024, larger);
        }
        if unit == "bytes" { write!(f, "{whole} bytes") } else { write!(f, "{whole}.{} {unit}", rest * 10 / 1024) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_largest_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 kB"),
            (1536, "1.5 kB"),
            (1024 * 1024 - 1, "1023.9 kB"),
            (16 << 20, "16.0 MB"),
            (1300 << 30, "1.2 TB"),
            (u64::MAX, "15.9 EB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
