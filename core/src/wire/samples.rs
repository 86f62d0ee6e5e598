//! Encodes samples of the program counter as one record (§4, kind 2).

use super::Batch;
use super::batch::{COUNTED, kind};
use crate::fields::types;
use crate::ring::ExtendedKind;

/// Where the program was when a timer interrupted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// The program counter: address of the instruction that was to be executed next.
    pub pc: u32,
    /// The link register: the return address, if the interrupted function had not yet stored it.
    pub lr: u32,
    /// The local id of the current span; 0 outside of spans.
    pub span: u32,
}

/// What a record says of its samples together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SamplesHead {
    /// Samples that earlier records hold, in this boot, modulo 2^32.
    pub before: u32,
    /// Samples that found no room, in this boot, modulo 2^32.
    pub lost: u32,
    /// Ticks between two samples.
    pub period: u32,
    /// When the record is made, in ticks; the last sample was taken shortly before.
    pub time: u64,
}

/// Most bytes of a record before its samples: tag, kind, callsite, time, count, types, five values.
const HEAD: usize = 1 + 1 + 1 + 1 + 1 + 3 + 3 * 5 + 10 + 3;

impl Batch<'_, '_> {
    /// Writes as many of the samples as fit, in order, as one record. Returns their number; 0 means that the batch is as it
    /// was. A sample takes 3 to 15 bytes, 6 to 8 in most programs.
    pub fn push_samples(
        &mut self,
        head: &SamplesHead,
        samples: impl Iterator<Item = Sample> + Clone,
    ) -> usize {
        let room = usize::try_from(self.0.left()).unwrap_or(0).saturating_sub(HEAD);
        let (mut count, mut len) = (0, 0);
        let mut last = Sample::default();
        for sample in samples.clone() {
            let more: usize = sample.after(&last).into_iter().map(length).sum();
            if len + more > room {
                break;
            }
            (count, len, last) = (count + 1, len + more, sample);
        }
        if count == 0 {
            return 0;
        }
        let frame = &mut *self.0;
        frame.u8(kind::EXTENDED | COUNTED);
        frame.u8(ExtendedKind::SAMPLES.0);
        // No callsite; the time of the record before, so that later records need not go back.
        frame.u8(0);
        frame.u8(0);
        frame.u8(5);
        frame.u8(types::U32 | types::U32 << 4);
        frame.u8(types::U32 | types::U64 << 4);
        frame.u8(types::BYTES);
        for number in [head.before, head.lost, head.period] {
            frame.varint(number.into());
        }
        frame.varint(head.time);
        frame.varint((len as u64) << 1);
        last = Sample::default();
        for sample in samples.take(count) {
            for delta in sample.after(&last) {
                frame.zigzag(delta.into());
            }
            last = sample;
        }
        count
    }
}

impl Sample {
    /// The three deltas that are sent.
    fn after(&self, last: &Sample) -> [i32; 3] {
        let delta = |new: u32, old: u32| new.wrapping_sub(old).cast_signed();
        [delta(self.pc, last.pc), delta(self.lr, self.pc), delta(self.span, last.span)]
    }
}

/// Bytes of a `zigzag`.
fn length(delta: i32) -> usize {
    let bits = u32::BITS - (delta << 1 ^ delta >> 31).leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_zigzag_varints() {
        let numbers = [
            (0, 1),
            (-1, 1),
            (63, 1),
            (-64, 1),
            (64, 2),
            (-65, 2),
            (8191, 2),
            (8192, 3),
            (i32::MAX, 5),
            (i32::MIN, 5),
        ];
        for (number, bytes) in numbers {
            assert_eq!(length(number), bytes, "{number}");
        }
    }
}
