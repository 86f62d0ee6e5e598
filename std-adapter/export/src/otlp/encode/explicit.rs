//! Encodes histograms with explicit bounds, for backends that do not take exponential ones.

use super::metrics::fixed64;
use super::{out::Out, proto};
use crate::otlp::ConfigError;
use crate::view::HistogramView;
use std::str::FromStr;

/// How histograms are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Histograms {
    /// OTLP's exponential histograms, which is how they are counted.
    #[default]
    Exponential,
    /// Histograms with explicit bounds: zero and the powers of two from one to 2^40, or for fractions from
    /// their smallest step. These are bounds of the exponential buckets too, so every value is in the right
    /// bucket; quantiles are exact within a factor of two.
    Explicit,
}

impl FromStr for Histograms {
    type Err = ConfigError;

    /// Reads OpenTelemetry's names, `base2_exponential_bucket_histogram` and `explicit_bucket_histogram`,
    /// ignoring case.
    fn from_str(text: &str) -> Result<Histograms, ConfigError> {
        match &*text.to_ascii_lowercase() {
            "base2_exponential_bucket_histogram" => Ok(Histograms::Exponential),
            "explicit_bucket_histogram" => Ok(Histograms::Explicit),
            _ => Err(ConfigError::Value {
                what: "histogram aggregation",
                value: text.into(),
                expected: "base2_exponential_bucket_histogram or explicit_bucket_histogram",
            }),
        }
    }
}

/// The exponent of the greatest bound, which is a power of two.
const GREATEST: i32 = 40;

/// Writes the rest of a `HistogramDataPoint`.
pub(super) fn put_histogram(out: &mut Out, histogram: &HistogramView<'_>) {
    let least = -i32::from(histogram.fraction_bits);
    let powers = least..=GREATEST.max(least);
    // One bucket for zeros, one up to each power, and one for everything above.
    let mut counts = vec![0u64; powers.clone().count() + 2];
    counts[0] = histogram.zeros;
    let above = counts.len() - 1;
    for (index, n) in (histogram.offset..).zip(histogram.buckets) {
        // The bucket's values are above 2^(index / 2^scale) and up to 2^((index + 1) / 2^scale). This is the
        // exponent of the first power of two that is not below that upper bound.
        let power = (index >> histogram.scale.min(31)).saturating_add(1);
        let at = usize::try_from(power.saturating_sub(least).max(0)).unwrap_or(above);
        counts[(1 + at).min(above)] += n;
    }
    fixed64(out, 0x21, histogram.count());
    fixed64(out, 0x29, histogram.sum.to_bits());
    let start = proto::open::<2>(out, 0x32);
    counts.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
    proto::close::<2>(out, start);
    let start = proto::open::<2>(out, 0x3a);
    out.extend_from_slice(&0f64.to_le_bytes());
    powers.for_each(|power| out.extend_from_slice(&f64::from(power).exp2().to_le_bytes()));
    proto::close::<2>(out, start);
    if let Some((min, max)) = histogram.extremes {
        fixed64(out, 0x59, min.to_bits());
        fixed64(out, 0x61, max.to_bits());
    }
}
