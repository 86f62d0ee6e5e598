//! Base-2 exponential histograms with an integer-only bucket index. A Cortex-M0 produces exactly the buckets
//! of OTLP's `ExponentialHistogram` and of Prometheus's native histograms, and any two of them merge without
//! error.
//!
//! At scale *s* each power of two has 2^s buckets, and the bucket boundaries are 2^(i / 2^s). If the
//! geometric middle of its bucket stands for a value, the error is at most:
//!
//! | scale | worst relative error | cells of 32 bits | bytes | cells of 64 bits | bytes |
//! |---|---|---|---|---|---|
//! | 0 | 33.33 % | 36 | 144 | 72 | 576 |
//! | 1 | 17.16 % | 68 | 272 | 136 | 1088 |
//! | 2 | 8.64 % | 132 | 528 | 264 | 2112 |
//! | 3 | 4.33 % | 260 | 1040 | 520 | 4160 |
//! | 4 | 2.17 % | 516 | 2064 | 1032 | 8256 |
//!
//! Cells have 64 bits where the target has 64-bit atomics, else 32. They hold the zeros, the sum, the buckets
//! and, if they have 64 bits, the least and the greatest value and a range, so that one comparison tells whether
//! a value changes either or is an exemplar. On a server each thread that records gets its own cells on first use. Histograms with 32-bit cells keep no least and greatest value, because the instruction budget
//! has no room for them; readers use the bounds of the outermost non-empty buckets instead.
//!
//! A histogram of fractions (`histogram!("…" as f64)`) counts multiples of 2^-`fraction_bits` in the same
//! cells. A power of two moves every boundary to another boundary, so the buckets stay OTLP's, and only the
//! conversion of the value is added.
//!
//! Source: OpenTelemetry, *Metrics Data Model*, "ExponentialHistogram". The boundary table is 2^(j/16) in
//! fixed point, rounded down. Comparing an integer with it is exact, because every boundary but the first is
//! irrational.

use super::metric::Metric;
use super::number::Measure;
use crate::sync::{Count, Float};

/// The greatest scale: a power of two has at most 2^`MAX_SCALE` buckets.
pub const MAX_SCALE: u32 = 4;

/// Index of the cell that counts zeros.
pub(crate) const ZEROS: usize = 0;
/// Index of the sum's cell. If cells have 32 bits, the next one holds the upper half.
pub(crate) const SUM: usize = 1;
/// Index of the cell with the least value. The value's bits are inverted, so that 0 means "no value".
#[cfg(target_has_atomic = "64")]
pub(crate) const LEAST: usize = 2;
/// Index of the cell with the greatest value.
#[cfg(target_has_atomic = "64")]
pub(crate) const GREATEST: usize = 3;
/// Index of the cell with the number of integers in the range of values that need nothing but counting: from
/// the least value to the greatest one, or a part of it while exemplars are wanted. 0 before the first value.
/// Used only in a thread's own cells, as are the next two.
#[cfg(all(feature = "std", target_has_atomic = "64"))]
pub(crate) const RANGE: usize = 4;
/// Index of the cell with the least integer of that range, its bits inverted.
#[cfg(all(feature = "std", target_has_atomic = "64"))]
pub(crate) const FLOOR: usize = 5;
/// Index of the cell with what may still be spent on exemplars before the next reading.
#[cfg(all(feature = "std", target_has_atomic = "64"))]
pub(crate) const TRIES: usize = 6;
/// Index of the first bucket.
pub(crate) const BUCKETS: usize = if Count::BITS == 64 { 7 } else { 3 };

/// The number of cells of a histogram with this scale.
///
/// # Panics
///
/// Panics when `scale` is above [`MAX_SCALE`].
pub const fn cells(scale: u32) -> usize {
    assert!(scale <= MAX_SCALE, "`scale` must be 0 to 4");
    BUCKETS + bucket_count(scale)
}

/// The number of buckets of a histogram with this scale on this machine.
pub const fn bucket_count(scale: u32) -> usize {
    ((Count::BITS as usize) << scale) + 1
}

/// A distribution of non-negative numbers; made by [`histogram!`](crate::histogram!) and
/// [`summary!`](crate::summary!). `UNIT` is the number of nanoseconds in its unit if that is a unit of time.
/// Values are counted as multiples of 2^-`FRACTION`.
///
/// ```
/// use std::time::Duration;
/// use throughline::histogram;
/// histogram!("request.duration", unit = "us", scale = 3).record(1250);
/// histogram!("request.duration", unit = "us", scale = 3).record(Duration::from_millis(3));
/// histogram!("load" as f64).record(0.75);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Histogram<const SCALE: u32, const UNIT: u64 = 1, const FRACTION: u32 = 0>(Metric);

