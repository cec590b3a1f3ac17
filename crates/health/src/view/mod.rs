//! What screen, page and metrics have in common: the words for a node, what the cluster survives, what is unknown.

mod node;
mod survival;
mod unknown;

pub(crate) use node::{Mood, Row, Word, lag_bytes, lag_seconds, rows, streams};
pub(crate) use survival::{Margin, survival};
pub(crate) use unknown::{Unknown, unknown};

use time::OffsetDateTime;

/// `2026-01-31 04:05:06 UTC`.
pub fn moment(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    let Ok(at) = OffsetDateTime::from_unix_timestamp(seconds) else {
        return "(no date)".to_owned();
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// The text without control characters: nothing that comes from elsewhere adds a line, moves the cursor or changes colours.
pub fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// `17 MiB`: a size that needs no more than 8 characters.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.saturating_mul(10) / 1024;
    if bytes > u64::MAX / 10 {
        tenths = bytes / 1024 * 10;
    }
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    if tenths < 100 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", tenths / 10, UNITS[unit])
    }
}

/// `node 2`, `nodes 2 and 3`, `nodes 2, 3 and 4`.
pub(crate) fn nodes(ids: &[pgstack_topology::NodeId]) -> String {
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    match texts.as_slice() {
        [] => "no node".to_owned(),
        [one] => format!("node {one}"),
        [first @ .., last] => format!("nodes {} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (17 * 1024 * 1024, "17 MiB"),
            (1024 * 1024 - 1, "1023 KiB"),
            (u64::MAX, "15 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_moment_is_told_in_utc() {
        assert_eq!(moment(1_769_832_306_999), "2026-01-31 04:05:06 UTC");
        assert_eq!(moment(u64::MAX), "(no date)");
    }
}
