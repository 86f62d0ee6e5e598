//! The layout of records in slots. A slot has eight machine words: 32 bytes on a 32-bit machine, a cache line
//! on a 64-bit one.
//!
//! Word 0 of a slot is its *stamp*, by which a reader distinguishes a published record from a torn or
//! overwritten one. On a 64-bit machine the stamp is in the upper half of the word and the record's head in
//! the lower half; on a 32-bit machine the head is in words 1 and 2. The body follows, and continues in the
//! next slots after their stamps.
//!
//! | | 32-bit | 64-bit |
//! |---|---|---|
//! | head | kind 3, slots 3, status 2, types 24; callsite 32 | kind 3, slots 3, status 2, types 8, callsite 16 |
//! | head of an extended kind | kind 3 (all ones), slots 3, status 2, number of the kind 8; callsite 32 | the same with callsite 16 |
//! | body words in the first slot | 5 | 7 |
//! | in each further slot | 7 | 7 |
//! | field types in the head | 6 | 2 |

use crate::sync::AtomicWord;

/// A machine word: the unit of a record.
pub type Word = usize;

/// Number of words in a slot.
pub const SLOT_WORDS: usize = 8;
/// Number of slots of the longest record.
pub const MAX_SLOTS: usize = 8;
const WIDE: bool = Word::BITS == 64;
/// Index of the first body word in a record's first slot.
const BODY: usize = if WIDE { 1 } else { 3 };
/// Number of body words in the first slot.
pub const FIRST_WORDS: usize = SLOT_WORDS - BODY;
/// Number of body words in each further slot.
pub const NEXT_WORDS: usize = SLOT_WORDS - 1;
/// Number of body words of the longest record: 54 on a 32-bit machine, 56 on a 64-bit one.
pub const MAX_BODY: usize = FIRST_WORDS + (MAX_SLOTS - 1) * NEXT_WORDS;
/// Number of field types that the head can hold. A record with more fields has the types before its values.
pub const HEAD_TYPES: usize = if WIDE { 2 } else { 6 };
/// The first type of which a value has bytes of its own.
#[cfg(not(loom))]
pub(crate) const FIRST_TEXT: u32 = 9;
/// The value of a head's types that says that the types are in the body.
pub const TYPES_IN_BODY: u32 = 15;
/// Position of the stamp in word 0.
const STAMP_SHIFT: u32 = if WIDE { Word::BITS / 2 } else { 0 };

const _: () = assert!(Word::BITS == 32 || Word::BITS == 64, "throughline needs 32- or 64-bit words");

/// The kind of a record. These are the numbers in a ring, not those on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// id, parent, root, start, end, fields.
    Span = 0,
    /// Like a span, with the busy time before the fields.
    SpanBusy = 1,
    /// time, span, root, fields.
    Event = 2,
    /// Like an event: fields that are added to the span.
    Fields = 3,
    /// time, id, flags, trace id (16 bytes), span id (8 bytes).
    Attach = 4,
    /// Ticks, 64 bits.
    Clock = 5,
    /// Like a span, with the upper half of the duration and a two-word busy time before the fields. Only on
    /// 32-bit machines.
    SpanLong = 6,
    /// A record of an [`ExtendedKind`]: time, types (64 bits), values. The head has the kind's number in
    /// place of types.
    Extended = 7,
}

/// The number of a record kind beyond the seven that the head's three bits can name. It is the same in a ring
/// and on the wire; §4 of `core/docs/wire-format.md` lists the assigned numbers. Numbers from
/// [`ExtendedKind::FIRST_PRIVATE`] on are never assigned.
///
/// All extended records have the same form: a callsite, a time, two bits of status and up to 15 typed values.
/// The kind defines what the values mean. A new kind therefore needs no encoder of its own, and a decoder
/// that does not know it can skip it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ExtendedKind(pub u8);

impl ExtendedKind {
    /// A remote parent was detached. The values are the id that stood for it, and whether a future or context
    /// made below it may continue elsewhere. Only servers write it.
    pub const DETACH: ExtendedKind = ExtendedKind(0);
    /// A span's future was polled, or a detached span was entered and left. The values are the span's id and the ticks
    /// when that began; the time is its end. Only servers write it, where the adapter asks for it (`record_polls`).
    pub const POLL: ExtendedKind = ExtendedKind(1);
    /// Places where a timer interrupted the program. The wire format defines the values. Only microcontrollers write
    /// it, and only to the wire: [`Batch::push_samples`](crate::adapter::wire::Batch::push_samples).
    pub const SAMPLES: ExtendedKind = ExtendedKind(2);
    /// What follows in this ring belongs to another set of correlation fields. The value is the number of the set, 0 for
    /// none. Only servers write it.
    pub const CORRELATION: ExtendedKind = ExtendedKind(3);
    /// The first number for experiments. The format never assigns the numbers from here on.
    pub const FIRST_PRIVATE: ExtendedKind = ExtendedKind(224);
}