impl<const SCALE: u32, const UNIT: u64, const FRACTION: u32> Histogram<SCALE, UNIT, FRACTION> {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric) -> Self {
        Histogram(metric)
    }

    pub(super) const fn metric(self) -> Metric {
        self.0
    }

    /// Counts a number in the histogram's unit, or a `Duration`, which is converted to that unit (see
    /// [`Measure`]). Negative numbers and NaN count as zero. A fraction is rounded to the nearest integer or,
    /// in a histogram `as f64`, to the nearest multiple of 2^-`fraction_bits`. Cost: computing the index, and
    /// two additions like [`Counter::add`](super::Counter::add)'s.
    #[inline(always)]
    pub fn record(self, value: impl Measure) {
        self.0.keep();
        record::<SCALE>(self.0, 0, counted::<UNIT, FRACTION>(value));
    }
}

/// Converts a value to the number that the cells count.
#[inline(always)]
pub(super) fn counted<const UNIT: u64, const FRACTION: u32>(value: impl Measure) -> Count {
    if FRACTION == 0 {
        return value.to_count_of::<UNIT>();
    }
    // A cast truncates, so add a half to round. The cast also clamps, and turns negative numbers and NaN into
    // 0.
    (value.to_float_of::<UNIT>() * (1_u64 << FRACTION) as Float + 0.5) as Count
}

/// Counts a value in the series whose first cell is `at`. On a microcontroller all histograms of one scale
/// share one copy.
#[cfg_attr(target_os = "none", inline(never))]
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(super) fn record<const SCALE: u32>(metric: Metric, at: usize, value: Count) {
    let bucket = if value == 0 {
        // Moves the rarer case out of the way of the other, which saves that a jump.
        core::hint::cold_path();
        ZEROS
    } else {
        BUCKETS + position_at::<SCALE>(value)
    };
    metric.record(at, bucket, const { cells(SCALE) }, value);
}

/// The bucket of a value: ⌈log2(value) · 2^scale⌉, which is OTLP's index + 1. `None` for 0, which belongs to
/// no bucket, for a scale above [`MAX_SCALE`], and for a value too large for this machine's cells.
///
/// ```
/// use throughline::adapter::metrics::position;
/// assert_eq!([1, 2, 3, 4, 5].map(|v| position(v, 0)), [0, 1, 2, 2, 3].map(Some));
/// assert_eq!((position(0, 2), position(1, 9)), (None, None));
/// ```
pub fn position(value: u64, scale: u32) -> Option<usize> {
    let value = Count::try_from(value).ok().filter(|value| *value != 0)?;
    Some(match scale {
        0 => position_at::<0>(value),
        1 => position_at::<1>(value),
        2 => position_at::<2>(value),
        3 => position_at::<3>(value),
        4 => position_at::<4>(value),
        _ => return None,
    })
}

/// Like [`position`], for a value other than 0. A program contains the tables of only those scales that it
/// uses.
#[inline(always)]
fn position_at<const SCALE: u32>(value: Count) -> usize {
    let below: &[u8; 32] = const { &below(SCALE) };
    let boundaries: &[Count] = match SCALE {
        0 => const { &boundaries::<2>() },
        1 => const { &boundaries::<3>() },
        2 => const { &boundaries::<5>() },
        3 => const { &boundaries::<9>() },
        _ => const { &boundaries::<17>() },
    };
    let (power, mantissa) = normalize(value);
    // Boundaries are at least 1/32 apart, so the boundaries below the mantissa are those below its
    // thirty-second and at most one more.
    let below = below[(mantissa >> (Count::BITS - 6)) as usize & 31] as usize;
    // SAFETY: the table counts boundaries, of which there are 2^SCALE; the test
    // `counts_no_more_than_there_are` checks it.
    unsafe { core::hint::assert_unchecked(below <= 1 << SCALE) };
    let position = ((power as usize) << SCALE) + below + (mantissa > boundaries[below]) as usize;
    // SAFETY: the last boundary is the largest mantissa, so a position is never beyond the last one of the
    // last power of two.
    unsafe { core::hint::assert_unchecked(position <= (Count::BITS as usize) << SCALE) };
    position
}

/// The position of the highest bit of a value other than 0, and the value shifted so that this bit is the
/// topmost.
#[inline(always)]
fn normalize(value: Count) -> (u32, Count) {
    #[cfg(not(counts_zeros))]
    {
        // The processor has no instruction that counts leading zeros, and the library function for it takes
        // twice as many instructions as this code.
        let (power, rest) = halve(value);
        const LAST: [u8; 16] = [0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3];
        let last = u32::from(LAST[(rest >> (Count::BITS - 4)) as usize]) & 3;
        (power + last, rest << (3 - last))
    }
    #[cfg(counts_zeros)]
    {
        let zeros = leading_zeros(value);
        (Count::BITS - 1 - zeros, value << zeros)
    }
}

