//! Samples of the program counter (§4, kind 2).

use throughline::Value;
use throughline::adapter::ring::ExtendedKind;

use crate::batch::RawExtended;
use crate::bytes::Cursor;
use crate::fields::RawValue;

/// Samples that a timer of the device took one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Samples<'f> {
    /// Samples of this boot before these, modulo 2^32. If it is more than the records before have held, the link has
    /// lost the difference.
    pub before: u32,
    /// Samples that found no room on the device, in this boot, modulo 2^32.
    pub lost: u32,
    /// Ticks between two samples.
    pub period: u64,
    /// Ticks since boot when the record was made, shortly after the last of these samples.
    pub time: u64,
    bytes: &'f [u8],
}

/// Where the program was when the timer interrupted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// The program counter: address of the instruction that was to be executed next.
    pub pc: u32,
    /// The link register: the return address, if the interrupted function had not yet stored it.
    pub lr: u32,
    /// Local id of the current span; `None` outside of spans.
    pub span: Option<u64>,
}

impl<'f> Samples<'f> {
    /// Reads a record of this kind. `None` if it is one of another kind, or its values are not those of this kind.
    pub(crate) fn parse(raw: &RawExtended<'f>) -> Option<Samples<'f>> {
        if raw.kind != ExtendedKind::SAMPLES.0 {
            return None;
        }
        let mut values = raw.fields.values();
        let mut number = || match values.next() {
            Some(RawValue::Inline(Value::U64(n))) => Some(n),
            _ => None,
        };
        let (before, lost, period, time) = (number()?, number()?, number()?, number()?);
        let Some(RawValue::Inline(Value::Bytes { bytes, truncated: false })) = values.next() else {
            return None;
        };
        let samples = Samples { before: before as u32, lost: lost as u32, period, time, bytes };
        samples.len()?;
        Some(samples)
    }

    /// The number of samples; `None` if the bytes end within one.
    fn len(&self) -> Option<usize> {
        let mut cursor = Cursor::new(self.bytes, 0);
        let mut count = 0;
        while !cursor.is_empty() {
            sample(&mut cursor, &Sample::default())?;
            count += 1;
        }
        Some(count)
    }

    /// The samples, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Sample> + use<'f> {
        let mut cursor = Cursor::new(self.bytes, 0);
        let mut last = Sample::default();
        std::iter::from_fn(move || {
            if cursor.is_empty() {
                return None;
            }
            last = sample(&mut cursor, &last)?;
            Some(last)
        })
    }
}

/// Reads the sample after `last`.
fn sample(cursor: &mut Cursor<'_>, last: &Sample) -> Option<Sample> {
    let mut after = |base: u32| Some(base.wrapping_add(cursor.zigzag().ok()? as u32));
    let pc = after(last.pc)?;
    let lr = after(pc)?;
    let span = after(last.span.unwrap_or(0) as u32)?;
    Some(Sample { pc, lr, span: (span != 0).then_some(span.into()) })
}
