//! Base-2 exponential histograms with an integer-only index, so that a Cortex-M0 makes just what OTLP's `ExponentialHistogram` and
//! Prometheus's native histograms carry, and any two merge without error.
//!
//! At scale *s* each power of two has 2^s buckets; bucket boundaries are 2^(i / 2^s). A value taken for the geometric middle of its
//! bucket is off by at most:
//!
//! | scale | worst relative error | cells, 32-bit machine | bytes | cells, 64-bit machine | bytes |
//! |---|---|---|---|---|---|
//! | 0 | 33.33 % | 36 | 144 | 67 | 536 |
//! | 1 | 17.16 % | 68 | 272 | 131 | 1048 |
//! | 2 | 8.64 % | 132 | 528 | 259 | 2072 |
//! | 3 | 4.33 % | 260 | 1040 | 515 | 4120 |
//! | 4 | 2.17 % | 516 | 2064 | 1027 | 8216 |
//!
//! (Cells: zeros, sum, buckets. On a server each thread that records has them, lazily.)
//!
//! Source: OpenTelemetry, *Metrics Data Model*, "ExponentialHistogram"; the boundary table is 2^(j/16) in fixed point, rounded down, and comparing an
//! integer with it is exact, as every boundary but the first is irrational.

use super::Metric;

/// Most buckets per power of two are 2^this.
pub const MAX_SCALE: u32 = 4;

/// Index of the cell that counts zeros.
const ZEROS: usize = 0;
/// Index of the sum's low word.
const SUM: usize = 1;
/// Index of the first bucket.
pub(super) const BUCKETS: usize = if usize::BITS == 64 { 2 } else { 3 };

/// Cells of a histogram: zeros, sum (two words on a 32-bit machine), buckets.
pub const fn cells(scale: u32) -> usize {
    assert!(scale <= MAX_SCALE, "a histogram's scale is 0 to 4");
    BUCKETS + bucket_count(scale)
}

/// Buckets of a histogram on this machine.
pub const fn bucket_count(scale: u32) -> usize {
    ((usize::BITS as usize) << scale) + 1
}

/// A distribution of non-negative integers; made by [`histogram!`](crate::histogram!).
///
/// ```
/// use throughline::histogram;
/// histogram!("request.duration", unit = "us", scale = 3).record(1250);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Histogram<const SCALE: u32>(Metric);

impl<const SCALE: u32> Histogram<SCALE> {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric) -> Self {
        Histogram(metric)
    }

    /// Counts a value, in the histogram's unit. Cost: the index, and two adds as [`Counter::add`](super::Counter::add)'s.
    #[inline(always)]
    pub fn record(self, value: usize) {
        self.0.keep();
        record::<SCALE>(self.0, 0, value);
    }
}

/// Counts a value in the series whose first cell is `at`. On a microcontroller one copy serves every histogram of a scale.
#[cfg_attr(target_os = "none", inline(never))]
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(super) fn record<const SCALE: u32>(metric: Metric, at: usize, value: usize) {
    let bucket = if value == 0 { ZEROS } else { BUCKETS + position_at::<SCALE>(value) };
    metric.count_and_sum(at + bucket, at + SUM, value);
}

/// The bucket of a value: ⌈log2(value) · 2^scale⌉, that is, OTLP's index + 1. `value` must not be 0, `scale` at most [`MAX_SCALE`].
///
/// ```
/// use throughline::adapter::metrics::position;
/// assert_eq!([1, 2, 3, 4, 5].map(|v| position(v, 0)), [0, 1, 2, 2, 3]);
/// ```
#[inline(always)]
pub fn position(value: usize, scale: u32) -> usize {
    match scale {
        0 => position_at::<0>(value),
        1 => position_at::<1>(value),
        2 => position_at::<2>(value),
        3 => position_at::<3>(value),
        _ => position_at::<4>(value),
    }
}

