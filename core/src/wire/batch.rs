//! A batch of records (§4) and their fields (§5), as deltas against registers that the records move; right from the words of a ring, which are
//! nearly what the wire wants.

use super::frame::{Frame, FrameKind, Header, Place, Window};
use crate::LossReason;
use crate::fields::types;
use crate::record::NO_BUSY;
use crate::ring::{Head, RecordKind, TYPES_IN_BODY, Word, Words};

/// Records being put into a frame.
///
/// On a 32-bit machine a record holds the low 32 bits of its time. It is taken for the one moment with these bits between 2^29 ticks before the
/// record before it and 7 · 2^29 ticks after; what else is known of its time is said by `not_before`.
#[derive(Debug)]
pub struct Batch<'b>(Frame<'b>);

/// Where a batch was, to go back to; see [`Batch::roll_back`].
#[derive(Clone, Copy, Debug)]
pub struct Mark(Place);

/// Flag of a span without a parent, and of an event outside any span.
const ROOT: u8 = 0x10;
/// Flag of a record whose root is the register's.
const SAME_ROOT: u8 = 0x20;

mod kind {
    pub(super) const SPAN: u8 = 0;
    pub(super) const SPAN_EXTENDED: u8 = 1;
    pub(super) const EVENT: u8 = 2;
    pub(super) const FIELDS: u8 = 3;
    pub(super) const ATTACH: u8 = 4;
    pub(super) const CLOCK: u8 = 5;
    pub(super) const LOSS: u8 = 6;
}

/// Ticks that a record may lie before one reserved before it.
const BACK: u64 = 1 << 29;

impl<'b> Batch<'b> {
    /// An empty batch. `base_time` is the time of the last record of the batch before, or any that is not after the first's.
    pub fn new(window: Window<'b>, header: &Header, base_time: u64) -> Batch<'b> {
        let mut frame = Frame::new(window, FrameKind::Batch, header);
        frame.varint(base_time);
        frame.varint(0);
        frame.at.time = base_time;
        Batch(frame)
    }

    /// Where it is now.
    pub fn mark(&self) -> Mark {
        Mark(self.0.at)
    }

    /// Takes out what was put in after `mark`.
    pub fn roll_back(&mut self, mark: &Mark) {
        self.0.at = mark.0;
    }

    /// Time of the last record put in: of a span, of its end.
    pub fn time(&self) -> u64 {
        self.0.at.time
    }

    /// Puts a record in. False when it does not fit; then, as when the record turns out not to be believed, the batch is to be
    /// rolled back. Its time is at or after `not_before` but for 2^29 ticks.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn push(&mut self, words: &mut Words<'_>, not_before: u64) -> bool {
        self.0.not_before = not_before;
        let head = words.head();
        let kind = head.kind();
        if kind == Some(RecordKind::Clock) {
            let ticks = words.wide();
            self.0.u8(kind::CLOCK);
            self.0.varint(ticks);
            self.0.at.time = ticks;
            return self.0.fits();
        }
        let [first, second, root] = [words.next(), words.next(), words.next()];
        match kind {
            Some(RecordKind::Event) => self.event(kind::EVENT, head, [first, second, root], words),
            Some(RecordKind::Fields) => self.event(kind::FIELDS, head, [first, second, root], words),
            Some(RecordKind::Attach) => {
                self.0.u8(kind::ATTACH);
                self.time_of(first);
                self.id(second);
                self.0.bytes_of(words, 24);
                self.0.u8(root as u8);
                self.0.at.root = second;
            }
            Some(_) => self.span(head, [first, second, root], words),
            None => return false,
        }
        self.0.fits()
    }

