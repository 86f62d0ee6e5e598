//! The entries of a metrics frame (§8), as they are sent: cells may have wrapped, and histograms may be
//! split.

use crate::bytes::{Cursor, Malformed, What};

/// The part of a snapshot in one frame: an iterator over its entries. An error ends the iteration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Part<'f> {
    /// Number of the snapshot in this boot.
    pub snapshot: u64,
    /// Whether this is its last frame.
    pub last: bool,
    /// Time of the reading, in ticks since boot.
    pub time: u64,
    cursor: Cursor<'f>,
    over: bool,
}

/// A series, or a part of a histogram.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Callsite id.
    pub callsite: u64,
    /// Values of the run-time labels. Their keys are the callsite's field names.
    pub labels: Vec<String>,
    /// Whether it is the overflow series of a family.
    pub overflow: bool,
    /// The value.
    pub cell: Cell,
}

/// The value of a series on the device.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cell {
    /// A counter, which wraps at the device's word.
    Counter(u64),
    /// A floating-point sum.
    CounterFloat(f64),
    /// A sum that may go down, which wraps at the device's word.
    UpDown(i64),
    /// An integer gauge.
    GaugeInt(i64),
    /// A float gauge.
    GaugeFloat(f64),
    /// Counts per bucket, each of which wraps at the device's word.
    Histogram {
        /// A power of two has 2^scale buckets.
        scale: u8,
        /// Values are multiples of 2^-`fraction_bits`.
        fraction_bits: u8,
        /// Sum of all values, as a multiple of 2^-`fraction_bits`.
        sum: u64,
        /// Number of values that were zero.
        zeros: u64,
        /// Position of the first bucket.
        first: u64,
        /// Counts of consecutive buckets.
        buckets: Vec<u64>,
    },
}

/// Largest scale in OTLP. With it, a position fits into 26 bits.
const MAX_SCALE: u8 = 20;

impl<'f> Part<'f> {
    /// Parses a metrics body that begins at byte `body` of `frame`.
    pub fn parse(frame: &'f [u8], body: usize) -> Result<Part<'f>, Malformed> {
        let mut cursor = Cursor::new(frame, body);
        let snapshot = cursor.varint()?;
        let last = cursor.u8()? & 1 == 1;
        let time = cursor.varint()?;
        Ok(Part { snapshot, last, time, cursor, over: false })
    }

    fn entry(&mut self) -> Result<Entry, Malformed> {
        let c = &mut self.cursor;
        let callsite = c.varint()?;
        let start = *c;
        let shape = c.u8()?;
        let mut labels = Vec::new();
        if shape & 0x80 != 0 {
            let at_count = *c;
            let count = c.u8()?;
            if count > 15 {
                return Err(at_count.fail(What::LabelCount(count)));
            }
            for _ in 0..count {
                labels.push(c.string()?.into_owned());
            }
        }
        let cell = match shape & 15 {
            0 => Cell::Counter(c.varint()?),
            1 => Cell::UpDown(c.zigzag()?),
            2 => Cell::GaugeInt(c.zigzag()?),
            3 => Cell::GaugeFloat(widened(f32::from_le_bytes(c.array()?))),
            4 => Cell::GaugeFloat(f64::from_le_bytes(c.array()?)),
            5 => histogram(c, false)?,
            6 => Cell::CounterFloat(f64::from_le_bytes(c.array()?)),
            7 => histogram(c, true)?,
            other => return Err(start.fail(What::Shape(other))),
        };
        Ok(Entry { callsite, labels, overflow: shape & 0x40 != 0, cell })
    }
}

/// The `f64` with the same shortest decimal form: 18.26 and not 18.260000228881836.
fn widened(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

/// Most binary digits after the point.
const MAX_FRACTION_BITS: u8 = 30;

fn histogram(c: &mut Cursor<'_>, is_fixed_point: bool) -> Result<Cell, Malformed> {
    let start = *c;
    let scale = c.u8()?;
    let fraction_bits = if is_fixed_point { c.u8()? } else { 0 };
    let (sum, zeros) = (c.varint()?, c.varint()?);
    let (first, n) = (c.varint()?, c.varint()?);
    // Position p holds values up to 2^(p / 2^scale), so no position is above 64 · 2^scale.
    let in_range = scale <= MAX_SCALE
        && fraction_bits <= MAX_FRACTION_BITS
        && first.checked_add(n).is_some_and(|end| end <= (64 << scale) + 1);
    if !in_range {
        return Err(start.fail(What::Bucket));
    }
    let mut buckets = Vec::new();
    for _ in 0..n {
        buckets.push(c.varint()?);
    }
    Ok(Cell::Histogram { scale, fraction_bits, sum, zeros, first, buckets })
}

impl Iterator for Part<'_> {
    type Item = Result<Entry, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over || self.cursor.is_empty() {
            return None;
        }
        let entry = self.entry();
        self.over = entry.is_err();
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_widened_float_reads_as_it_did() {
        assert_eq!(widened(18.26), 18.26);
        assert_eq!(widened(f32::MIN_POSITIVE).to_string(), f32::MIN_POSITIVE.to_string());
        assert_eq!(widened(f32::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(widened(f32::NAN).is_nan());
    }
}