/// As [`position`]; a program has the tables of the scales it uses, and no others.
#[inline(always)]
fn position_at<const SCALE: u32>(value: usize) -> usize {
    let below: &[u8; 32] = const { &below(SCALE) };
    let boundaries: &[usize] = match SCALE {
        0 => const { &boundaries::<2>() },
        1 => const { &boundaries::<3>() },
        2 => const { &boundaries::<5>() },
        3 => const { &boundaries::<9>() },
        _ => const { &boundaries::<17>() },
    };
    let (power, mantissa) = normalize(value);
    // Boundaries lie at least 1/32 apart, so those below the mantissa are those below its thirty-second, and perhaps one more.
    let below = below[(mantissa >> (usize::BITS - 6)) & 31] as usize;
    // SAFETY: the table counts boundaries, of which there are 2^SCALE; `counts_no_more_than_there_are` asserts it.
    unsafe { core::hint::assert_unchecked(below <= 1 << SCALE) };
    let position = ((power as usize) << SCALE) + below + (mantissa > boundaries[below]) as usize;
    // SAFETY: the boundary after the last is the largest mantissa, so a position is never beyond the last power's last.
    unsafe { core::hint::assert_unchecked(position <= (usize::BITS as usize) << SCALE) };
    position
}

/// Which power of two the highest bit is of what is not 0, and it without leading zeros.
#[inline(always)]
fn normalize(value: usize) -> (u32, usize) {
    #[cfg(not(counts_zeros))]
    {
        // The processor has no instruction for it, and the library's function would be twice this.
        let (power, rest) = halve(value);
        const LAST: [u8; 16] = [0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3];
        let last = u32::from(LAST[rest >> (usize::BITS - 4)]) & 3;
        (power + last, rest << (3 - last))
    }
    #[cfg(counts_zeros)]
    {
        let zeros = leading_zeros(value);
        (usize::BITS - 1 - zeros, value << zeros)
    }
}

/// What is not 0, shifted so that a bit of its upper four is set, and which power of two the lowest of these is.
#[cfg(not(counts_zeros))]
#[inline(always)]
fn halve(value: usize) -> (u32, usize) {
    let (mut power, mut rest) = (28, value);
    #[cfg(target_arch = "arm")]
    // The compiler would make shifts by a register of these. SAFETY: works on registers.
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
        if rest >> (usize::BITS - step) == 0 {
            rest <<= step;
            power -= step;
        }
    }
    (power, rest)
}

/// Leading zeros of what is not 0.
///
/// On x86-64 without `lzcnt` this is `bsr`, which waits for whatever its output register held before; there that is the position of the value
/// before this one, and recording would take 5 ns for waiting alone. So the register is zeroed first, which processors know to depend on nothing.
#[cfg(counts_zeros)]
#[inline(always)]
fn leading_zeros(value: usize) -> u32 {
    #[cfg(all(target_arch = "x86_64", not(target_feature = "lzcnt"), not(miri)))]
    {
        let top: usize;
        // SAFETY: reads and writes registers only; `bsr` leaves its output as it was when the input is 0, and it was zeroed.
        unsafe {
            core::arch::asm!(
                "xor {top:e}, {top:e}",
                "bsr {top}, {value}",
                top = out(reg) top,
                value = in(reg) value,
                options(pure, nomem, nostack),
            );
        }
        usize::BITS - 1 - top as u32
    }
    #[cfg(not(all(target_arch = "x86_64", not(target_feature = "lzcnt"), not(miri))))]
    value.leading_zeros()
}

/// How many boundaries are below 1 + i/32.
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

/// The largest value of the bucket at `position`, rounded down.
pub fn upper_bound(position: usize, scale: u32) -> u64 {
    let (power, step) = (position >> scale, position & ((1 << scale) - 1));
    let boundary = BOUNDARIES_64[step << (MAX_SCALE - scale)];
    if power > 63 { u64::MAX } else { boundary >> (63 - power) }
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

/// The boundaries of a scale in the machine's word, and a last one that no mantissa exceeds.
const fn boundaries<const N: usize>() -> [usize; N] {
    let mut out = [usize::MAX; N];
    let mut j = 0;
    while j < N - 1 {
        out[j] = (BOUNDARIES_64[j * (16 / (N - 1))] >> (64 - usize::BITS)) as usize;
        j += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_no_more_than_there_are() {
        for scale in 0..=MAX_SCALE {
            assert!(below(scale).iter().all(|count| usize::from(*count) <= 1 << scale));
        }
        assert_eq!(
            (boundaries::<2>(), boundaries::<17>()[16]),
            ([1 << (usize::BITS - 1), usize::MAX], usize::MAX)
        );
        for scale in 0..=MAX_SCALE {
            assert_eq!(position(usize::MAX, scale), (usize::BITS as usize) << scale);
        }
    }
}