    /// Puts a loss in; false, and nothing is, when it does not fit.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn push_loss(&mut self, reason: LossReason, count: usize, first: Word) -> bool {
        let before = self.0.at;
        self.0.u8(kind::LOSS);
        self.0.u8(reason as u8);
        self.0.varint(count as u64);
        let time = self.extended(first);
        self.put_time(time);
        self.0.at.time = before.time;
        if !self.0.fits() {
            self.0.at = before;
            return false;
        }
        true
    }

    /// Closes it, and says how many bytes it has on the wire, delimiter included; 0 when not even its header fitted.
    pub fn finish(self) -> usize {
        self.0.finish()
    }

    fn span(&mut self, head: Head, [id, previous, root]: [Word; 3], words: &mut Words<'_>) {
        let (start, low) = (words.next(), words.next());
        let mut duration = low as u64;
        let mut busy = NO_BUSY;
        if head.kind() == Some(RecordKind::SpanLong) {
            duration |= (words.next() as u64) << 32;
            busy = words.wide();
        } else if head.kind() == Some(RecordKind::SpanBusy) {
            busy = words.next() as u64;
        }
        let status = head.status();
        let extension = status != 0 || busy != NO_BUSY;
        let types = types_of(head, words);
        // Writers may leave in `previous` what was current when a root began.
        let is_root = id == root;
        let tag = if extension { kind::SPAN_EXTENDED } else { kind::SPAN };
        let same_root = self.head(tag, head, is_root, root, types);
        self.id(id);
        if !is_root {
            self.below(id, previous);
        }
        if !same_root {
            self.below(id, root);
        }
        let end = self.extended(start.wrapping_add(low));
        self.put_time(end.wrapping_sub(duration));
        self.0.varint(duration);
        if extension {
            self.0.u8(status | u8::from(busy != NO_BUSY) << 2);
            if busy != NO_BUSY {
                self.0.varint(busy);
            }
        }
        self.0.at.root = root;
        self.0.at.time = end;
        self.fields(types, words);
    }

    fn event(&mut self, tag: u8, head: Head, [time, span, root]: [Word; 3], words: &mut Words<'_>) {
        let types = types_of(head, words);
        let same_root = self.head(tag, head, span == 0, root, types);
        self.time_of(time);
        if span != 0 {
            self.id(span);
            if !same_root {
                self.below(span, root);
            }
            self.0.at.root = root;
        }
        self.fields(types, words);
    }

    /// Tag and callsite; whether the root is said by the tag.
    #[cfg_attr(target_os = "none", inline(never))]
    fn head(&mut self, mut tag: u8, head: Head, is_root: bool, root: Word, types: u64) -> bool {
        if is_root {
            tag |= ROOT;
        } else if root == self.0.at.root {
            tag |= SAME_ROOT;
        }
        self.0.u8(tag | (count(types).min(3) as u8) << 6);
        self.0.varint(head.callsite.into());
        tag >= ROOT
    }

    fn time_of(&mut self, time: Word) {
        let time = self.extended(time);
        self.put_time(time);
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn put_time(&mut self, time: u64) {
        self.0.zigzag(time.wrapping_sub(self.0.at.time) as i64);
        self.0.at.time = time;
    }

    /// The whole of a time of which `time` is what a word holds.
    #[cfg_attr(target_os = "none", inline(never))]
    fn extended(&self, time: Word) -> u64 {
        if Word::BITS == 64 {
            time as u64
        } else {
            extended(self.0.at.time.max(self.0.not_before), time as u32)
        }
    }

    fn id(&mut self, id: Word) {
        self.below(id, self.0.at.id);
        self.0.at.id = id;
    }

    /// How far `other` is below `id`.
    #[cfg_attr(target_os = "none", inline(never))]
    fn below(&mut self, id: Word, other: Word) {
        self.0.zigzag(id.wrapping_sub(other) as isize as i64);
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn fields(&mut self, types: u64, words: &mut Words<'_>) {
        let count = count(types);
        if count > 2 {
            self.0.u8(count as u8);
        }
        let mut rest = types;
        while rest != 0 {
            self.0.u8(rest as u8);
            rest >>= 8;
        }
        rest = types;
        while rest != 0 {
            self.value((rest & 15) as u8, words);
            rest >>= 4;
        }
    }

    fn value(&mut self, code: u8, words: &mut Words<'_>) {
        if code == types::F32 || code == types::F64 {
            return self.0.bytes_of(words, if code == types::F32 { 4 } else { 8 });
        }
        let bits = match code {
            types::U64 | types::I64 => words.wide(),
            types::I32 => words.next() as i32 as u64,
            _ => words.next() as u64,
        };
        if code == types::I32 || code == types::I64 {
            self.0.zigzag(bits as i64);
        } else {
            self.0.varint(bits);
        }
        if code == types::STATIC {
            self.0.varint(words.next() as u64);
        } else if code > types::STATIC {
            // `length << 1 | truncated` is the same here and there.
            self.0.bytes_of(words, bits as usize >> 1);
        }
    }
}

/// Type nibbles of a record's fields, the first in the low one.
#[cfg_attr(target_os = "none", inline(never))]
fn types_of(head: Head, words: &mut Words<'_>) -> u64 {
    if head.types() & 15 == TYPES_IN_BODY { words.wide() } else { head.types().into() }
}

/// How many fields: no nibble but those after the last is 0.
fn count(types: u64) -> u32 {
    (u64::BITS - types.leading_zeros()).div_ceil(4)
}

fn extended(at: u64, time: u32) -> u64 {
    let from = at.saturating_sub(BACK);
    from + u64::from(time.wrapping_sub(from as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_a_little_back_or_far_ahead() {
        let at = 5 << 32 | 100;
        let back = BACK as i64;
        for (time, is) in [
            (100, at),
            (101, at + 1),
            (99, at - 1),
            (0xffff_ffff, at - 101),
            (100 - back, at - BACK),
            (100 + 7 * back - 1, at + 7 * BACK - 1),
        ] {
            assert_eq!(extended(at, time as u32), is, "{time}");
        }
        assert_eq!(extended(3, 2), 2);
        assert_eq!(extended(3, u32::MAX), u64::from(u32::MAX), "nothing is before the clock began");
    }

    #[test]
    fn fields_are_counted_by_their_types() {
        assert_eq!([0, 1, 0x21, 0xb1, 0x321, 0x1bb].map(count), [0, 1, 2, 2, 3, 3]);
        assert_eq!(count(0x0bbb_bbbb_bbbb_bbbb), 15);
    }
}
