//! Encodes a batch of records (§4) and their fields (§5) as deltas against registers that the records move.
//! It reads the words of a ring directly, because they are nearly in wire form.

use super::frame::{Cursor, Frame, FrameKind, Header};
use crate::callsite::wire_id;
use crate::fields::types;
use crate::linked;
use crate::place::{is_outside, is_sampled, own_root, root_id, span_id};
use crate::record::NO_BUSY;
use crate::ring::{RecordKind, TYPES_IN_BODY, Word, Words};
use crate::value::LossReason;

/// A batch of records that is being written to a frame.
///
/// On a 32-bit machine a record holds the low 32 bits of its time. The encoder extends them to the one time
/// between 2^29 ticks before and 7 · 2^29 ticks after a reference: the previous record's time or
/// `not_before`, whichever is later.
#[derive(Debug)]
pub struct Batch<'f, 'b>(pub(super) &'f mut Frame<'b>);

/// A position in a batch to return to; see [`Batch::roll_back`].
#[derive(Clone, Copy, Debug)]
pub struct Mark(Cursor);

/// Flag: the span has no parent, or the event is outside any span.
const ROOT: u8 = 0x10;
/// Flag: the record's root is the one in the root register.
const SAME_ROOT: u8 = 0x20;

pub(super) mod kind {
    pub(in super::super) const SPAN: u8 = 0;
    pub(in super::super) const SPAN_EXTENDED: u8 = 1;
    pub(in super::super) const EVENT: u8 = 2;
    pub(in super::super) const FIELDS: u8 = 3;
    pub(in super::super) const ATTACH: u8 = 4;
    pub(in super::super) const CLOCK: u8 = 5;
    pub(in super::super) const LOSS: u8 = 6;
    pub(in super::super) const EXTENDED: u8 = 7;
    pub(in super::super) const UNSAMPLED_EVENT: u8 = 8;
}

/// The most ticks by which a record may be earlier than a record reserved before it.
const BACK: u64 = 1 << 29;

impl<'f, 'b> Batch<'f, 'b> {
    /// Begins an empty batch. `base_time` is in ticks: the time of the last record of the previous batch, or
    /// any time that is not after the first record's.
    pub fn new(frame: &'f mut Frame<'b>, header: &Header, base_time: u64) -> Self {
        frame.begin(FrameKind::Batch, header);
        frame.varint(base_time);
        frame.varint(0);
        frame.at.time = base_time;
        Batch(frame)
    }

    /// The current position.
    pub fn mark(&self) -> Mark {
        Mark(self.0.at)
    }

    /// Removes everything that was written after `mark`.
    pub fn roll_back(&mut self, mark: &Mark) {
        self.0.go_back(&mark.0);
    }

    /// Whether no frame in this buffer could be longer. A record that does not fit alone in such a frame fits
    /// in none.
    pub fn is_longest(&self) -> bool {
        self.0.is_longest()
    }

    /// The time in ticks of the last record written; for a span, its end.
    pub fn time(&self) -> u64 {
        self.0.at.time
    }

    /// Writes a record. Returns false when it does not fit. Roll the batch back then, and also when the
    /// reader afterwards finds that the record was overwritten while it was read. The record's time must be
    /// at most 2^29 ticks before `not_before`.
    pub fn push(&mut self, words: &mut Words<'_>, not_before: u64) -> bool {
        self.push_cut(words, not_before, usize::MAX)
    }

    /// Whether cutting texts can make a record shorter; false in a program that records no texts.
    pub fn has_texts(&self) -> bool {
        linked::TEXTS.get()
    }

