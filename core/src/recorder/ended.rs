//! Leaving a place. What is current is the innermost entry that is still alive, in whatever order guards are dropped.
//!
//! An entry is a span's guard, an attached remote parent, an entered context or a future's poll; its guard keeps the place that was current before, and
//! so the entries form a chain. Usually the innermost ends first: its guard sees that its own word is current, and puts back the place before. An entry that
//! ends while others are above it cannot reach into their guards, so the recorder remembers it, with the place before it, in a small table. Whoever
//! returns to a remembered entry goes on to the place before that one instead. A run of ended entries needs one line of the table, so a vector of spans dropped
//! from its front needs one in all.
//!
//! While the table holds anything, every end must look there. Nothing more is checked for it on the straight path: on a 64-bit machine the current word then carries
//! [`MARK`] and is taken for another's, on a 32-bit machine without threads the era that ends compare with is one that no span has.
//!
//! When the table is full, everything is forgotten: nothing is current until the next entry, and those that are still alive end without
//! moving the place. So what was forgotten is never taken for current.

use super::Recorder;
use crate::place::{ID, MADE, MARK, NUMBERS, OUTSIDE, REMOTE, entered, is_outside};
use crate::ring::Word;
use crate::sync::{AtomicWord, Relaxed};

/// Runs of ended entries that are remembered. With threads each has its own; a microcontroller has few bytes and few guards.
pub(super) const RUNS: usize = if cfg!(feature = "std") { 16 } else { 1 };

/// No entry's word, and not 0: a line that a context which was interrupted is just writing.
const BUSY: Word = MARK | REMOTE | MADE;

/// An era that no span began in.
#[cfg(short)]
const NO_ERA: Word = (1 << super::ERA) - 1;

/// An ended entry and the place before it.
#[derive(Debug)]
struct Line {
    /// The entry's span word; 0 when the line is free.
    entry: AtomicWord,
    span: AtomicWord,
    root: AtomicWord,
}

impl Line {
    const fn free() -> Line {
        Line { entry: AtomicWord::new(0), span: AtomicWord::new(0), root: AtomicWord::new(0) }
    }
}

/// Entries that ended before those above them, and what tells entered places apart.
#[derive(Debug)]
pub(super) struct Ended {
    lines: [Line; RUNS],
    /// How many lines are taken, where looking at all of them would cost too much.
    #[cfg(feature = "std")]
    taken: AtomicWord,
    /// Below [`HOLDER`]: of a 64-bit machine a bit for each number that an entered context has, of a 32-bit machine how many places are
    /// entered. Then how many futures hold guards between polls, and from [`CLEARING`] on how often all lines were cleared.
    entered: AtomicWord,
    /// The era in which a span must have begun to end the short way.
    #[cfg(short)]
    short_era: AtomicWord,
    /// How often everything was forgotten.
    #[cfg(not(target_os = "none"))]
    forgotten: AtomicWord,
    /// The id that was next when everything was forgotten last, and 0 before that and long after: entries with ids before it are alive no more for others.
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

    /// The first line for which this holds. One line needs no loop, which the compiler would leave in where it optimises for size.
    #[inline(always)]
    fn find(&self, is_it: impl Fn(&Line) -> bool) -> Option<&Line> {
        if let [line] = self.lines.as_slice() {
            return is_it(line).then_some(line);
        }
        self.lines.iter().find(|line| is_it(line))
    }

    /// Counts lines as taken, or as free again.
    fn count(&self, change: Word) {
        #[cfg(feature = "std")]
        self.taken.store(self.taken.load(Relaxed).wrapping_add(change), Relaxed);
        let _ = change;
    }

    fn holds(&self, entry: Word) -> bool {
        !self.is_empty() && self.find(|line| line.entry.load(Relaxed) == entry).is_some()
    }

    /// Takes an entry out, and says what was before it.
    fn take(&self, entry: Word) -> Option<(Word, Word)> {
        let is_entry = entry != 0 && entry != BUSY;
        let line = self.find(|line| is_entry && line.entry.load(Relaxed) == entry)?;
        let before = (line.span.load(Relaxed), line.root.load(Relaxed));
        line.entry.store(0, Relaxed);
        self.count(Word::MAX);
        Some(before)
    }

    /// False when all lines are taken.
    fn put(&self, entry: Word, (span, root): (Word, Word)) -> bool {
        // The entry that is above this one in the same run, if there is one, takes over what is before this one.
        let above = |line: &Line| line.span.load(Relaxed) & !MARK == entry && line.entry.load(Relaxed) != 0;
        if let Some(line) = self.find(above) {
            line.span.store(span, Relaxed);
            line.root.store(root, Relaxed);
            return true;
        }
        // Claimed first: an interrupt that needs a line takes another one.
        let claim = |line: &Line| line.entry.compare_exchange(0, BUSY, Relaxed, Relaxed).is_ok();
        let Some(line) = self.find(claim) else { return false };
        self.count(1);
        line.span.store(span, Relaxed);
        line.root.store(root, Relaxed);
        line.entry.store(entry, Relaxed);
        true
    }

