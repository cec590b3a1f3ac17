//! What the benchmarks compute from what they measured: figures, tables, pictures. Pure.

pub mod document;
pub mod event;
pub mod failover_table;
pub mod figures;
pub mod path;
pub mod pgbench;
pub mod plot;
pub mod pooler;
pub mod record;
pub mod seed;

/// The value in the middle; of an even number, the mean of the two.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

/// The largest.
pub fn worst(values: &[f64]) -> Option<f64> {
    sorted(values).last().copied()
}

/// The least value that so large a part of all (0.99) is not above.
pub fn percentile(values: &[f64], part: f64) -> Option<f64> {
    let sorted = sorted(values);
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a position in a list"
    )]
    let place = ((part * sorted.len() as f64).ceil() as usize).saturating_sub(1);
    sorted.get(place.min(last)).copied()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(value: Option<f64>) -> Option<String> {
        value.map(|value| format!("{value:.1}"))
    }

    #[test]
    fn of_nothing_there_is_no_figure() {
        assert_eq!((median(&[]), worst(&[]), percentile(&[], 0.5)), (None, None, None));
    }

    #[test]
    fn the_median_and_the_worst_do_not_depend_on_the_order() {
        assert_eq!(rounded(median(&[3.0, 1.0, 2.0])).as_deref(), Some("2.0"));
        assert_eq!(rounded(median(&[4.0, 1.0, 2.0, 3.0])).as_deref(), Some("2.5"));
        assert_eq!(rounded(worst(&[3.0, 9.0, 2.0])).as_deref(), Some("9.0"));
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        let of = |part| rounded(percentile(&hundred, part));
        assert_eq!(of(0.5).as_deref(), Some("50.0"));
        assert_eq!(of(0.99).as_deref(), Some("99.0"));
        assert_eq!(of(1.0).as_deref(), Some("100.0"));
        assert_eq!(rounded(percentile(&[7.0], 0.99)).as_deref(), Some("7.0"));
    }
}
