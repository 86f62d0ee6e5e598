//! Leaving a place. The current place is that of the innermost entry that is still alive, in whatever order
//! guards are dropped.
//!
//! An entry is a span's guard, an attached remote parent, an entered context or a future's poll. Its guard
//! keeps the place that was current before, so the entries form a chain. Usually the innermost entry ends
//! first: its guard sees that its own word is current and restores the place before it. An entry that ends
//! while others are above it cannot reach into their guards, so the recorder remembers it, with the place
//! before it, in a small table. A guard that returns to a remembered entry goes on to the place before that
//! entry instead. A run of ended entries takes one line of the table, so a vector of spans that is dropped
//! from its front takes only one line.
//!
//! While the table holds anything, every end must look there. The straight path needs no extra test for this.
//! On a 64-bit machine the current word then carries [`MARK`] and equals no entry's word; on a 32-bit machine
//! without threads the era that ends compare with is one that no span has.
//!
//! When the table is full, everything is forgotten: nothing is current until the next entry, and the entries
//! that are still alive end without changing the place. A forgotten place is therefore never taken for the
//! current one.

use super::Recorder;
use crate::linked::SPECIAL_TRACES;
use crate::place::{ID, MADE, MARK, NUMBERS, OUTSIDE, REMOTE, entered, is_outside, span_id};
use crate::ring::Word;
use crate::sync::{AtomicWord, Relaxed};

/// The number of runs of ended entries that are remembered. With threads each recorder has its own table; a
/// microcontroller has little memory and few guards.
pub(super) const RUNS: usize = if cfg!(feature = "std") { 16 } else { 1 };

/// Marks a line that an interrupted context is writing. It is neither 0 nor any entry's word.
const BUSY: Word = MARK | REMOTE | MADE;

/// An era in which no span began.
#[cfg(short)]
const NO_ERA: Word = (1 << super::ERA) - 1;

/// An ended entry and the place before it.
#[derive(Debug)]
struct Line {
    /// The entry's span word; 0 for a free line.
    entry: AtomicWord,
    span: AtomicWord,
    root: AtomicWord,
}

impl Line {
    const fn free() -> Line {
        Line { entry: AtomicWord::new(0), span: AtomicWord::new(0), root: AtomicWord::new(0) }
    }
}

/// Entries that ended before the entries above them, and the numbers that distinguish entered places.
#[derive(Debug)]
pub(super) struct Ended {
    lines: [Line; RUNS],
    /// The number of taken lines, where looking at every line would cost too much.
    #[cfg(feature = "std")]
    taken: AtomicWord,
    /// Three counts in one word. Below [`HOLDER`]: on a 64-bit machine a bit for each number that an entered
    /// context has, on a 32-bit machine the number of entered places. From [`HOLDER`] on: the number of
    /// futures that hold guards between polls. From [`CLEARING`] on: how often all lines were cleared.
    entered: AtomicWord,
    /// The era in which a span must have begun to end on the short path.
    #[cfg(short)]
    short_era: AtomicWord,
    /// How often everything was forgotten.
    #[cfg(not(target_os = "none"))]
    forgotten: AtomicWord,
    /// The next id at the time when everything was last forgotten; 0 before that, and again long after it.
    /// Entries with earlier ids can no longer be reached from other entries.
    forgotten_before: AtomicWord,
}

/// One future that holds guards, in [`Ended::entered`].
const HOLDER: Word = if Word::BITS == 64 { 1 << (Word::BITS / 2) } else { 1 << 10 };
/// One clearing, in [`Ended::entered`].
const CLEARING: Word = if Word::BITS == 64 { 1 << (Word::BITS / 4 * 3) } else { 1 << 20 };

impl Ended {
    pub(super) const fn new() -> Ended {
        Ended {
            lines: [const { Line::free() }; RUNS],
            #[cfg(feature = "std")]
            taken: AtomicWord::new(0),
            entered: AtomicWord::new(0),
            #[cfg(short)]
            short_era: AtomicWord::new(0),
            #[cfg(not(target_os = "none"))]
            forgotten: AtomicWord::new(0),
            forgotten_before: AtomicWord::new(0),
        }
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        #[cfg(feature = "std")]
        return self.taken.load(Relaxed) == 0;
        #[cfg(not(feature = "std"))]
        self.find(|line| line.entry.load(Relaxed) != 0).is_none()
    }

    /// The first line for which `is_it` holds. A table of one line needs no loop, which the compiler would
    /// keep when it optimises for size.
    #[inline(always)]
    fn find(&self, is_it: impl Fn(&Line) -> bool) -> Option<&Line> {
        if let [line] = self.lines.as_slice() {
            return is_it(line).then_some(line);
        }
        self.lines.iter().find(|line| is_it(line))
    }

    /// Counts lines as taken or as free again.
    fn count(&self, change: Word) {
        #[cfg(feature = "std")]
        self.taken.store(self.taken.load(Relaxed).wrapping_add(change), Relaxed);
        let _ = change;
    }

    fn holds(&self, entry: Word) -> bool {
        !self.is_empty() && self.find(|line| line.entry.load(Relaxed) == entry).is_some()
    }

