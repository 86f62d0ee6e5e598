//! A record as its reader sees it: the words of a ring's record with names and types.

mod texts;

pub use self::texts::{TextPlace, replace_text, texts, texts_may_hold};

use crate::fields::{WORDS_64, types};
use crate::place::{RECORD_ONLY, REMOTE, is_flagged, is_outside, own_root, root_id, span_id};
use crate::ring::{ExtendedKind, Head, RawRecord, RecordKind, TYPES_IN_BODY, Word};
use crate::value::Extended;
use crate::{SpanId, Status, TraceContext, TraceId, Value};

/// A record read from a ring. Times are ticks as the record holds them: 64 bits on a 64-bit machine, else the
/// low 32 bits.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Record<'a> {
    /// A span that ended.
    Span(SpanRecord<'a>),
    /// An event.
    Event(EventRecord<'a>),
    /// Fields added to a span after it began.
    Fields(EventRecord<'a>),
    /// A remote parent was attached; `id` stands for it.
    Attach {
        /// Ticks when it was attached.
        time: Word,
        /// The local id that stands for the remote span.
        id: Word,
        /// The remote span.
        remote: TraceContext,
        /// Whether it was recorded before. A server records it again when a place below it is entered, because
        /// its pump may have forgotten it.
        again: bool,
    },
    /// A full-width reading of the clock, which does not wrap.
    Clock {
        /// Ticks since the clock started.
        ticks: u64,
    },
    /// A record of a kind without its own variant here.
    Extended(ExtendedRecord<'a>),
}

/// A span that ended.
#[derive(Clone, Copy, Debug)]
pub struct SpanRecord<'a> {
    /// The callsite: the blob's address on a microcontroller, the number in the registry elsewhere.
    pub callsite: u32,
    /// The span's id.
    pub id: Word,
    /// The parent's id; 0 for a root.
    pub parent: Word,
    /// The id of the trace's root span.
    pub root: Word,
    /// Whether other processes were told that the trace is sampled; false after
    /// [`Sampling::RecordOnly`](crate::sampler::Sampling::RecordOnly).
    pub flagged: bool,
    /// Ticks when the span began.
    pub start: Word,
    /// Duration in ticks.
    pub duration: u64,
    /// Ticks during which the span's future was polled; `None` for a span without a future, [`NO_BUSY`] for one that
    /// could leave its thread without being measured.
    pub busy: Option<u64>,
    /// How the span ended.
    pub status: Status,
    /// The values, in the order of the field names in the callsite.
    pub values: Values<'a>,
}

/// An event, or fields added to a span later.
#[derive(Clone, Copy, Debug)]
pub struct EventRecord<'a> {
    /// The callsite; see [`SpanRecord::callsite`].
    pub callsite: u32,
    /// Ticks when the event or the addition happened.
    pub time: Word,
    /// The id of the span it belongs to; 0 for none.
    pub span: Word,
    /// The id of that span's root; 0 for none.
    pub root: Word,
    /// Whether other processes were told that the trace is sampled. Always true directly below a remote parent about which
    /// the sampler has not been asked yet.
    pub sampled: bool,
    /// The values, in the order of the field names in the callsite.
    pub values: Values<'a>,
}

/// A record of an extended kind. The kind defines what the values mean.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedRecord<'a> {
    /// The number of the kind.
    pub kind: ExtendedKind,
    /// The callsite; 0 for kinds that have none.
    pub callsite: u32,
    /// Two bits whose meaning the kind defines.
    pub status: u8,
    /// Ticks when the record was made.
    pub time: Word,
    /// The values.
    pub values: Values<'a>,
}