impl RecordKind {
    fn is_span(self) -> bool {
        matches!(self, RecordKind::Span | RecordKind::SpanBusy | RecordKind::SpanLong)
    }

    const fn from_bits(n: u32) -> RecordKind {
        match n & 7 {
            0 => RecordKind::Span,
            1 => RecordKind::SpanBusy,
            2 => RecordKind::Event,
            3 => RecordKind::Fields,
            4 => RecordKind::Attach,
            5 => RecordKind::Clock,
            6 => RecordKind::SpanLong,
            _ => RecordKind::Extended,
        }
    }
}

/// The packed head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Head {
    meta: u32,
    /// The callsite: the blob's address on a microcontroller, the number in the registry elsewhere.
    pub callsite: u32,
}

impl Head {
    /// Makes a head; the ring fills in the number of slots. Two bits of `status` are kept, and as many
    /// `types` as the head can hold.
    #[inline(always)]
    pub const fn new(kind: RecordKind, callsite: u32, status: u8, types: u32) -> Head {
        let types = types & ((1 << (4 * HEAD_TYPES)) - 1);
        Head { meta: kind as u32 | (status as u32 & 3) << 6 | types << 8, callsite }
    }

    /// Makes the head of a record of an extended kind, with two bits of status; see [`ExtendedKind`].
    pub const fn extended(kind: ExtendedKind, callsite: u32, status: u8) -> Head {
        Head::new(RecordKind::Extended, callsite, status, kind.0 as u32)
    }

    /// The kind of the record.
    pub const fn kind(self) -> RecordKind {
        RecordKind::from_bits(self.meta)
    }

    /// The number of the extended kind; `None` for other kinds.
    pub const fn extended_kind(self) -> Option<ExtendedKind> {
        match self.kind() {
            RecordKind::Extended => Some(ExtendedKind((self.meta >> 8) as u8)),
            _ => None,
        }
    }

    /// The head with another status.
    #[cfg(straight)]
    #[inline(always)]
    pub(crate) const fn with_status(self, status: u8) -> Head {
        Head { meta: self.meta & !(3 << 6) | (status as u32) << 6, callsite: self.callsite }
    }

    /// The status bits of a span or of an extended kind.
    pub const fn status(self) -> u8 {
        (self.meta >> 6 & 3) as u8
    }

    /// The types of the first fields, a nibble each; [`TYPES_IN_BODY`] when there are more than
    /// [`HEAD_TYPES`] fields.
    pub const fn types(self) -> u32 {
        self.meta >> 8 & ((1 << (4 * HEAD_TYPES)) - 1)
    }

    /// Whether a value may be a text, bytes or encoded: a type from 9 on, or types that are in the body.
    #[cfg(not(loom))]
    #[inline(always)]
    pub const fn may_have_texts(self) -> bool {
        let mut types = self.types();
        let mut found = matches!(self.kind(), RecordKind::Extended);
        while types != 0 {
            found |= types & 15 >= FIRST_TEXT;
            types >>= 4;
        }
        found
    }

    /// The lower half of a 64-bit machine's word 0; the whole word in a ring without stamps.
    #[inline(always)]
    pub(crate) const fn to_word(self) -> Word {
        (self.meta & 0xffff | self.callsite << 16) as Word
    }

    /// Reverses [`Head::to_word`].
    #[cfg_attr(not(straight), allow(dead_code))]
    pub(crate) const fn from_word(word: Word) -> Head {
        Head { meta: word as u32 & 0xffff, callsite: word as u32 >> 16 }
    }

    pub(super) const fn slots(self) -> usize {
        (self.meta >> 3 & 7) as usize + 1
    }
}

/// The number of slots after the first for a record with a body of `words` words, at most [`MAX_BODY`]. A
/// multiplication replaces the division by seven, which a Cortex-M0 does not have: the library's function
/// takes 400 bytes.
#[inline(always)]
const fn further_slots(words: usize) -> usize {
    const MISSING: usize = NEXT_WORDS - FIRST_WORDS;
    if MISSING == 0 && words == 0 {
        return 0;
    }
    (words + MISSING - 1) * 37 / 256
}

const _: () = {
    let mut words = 0;
    while words <= MAX_BODY {
        assert!(further_slots(words) == words.saturating_sub(FIRST_WORDS).div_ceil(NEXT_WORDS));
        words += 1;
    }
};

/// Eight words of a ring. An empty slot is all zeros, so that statics lie in `.bss`.
#[derive(Debug)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub struct Slot([AtomicWord; SLOT_WORDS]);

impl Slot {
    /// An empty slot.
    #[cfg(not(loom))]
    pub const fn new() -> Slot {
        Slot([const { AtomicWord::new(0) }; SLOT_WORDS])
    }