    /// Removes an entry and returns the place before it; `None` if it is not in the table.
    fn take(&self, entry: Word) -> Option<(Word, Word)> {
        let is_entry = entry != 0 && entry != BUSY;
        let line = self.find(|line| is_entry && line.entry.load(Relaxed) == entry)?;
        let before = (line.span.load(Relaxed), line.root.load(Relaxed));
        line.entry.store(0, Relaxed);
        self.count(Word::MAX);
        Some(before)
    }

    /// Adds an entry. Returns false when all lines are taken.
    fn put(&self, entry: Word, (span, root): (Word, Word)) -> bool {
        // If the entry above this one is in the table, its line takes over the place before this one.
        let above = |line: &Line| line.span.load(Relaxed) & !MARK == entry && line.entry.load(Relaxed) != 0;
        if let Some(line) = self.find(above) {
            line.span.store(span, Relaxed);
            line.root.store(root, Relaxed);
            return true;
        }
        // Claim the line first, so that an interrupt that needs a line takes another one.
        let claim = |line: &Line| line.entry.compare_exchange(0, BUSY, Relaxed, Relaxed).is_ok();
        let Some(line) = self.find(claim) else { return false };
        self.count(1);
        line.span.store(span, Relaxed);
        line.root.store(root, Relaxed);
        line.entry.store(entry, Relaxed);
        true
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn clear(&self) {
        #[cfg(feature = "std")]
        self.taken.store(0, Relaxed);
        self.lines.iter().for_each(|line| line.entry.store(0, Relaxed));
        // Numbers are given out again from the start; an entry with an older number does not give it back.
        let mut old = self.entered.load(Relaxed);
        let new = |old: Word| old / HOLDER * HOLDER;
        while let Err(now) =
            self.entered.compare_exchange(old, new(old).wrapping_add(CLEARING), Relaxed, Relaxed)
        {
            old = now;
        }
    }

    fn is_held(&self) -> bool {
        self.entered.load(Relaxed) % CLEARING >= HOLDER
    }
}

impl Recorder {
    /// The current place, without [`MARK`] in its span word.
    #[inline(always)]
    pub(crate) fn current(&self) -> (Word, Word) {
        let (span, root) = self.place();
        (span & !MARK, root)
    }

    /// The local id of the current span, 0 outside of spans. An interrupt handler may call it at any moment. Cost: a load
    /// and two instructions; two loads and some ten if the program has traces that are not sampled or remote.
    #[doc(hidden)]
    #[inline(always)]
    pub fn current_id(&self) -> Word {
        if !SPECIAL_TRACES.get() {
            return self.ring().owner().span.load(Relaxed) & ID;
        }
        let (span, root) = self.current();
        span_id(span, root)
    }

    /// Leaves the entry with the span word `entry` for the place before it, or for the next one below that is
    /// alive.
    pub(crate) fn leave(&self, entry: Word, before: (Word, Word)) {
        let before = (before.0 & !MARK, before.1);
        if self.current().0 == entry {
            self.return_to(before);
        } else if !self.was_forgotten(entry) {
            self.remember(entry, before);
        }
    }

    /// Makes a place current whose entry may have ended.
    #[inline]
    pub(crate) fn return_to(&self, place: (Word, Word)) {
        // On a microcontroller marking the clock does so often enough.
        if cfg!(not(short)) && is_outside(place.0) {
            self.renew_forgotten();
        }
        if self.ended.is_empty() { self.set_current(place, true) } else { self.return_below(place) }
    }

    #[cold]
    #[inline(never)]
    fn return_below(&self, place: (Word, Word)) {
        let clearings = self.clearings();
        let (mut span, mut root) = place;
        while let Some(before) = self.ended.take(span) {
            (span, root) = before;
            // The only line is free now.
            if RUNS == 1 {
                break;
            }
        }
        // No entry is left that could return to the entries in the table, unless a future holds one.
        if (span == 0 || span == OUTSIDE) && !self.ended.is_held() {
            self.ended.clear();
        }
        self.make_current((span, root));
        // If an interrupt forgot everything meanwhile, nothing may be current.
        if self.clearings() != clearings && !is_outside(span) {
            self.make_current((0, 0));
        }
    }

    /// Makes a place current whose entry is alive.
    #[cfg_attr(not(target_os = "none"), inline)]
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn make_current(&self, place: (Word, Word)) {
        let empty = self.ended.is_empty();
        self.set_short_era(empty);
        self.set_current(place, empty);
    }

    /// Makes a place current whose entry is alive. `empty` says whether the table is empty. The era of the short
    /// path stays as it is: set it first if the table may just have become empty or not empty.
    #[inline(always)]
    fn set_current(&self, (span, root): (Word, Word), empty: bool) {
        let outside = super::outside();
        let span = if span == 0 { outside } else { span };
        self.set_place(if empty { span } else { span | MARK }, root);
    }