impl<'a> Record<'a> {
    /// Reads a record's words; `None` for words that no writer produces.
    #[inline(always)]
    pub fn parse(raw: &'a RawRecord) -> Option<Record<'a>> {
        let body = raw.body.get(..raw.len)?;
        let head = raw.head;
        let callsite = head.callsite;
        Some(match head.kind() {
            kind @ (RecordKind::Span | RecordKind::SpanBusy | RecordKind::SpanLong) => {
                let [id, parent, root, start, end] = *body.first_chunk::<5>()?;
                let id = root_id(id);
                let flagged = root & RECORD_ONLY == 0;
                // A span without a parent is a root, whatever its root word holds.
                let (parent, root) = if is_outside(parent) {
                    (0, id)
                } else {
                    let root = own_root(parent, root);
                    (span_id(parent, root), root_id(root))
                };
                let mut rest = &body[5..];
                let mut duration = end.wrapping_sub(start) as u64;
                let mut busy = None;
                if kind == RecordKind::SpanLong {
                    let ([high, b0, b1], r) = rest.split_first_chunk::<3>()?;
                    duration |= join(0, *high);
                    busy = Some(join(*b0, *b1)).filter(|b| *b != NO_BUSY);
                    rest = r;
                } else if kind == RecordKind::SpanBusy {
                    let (b, r) = rest.split_first()?;
                    busy = Some(if *b == Word::MAX { NO_BUSY } else { *b as u64 });
                    rest = r;
                }
                Record::Span(SpanRecord {
                    callsite,
                    id,
                    parent,
                    root,
                    flagged,
                    start,
                    duration,
                    busy,
                    status: Status::from_u8(head.status()),
                    values: Values::new(head, rest)?,
                })
            }
            kind @ (RecordKind::Event | RecordKind::Fields) => {
                let ([time, span, root], rest) = body.split_first_chunk::<3>()?;
                let values = Values::new(head, rest)?;
                let event = if is_outside(*span) {
                    EventRecord { callsite, time: *time, span: 0, root: 0, sampled: true, values }
                } else {
                    let root = own_root(*span, *root);
                    EventRecord {
                        callsite,
                        time: *time,
                        span: span_id(*span, root),
                        root: root_id(root),
                        sampled: is_flagged(root),
                        values,
                    }
                };
                if kind == RecordKind::Event { Record::Event(event) } else { Record::Fields(event) }
            }
            RecordKind::Attach => {
                let ([time, id, flags], rest) = body.split_first_chunk::<3>()?;
                let bytes = as_bytes(rest);
                let remote = TraceContext {
                    trace_id: TraceId::from_bytes(*bytes.first_chunk()?)?,
                    span_id: SpanId::from_bytes(*bytes.get(16..)?.first_chunk()?)?,
                    flags: *flags as u8,
                };
                Record::Attach { time: *time, id: *id, remote, again: *flags & AGAIN != 0 }
            }
            RecordKind::Extended => {
                let (time, rest) = body.split_first()?;
                let (kind, status) = (head.extended_kind()?, head.status());
                Record::Extended(ExtendedRecord {
                    kind,
                    callsite,
                    status,
                    time: *time,
                    values: Values::with_types(rest)?,
                })
            }
            RecordKind::Clock => Record::Clock { ticks: join(*body.first()?, *body.get(1)?) },
        })
    }

    /// The values of the record's fields; `None` for a kind that has none.
    pub fn values(&self) -> Option<Values<'a>> {
        match self {
            Record::Span(span) => Some(span.values),
            Record::Event(event) | Record::Fields(event) => Some(event.values),
            Record::Extended(extended) => Some(extended.values),
            Record::Attach { .. } | Record::Clock { .. } => None,
        }
    }

    /// Ticks, in the machine's word, at which the record was put into the ring or shortly before; the end of
    /// a span.
    pub fn time(&self) -> Word {
        match self {
            Record::Span(span) => span.start.wrapping_add(span.duration as Word),
            Record::Event(event) | Record::Fields(event) => event.time,
            Record::Attach { time, .. } => *time,
            Record::Extended(extended) => extended.time,
            Record::Clock { ticks } => *ticks as Word,
        }
    }
}

/// Whether the local id stands for a span of another process, which a [`Record::Attach`] names.
#[inline(always)]
pub fn is_remote(id: Word) -> bool {
    id & REMOTE != 0
}

/// Means "no busy time" in the words of a long span, and in [`SpanRecord::busy`] that nobody measured it.
pub const NO_BUSY: u64 = u64::MAX;

/// Set in the flags word of an [`Record::Attach`] that is recorded again.
pub(crate) const AGAIN: Word = 1 << 9;

/// Number of body words of a [`Record::Attach`].
pub(crate) const ATTACH_WORDS: usize = 3 + 24 / size_of::<Word>();

/// Joins two words to a 64-bit number; on a 64-bit machine `low` is all of it.
fn join(low: Word, high: Word) -> u64 {
    if Word::BITS == 64 { low as u64 } else { low as u64 | (high as u64) << (Word::BITS % 64) }
}

