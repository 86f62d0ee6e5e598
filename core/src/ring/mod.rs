//! The ring: fixed slots of atomic words. The observed code writes records in place, and one reader drains
//! them.
//!
//! Every word is an atomic, so there are no data races. A reader *detects* a torn or overwritten record by
//! its stamp or by the writer's position, and discards it. All writers are bounded: they do a fixed number of
//! steps whatever other contexts do, except for the one compare-and-swap loop named below.
//!
//! | [`Mode`] | writers | when full | a push is | because |
//! |---|---|---|---|---|
//! | `SharedOldest` | any context | the new record is lost | lock-free; on thumbv6m one critical section around a read-modify-write | the reservation retries only when another push came in between; an ISR never retries against the context it interrupted |
//! | `SharedNewest` | any context | the oldest record is lost | wait-free where a read-modify-write is one instruction; on thumbv6m a critical section for each | it takes one `fetch_add`, then at most four tries to claim each slot; it gives up a slot that another writer still uses instead of waiting |
//! | `LocalOldest` | one thread | the new record is lost | wait-free, without read-modify-write | it uses plain loads and stores, and publishes with the position |
//! | `LocalNewest` | one thread | the oldest record is lost | wait-free, without read-modify-write | it works like `LocalOldest`, but announces the position before it writes, as a seqlock does |
//!
//! `fetch_add` is wait-free where it is one instruction (x86-64, AArch64 LSE). With load-exclusive and
//! store-exclusive it is lock-free; on a single core a store-exclusive fails only after an interrupt in
//! between. `core/docs/guarantees.md` lists the instructions of each target, how long interrupts are masked,
//! and what is not guaranteed.
//!
//! The models of the protocols are in `core/tests/loom_ring.rs`.

#[cfg(not(loom))]
mod by_hand;
mod layout;
#[cfg(not(target_os = "none"))]
mod local;
mod newest;
mod reader;
mod scan;
mod sides;
mod slots;
mod words;

#[cfg(not(loom))]
pub(crate) use crate::sync::FIRST_ID;
#[cfg(not(loom))]
pub(crate) use layout::FIRST_TEXT;
pub use layout::{
    ExtendedKind, FIRST_WORDS, HEAD_TYPES, Head, MAX_BODY, MAX_SLOTS, NEXT_WORDS, RawRecord, RecordKind,
    SLOT_WORDS, Slot, TYPES_IN_BODY, Word,
};
pub use reader::{Parked, Reader};
pub use slots::Slots;
pub use words::Words;

use sides::{Line, Owner, ReaderSide, WriterSide};
use slots::SlotArray;

#[cfg(loom)]
use crate::sync::FIRST_ID;
#[cfg(not(loom))]
use crate::sync::increment;
use crate::sync::{
    Acquire, AtomicWord, Relaxed, Release, add_up_to, const_unless_loom, fence, load_before_use,
};
use crate::value::LossReason;

/// The writers of a ring, and what it does when full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Many contexts write; when full, a new record is dropped and counted.
    SharedOldest,
    /// Many contexts write; when full, the oldest record is overwritten and counted: a flight recorder.
    SharedNewest,
    /// One thread writes; when full, a new record is dropped and counted. Not available on bare metal, where
    /// it would only take flash.
    #[cfg(not(target_os = "none"))]
    LocalOldest,
    /// One thread writes; when full, the oldest record is overwritten and counted. Not available on bare
    /// metal.
    #[cfg(not(target_os = "none"))]
    LocalNewest,
}

/// The records lost since the last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Loss {
    /// Why they were lost.
    pub reason: LossReason,
    /// Number of records lost since the last report.
    pub count: usize,
    /// Number of records lost since the ring was made, modulo 2^32 on a 32-bit machine.
    pub total: usize,
    /// Ticks when the first of the `count` records was lost.
    pub first: Word,
}

/// A ring over borrowed slots. [`Recorder`](crate::Recorder) contains one. A ring alone is useful in tests
/// and for building another recorder.
///
/// ```
/// use throughline::adapter::ring::{Head, Mode, RawRecord, RecordKind, Ring};
/// static SLOTS: throughline::Slots<8> = throughline::Slots::new();
/// let ring = Ring::new(SLOTS.as_slice(), Mode::SharedOldest);
/// assert!(ring.push(Head::new(RecordKind::Event, 7, 0, 0), &[100, 0, 0], 100));
/// let mut reader = ring.reader().unwrap();
/// let mut record = RawRecord::new();
/// assert!(reader.next(&mut record) && reader.commit());
/// assert_eq!((record.head.callsite, record.body[0]), (7, 100));
/// ```
#[derive(Debug)]
pub struct Ring<'a> {
    slots: SlotArray<'a>,
    #[cfg(not(target_os = "none"))]
    mode: Mode,
    /// The functions of a `SharedNewest` ring; `None` in other modes.
    newest: Option<&'static newest::Newest>,
    writer: Line<WriterSide>,
    reader: Line<ReaderSide>,
}