    /// Whether this entry, which has its own id, was alive when everything was last forgotten. No other entry
    /// returns to it then.
    fn was_forgotten(&self, entry: Word) -> bool {
        let before = self.ended.forgotten_before.load(Relaxed);
        // Ids of a 32-bit machine start over, so up to half of all ids before the mark count as earlier.
        before != 0 && before.wrapping_sub(entry).wrapping_sub(1) & ID < ID / 2
    }

    /// Removes the mark of a forgetting that is long past, so that no new id is taken for an earlier one.
    /// Must be called at least once every quarter of all ids.
    fn renew_forgotten(&self) {
        let before = self.ended.forgotten_before.load(Relaxed);
        if before != 0 && self.ring.owner().next_id.load(Relaxed).wrapping_sub(before) & ID > ID / 4 {
            self.ended.forgotten_before.store(0, Relaxed);
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn remember(&self, entry: Word, before: (Word, Word)) {
        // The entry before this one may have ended too; then this entry stands for both.
        let before = self.ended.take(before.0).map_or(before, |(span, root)| (span & !MARK, root));
        if self.ended.put(entry, before) { self.make_current(self.current()) } else { self.forget() }
    }

    /// Forgets all entries: nothing is current, and the entries that are alive will not change the place when
    /// they end.
    #[cold]
    #[inline(never)]
    pub(crate) fn forget(&self) {
        self.ended.clear();
        #[cfg(not(target_os = "none"))]
        self.ended.forgotten.fetch_add(1, Relaxed);
        self.ended.forgotten_before.store(self.ring.owner().next_id.load(Relaxed), Relaxed);
        self.make_current((0, 0));
    }

    /// How often there were too many ended entries to remember, so that nothing was current although guards
    /// were alive. Not counted on bare metal.
    #[cfg(not(target_os = "none"))]
    #[doc(hidden)]
    pub fn forgotten(&self) -> usize {
        self.ended.forgotten.load(Relaxed)
    }

    /// How often the table was cleared. A place kept since before a clearing may contain entries that have
    /// ended.
    pub(crate) fn clearings(&self) -> Word {
        self.ended.entered.load(Relaxed) / CLEARING
    }

    /// Whether an entry with this word has ended and is remembered.
    pub(super) fn has_ended(&self, entry: Word) -> bool {
        self.ended.holds(entry)
    }

    /// The word and the number for a new entry of the place with this span word.
    pub(super) fn enter_number(&self, span: Word) -> (Word, Option<u32>) {
        if Word::BITS == 32 {
            if self.has_ended(entered(span, None)) {
                // An ended entry with the same word is remembered and could not be distinguished from this
                // one.
                self.forget();
            }
            self.count_entered(true);
            return (entered(span, None), None);
        }
        let taken = self.ended.entered.load(Relaxed);
        let free = |number: &u32| taken >> number & 1 == 0 && !self.has_ended(entered(span, Some(*number)));
        let number = (0..NUMBERS).find(free);
        if let Some(number) = number {
            self.ended.entered.fetch_add(1 << number, Relaxed);
        }
        (entered(span, number), number)
    }

    /// Gives a number back. Returns false when the entry could not be distinguished from another one that may
    /// be alive.
    pub(super) fn leave_number(&self, number: Option<u32>) -> bool {
        if Word::BITS == 32 {
            self.count_entered(false);
            return self.ended.entered.load(Relaxed).is_multiple_of(HOLDER);
        }
        if let Some(number) = number {
            self.ended.entered.fetch_add((1 as Word).wrapping_shl(number).wrapping_neg(), Relaxed);
        }
        number.is_some()
    }

    /// Counts an entry or exit, on machines where entered places have no numbers.
    pub(super) fn count_entered(&self, more: bool) {
        if Word::BITS == 32 {
            self.ended.entered.fetch_add(if more { 1 } else { Word::MAX }, Relaxed);
        }
    }

    /// Counts a future that begins or ceases to hold guards between polls.
    pub(super) fn hold(&self, more: bool) {
        self.ended.entered.fetch_add(if more { HOLDER } else { HOLDER.wrapping_neg() }, Relaxed);
    }

    /// Removes all traces of the thread that had this recorder.
    #[cfg(feature = "std")]
    pub(super) fn clear_place(&self) {
        // If there is nothing to clear, there is also no guard left that would give a number back.
        if !self.ended.is_empty() || !self.ended.entered.load(Relaxed).is_multiple_of(CLEARING) {
            self.ended.clear();
        }
        self.set_current((0, 0), true);
    }

    /// The era in which a span must have begun to end on the short path.
    #[cfg(short)]
    #[inline(always)]
    pub(crate) fn short_era(&self) -> Word {
        self.ended.short_era.load(Relaxed)
    }

    /// Opens the short path, or closes it while ended entries are remembered.
    pub(super) fn set_short_era(&self, open: bool) {
        #[cfg(short)]
        self.ended.short_era.store(if open { self.era() } else { NO_ERA }, Relaxed);
        let _ = open;
    }

    /// Updates the short path's era after the era changed.
    pub(super) fn renew_short_era(&self) {
        self.renew_forgotten();
        self.set_short_era(self.ended.is_empty());
    }
}