    /// An empty slot.
    #[cfg(loom)]
    pub fn new() -> Slot {
        Slot(core::array::from_fn(|_| AtomicWord::new(0)))
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

pub(super) mod slot_access {
    //! Access to the parts of a slot. Everything is relaxed except the stamp, whose order the caller chooses.
    use super::*;
    use crate::sync::Relaxed;
    use core::sync::atomic::Ordering;

    impl Slot {
        #[inline(always)]
        pub(in super::super) fn stamp_word(&self, order: Ordering) -> Word {
            self.0[0].load(order)
        }

        #[inline(always)]
        pub(in super::super) fn stamp(&self, order: Ordering) -> u32 {
            (self.stamp_word(order) >> STAMP_SHIFT) as u32
        }

        /// Makes a word 0 from a stamp and the head of a record's first slot.
        #[inline(always)]
        pub(in super::super) fn word0(stamp: u32, head: Head) -> Word {
            if WIDE { (stamp as Word) << STAMP_SHIFT | head.to_word() } else { stamp as Word }
        }

        #[inline(always)]
        pub(in super::super) fn store_word0(&self, word: Word, order: Ordering) {
            self.0[0].store(word, order);
        }

        #[inline(always)]
        pub(in super::super) fn exchange_word0(&self, old: Word, new: Word) -> Result<Word, Word> {
            self.0[0].compare_exchange(old, new, crate::sync::AcqRel, Relaxed)
        }

        /// Writes the head's words except word 0.
        #[inline(always)]
        pub(in super::super) fn store_head(&self, head: Head) {
            if !WIDE {
                self.0[1].store(head.meta as Word, Relaxed);
                self.0[2].store(head.callsite as Word, Relaxed);
            }
        }

        pub(in super::super) fn load_head(&self) -> Head {
            if WIDE {
                let low = self.0[0].load(Relaxed) as u32;
                Head { meta: low & 0xffff, callsite: low >> 16 }
            } else {
                Head { meta: self.0[1].load(Relaxed) as u32, callsite: self.0[2].load(Relaxed) as u32 }
            }
        }

        /// Writes the head and a body of at most five words. It has no loop, whatever the compiler optimises
        /// for.
        #[cfg(short)]
        #[inline(always)]
        pub(in super::super) fn store_short<const N: usize>(&self, head: Head, word: impl Fn(usize) -> Word) {
            const { assert!(N <= 5 && N <= FIRST_WORDS) };
            self.store_head(head);
            let store = |i: usize| {
                if i < N {
                    self.0[BODY + i].store(word(i), Relaxed);
                }
            };
            store(0);
            store(1);
            store(2);
            store(3);
            store(4);
        }

        /// Writes body words of a first slot, beginning with word `from`.
        #[inline(always)]
        pub(in super::super) fn store_first(&self, from: usize, words: &[Word]) {
            for (w, v) in self.0[BODY + from..].iter().zip(words) {
                w.store(*v, Relaxed);
            }
        }

        /// Stores word `index`, which must not be the stamp's.
        #[inline(always)]
        pub(in super::super) fn store(&self, index: usize, word: Word) {
            self.0[index % SLOT_WORDS].store(word, Relaxed);
        }

        /// Loads word `index`, which must not be the stamp's.
        #[inline(always)]
        pub(in super::super) fn load(&self, index: usize) -> Word {
            self.0[index % SLOT_WORDS].load(Relaxed)
        }

        /// The time of the slot's record; for a span, its begin.
        pub(in super::super) fn begun(&self) -> Word {
            self.load(if self.load_head().kind().is_span() { BODY + 3 } else { BODY })
        }

        pub(in super::super) fn load_body(&self, first: bool, out: &mut [Word]) {
            for (w, v) in self.0[if first { BODY } else { 1 }..].iter().zip(out) {
                *v = w.load(Relaxed);
            }
        }
    }

    impl Head {
        #[inline(always)]
        pub(in super::super) fn sized(self, words: usize) -> (Head, usize) {
            let further = further_slots(words);
            (Head { meta: self.meta | (further as u32) << 3, callsite: self.callsite }, 1 + further)
        }
    }
}

/// A copy of a record: its head and the words of its body, rounded up to whole slots.
#[derive(Clone, Debug)]
pub struct RawRecord {
    /// The head.
    pub head: Head,
    /// The body words. Those beyond the record's own are unspecified.
    pub body: [Word; MAX_BODY],
    /// The number of words of `body` that were copied.
    pub len: usize,
}

impl RawRecord {
    /// An empty record.
    pub const fn new() -> RawRecord {
        RawRecord { head: Head { meta: 0, callsite: 0 }, body: [0; MAX_BODY], len: 0 }
    }
}

impl Default for RawRecord {
    fn default() -> Self {
        Self::new()
    }
}