/// In `SharedNewest` mode the low three bits of a slot's stamp hold its state, and the upper bits those of
/// the position. (The low three bits of the position follow from the slot's index, because a ring has at
/// least eight slots.) `SharedOldest` uses the position as the stamp, `LocalNewest` the record's number, and
/// `LocalOldest` no stamp.
mod state {
    pub(super) const BUSY: u32 = 1;
    pub(super) const START: u32 = 2;
    pub(super) const NEXT: u32 = 3;
    pub(super) const CONSUMED: u32 = 4;
    pub(super) const VOID: u32 = 5;
    pub(super) const MASK: u32 = 7;

    pub(super) fn at(position: usize, state: u32) -> u32 {
        position as u32 & !MASK | state
    }
}

impl<'a> Ring<'a> {
    const_unless_loom! {
        /// A ring over `slots`.
        ///
        /// # Panics
        ///
        /// Panics when the number of slots is not a power of two of at least 8; in a static that is a compile
        /// error.
        pub fn new(slots: &'a [Slot], mode: Mode) -> Ring<'a> {
            Ring {
                slots: SlotArray::new(slots),
                #[cfg(not(target_os = "none"))]
                mode,
                newest: if matches!(mode, Mode::SharedNewest) { Some(&newest::NEWEST) } else { None },
                writer: Line(WriterSide {
                    head: AtomicWord::new(first_position(mode, slots.len())),
                    owner: Owner {
                        next_id: AtomicWord::new(FIRST_ID),
                        span: AtomicWord::new(0),
                        root: AtomicWord::new(0),
                    },
                    next: AtomicWord::new(0),
                    #[cfg(not(target_os = "none"))]
                    room_to: AtomicWord::new(slots.len()),
                    #[cfg(not(target_os = "none"))]
                    begin: AtomicWord::new(0),
                    #[cfg(not(target_os = "none"))]
                    written: AtomicWord::new(0),
                    #[cfg(not(target_os = "none"))]
                    noted: AtomicWord::new(0),
                    #[cfg(not(target_os = "none"))]
                    reentrant: AtomicWord::new(0),
                    #[cfg(not(target_os = "none"))]
                    first_reentrant: AtomicWord::new(0),
                    lost: AtomicWord::new(0),
                    first_loss: AtomicWord::new(0),
                }),
                reader: Line(ReaderSide {
                    limit: AtomicWord::new(2 * first_position(mode, slots.len())),
                    #[cfg(not(target_os = "none"))]
                    tail: AtomicWord::new(0),
                    #[cfg(not(target_os = "none"))]
                    expected: AtomicWord::new(0),
                    reported: AtomicWord::new(0),
                    #[cfg(not(target_os = "none"))]
                    reported_reentrant: AtomicWord::new(0),
                    reading: AtomicWord::new(0),
                }),
            }
        }
    }

    /// The number of slots.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The writers of the ring, and what it does when full.
    #[inline(always)]
    pub fn mode(&self) -> Mode {
        #[cfg(not(target_os = "none"))]
        return self.mode;
        #[cfg(target_os = "none")]
        if self.newest.is_some() { Mode::SharedNewest } else { Mode::SharedOldest }
    }

    /// Writes a record. Returns false when the record was lost, which the ring counts. `time` is the current
    /// time in ticks; it is reported if this is the first loss. A body of more than [`MAX_BODY`] words is
    /// lost as well. In the `Local…` modes only one thread may push; if several do, records get mixed up, but
    /// memory stays safe.
    #[inline(always)]
    pub fn push(&self, head: Head, body: &[Word], time: Word) -> bool {
        #[cfg(not(loom))]
        by_hand::link(head);
        if body.len() > MAX_BODY {
            return self.refuse(head, time);
        }
        match self.mode() {
            #[cfg(not(target_os = "none"))]
            Mode::LocalOldest => self.push_local_oldest(head, body, time),
            Mode::SharedOldest => self.push_shared_oldest(head, body, time),
            mode => self.push_newest(mode, head, body, time),
        }
    }

    /// Counts a record that is too long for any ring as lost. Returns false.
    #[cold]
    #[inline(never)]
    fn refuse(&self, head: Head, time: Word) -> bool {
        match self.mode() {
            // Here the reader counts losses by missing numbers, so skip a number.
            #[cfg(not(target_os = "none"))]
            Mode::LocalNewest => {
                let written = &self.writer.0.written;
                written.store(written.load(Relaxed).wrapping_add(1), Relaxed);
            }
            _ => self.lose(head, time),
        }
        false
    }

    /// Writes a record of one slot if the ring keeps the oldest and has room. Otherwise it returns false and
    /// has no effect. Head and words are computed one by one after the reservation, so that they need few
    /// registers.
    #[cfg(short)]
    #[inline(always)]
    pub(crate) fn try_push<const N: usize>(
        &self,
        head: impl FnOnce() -> Head,
        word: impl Fn(usize) -> Word,
    ) -> bool {
        const { assert!(N <= FIRST_WORDS) };
        let limit = load_before_use(&self.reader.0.limit);
        let Some(at) = increment!(self, Ring<'_>, writer.0.head, up to limit) else { return false };
        let slot = self.slot(at);
        let head = head();
        slot.store_short::<N>(head, word);
        slot.store_word0(Slot::word0(at as u32, head), Release);
        true
    }

    /// Like [`Ring::push`], for records of any length in a shared ring. It is never inlined, so firmware has
    /// one copy.
    #[cfg(not(any(feature = "std", loom)))]
    #[inline(never)]
    pub(crate) fn push_shared_long(&self, head: Head, body: &[Word], time: Word) -> bool {
        match self.newest {
            Some(newest) => (newest.push)(self, head, body, time),
            None => self.push_shared_oldest(head, body, time),
        }
    }

    #[inline(never)]
    fn push_newest(&self, mode: Mode, head: Head, body: &[Word], time: Word) -> bool {
        match mode {
            #[cfg(not(target_os = "none"))]
            Mode::LocalNewest => self.push_local_newest(head, body, time),
            _ => self.push_shared_newest(head, body, time),
        }
    }

    /// The recorder's own words, which lie beside the position.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn owner(&self) -> &Owner {
        &self.writer.0.owner
    }

    /// The next id. Ids are unique, never 0, and never have the sign bit set; on a 32-bit machine they start
    /// over after 2^30 spans.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn next_id(&self) -> Word {
        increment!(self, Ring<'_>, writer.0.owner.next_id)
    }

    /// The next id in a ring with one writer. On x86-64 one instruction increments it, so a signal handler
    /// cannot take the same id.
    #[cfg(all(not(loom), feature = "std", target_pointer_width = "64"))]
    #[inline(always)]
    pub(crate) fn next_own_id(&self) -> Word {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            let mut id: Word = 1;
            // SAFETY: this adds to a word that is an atomic. No lock prefix is needed: other threads only
            // read the word, and a signal handler on this thread runs before or after the instruction.
            unsafe {
                core::arch::asm!(
                    "xadd qword ptr [{ring} + {at}], {id}",
                    ring = in(reg) core::ptr::from_ref(self),
                    at = const core::mem::offset_of!(Ring<'_>, writer.0.owner.next_id),
                    id = inout(reg) id,
                    options(nostack),
                );
            }
            id
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        self.owner().next_id.fetch_add(1, Relaxed)
    }

    #[inline(always)]
    fn push_shared_oldest(&self, head: Head, body: &[Word], time: Word) -> bool {
        let (head, slots) = head.sized(body.len());
        // Acquire: the reader's last reads of these slots come before our writes.
        let limit = load_before_use(&self.reader.0.limit);
        let Some(at) = add_up_to(&self.writer.0.head, slots, limit) else {
            self.lose(head, time);
            return false;
        };
        self.publish_shared(at, head, body);
        true
    }

    /// Writes a record into reserved slots.
    #[inline(always)]
    fn publish_shared(&self, at: usize, head: Head, body: &[Word]) {
        let first = self.slot(at);
        self.write_at(first, at, head, body);
        first.store_word0(Slot::word0(at as u32, head), Release);
    }

    #[inline(never)]
    fn push_shared_newest(&self, head: Head, body: &[Word], time: Word) -> bool {
        let (head, slots) = head.sized(body.len());
        let at = self.writer.0.next.fetch_add(slots, Relaxed);
        for i in 0..slots {
            if !self.claim(at.wrapping_add(i), time) {
                for i in 0..i {
                    let mine = at.wrapping_add(i);
                    self.slot(mine)
                        .store_word0(Slot::word0(state::at(mine, state::VOID), Head::default()), Release);
                }
                self.lose(head, time);
                return false;
            }
        }
        // A reader that sees a word written below also sees that the slot is claimed.
        fence(Release);
        let first = self.slot(at);
        self.write_at(first, at, head, body);
        for i in 1..slots {
            let mine = at.wrapping_add(i);
            self.slot(mine).store_word0(Slot::word0(state::at(mine, state::NEXT), Head::default()), Release);
        }
        first.store_word0(Slot::word0(state::at(at, state::START), head), Release);
        true
    }

    /// Claims a slot for the writer of `position`, and counts the record that it overwrites. Returns false if
    /// another writer is still using the slot, or if a later writer has already taken it because this one was
    /// stopped for a whole lap.
    fn claim(&self, position: usize, time: Word) -> bool {
        let slot = self.slot(position);
        // The stamp changes at most three times before the slot belongs to a later lap: its writer publishes,
        // the reader consumes, a later writer claims. So four tries are enough.
        for _ in 0..4 {
            let word = slot.stamp_word(Acquire);
            let stamp = slot_stamp(word);
            let theirs = stamp & !state::MASK | position as u32 & state::MASK;
            if stamp & state::MASK == state::BUSY || theirs.wrapping_sub(position as u32) as i32 > 0 {
                return false;
            }
            let busy = Slot::word0(state::at(position, state::BUSY), Head::default());
            if slot.exchange_word0(word, busy).is_ok() {
                if stamp & state::MASK == state::START {
                    // The slot is ours, and its head is still that of the overwritten record. On a 64-bit
                    // machine the head was in the exchanged word.
                    let lost = if Word::BITS == 64 { Head::from_word(word) } else { slot.load_head() };
                    self.lose(lost, time);
                }
                return true;
            }
        }
        false
    }

    /// Counts a record as lost. Clock records are not counted, because they are not the program's.
    #[cold]
    #[inline(never)]
    fn lose(&self, record: Head, time: Word) {
        if record.kind() == RecordKind::Clock {
            return;
        }
        self.note_first_loss(self.writer.0.lost.load(Relaxed), time);
        self.writer.0.lost.fetch_add(1, Release);
    }

    fn note_first_loss(&self, lost: usize, time: Word) {
        if lost == self.reader.0.reported.load(Relaxed) {
            self.writer.0.first_loss.store(time, Relaxed);
        }
    }

    /// Writes a record's words, other than the stamps, into the slots from `first` on, which is at `at`.
    #[inline(always)]
    fn write_at(&self, first: &Slot, at: usize, head: Head, body: &[Word]) {
        first.store_head(head);
        first.store_first(0, body);
        let (mut slot, mut at, mut index) = (first, at, SLOT_WORDS);
        if body.len() > FIRST_WORDS {
            for word in &body[FIRST_WORDS..] {
                if index == SLOT_WORDS {
                    at = at.wrapping_add(1);
                    (slot, index) = (self.slot(at), SLOT_WORDS - NEXT_WORDS);
                }
                slot.store(index, *word);
                index += 1;
            }
        }
    }

    #[inline(always)]
    fn slot(&self, position: usize) -> &Slot {
        self.slots.at(position)
    }

    /// The ring's only reader, until it is dropped; `None` while another one exists.
    pub fn reader(&self) -> Option<Reader<'_>> {
        if self.reader.0.reading.swap(1, Acquire) == 1 {
            return None;
        }
        Some(Reader::new(self))
    }

    /// The position after the last reserved slot. Records at or after it were begun after this call.
    pub fn head(&self) -> usize {
        match self.mode() {
            Mode::SharedNewest => self.writer.0.next.load(Acquire),
            _ => self.writer.0.head.load(Acquire),
        }
    }

    /// Whether a record of one slot would be kept now.
    #[cfg(not(loom))]
    pub(crate) fn has_room(&self) -> bool {
        self.mode() != Mode::SharedOldest
            || self.writer.0.head.load(Relaxed) != self.reader.0.limit.load(Relaxed)
    }

    /// Number of records lost since the ring was made. Exact while no push is under way; for `LocalNewest`
    /// only the losses found by reading so far.
    pub fn lost(&self) -> usize {
        self.writer.0.lost.load(Acquire)
    }
}

/// The position where writers begin. In `SharedOldest` a slot is published when its stamp equals its
/// position, so no position may equal the 0 of an empty slot.
const fn first_position(mode: Mode, slots: usize) -> usize {
    if matches!(mode, Mode::SharedOldest) { slots } else { 0 }
}

fn slot_stamp(word: Word) -> u32 {
    if Word::BITS == 64 { (word as u64 >> 32) as u32 } else { word as u32 }
}
