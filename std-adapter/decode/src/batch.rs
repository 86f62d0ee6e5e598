//! The records of a batch (§4 of the wire format), with whole times and ids; callsites are still ids. Any
//! bytes can be read, and the records before a malformed one are kept.

use throughline::Status;

use crate::bytes::{Cursor, Malformed, What};
use crate::fields::RawFields;

/// Tag of an event in a trace that is not sampled.
const UNSAMPLED_EVENT: u8 = 8;

/// A record with whole times and ids instead of deltas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record<'f> {
    /// A finished span.
    Span(RawSpan<'f>),
    /// An event.
    Event(RawPoint<'f>),
    /// Fields added to a span after it began.
    Fields(RawPoint<'f>),
    /// A remote parent was attached.
    Attach(RawAttach),
    /// A reading of the clock, in ticks.
    Clock(u64),
    /// Records were lost on the device.
    Loss(RawLoss),
    /// A record of an extended kind.
    Extended(RawExtended<'f>),
}

/// A span as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawSpan<'f> {
    /// Callsite id.
    pub callsite: u64,
    /// Local id.
    pub id: u64,
    /// Local id of its parent.
    pub parent: Option<u64>,
    /// Local id of its trace's root; its own for a root.
    pub root: u64,
    /// Ticks since boot.
    pub start: u64,
    /// Length in ticks.
    pub duration: u64,
    /// How it ended.
    pub status: Status,
    /// How many ticks its future was being polled.
    pub busy: Option<u64>,
    /// Its fields.
    pub fields: RawFields<'f>,
}

/// An event or late fields, as they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawPoint<'f> {
    /// Callsite id.
    pub callsite: u64,
    /// Ticks since boot.
    pub time: u64,
    /// Local ids of the span and of its trace's root.
    pub span: Option<(u64, u64)>,
    /// Whether the spans of its trace are recorded.
    pub sampled: bool,
    /// Its fields.
    pub fields: RawFields<'f>,
}

/// A remote parent and the local id that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawAttach {
    /// Ticks since boot.
    pub time: u64,
    /// The local id that stands for the remote span.
    pub id: u64,
    /// W3C trace id.
    pub trace_id: [u8; 16],
    /// W3C span id.
    pub span_id: [u8; 8],
    /// W3C flags.
    pub flags: u8,
}

/// A loss on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawLoss {
    /// The reason, as a number of `throughline::adapter::LossReason`.
    pub reason: u8,
    /// Number of records lost.
    pub count: u64,
    /// Ticks of the first loss.
    pub first: u64,
}

/// A record of an extended kind. All extended kinds have the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawExtended<'f> {
    /// Number of the kind; §4 lists the numbers in use.
    pub kind: u8,
    /// A status of two bits.
    pub status: u8,
    /// Callsite id; 0 for kinds without a callsite.
    pub callsite: u64,
    /// Ticks since boot.
    pub time: u64,
    /// What it holds.
    pub fields: RawFields<'f>,
}

impl Record<'_> {
    /// Whether it counts in a frame's `ordinal`. Losses and clock records do not.
    pub fn counts(&self) -> bool {
        !matches!(self, Record::Clock(_) | Record::Loss(_))
    }

    /// Tick at which it was made; for a span, at which it ended. `None` for a loss, which has only the time
    /// of the first loss.
    pub fn made_at(&self) -> Option<u64> {
        match self {
            Record::Span(span) => Some(span.start.wrapping_add(span.duration)),
            Record::Event(point) | Record::Fields(point) => Some(point.time),
            Record::Attach(attach) => Some(attach.time),
            Record::Extended(extended) => Some(extended.time),
            Record::Clock(ticks) => Some(*ticks),
            Record::Loss(_) => None,
        }
    }
}

/// Reads the records of one batch in order. An error ends the iteration.
#[derive(Clone, Debug)]
pub struct BatchReader<'f> {
    cursor: Cursor<'f>,
    mask: u64,
    base_time: u64,
    time: u64,
    id: u64,
    root: u64,
    over: bool,
}

