//! Statistics that a few wrong values do not move.
//!
//! Half of the values may be anomalies, and neither the median nor the median absolute deviation (MAD) moves far. Source: Rousseeuw and Croux,
//! "Alternatives to the Median Absolute Deviation", 1993.

/// Standard deviations of a MAD of one, if values are distributed normally.
const DEVIATIONS: f64 = 1.4826;

/// The median, for which the values change their order. `None` if there are none.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let is_even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    Some(match below.iter().copied().max_by(f64::total_cmp) {
        Some(lower) if is_even => (lower + upper) / 2.0,
        _ => upper,
    })
}

/// The median and the spread: the MAD in standard deviations. The values are lost. `None` if there are none.
pub(crate) fn center(values: &mut [f64]) -> Option<(f64, f64)> {
    let median = median(values)?;
    values.iter_mut().for_each(|value| *value = (*value - median).abs());
    Some((median, DEVIATIONS * self::median(values)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_those_of_sorted_values() {
        for (values, expected) in [
            (&[][..], None),
            (&[3.0][..], Some(3.0)),
            (&[9.0, 1.0, 5.0, 3.0][..], Some(4.0)),
            (&[9.0, 1.0, 5.0][..], Some(5.0)),
        ] {
            assert_eq!(median(&mut values.to_vec()), expected, "{values:?}");
        }
        assert_eq!(center(&mut [1.0, 2.0, 3.0, 4.0, 1e9]), Some((3.0, DEVIATIONS)));
        assert_eq!(center(&mut []), None);
    }
}
