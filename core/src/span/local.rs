//! The straight path of a server thread that has its own ring, keeps the oldest records and reads the
//! processor's clock. It is inlined into every callsite, so that the callsite's knowledge (no fields, no
//! status) costs nothing. All other cases take the general path, which is not inlined.
//!
//! A span's guard holds the words of the future record. The compiler keeps them in registers where nothing
//! inside the span can panic. On x86-64 with fat link-time optimisation, a callsite takes about 350 bytes
//! without fields and 410 bytes with two, or 510 to 540 bytes if a panic can end the span.

use super::{
    APART, CARRIED, NOT_RECORDED, Span, State, has_panicked, initialised, is_panicking, panic, state,
};
use crate::Status;
use crate::callsite::CallsiteId;
use crate::clock::processor_ticks;
use crate::fields::{Fields, head_types, min_words};
use crate::place::is_outside;
use crate::recorder::{Recorder, refuse, straight_for_spans};
use crate::ring::{Head, RecordKind, Word};
use core::mem::{ManuallyDrop, MaybeUninit};

/// The guard of a span on a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    slot: InSlot,
    /// The field words that do not fit in `slot`.
    more: [MaybeUninit<Word>; CARRIED - IN_SLOT],
}

/// The part of a span that fits in one slot of the ring, and two numbers that the callsite knows.
#[derive(Clone, Copy, Debug)]
struct InSlot {
    recorder: &'static Recorder,
    /// The record's first word, made by [`Head::to_word`]. It is a whole word, because extending half a word would
    /// be one more instruction in every span.
    head: Word,
    id: Word,
    previous: Word,
    /// The root word; for the [first](FIRST) span of a trace, the previous root word.
    root: Word,
    start: Word,
    /// Either both words are initialised or none.
    words: [MaybeUninit<Word>; IN_SLOT],
    /// A combination of [`GENERAL`], [`FIRST`], [`OUT`] and [`UNFLAGGED`].
    flags: u16,
    /// The number of field words. It is not one of the flags, because each callsite knows it at compile time.
    /// It is 0 only for a span that began on the straight path.
    carried: u16,
}

/// The number of field words that fill a slot together with a span's own five words.
const IN_SLOT: usize = 2;
/// The value of `carried` for a span without fields that began on the general path.
const NONE_GENERAL: u16 = u16::MAX;
/// Flag: the span ends on the general path. A [`State`] has its status there, which a guard has in `head`.
const GENERAL: u16 = 1;
/// Flag: the span is a root. This flag and the next two are where a [`State`] has them, so that a guard takes
/// them over as they are.
const FIRST: u16 = APART as u16;
/// Flag: the span stands for an unsampled trace.
const OUT: u16 = NOT_RECORDED as u16;
/// Flag: the first span of a trace that is recorded although other processes are told that it is not sampled.
const UNFLAGGED: u16 = state::UNFLAGGED as u16;
const _: () = assert!(GENERAL as Word <= state::STATUS && UNFLAGGED as Word == state::UNFLAGGED);

const NO_WORDS: [MaybeUninit<Word>; IN_SLOT] = [MaybeUninit::uninit(); IN_SLOT];
const NO_MORE: [MaybeUninit<Word>; CARRIED - IN_SLOT] = [MaybeUninit::uninit(); CARRIED - IN_SLOT];

impl Running {
    /// Makes the guard of a span that began on the general path.
    pub(super) fn new(recorder: &'static Recorder, state: State) -> Running {
        let first = if is_outside(state.previous) { FIRST } else { 0 };
        let slot = InSlot {
            recorder,
            head: head(state.callsite),
            flags: state.flags as u16 & (FIRST | OUT | UNFLAGGED) | first | GENERAL,
            carried: NONE_GENERAL,
            id: state.id,
            previous: state.previous,
            root: state.previous_root,
            start: state.start,
            words: NO_WORDS,
        };
        Running { slot, more: NO_MORE }
    }

    /// Copies the guard word by word; it must not carry fields yet. The compiler had to put the original in
    /// memory for a call, but the copy can live in registers.
    #[inline(always)]
    fn taken_apart(&self) -> Running {
        let InSlot { recorder, head, flags, id, previous, root, start, .. } = self.slot;
        let carried = NONE_GENERAL;
        let slot = InSlot { recorder, head, flags, carried, id, previous, root, start, words: NO_WORDS };
        Running { slot, more: NO_MORE }
    }