fn as_bytes(words: &[Word]) -> &[u8] {
    // SAFETY: any word is `size_of::<Word>()` initialised bytes, and bytes need no alignment. The lifetime is
    // that of `words`.
    unsafe { core::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

/// The text in the first `len` bytes of `words`. `None` if there are fewer bytes, U+FFFD if they are not
/// UTF-8. Most texts are ASCII, so test for that first, a word at a time.
#[inline]
fn text(words: &[Word], len: usize) -> Option<&str> {
    const HIGH: Word = Word::MAX / 0xff * 0x80;
    let bytes = as_bytes(words).get(..len)?;
    if words.iter().fold(0, |all, word| all | word) & HIGH == 0 {
        // SAFETY: `bytes` are bytes of `words`, none of which has its highest bit set, so they are ASCII and
        // therefore UTF-8.
        return Some(unsafe { core::str::from_utf8_unchecked(bytes) });
    }
    Some(core::str::from_utf8(bytes).unwrap_or("\u{fffd}"))
}

/// The values of a record's fields, in order.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    types: u64,
    words: &'a [Word],
}

/// A value with its exact type, which the wire encoder needs in addition to [`Value`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TypedValue<'a> {
    /// A value whose content is in the record, and its type nibble.
    Value(u8, Value<'a>),
    /// Text in the program's image, on a microcontroller.
    Static {
        /// Address of the first byte.
        address: Word,
        /// Length in bytes.
        len: Word,
    },
}

impl<'a> TypedValue<'a> {
    /// The value as far as the record holds it. A microcontroller's static text is only in the ELF; it comes
    /// as empty text marked as truncated.
    #[inline(always)]
    fn in_words(self) -> Value<'a> {
        match self {
            TypedValue::Value(_, value) => value,
            TypedValue::Static { .. } => Value::Str { text: "", truncated: true },
        }
    }
}

/// Receives the values of a record; see [`Values::visit_next`].
pub trait Visitor<'a> {
    /// A boolean, a number or text.
    fn value(&mut self, value: Value<'a>);
    /// A value of another type.
    fn rare(&mut self, value: Value<'a>);
}

impl<'a> Values<'a> {
    fn new(head: Head, body: &'a [Word]) -> Option<Values<'a>> {
        if head.types() & 15 != TYPES_IN_BODY {
            return Some(Values { types: head.types() as u64, words: body });
        }
        Values::with_types(body)
    }

    /// Reads values whose types are in the first words.
    fn with_types(words: &'a [Word]) -> Option<Values<'a>> {
        let types = join(*words.first()?, *words.get(1)?);
        Some(Values { types, words: words.get(WORDS_64..)? })
    }

    /// The number of values.
    pub fn count(self) -> usize {
        (0..16).take_while(|i| self.types >> (4 * i) & 15 != 0).count()
    }

    /// The type nibbles, the first value's in the lowest one.
    pub fn types(self) -> u64 {
        self.types
    }

    /// Iterates over the values with their exact types.
    pub fn typed(self) -> TypedValues<'a> {
        TypedValues(self)
    }
}

impl<'a> IntoIterator for Values<'a> {
    type Item = Value<'a>;
    type IntoIter = ValuesIter<'a>;
    fn into_iter(self) -> ValuesIter<'a> {
        ValuesIter(self)
    }
}

/// Iterates over the [`Values`] of a record of this program. A microcontroller's static text is only in the
/// ELF; it comes as empty text marked as truncated.
#[derive(Clone, Debug)]
pub struct ValuesIter<'a>(Values<'a>);

impl<'a> Iterator for ValuesIter<'a> {
    type Item = Value<'a>;
    // Inline all of it: the caller's code for each kind of value is then merged with the match on the type,
    // and the type is tested once.
    #[inline(always)]
    fn next(&mut self) -> Option<Value<'a>> {
        self.0.next_typed().map(TypedValue::in_words)
    }
}

/// Iterates over the [`Values`] with their exact types.
#[derive(Clone, Debug)]
pub struct TypedValues<'a>(Values<'a>);

impl<'a> Iterator for TypedValues<'a> {
    type Item = TypedValue<'a>;
    fn next(&mut self) -> Option<TypedValue<'a>> {
        self.0.next_typed()
    }
}