    /// Like [`Batch::push`], with at most `most` bytes of each text, byte string and encoded value. Longer
    /// values are cut and marked as truncated.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn push_cut(&mut self, words: &mut Words<'_>, not_before: u64, most: usize) -> bool {
        self.0.not_before = not_before;
        self.0.most = most;
        let head = words.head();
        let kind = head.kind();
        let [first, second, root, start, end] = words.first();
        if kind == RecordKind::Clock {
            let ticks = if Word::BITS == 64 { first as u64 } else { first as u64 | (second as u64) << 32 };
            self.0.u8(kind::CLOCK);
            self.0.varint(ticks);
            self.0.at.time = ticks;
            return self.0.fits();
        }
        if linked::EXTENDED.get()
            && let Some(number) = head.extended_kind()
        {
            words.skip(1);
            self.0.types = words.wide();
            let types = self.0.types.min(u32::MAX.into()) as u32;
            self.0.u8(kind::EXTENDED | head.status() << 4 | count_flags(types));
            self.0.u8(number.0);
            self.0.number(wire_id(head.callsite) as Word);
            self.time_of(first, 0);
            self.fields(words);
            return self.0.fits();
        }
        words.skip(3);
        if linked::SPECIAL_TRACES.get() && kind == RecordKind::Attach {
            self.0.u8(kind::ATTACH);
            self.time_of(first, 0);
            self.id(root_id(second));
            self.0.bytes_of(words, 24, 24);
            // The third word holds the flags.
            self.0.u8(root as u8);
            self.0.at.root = root_id(second);
        } else if kind == RecordKind::Event || kind == RecordKind::Fields {
            let is_outside = is_outside(second);
            let root = own_root(second, root);
            let tag = match kind {
                RecordKind::Fields => kind::FIELDS,
                _ if is_outside || is_sampled(root) => kind::EVENT,
                _ => kind::UNSAMPLED_EVENT,
            };
            let (span, root) = (span_id(second, root), root_id(root));
            let needs_root = self.head(tag, words, is_outside, root);
            self.time_of(first, 0);
            if !is_outside {
                self.id(span);
                if needs_root {
                    self.root(root);
                }
            }
            self.fields(words);
        } else {
            words.skip(2);
            self.span(kind, [first, second, root, start, end], words);
        }
        self.0.fits()
    }

    /// Writes a loss record. Returns false and writes nothing when there may not be enough room.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn push_loss(&mut self, reason: LossReason, count: usize, first: Word) -> bool {
        // Kind, reason, and two 64-bit varints.
        if self.0.left() < 1 + 1 + 10 + 10 {
            return false;
        }
        self.0.u8(kind::LOSS);
        self.0.u8(reason as u8);
        self.0.number(count);
        let time = self.0.at.time;
        self.time_of(first, 0);
        self.0.at.time = time;
        true
    }

    /// Closes the frame and returns its length on the wire in bytes, delimiter included; 0 when not even the
    /// header fitted.
    pub fn finish(self) -> usize {
        self.0.finish()
    }

    fn span(&mut self, kind: RecordKind, first: [Word; 5], words: &mut Words<'_>) {
        let [id, previous, root, start, end] = first;
        let mut duration = end.wrapping_sub(start) as u64;
        let mut busy = NO_BUSY;
        if kind == RecordKind::SpanLong {
            duration |= (words.next() as u64) << 32;
            let some = words.wide();
            if linked::FUTURES.get() {
                busy = some;
            }
        } else if linked::FUTURES.get() && kind == RecordKind::SpanBusy {
            busy = words.next() as u64;
        }
        let status = words.head().status();
        let extension = status != 0 || busy != NO_BUSY;
        // A span without a parent is a root, whatever its root word holds.
        let is_root = is_outside(previous);
        let root = own_root(previous, root);
        let (id, previous) = (root_id(id), span_id(previous, root));
        let root = if is_root { id } else { root_id(root) };
        let tag = if extension { kind::SPAN_EXTENDED } else { kind::SPAN };
        let needs_root = self.head(tag, words, is_root, root);
        self.id(id);
        if !is_root {
            self.below(previous);
        }
        if needs_root {
            self.below(root);
        }
        self.0.at.root = root;
        self.time_of(end, duration);
        self.0.varint(duration);
        if extension {
            self.0.u8(status | u8::from(busy != NO_BUSY) << 2);
            if busy != NO_BUSY {
                self.0.varint(busy);
            }
        }
        self.fields(words);
    }

    /// Writes the tag and the callsite, and sets the fields' types. Returns whether the root's id must follow
    /// because the tag does not imply it.
    #[cfg_attr(target_os = "none", inline(never))]
    fn head(&mut self, mut tag: u8, words: &mut Words<'_>, is_root: bool, root: Word) -> bool {
        let head = words.head();
        let mut flags = count_flags(head.types());
        self.0.types = head.types().into();
        if head.types() & 15 == TYPES_IN_BODY {
            self.0.types = words.wide();
            // The head would hold the types of fewer fields.
            flags = COUNTED;
        }
        if is_root {
            tag |= ROOT;
        } else if root == self.0.at.root {
            tag |= SAME_ROOT;
        }
        self.0.u8(tag | flags);
        self.0.number(wire_id(head.callsite) as Word);
        tag < ROOT
    }

    /// Writes the time that is `before` ticks before `time`, and moves the time register to `time`.
    #[cfg_attr(target_os = "none", inline(never))]
    fn time_of(&mut self, time: Word, before: u64) {
        let time = self.extended(time);
        self.0.zigzag(time.wrapping_sub(before).wrapping_sub(self.0.at.time) as i64);
        self.0.at.time = time;
    }

    /// Extends a time from the bits that a word holds to 64 bits.
    #[inline(always)]
    fn extended(&self, time: Word) -> u64 {
        if Word::BITS == 64 {
            time as u64
        } else {
            extended(self.0.at.time.max(self.0.not_before), time as u32)
        }
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn id(&mut self, id: Word) {
        let before = core::mem::replace(&mut self.0.at.id, id);
        self.below(before);
    }

    /// Writes how far `other` is below the id register.
    #[cfg_attr(target_os = "none", inline(never))]
    fn below(&mut self, other: Word) {
        self.0.zigzag(self.0.at.id.wrapping_sub(other) as isize as i64);
    }

    /// Writes the root of the id and moves the root register.
    fn root(&mut self, root: Word) {
        self.below(root);
        self.0.at.root = root;
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn fields(&mut self, words: &mut Words<'_>) {
        let types = self.0.types;
        if types > 0xff {
            self.0.u8(count(types));
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

    fn value(&mut self, mut code: u8, words: &mut Words<'_>) {
        while code == types::OPTION {
            let first = words.next();
            code = (first & 15) as u8;
            self.0.u8(code);
            if code == 0 {
                for _ in 0..first >> 4 {
                    words.next();
                }
                return;
            }
        }
        let mut bits = match code {
            types::U64 | types::I64 | types::F64 => words.wide(),
            types::I32 => words.next() as i32 as u64,
            _ => words.next() as u64,
        };
        if code == types::F32 || code == types::F64 {
            return self.0.low_bytes(bits, if code == types::F32 { 4 } else { 8 });
        }
        let len = bits as usize >> 1;
        if linked::TEXTS.get() && code > types::STATIC && len > self.0.most {
            bits = (self.0.most as u64) << 1 | 1;
        }
        if code == types::I32 || code == types::I64 {
            self.0.zigzag(bits as i64);
        } else {
            self.0.varint(bits);
        }
        if code == types::STATIC {
            self.0.number(words.next());
        } else if linked::TEXTS.get() && code > types::STATIC {
            // The ring stores `length << 1 | truncated` before the bytes, as the wire does.
            self.0.bytes_of(words, len, self.0.most);
        }
    }
}

/// Bits 6 and 7 of a tag when a count byte follows.
pub(super) const COUNTED: u8 = 3 << 6;

/// Bits 6 and 7 of a tag: the number of fields, or [`COUNTED`].
fn count_flags(types: u32) -> u8 {
    (u8::from(types != 0) + u8::from(types > 0xf) + u8::from(types > 0xff)) << 6
}

/// The number of fields: a nibble is 0 only after the last field's.
fn count(types: u64) -> u8 {
    let (mut count, mut rest) = (0, types);
    while rest != 0 {
        count += 1;
        rest >>= 4;
    }
    count
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
