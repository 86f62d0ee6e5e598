//! The shape of a metric on the wire (§8 of `core/docs/wire-format.md`), and the parameter in its callsite
//! that describes its numbers.

use crate::callsite::Kind;
use crate::sync::Count;

pub(crate) const COUNTER: u8 = 0;
pub(crate) const UP_DOWN: u8 = 1;
pub(crate) const GAUGE: u8 = 2;
/// A gauge of floats as wide as a cell: shape 3 is `f32`, 4 is `f64`.
pub(crate) const GAUGE_FLOAT: u8 = if Count::BITS == 64 { 4 } else { 3 };
pub(crate) const HISTOGRAM: u8 = 5;
pub(crate) const COUNTER_FLOAT: u8 = 6;
/// A histogram of fixed-point numbers.
pub(crate) const HISTOGRAM_FIXED: u8 = 7;

/// The shape of a metric with this kind and callsite parameter.
pub(crate) const fn shape_of(kind: u8, param: u8) -> u8 {
    const UP_DOWN_COUNTER: u8 = Kind::UpDownCounter as u8;
    const GAUGE_KIND: u8 = Kind::Gauge as u8;
    const HISTOGRAM_KIND: u8 = Kind::Histogram as u8;
    match kind {
        UP_DOWN_COUNTER => UP_DOWN,
        GAUGE_KIND if param == 0 => GAUGE,
        GAUGE_KIND => GAUGE_FLOAT,
        HISTOGRAM_KIND if fraction_bits(param) == 0 => HISTOGRAM,
        HISTOGRAM_KIND => HISTOGRAM_FIXED,
        _ if param == 0 => COUNTER,
        _ => COUNTER_FLOAT,
    }
}

/// The callsite parameter of a histogram: bits 0 to 2 are the scale, bit 3 says that it is exported as a
/// summary, bits 4 to 7 are half the fraction bits.
pub const fn histogram_param(scale: u32, fraction_bits: u32, is_summary: bool) -> u8 {
    assert!(
        fraction_bits <= 30 && fraction_bits.is_multiple_of(2),
        "`fraction_bits` must be an even number from 0 to 30"
    );
    scale as u8 | (is_summary as u8) << 3 | (fraction_bits as u8 / 2) << 4
}

/// The scale of a histogram: a power of two has 2^scale buckets.
pub const fn scale(param: u8) -> u8 {
    param & 7
}

/// Whether a histogram is exported as quantiles.
pub const fn is_summary(param: u8) -> bool {
    param & 8 != 0
}

/// The fraction bits of a histogram: its cells count multiples of 2^-`fraction_bits`.
pub const fn fraction_bits(param: u8) -> u8 {
    (param >> 4) * 2
}

/// The callsite parameter of a float gauge: 1 for an `f32` cell, 2 for an `f64` cell.
pub const FLOAT_GAUGE: u8 = if Count::BITS == 64 { 2 } else { 1 };

/// The number of cells of a counter of fractions: one for the sum, or, if cells have 32 bits, an `f32` that
/// contexts add to and the two halves of the `f64` that the reader moves it to.
pub const FLOAT_COUNTER_CELLS: usize = if Count::BITS == 64 { 1 } else { 3 };

/// The scale that the callsite gives, or 2.
pub const fn scale_or_default(given: &[u32]) -> u32 {
    let scale = if let [scale] = given { *scale } else { 2 };
    assert!(scale <= super::histogram::MAX_SCALE, "`scale` must be 0 to 4");
    scale
}

/// The fraction bits that the callsite gives, or 20, which are steps of about a millionth.
pub const fn fraction_bits_or_default(given: &[u32]) -> u32 {
    if let [bits] = given { *bits } else { 20 }
}

/// The capacity that the callsite gives, which must not be 0.
pub const fn capacity(given: usize) -> usize {
    assert!(
        given > 0,
        "`capacity = 0` leaves no room for any label set: give the number of label sets to keep apart, such as `capacity = 16`"
    );
    given
}