impl<'a> Values<'a> {
    /// Hands the next value to `visitor`; `None` when there is none.
    ///
    /// Each common type has its own copy of the reading and of the visitor's code, so that inlined code tests
    /// the type once.
    #[inline(always)]
    pub fn visit_next(&mut self, visitor: &mut impl Visitor<'a>) -> Option<()> {
        match self.next_code() {
            0 => return None,
            types::BOOL => visitor.value(self.next_of(types::BOOL)?.in_words()),
            types::U32 => visitor.value(self.next_of(types::U32)?.in_words()),
            types::I32 => visitor.value(self.next_of(types::I32)?.in_words()),
            types::F32 => visitor.value(self.next_of(types::F32)?.in_words()),
            types::U64 => visitor.value(self.next_of(types::U64)?.in_words()),
            types::I64 => visitor.value(self.next_of(types::I64)?.in_words()),
            types::F64 => visitor.value(self.next_of(types::F64)?.in_words()),
            types::STR => visitor.value(self.next_of(types::STR)?.in_words()),
            _ => visitor.rare(self.next_apart()?),
        }
        Some(())
    }

    /// The next value, read by a function that is not inlined.
    #[inline(always)]
    pub fn next_apart(&mut self) -> Option<Value<'a>> {
        // Pass `self` by value and return the rest. A reference would force it into memory in inlined code.
        let (value, rest) = self.split_apart();
        *self = rest;
        value
    }

    #[inline(never)]
    fn split_apart(mut self) -> (Option<Value<'a>>, Values<'a>) {
        (self.next_typed().map(TypedValue::in_words), self)
    }

    #[inline(always)]
    fn next_code(self) -> u8 {
        (self.types & 15) as u8
    }

    #[inline(always)]
    fn next_typed(&mut self) -> Option<TypedValue<'a>> {
        self.next_of(self.next_code())
    }

    /// The next value, which has the type `code`.
    #[inline(always)]
    fn next_of(&mut self, code: u8) -> Option<TypedValue<'a>> {
        let (first, mut rest) = self.words.split_first()?;
        self.types >>= 4;
        let value = match code {
            types::BOOL => Value::Bool(*first != 0),
            types::U32 => Value::U64(*first as u32 as u64),
            types::I32 => Value::I64(*first as i32 as i64),
            types::F32 => Value::F32(f32::from_bits(*first as u32)),
            types::U64 | types::I64 | types::F64 => {
                let mut bits = *first as u64;
                if WORDS_64 == 2 {
                    let (high, r) = rest.split_first()?;
                    bits = join(*first, *high);
                    rest = r;
                }
                match code {
                    types::U64 => Value::U64(bits),
                    types::I64 => Value::I64(bits as i64),
                    _ => Value::F64(f64::from_bits(bits)),
                }
            }
            types::STATIC => {
                let (len, r) = rest.split_first()?;
                self.words = r;
                return Some(TypedValue::Static { address: *first, len: *len });
            }
            types::OPTION => {
                self.words = rest;
                return self.next_option(*first);
            }
            types::STR | types::BYTES | types::POSTCARD | types::SHOWN | types::EXTENDED => {
                let (len, truncated) = (*first >> 1, *first & 1 == 1);
                let (words, after) = rest.split_at_checked(len.div_ceil(size_of::<Word>()))?;
                rest = after;
                let bytes = || as_bytes(words).get(..len);
                match code {
                    types::STR => Value::Str { text: text(words, len)?, truncated },
                    types::SHOWN => Value::Shown { text: text(words, len)?, truncated },
                    types::BYTES => Value::Bytes { bytes: bytes()?, truncated },
                    types::POSTCARD => Value::Postcard { bytes: bytes()?, truncated },
                    _ => Value::Extended(Extended::new(bytes()?, truncated)),
                }
            }
            _ => return None,
        };
        self.words = rest;
        Some(TypedValue::Value(code, value))
    }

    /// The value of an `Option` after its first word. Not inlined: options are rare, and this calls the
    /// reading function again.
    #[inline(never)]
    fn next_option(&mut self, first: Word) -> Option<TypedValue<'a>> {
        let code = (first & 15) as u8;
        if code == 0 {
            self.words = self.words.get(first >> 4..)?;
            return Some(TypedValue::Value(types::OPTION, Value::Absent));
        }
        let after = core::mem::replace(&mut self.types, code.into());
        let value = self.next_typed();
        self.types = after;
        value
    }
}