    #[inline(always)]
    pub(super) fn recorder(&self) -> &'static Recorder {
        self.slot.recorder
    }

    #[inline(always)]
    pub(super) fn id(&self) -> Word {
        self.slot.id
    }

    #[inline(always)]
    pub(super) fn is_recorded(&self) -> bool {
        self.slot.flags & OUT == 0
    }

    pub(super) fn root(&self) -> Word {
        self.state().root()
    }

    pub(super) fn word(&self) -> Word {
        self.state().word()
    }

    #[inline(always)]
    pub(super) fn start(&self) -> Word {
        self.slot.start
    }

    #[inline(always)]
    pub(super) fn set_status(&mut self, status: Status) {
        let head = Head::from_word(self.slot.head);
        self.slot.head = head.with_status(status as u8).to_word();
    }

    /// Keeps field words until the span ends.
    #[inline(always)]
    pub(super) fn carry<F: Fields>(&mut self, words: [Word; CARRIED]) {
        let types = const { head_types(F::COUNT, F::TYPES) };
        self.slot.head |= Head::new(RecordKind::Span, 0, 0, types).to_word();
        self.slot.carried = const { min_words::<F>() as u16 };
        let [a, b, more @ ..] = words.map(MaybeUninit::new);
        self.slot.words = [a, b];
        if const { min_words::<F>() > IN_SLOT } {
            self.more = more;
        }
    }

    fn carried(&self) -> usize {
        match self.slot.carried {
            NONE_GENERAL => 0,
            some => usize::from(some).min(CARRIED),
        }
    }

    /// The carried words, followed by uninitialised ones.
    fn words(&self) -> [MaybeUninit<Word>; CARRIED] {
        let mut words = [MaybeUninit::uninit(); CARRIED];
        let (first, more) = words.split_at_mut(IN_SLOT);
        first.copy_from_slice(&self.slot.words);
        more.copy_from_slice(&self.more);
        words
    }

    /// The same span in the representation of the general path.
    pub(super) fn state(&self) -> State {
        let InSlot { head, flags, id, previous, root, start, .. } = self.slot;
        let head = Head::from_word(head);
        let mut state = State::new(head.callsite, id, (previous, root));
        state.flags = Word::from(flags & !GENERAL);
        state.start = start;
        state.set_status(head.status());
        state.carry(head.types(), self.carried(), self.words());
        state
    }
}

#[inline(always)]
fn head(callsite: u32) -> Word {
    Head::new(RecordKind::Span, callsite, 0, 0).to_word()
}

/// Begins a span: inline if it has a parent, otherwise through a call.
#[inline(always)]
pub(super) fn begin(callsite: CallsiteId) -> Span {
    let recorder = straight_for_spans();
    let (previous, root) = recorder.place();
    // One comparison is enough: the root word is 0 outside any trace, where a sampler must be asked and without
    // a recorder, and negative in an unsampled trace.
    if root as isize > 0 {
        let id = recorder.next_local_id();
        recorder.set_span(id);
        let (head, start) = (head(callsite.id), processor_ticks());
        let slot =
            InSlot { recorder, head, flags: 0, carried: 0, id, previous, root, start, words: NO_WORDS };
        return Span::of(Running { slot, more: NO_MORE });
    }
    if root != 0 {
        recorder.count_local_sampled_out();
        return Span::none();
    }
    match &ManuallyDrop::new(super::begin(callsite)).running {
        Some(running) => Span::of(running.taken_apart()),
        None => Span::none(),
    }
}

/// Ends a span. The usual case is inline: the span is the innermost one, its record takes one slot, and the
/// writer knows of a free slot.
///
/// It is inline because a call stores its return address, and every additional store slows down refetching
/// slots from the reader's core (see [`Owner`](crate::ring::Owner)). The words are stored before the clock is
/// read, so that they need no registers during the read.
#[inline(always)]
pub(super) fn end(running: &Running) {
    let InSlot { recorder, head, flags, carried, id, previous, root, start, words } = running.slot;
    // Test first what the callsite knows about a span that it began itself.
    if flags == 0
        && carried <= IN_SLOT as u16
        && recorder.is_current(id)
        && !is_panicking()
        && let Some(slot) = recorder.ring().fill()
    {
        recorder.set_span(previous);
        slot.head(head);
        slot.body(0, [id, previous, root, start]);
        slot.body(4, [processor_ticks()]);
        if carried > 0 {
            // SAFETY: both words are initialised if any word is carried.
            slot.body(5, words.map(|word| unsafe { word.assume_init() }));
        }
        slot.publish();
    } else {
        // Pass a copy: a reference to the guard would force it into memory on the straight path as well.
        end_out_of_line(&{ *running });
    }
}

/// Ends a span in all other cases: the record takes two slots, the writer knows of no room, the span began on
/// the general path, it is not the innermost one, or a panic ends it.
#[inline(never)]
fn end_out_of_line(running: &Running) {
    let InSlot { recorder, head, flags, id, previous, root, start, .. } = running.slot;
    if flags & OUT != 0 {
        return super::end(recorder, &running.state());
    }
    if !recorder.is_here() {
        refuse();
        return;
    }
    recorder.leave(id, (previous, root));
    // A span that began on the general path may belong to a recorder with another clock.
    let now = if flags & GENERAL == 0 { processor_ticks() } else { recorder.ticks() };
    let previous = if flags & FIRST == 0 { previous } else { 0 };
    // Readers find here whether other processes were told that the trace is sampled.
    let root = match flags & (FIRST | UNFLAGGED) {
        0 => root,
        FIRST => id,
        _ => running.root(),
    };
    let mut head = Head::from_word(head);
    if head.status() == 0 && has_panicked(start) {
        head = head.with_status(Status::Error as u8);
        panic::say_why(recorder, (id, running.root()), start);
    }
    let place = [id, previous, root, start, now];
    if running.carried() == 0 {
        // The usual length, known at compile time, needs no loops.
        recorder.ring().push(head, &place, now);
        return;
    }
    let mut body = [MaybeUninit::uninit(); 5 + CARRIED];
    body[..5].copy_from_slice(&place.map(MaybeUninit::new));
    // Copy all field words: copying a fixed number is cheaper than copying the number in use.
    body[5..5 + IN_SLOT].copy_from_slice(&running.slot.words);
    body[5 + IN_SLOT..].copy_from_slice(&running.more);
    // SAFETY: the first five words are set above, and as many of the field words as are carried are
    // initialised.
    let body = unsafe { initialised(&body[..5 + running.carried()]) };
    recorder.ring().push(head, body, now);
}