/// Shifts a value other than 0 until one of its four topmost bits is set. Returns the power of two of the
/// lowest of these four bits, and the shifted value.
#[cfg(not(counts_zeros))]
#[inline(always)]
fn halve(value: Count) -> (u32, Count) {
    let (mut power, mut rest) = (28, value);
    #[cfg(target_arch = "arm")]
    // In assembly because the compiler would shift by a register here, which takes more instructions. SAFETY:
    // the code reads and writes registers only.
    unsafe {
        core::arch::asm!(
            "lsrs {t}, {rest}, #16; bne 2f; lsls {rest}, #16; subs {power}, #16; 2:",
            "lsrs {t}, {rest}, #24; bne 3f; lsls {rest}, #8; subs {power}, #8; 3:",
            "lsrs {t}, {rest}, #28; bne 4f; lsls {rest}, #4; subs {power}, #4; 4:",
            t = out(reg) _,
            rest = inout(reg) rest,
            power = inout(reg) power,
            options(pure, nomem, nostack),
        );
    }
    #[cfg(not(target_arch = "arm"))]
    for step in [16, 8, 4] {
        if rest >> (Count::BITS - step) == 0 {
            rest <<= step;
            power -= step;
        }
    }
    (power, rest)
}

/// Leading zeros of a value other than 0.
///
/// On x86-64 without `lzcnt` this is `bsr`, which depends on the old content of its output register. That
/// content is the previous record's result, so consecutive records would form a dependency chain of 5 ns
/// each. Zeroing the register first breaks the chain.
#[cfg(counts_zeros)]
#[inline(always)]
fn leading_zeros(value: Count) -> u32 {
    #[cfg(all(target_arch = "x86_64", not(target_feature = "lzcnt"), not(miri)))]
    {
        let top: u64;
        // SAFETY: the code reads and writes registers only. `bsr` leaves its output unchanged when the input
        // is 0; the output was zeroed.
        unsafe {
            core::arch::asm!(
                "xor {top:e}, {top:e}",
                "bsr {top}, {value}",
                top = out(reg) top,
                value = in(reg) value,
                options(pure, nomem, nostack),
            );
        }
        Count::BITS - 1 - top as u32
    }
    #[cfg(not(all(target_arch = "x86_64", not(target_feature = "lzcnt"), not(miri))))]
    value.leading_zeros()
}

/// For each i below 32, the number of boundaries below 1 + i/32.
const fn below(scale: u32) -> [u8; 32] {
    let mut out = [0; 32];
    let mut i = 0;
    while i < 32 {
        let edge = (32 + i as u64) << 58;
        let mut j = 0;
        while j < 1 << scale {
            out[i] += (BOUNDARIES_64[j << (MAX_SCALE - scale)] < edge) as u8;
            j += 1;
        }
        i += 1;
    }
    out
}

/// The largest value of the bucket at `position`, rounded down. `None` for a scale above [`MAX_SCALE`].
pub fn upper_bound(position: usize, scale: u32) -> Option<u64> {
    if scale > MAX_SCALE {
        return None;
    }
    let (power, step) = (position >> scale, position & ((1 << scale) - 1));
    let boundary = BOUNDARIES_64[step << (MAX_SCALE - scale)];
    Some(if power > 63 { u64::MAX } else { boundary >> (63 - power) })
}

/// ⌊2^(j/16) · 2^63⌋.
const BOUNDARIES_64: [u64; 16] = [
    0x8000_0000_0000_0000,
    0x85AA_C367_CC48_7B14,
    0x8B95_C1E3_EA8B_D6E6,
    0x91C3_D373_AB11_C336,
    0x9837_F051_8DB8_A96F,
    0x9EF5_3260_91A1_11AD,
    0xA5FE_D6A9_B151_38EA,
    0xAD58_3EEA_42A1_4AC6,
    0xB504_F333_F9DE_6484,
    0xBD08_A39F_580C_36BE,
    0xC567_2A11_5506_DADD,
    0xCE24_8C15_1F84_80E3,
    0xD744_FCCA_D69D_6AF4,
    0xE0CC_DEEC_2A94_E111,
    0xEAC0_C6E7_DD24_392E,
    0xF525_7D15_2486_CC2C,
];

/// The boundaries of a scale in the width of a cell, and a last one that no mantissa exceeds.
const fn boundaries<const N: usize>() -> [Count; N] {
    let mut out = [Count::MAX; N];
    let mut j = 0;
    while j < N - 1 {
        out[j] = (BOUNDARIES_64[j * (16 / (N - 1))] >> (64 - Count::BITS)) as Count;
        j += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // Where a cell has 64 bits the conversion below changes nothing.
    #[allow(clippy::useless_conversion)]
    #[test]
    fn counts_no_more_than_there_are() {
        for scale in 0..=MAX_SCALE {
            assert!(below(scale).iter().all(|count| usize::from(*count) <= 1 << scale));
        }
        assert_eq!(
            (boundaries::<2>(), boundaries::<17>()[16]),
            ([1 << (Count::BITS - 1), Count::MAX], Count::MAX)
        );
        for scale in 0..=MAX_SCALE {
            assert_eq!(position(Count::MAX.into(), scale), Some((Count::BITS as usize) << scale));
        }
    }
}
