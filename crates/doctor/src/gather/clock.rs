//! How far another machine's clock is ahead, from an answer that told the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Now, in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(i64::MAX)
}

/// Measures a question's way there and back.
pub(super) struct Stopwatch {
    began_ms: i64,
    began: Instant,
}

/// When a question was asked, by this machine's clock, and how long the answer took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    began_ms: i64,
    took: Duration,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self { began_ms: now_ms(), began: Instant::now() }
    }

    pub(super) fn stop(self) -> Way {
        Way { began_ms: self.began_ms, took: self.began.elapsed() }
    }
}

impl Way {
    /// This machine's clock when the other one told its own: half-way, as far as one can know.
    fn middle_ms(self) -> i64 {
        self.began_ms + i64::try_from(self.took.as_millis() / 2).unwrap_or_default()
    }
}

/// How far a clock that said `clock_ms` is ahead.
pub(super) fn offset(clock_ms: i64, way: Way) -> i64 {
    clock_ms.saturating_sub(way.middle_ms())
}

/// The same from HTTP's `Date`. It leaves out the parts of a second, so a clock that may be right is taken for right.
pub(super) fn offset_of_date(date: &str, way: Way) -> Option<i64> {
    let told = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let least = offset(told.as_millis().try_into().ok()?, way);
    let most = least.saturating_add(999);
    Some(if least > 0 { least } else { most.min(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAY: Way = Way { began_ms: 1_795_631_830_400, took: Duration::from_millis(200) };

    #[test]
    fn the_answer_was_given_half_way() {
        assert_eq!(offset(1_795_631_830_500, WAY), 0);
        assert_eq!(offset(1_795_631_835_500, WAY), 5000);
        assert_eq!(offset(1_795_631_830_000, WAY), -500);
    }

    #[test]
    fn a_date_without_parts_of_a_second_blames_no_clock_that_may_be_right() {
        for (date, want) in [
            ("Wed, 25 Nov 2026 18:37:10 GMT", Some(0)),
            ("Wed, 25 Nov 2026 18:37:09 GMT", Some(-501)),
            ("Wed, 25 Nov 2026 18:37:11 GMT", Some(500)),
            ("Wed, 25 Nov 2026 18:38:10 GMT", Some(59_500)),
            ("Wed, 25 Nov 2026 18:36:10 GMT", Some(-59_501)),
            ("yesterday", None),
        ] {
            assert_eq!(offset_of_date(date, WAY), want, "{date}");
        }
    }
}