impl<'f> BatchReader<'f> {
    /// Starts to read a batch whose body begins at byte `body` of `frame`. `word_bits` is the width of the
    /// device's ids: 32 or 64.
    pub fn parse(frame: &'f [u8], body: usize, word_bits: u8) -> Result<BatchReader<'f>, Malformed> {
        let mut cursor = Cursor::new(frame, body);
        let (base_time, base_id) = (cursor.varint()?, cursor.varint()?);
        let mask = if word_bits == 64 { u64::MAX } else { u64::from(u32::MAX) };
        Ok(BatchReader { cursor, mask, base_time, time: base_time, id: base_id & mask, root: 0, over: false })
    }

    /// Base time of the batch in ticks; the first record's time is relative to it.
    pub fn base_time(&self) -> u64 {
        self.base_time
    }

    fn record(&mut self) -> Result<Record<'f>, Malformed> {
        let start = self.cursor;
        let tag = self.cursor.u8()?;
        match tag & 15 {
            kind @ (0 | 1) => self.span(tag, kind == 1).map(Record::Span),
            2 | UNSAMPLED_EVENT => self.point(tag).map(Record::Event),
            3 => self.point(tag).map(Record::Fields),
            4 => self.attach().map(Record::Attach),
            5 => {
                self.time = self.cursor.varint()?;
                Ok(Record::Clock(self.time))
            }
            6 => Ok(Record::Loss(RawLoss {
                reason: self.cursor.u8()?,
                count: self.cursor.varint()?,
                first: self.time.wrapping_add_signed(self.cursor.zigzag()?),
            })),
            7 => self.extended(tag).map(Record::Extended),
            other => Err(start.fail(What::RecordKind(other))),
        }
    }

    fn span(&mut self, tag: u8, extended: bool) -> Result<RawSpan<'f>, Malformed> {
        let callsite = self.cursor.varint()?;
        let id = self.id.wrapping_add_signed(self.cursor.zigzag()?) & self.mask;
        let is_root = tag & 0x10 != 0;
        let parent = if is_root { None } else { self.below(id)? };
        let root = match tag & 0x30 {
            0 => self.below(id)?.unwrap_or(0),
            0x20 => self.root,
            _ => id,
        };
        let start = self.time.wrapping_add_signed(self.cursor.zigzag()?);
        let duration = self.cursor.varint()?;
        let extension = if extended { self.cursor.u8()? } else { 0 };
        let busy = if extension & 4 != 0 { Some(self.cursor.varint()?) } else { None };
        let fields = RawFields::parse(&mut self.cursor, tag >> 6)?;
        (self.id, self.root, self.time) = (id, root, start.wrapping_add(duration));
        let status = Status::from_u8(extension & 3);
        Ok(RawSpan { callsite, id, parent, root, start, duration, status, busy, fields })
    }

    fn point(&mut self, tag: u8) -> Result<RawPoint<'f>, Malformed> {
        let callsite = self.cursor.varint()?;
        let time = self.time.wrapping_add_signed(self.cursor.zigzag()?);
        let mut span = None;
        if tag & 0x10 == 0 {
            let id = self.id.wrapping_add_signed(self.cursor.zigzag()?) & self.mask;
            let root = if tag & 0x20 != 0 { self.root } else { self.below(id)?.unwrap_or(0) };
            span = Some((id, root));
        }
        let fields = RawFields::parse(&mut self.cursor, tag >> 6)?;
        self.time = time;
        if let Some((id, root)) = span {
            (self.id, self.root) = (id, root);
        }
        Ok(RawPoint { callsite, time, span, sampled: tag & 15 != UNSAMPLED_EVENT, fields })
    }

    fn attach(&mut self) -> Result<RawAttach, Malformed> {
        let time = self.time.wrapping_add_signed(self.cursor.zigzag()?);
        let id = self.id.wrapping_add_signed(self.cursor.zigzag()?) & self.mask;
        let (trace_id, span_id, flags) = (self.cursor.array()?, self.cursor.array()?, self.cursor.u8()?);
        (self.time, self.id, self.root) = (time, id, id);
        Ok(RawAttach { time, id, trace_id, span_id, flags })
    }

    fn extended(&mut self, tag: u8) -> Result<RawExtended<'f>, Malformed> {
        let kind = self.cursor.u8()?;
        let callsite = self.cursor.varint()?;
        let time = self.time.wrapping_add_signed(self.cursor.zigzag()?);
        let fields = RawFields::parse(&mut self.cursor, tag >> 6)?;
        self.time = time;
        Ok(RawExtended { kind, status: tag >> 4 & 3, callsite, time, fields })
    }

    /// `id` less a delta that is read from the wire; `None` for 0, which is not an id.
    fn below(&mut self, id: u64) -> Result<Option<u64>, Malformed> {
        let other = id.wrapping_sub(self.cursor.zigzag()? as u64) & self.mask;
        Ok((other != 0).then_some(other))
    }
}

impl<'f> Iterator for BatchReader<'f> {
    type Item = Result<Record<'f>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over || self.cursor.is_empty() {
            return None;
        }
        let record = self.record();
        self.over = record.is_err();
        Some(record)
    }
}
