//! The ring: fixed slots of atomic words, written in place by the code being observed, read by one drain.
//!
//! Every word is an atomic, so there is no data race to excuse: a torn or overwritten record is *seen* (by its stamp, or by
//! the position of the writer) and never believed. All writers are bounded: they do a fixed number of steps, whatever
//! other contexts do, save the one compare-and-swap loop named below.
//!
//! | [`Mode`] | writers | when full | a push is | why |
//! |---|---|---|---|---|
//! | `SharedOldest` | any context | the new record is lost | lock-free; on thumbv6m a critical section of one read-modify-write | the reservation retries only when another push got in between; an ISR never retries against the context it interrupted |
//! | `SharedNewest` | any context | the oldest is lost | wait-free where a read-modify-write is one instruction; thumbv6m a critical section for each | one `fetch_add`, then at most four claims a slot; a slot another writer is still in is given up, not waited for |
//! | `LocalOldest` | one thread | the new record is lost | wait-free, no read-modify-write | plain loads and stores, published by the position |
//! | `LocalNewest` | one thread | the oldest is lost | wait-free, no read-modify-write | as above, with the position announced first, as a seqlock |
//!
//! "Wait-free" for `fetch_add` presumes one instruction (x86-64, AArch64 LSE); with load-exclusive and store-exclusive it is lock-free, and on a
//! single core an exclusive store fails only when an interrupt came in between. What each target gives, instruction by instruction, how long
//! interrupts are masked, and what is not guaranteed: `core/docs/guarantees.md`.
//!
//! The model checker's view of each protocol is in `core/tests/loom_ring.rs`.

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

/// Who writes a ring, and what it does when full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Many contexts write; when full, a new record is dropped and counted.
    SharedOldest,
    /// Many contexts write; when full, the oldest record is overwritten and counted: a flight recorder.
    SharedNewest,
    /// One thread writes; when full, a new record is dropped and counted. Not on bare metal, where it would only take flash.
    #[cfg(not(target_os = "none"))]
    LocalOldest,
    /// One thread writes; when full, the oldest record is overwritten and counted. Not on bare metal.
    #[cfg(not(target_os = "none"))]
    LocalNewest,
}

/// What was lost since last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Loss {
    /// Why.
    pub reason: LossReason,
    /// Records lost since the last report.
    pub count: usize,
    /// Records lost since the ring was made, modulo 2^32 on a 32-bit machine.
    pub total: usize,
    /// Ticks when the first of `count` was lost.
    pub first: Word,
}

/// A ring over borrowed slots. [`Recorder`](crate::Recorder) has one; by itself it is of use to tests and to those who
/// build another recorder.
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
    /// Of a ring with many writers that keeps the newest.
    newest: Option<&'static newest::Newest>,
    writer: Line<WriterSide>,
    reader: Line<ReaderSide>,
}

