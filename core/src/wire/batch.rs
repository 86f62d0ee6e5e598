//! A batch of records (§4) and their fields (§5), as deltas against registers that the records move.

use super::frame::{Frame, FrameKind, Header};
use crate::fields::types;
use crate::record::{EventRecord, Record, SpanRecord, Values, split_bytes};
use crate::ring::{Loss, Word};
use crate::{LossReason, Status};

/// Records being put into a frame.
#[derive(Debug)]
pub struct Batch<'b> {
    frame: Frame<'b>,
    at: Registers,
}

/// Where a batch was, to go back to; see [`Batch::roll_back`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    at: usize,
    registers: Registers,
}

/// What deltas are taken against.
#[derive(Clone, Copy, Debug)]
struct Registers {
    time: u64,
    id: Word,
    root: Word,
}

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

impl<'b> Batch<'b> {
    /// An empty batch in `buf`; `None` when not even its header fits. The frame takes at most all of `buf`, delimiter included, and
    /// never more than the format allows. Deltas are smallest when base time and id are near the first record's.
    pub fn new(buf: &'b mut [u8], header: &Header, base_time: u64, base_id: Word) -> Option<Batch<'b>> {
        let mut frame = Frame::new(buf, FrameKind::Batch, header)?;
        frame.varint(base_time);
        frame.varint(base_id as u64);
        let at = Registers { time: base_time, id: base_id, root: 0 };
        frame.fits().then_some(Batch { frame, at })
    }

    /// Where it is now.
    pub fn mark(&self) -> Mark {
        Mark { at: self.frame.at, registers: self.at }
    }

    /// Takes out what was put in after `mark`.
    pub fn roll_back(&mut self, mark: Mark) {
        self.frame.at = mark.at;
        self.at = mark.registers;
    }

    /// Puts a record in; false, and nothing is, when it does not fit. `time` is the time of the record extended to 64 bits: of a span,
    /// that of its end.
    pub fn push(&mut self, record: &Record<'_>, time: u64) -> bool {
        let mark = self.mark();
        match record {
            Record::Span(span) => self.span(span, time),
            Record::Event(event) => self.event(kind::EVENT, event, time),
            Record::Fields(event) => self.event(kind::FIELDS, event, time),
            Record::Attach { id, remote, .. } => {
                self.frame.u8(kind::ATTACH);
                self.time(time);
                self.id(*id);
                self.frame.bytes(&remote.trace_id.to_bytes());
                self.frame.bytes(&remote.span_id.to_bytes());
                self.frame.u8(remote.flags);
                self.at.root = *id;
            }
            Record::Clock { ticks } => {
                self.frame.u8(kind::CLOCK);
                self.frame.varint(*ticks);
                self.at.time = *ticks;
            }
        }
        self.keep(mark)
    }

    /// Puts a loss in; false, and nothing is, when it does not fit. `first` is the loss's first time, extended.
    pub fn push_loss(&mut self, loss: &Loss, first: u64) -> bool {
        let mark = self.mark();
        let reason = match loss.reason {
            LossReason::RingFull => 0,
            LossReason::Overwritten => 1,
            LossReason::TooLarge => 2,
        };
        self.frame.u8(kind::LOSS);
        self.frame.u8(reason);
        self.frame.varint(loss.count as u64);
        self.frame.zigzag(first.wrapping_sub(self.at.time) as i64);
        self.keep(mark)
    }

    /// Closes it: the frame on the wire is that many bytes at the front of the buffer, delimiter included.
    pub fn finish(self) -> usize {
        self.frame.finish()
    }

    fn keep(&mut self, mark: Mark) -> bool {
        let fits = self.frame.fits();
        if !fits {
            self.roll_back(mark);
        }
        fits
    }

    fn span(&mut self, span: &SpanRecord<'_>, end: u64) {
        let extension = span.status != Status::Unset || span.busy.is_some();
        let is_root = span.parent == 0;
        let same_root = !is_root && span.root == self.at.root;
        let kind = if extension { kind::SPAN_EXTENDED } else { kind::SPAN };
        let count = self.head(kind, is_root, same_root, span.values, span.callsite);
        self.id(span.id);
        if !is_root {
            self.below(span.id, span.parent);
            if !same_root {
                self.below(span.id, span.root);
            }
        }
        self.time(end.wrapping_sub(span.duration));
        self.frame.varint(span.duration);
        if extension {
            self.frame.u8(span.status as u8 | u8::from(span.busy.is_some()) << 2);
            if let Some(busy) = span.busy {
                self.frame.varint(busy);
            }
        }
        self.fields(span.values, count);
        self.at.root = if is_root { span.id } else { span.root };
        self.at.time = end;
    }

    fn event(&mut self, kind: u8, event: &EventRecord<'_>, time: u64) {
        let outside = event.span == 0;
        let same_root = !outside && event.root == self.at.root;
        let count = self.head(kind, outside, same_root, event.values, event.callsite);
        self.time(time);
        if !outside {
            self.id(event.span);
            if !same_root {
                self.below(event.span, event.root);
            }
            self.at.root = event.root;
        }
        self.fields(event.values, count);
    }

    /// Tag and callsite; gives back the number of fields.
    fn head(&mut self, kind: u8, root: bool, same_root: bool, values: Values<'_>, callsite: u32) -> usize {
        let count = values.count();
        let mut tag = kind | (count.min(3) as u8) << 6;
        if root {
            tag |= ROOT;
        }
        if same_root {
            tag |= SAME_ROOT;
        }
        self.frame.u8(tag);
        self.frame.varint(callsite.into());
        count
    }

    fn time(&mut self, time: u64) {
        self.frame.zigzag(time.wrapping_sub(self.at.time) as i64);
        self.at.time = time;
    }

    fn id(&mut self, id: Word) {
        self.below(id, self.at.id);
        self.at.id = id;
    }

    /// How far `other` is below `id`.
    fn below(&mut self, id: Word, other: Word) {
        self.frame.zigzag(id.wrapping_sub(other) as isize as i64);
    }

    fn fields(&mut self, values: Values<'_>, count: usize) {
        if count > 2 {
            self.frame.u8(count as u8);
        }
        let mut types = values.types();
        for i in 0..count.div_ceil(2) {
            self.frame.u8((types >> (8 * i)) as u8);
        }
        // Right from the record's words, which are nearly what the wire wants; by way of `Value` it is four times the code.
        let mut words = values.words();
        while types != 0 {
            let Some((first, rest)) = words.split_first() else { return };
            words = self.value((types & 15) as u8, *first, rest);
            types >>= 4;
        }
    }

    /// Writes a value whose first word is `first`; gives back the words after it.
    fn value<'w>(&mut self, code: u8, first: Word, rest: &'w [Word]) -> &'w [Word] {
        let frame = &mut self.frame;
        let wide = matches!(code, types::U64 | types::I64 | types::F64) && Word::BITS == 32;
        let (second, rest) = match rest.split_first() {
            Some((second, rest)) if wide || code == types::STATIC => (*second, rest),
            _ => (0, rest),
        };
        let bits = if wide { first as u64 | (second as u64) << (Word::BITS % 64) } else { first as u64 };
        match code {
            types::BOOL => frame.u8(first as u8),
            types::I32 => frame.zigzag(i64::from(first as i32)),
            types::U64 | types::U32 => frame.varint(bits),
            types::I64 => frame.zigzag(bits as i64),
            types::F32 => frame.bytes(&(first as u32).to_le_bytes()),
            types::F64 => frame.bytes(&bits.to_le_bytes()),
            types::STATIC => {
                frame.varint(bits);
                frame.varint(second as u64);
            }
            _ => {
                // `length << 1 | truncated` is the same here and there.
                frame.varint(bits);
                let (bytes, rest) = split_bytes(rest, first >> 1);
                frame.bytes(bytes);
                return rest;
            }
        }
        rest
    }
}