    fn clear(&self) {
        #[cfg(feature = "std")]
        self.taken.store(0, Relaxed);
        self.lines.iter().for_each(|line| line.entry.store(0, Relaxed));
        // Numbers are given out anew: who has one from before does not give it back.
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
    /// The place, its span word without [`MARK`].
    #[inline(always)]
    pub(crate) fn current(&self) -> (Word, Word) {
        let (span, root) = self.place();
        (span & !MARK, root)
    }

    /// Leaves the entry whose span word is `entry` for the place before it, or for what is alive below that.
    pub(crate) fn leave(&self, entry: Word, before: (Word, Word)) {
        let before = (before.0 & !MARK, before.1);
        if self.current().0 == entry {
            self.return_to(before);
        } else if !self.was_forgotten(entry) {
            self.remember(entry, before);
        }
    }

    /// Makes a place current in which an entry lies that may have ended.
    #[inline]
    pub(crate) fn return_to(&self, place: (Word, Word)) {
        if is_outside(place.0) {
            self.renew_forgotten();
        }
        if self.ended.is_empty() { self.make_current(place) } else { self.return_below(place) }
    }

    #[cold]
    #[inline(never)]
    fn return_below(&self, place: (Word, Word)) {
        let clearings = self.clearings();
        let (mut span, mut root) = place;
        while let Some(before) = self.ended.take(span) {
            (span, root) = before;
        }
        // No entry is left that could return to those in the table, unless a future has some.
        if (span == 0 || span == OUTSIDE) && !self.ended.is_held() {
            self.ended.clear();
        }
        self.make_current((span, root));
        // An interrupt that forgot everything meanwhile has the last word.
        if self.clearings() != clearings && !is_outside(span) {
            self.make_current((0, 0));
        }
    }

    /// Makes a place current whose entry is alive.
    #[cfg_attr(not(target_os = "none"), inline)]
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn make_current(&self, (span, root): (Word, Word)) {
        let empty = self.ended.is_empty();
        self.set_short_era(empty);
        let outside = super::outside();
        let span = if span == 0 { outside } else { span };
        self.set_place(if empty { span } else { span | MARK }, root);
    }

    /// Whether this entry, whose id is its own, was alive when everything was forgotten: then no other entry returns to it.
    fn was_forgotten(&self, entry: Word) -> bool {
        let before = self.ended.forgotten_before.load(Relaxed);
        // Ids of a 32-bit machine begin again, so what is up to half of all ids behind counts as before.
        before != 0 && before.wrapping_sub(entry).wrapping_sub(1) & ID < ID / 2
    }

    /// Has no id taken for one from before a forgetting that is long ago. To be called at least once in a quarter of all ids.
    fn renew_forgotten(&self) {
        let before = self.ended.forgotten_before.load(Relaxed);
        if before != 0 && self.ring.owner().next_id.load(Relaxed).wrapping_sub(before) & ID > ID / 4 {
            self.ended.forgotten_before.store(0, Relaxed);
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn remember(&self, entry: Word, before: (Word, Word)) {
        // What is before it may have ended too: then this one stands for both.
        let before = self.ended.take(before.0).map_or(before, |(span, root)| (span & !MARK, root));
        if self.ended.put(entry, before) { self.make_current(self.current()) } else { self.forget() }
    }

    /// Forgets all entries: nothing is current, and those that are alive will not move the place when they end.
    #[cold]
    #[inline(never)]
    pub(crate) fn forget(&self) {
        self.ended.clear();
        #[cfg(not(target_os = "none"))]
        self.ended.forgotten.fetch_add(1, Relaxed);
        self.ended.forgotten_before.store(self.ring.owner().next_id.load(Relaxed), Relaxed);
        self.make_current((0, 0));
    }

    /// How often there were too many ended entries to remember, upon which nothing was current although guards were alive. Not
    /// counted on bare metal.
    #[cfg(not(target_os = "none"))]
    pub fn forgotten(&self) -> usize {
        self.ended.forgotten.load(Relaxed)
    }

    /// How often the table was cleared: a place kept since before may hold entries that have ended.
    pub(crate) fn clearings(&self) -> Word {
        self.ended.entered.load(Relaxed) / CLEARING
    }

    /// Whether an entry of this word has ended and is remembered.
    pub(super) fn has_ended(&self, entry: Word) -> bool {
        self.ended.holds(entry)
    }

    /// The word and number with which the place of this span word is entered.
    pub(super) fn enter_number(&self, span: Word) -> (Word, Option<u32>) {
        if Word::BITS == 32 {
            if self.has_ended(entered(span, None)) {
                // An entry of the same word is remembered, and could not be told from this one.
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

    /// Gives a number back; false when the entry could not be told from another that may be alive.
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

    /// Counts a place that is entered or left, where entered places have no numbers.
    pub(super) fn count_entered(&self, more: bool) {
        if Word::BITS == 32 {
            self.ended.entered.fetch_add(if more { 1 } else { Word::MAX }, Relaxed);
        }
    }

    /// A future holds guards between polls from now on, or no longer.
    pub(super) fn hold(&self, more: bool) {
        self.ended.entered.fetch_add(if more { HOLDER } else { HOLDER.wrapping_neg() }, Relaxed);
    }

    /// Leaves no trace of the thread that had this recorder.
    #[cfg(feature = "std")]
    pub(super) fn clear_place(&self) {
        // Nothing to clear also means that no guard is left that would give a number back.
        if !self.ended.is_empty() || !self.ended.entered.load(Relaxed).is_multiple_of(CLEARING) {
            self.ended.clear();
        }
        self.make_current((0, 0));
    }

    /// The era in which a span must have begun to end the short way.
    #[cfg(short)]
    #[inline(always)]
    pub(crate) fn short_era(&self) -> Word {
        self.ended.short_era.load(Relaxed)
    }

    /// Opens the short way, or closes it while ended entries are remembered.
    pub(super) fn set_short_era(&self, open: bool) {
        #[cfg(short)]
        self.ended.short_era.store(if open { self.era() } else { NO_ERA }, Relaxed);
        let _ = open;
    }

    /// After the era changed.
    pub(super) fn renew_short_era(&self) {
        self.renew_forgotten();
        self.set_short_era(self.ended.is_empty());
    }
}