/// Of `SharedNewest`: states of a slot in its stamp's low three bits; the upper bits are the position's. (The position's low three bits are the
/// slot's own, as a ring has at least eight.) Of `SharedOldest` and the local modes a stamp is the position, or a number.
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
        /// A ring over `slots`, whose number must be a power of two, 8 or more (else this panics; in a static, at compile time).
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

    /// Number of slots.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Who writes it, and what it does when full.
    #[inline(always)]
    pub fn mode(&self) -> Mode {
        #[cfg(not(target_os = "none"))]
        return self.mode;
        #[cfg(target_os = "none")]
        if self.newest.is_some() { Mode::SharedNewest } else { Mode::SharedOldest }
    }

    /// Writes a record; false when it was lost, which is counted. `time` is the ticks to report if it is the first loss.
    /// A body of more than [`MAX_BODY`] words is lost too. In a `Local…` mode only one thread may push at a time; breaking that mixes up records,
    /// and nothing worse.
    #[inline(always)]
    pub fn push(&self, head: Head, body: &[Word], time: Word) -> bool {
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

    /// Counts a record that is too long for any ring; false.
    #[cold]
    #[inline(never)]
    fn refuse(&self, head: Head, time: Word) -> bool {
        match self.mode() {
            // There the reader counts, by the numbers that are missing.
            #[cfg(not(target_os = "none"))]
            Mode::LocalNewest => {
                let written = &self.writer.0.written;
                written.store(written.load(Relaxed).wrapping_add(1), Relaxed);
            }
            _ => self.lose(head, time),
        }
        false
    }

    /// Writes a record of one slot if the ring keeps what is oldest and has room; false when not, and then nothing has been done. Head and words are made
    /// when there is a slot for them, and one by one, so that they need few registers.
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

    /// As [`Ring::push`] on a ring that is known to be shared, for firmware: records of any length, in one place.
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

    /// What its recorder keeps beside the position.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn owner(&self) -> &Owner {
        &self.writer.0.owner
    }

    /// An id nobody else has: never 0, never with the upper bit; after 2^30 spans a 32-bit machine begins again with the first.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn next_id(&self) -> Word {
        increment!(self, Ring<'_>, writer.0.owner.next_id)
    }

    /// The next id of a ring that one thread writes: counted up in one instruction where there is one, so that a signal handler cannot take the same.
    #[cfg(all(not(loom), feature = "std", target_pointer_width = "64"))]
    #[inline(always)]
    pub(crate) fn next_own_id(&self) -> Word {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            let mut id: Word = 1;
            // SAFETY: adds to a word that is atomic. Without the lock: other threads only read it, and a signal on this one comes before the
            // instruction or after it.
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
        // What the reader read of these slots, it read before we write them.
        let limit = load_before_use(&self.reader.0.limit);
        let Some(at) = add_up_to(&self.writer.0.head, slots, limit) else {
            self.lose(head, time);
            return false;
        };
        self.publish_shared(at, head, body);
        true
    }

    /// Writes where slots are reserved.
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
        // Whoever sees a word written below also sees the slot claimed.
        fence(Release);
        self.write(at, head, body);
        for i in 1..slots {
            let mine = at.wrapping_add(i);
            self.slot(mine).store_word0(Slot::word0(state::at(mine, state::NEXT), Head::default()), Release);
        }
        self.slot(at).store_word0(Slot::word0(state::at(at, state::START), head), Release);
        true
    }

    /// Takes a slot for the writer of `position`, and counts the record it overwrites. False when another writer is still in it,
    /// or a later one has been: its owner was stopped for a whole lap of the ring.
    fn claim(&self, position: usize, time: Word) -> bool {
        let slot = self.slot(position);
        // A slot changes at most three times under us before it belongs to a later lap: its writer publishes, the reader
        // consumes, a later writer claims. So four tries decide.
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
                    // The slot is ours, and its head still that of the record it held. On a 64-bit machine the head was in the word exchanged.
                    let lost = if Word::BITS == 64 { Head::from_word(word) } else { slot.load_head() };
                    self.lose(lost, time);
                }
                return true;
            }
        }
        false
    }

    /// Counts a record as lost. A reading of the clock is no record of the program's, and no ledger has it.
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

    #[inline(always)]
    fn write(&self, at: usize, head: Head, body: &[Word]) {
        self.write_at(self.slot(at), at, head, body);
    }

    /// As `write`, of one who has the first slot.
    #[inline(always)]
    fn write_at(&self, first: &Slot, at: usize, head: Head, body: &[Word]) {
        first.store_head(head);
        first.store_first(0, body);
        if body.len() > FIRST_WORDS {
            for (i, words) in body[FIRST_WORDS..].chunks(NEXT_WORDS).enumerate() {
                self.slot(at.wrapping_add(1 + i)).store_next(words);
            }
        }
    }

    #[inline(always)]
    fn slot(&self, position: usize) -> &Slot {
        self.slots.at(position)
    }

    /// The one reader, until it is dropped; `None` while there is another.
    pub fn reader(&self) -> Option<Reader<'_>> {
        if self.reader.0.reading.swap(1, Acquire) == 1 {
            return None;
        }
        Some(Reader::new(self))
    }

    /// Position after the last reserved slot: records at or after it were begun after this call.
    pub fn head(&self) -> usize {
        match self.mode() {
            Mode::SharedNewest => self.writer.0.next.load(Acquire),
            _ => self.writer.0.head.load(Acquire),
        }
    }

    /// Whether a record of one slot would be kept just now.
    #[cfg(not(loom))]
    pub(crate) fn has_room(&self) -> bool {
        self.mode() != Mode::SharedOldest
            || self.writer.0.head.load(Relaxed) != self.reader.0.limit.load(Relaxed)
    }

    /// Records lost since the ring was made. Exact when no push is under way; of `LocalNewest`, as far as has been read.
    pub fn lost(&self) -> usize {
        self.writer.0.lost.load(Acquire)
    }
}

/// Where writers begin. In `SharedOldest` a slot that has its own position for a stamp is published, so no position is that of a slot of zeros.
const fn first_position(mode: Mode, slots: usize) -> usize {
    if matches!(mode, Mode::SharedOldest) { slots } else { 0 }
}

fn slot_stamp(word: Word) -> u32 {
    if Word::BITS == 64 { (word as u64 >> 32) as u32 } else { word as u32 }
}
