//! The straight way of a server's thread: its own ring that keeps what is oldest, the processor's clock. Inlined into every call site, so that
//! what is known there (no fields, no status) costs nothing; all else goes the general way, out of line.
//!
//! A span's guard is the words of its record, which the compiler keeps in registers where nothing in the span may panic. On x86-64, with fat link-time
//! optimisation, a call site takes some 350 bytes without fields and 410 with two, and 510 to 540 where it must end the span on a panic too.

use super::{APART, CARRIED, NOT_RECORDED, Span, State, is_panicking};
use crate::Status;
use crate::callsite::CallsiteId;
use crate::clock::processor_ticks;
use crate::fields::{Fields, head_types, min_words};
use crate::recorder::{Recorder, straight};
use crate::ring::{Head, RecordKind, Word};
use core::mem::{ManuallyDrop, MaybeUninit};

/// What a span's guard keeps on a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    slot: InSlot,
    /// Field words beyond those of `slot`, as many as are carried.
    more: [MaybeUninit<Word>; CARRIED - IN_SLOT],
}

/// A span whose record takes one slot: a cache line, as here.
#[derive(Clone, Copy, Debug)]
struct InSlot {
    recorder: &'static Recorder,
    /// The lower half of the record's first word; the upper is 0.
    head: u32,
    /// [`GENERAL`], [`FIRST`], [`OUT`].
    flags: u16,
    /// Field words carried. Apart from the flags, because call sites know it; 0 only of a span that is on the straight way.
    carried: u16,
    id: Word,
    previous: Word,
    /// The root; of the [first](FIRST) of a trace, the root before.
    root: Word,
    start: Word,
    /// Both are initialised if any word is carried.
    words: [MaybeUninit<Word>; IN_SLOT],
}

/// Field words that fill a slot together with a span's own five.
const IN_SLOT: usize = 2;
/// The number carried by a span without fields that began the general way.
const NONE_GENERAL: u16 = u16::MAX;
/// The span ends the general way.
const GENERAL: u16 = 1;
/// It is a root.
const FIRST: u16 = 2;
/// It stands for a trace that is not sampled.
const OUT: u16 = 4;

const NO_WORDS: [MaybeUninit<Word>; IN_SLOT] = [MaybeUninit::uninit(); IN_SLOT];
const NO_MORE: [MaybeUninit<Word>; CARRIED - IN_SLOT] = [MaybeUninit::uninit(); CARRIED - IN_SLOT];

impl Running {
    /// A span that began the general way.
    pub(super) fn new(recorder: &'static Recorder, state: State) -> Running {
        let first = if state.is_root() { FIRST } else { 0 };
        let out = if state.is_recorded() { 0 } else { OUT };
        let slot = InSlot {
            recorder,
            head: head(state.callsite),
            flags: GENERAL | first | out,
            carried: NONE_GENERAL,
            id: state.id,
            previous: state.previous,
            root: state.previous_root,
            start: state.start,
            words: NO_WORDS,
        };
        Running { slot, more: NO_MORE }
    }

    /// The same, before it carries anything, word by word: so the compiler, which had to put it into memory for a call, need not keep it there.
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
        let head = Head::from_word(self.slot.head as Word);
        self.slot.head = head.with_status(status as u8).to_word() as u32;
    }

    /// Has it carry fields' words until it ends.
    #[inline(always)]
    pub(super) fn carry<F: Fields>(&mut self, words: [Word; CARRIED]) {
        let types = const { head_types(F::COUNT, F::TYPES) };
        self.slot.head |= Head::new(RecordKind::Span, 0, 0, types).to_word() as u32;
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

    /// The words carried, and zeros after them.
    fn words(&self) -> [Word; CARRIED] {
        let mut words = [0; CARRIED];
        let all = self.slot.words.iter().chain(&self.more);
        for (to, from) in words.iter_mut().zip(all).take(self.carried()) {
            // SAFETY: as many as are carried are initialised.
            *to = unsafe { from.assume_init() };
        }
        words
    }

    /// All that the general way knows of a span.
    pub(super) fn state(&self) -> State {
        let InSlot { head, flags, id, previous, root, start, .. } = self.slot;
        let head = Head::from_word(head as Word);
        let mut state = State::new(head.callsite, id, (previous, root));
        if flags & FIRST != 0 {
            state.flags |= APART;
        }
        if flags & OUT != 0 {
            state.flags |= NOT_RECORDED;
        }
        state.start = start;
        state.set_status(head.status());
        state.carry(head.types(), self.carried(), self.words());
        state
    }
}

#[inline(always)]
fn head(callsite: u32) -> u32 {
    Head::new(RecordKind::Span, callsite, 0, 0).to_word() as u32
}

/// Begins a span: below another in line, else out of line.
#[inline(always)]
pub(super) fn begin(callsite: CallsiteId) -> Span {
    if let Some(recorder) = straight() {
        let (previous, root) = recorder.place();
        // One comparison: a root is 0 outside any trace and where a sampler must be asked, and negative in a trace that is not sampled.
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
    }
    match &ManuallyDrop::new(super::begin(callsite)).running {
        Some(running) => Span::of(running.taken_apart()),
        None => Span::none(),
    }
}

/// Ends a span: in line what takes one slot, and there is one.
///
/// In line, since a call stores its return address: with that on its way to memory too, a processor is slower to get slots back from the reader's core
/// (see [`Owner`](crate::ring::Owner)). Words are stored before the clock is read, so that they need no registers after it.
#[inline(always)]
pub(super) fn end(running: &Running) {
    let InSlot { recorder, head, flags, carried, id, previous, root, start, words } = running.slot;
    if flags == 0
        && recorder.is_current(id)
        && !is_panicking()
        && carried <= IN_SLOT as u16
        && let Some(slot) = recorder.ring().fill()
    {
        recorder.set_span(previous);
        slot.head(head as Word);
        slot.body(0, [id, previous, root, start]);
        slot.body(4, [processor_ticks().wrapping_sub(start)]);
        if carried > 0 {
            // SAFETY: both are initialised if any word is carried.
            slot.body(5, words.map(|word| unsafe { word.assume_init() }));
        }
        slot.publish();
    } else {
        // A copy: a reference to the guard itself would keep it in memory where it need not be there.
        end_out_of_line(&{ *running });
    }
}

/// A record of two slots, or no room for one that the writer knows of, or a span that began the general way, or is not the innermost that is alive, or
/// is left by a panic.
#[inline(never)]
fn end_out_of_line(running: &Running) {
    let InSlot { recorder, head, flags, id, previous, root, start, .. } = running.slot;
    if flags & GENERAL != 0 {
        return super::end(recorder, &running.state());
    }
    recorder.leave(id, (previous, root));
    let now = processor_ticks();
    let mut head = Head::from_word(head as Word);
    if is_panicking() && head.status() == 0 {
        head = head.with_status(Status::Error as u8);
    }
    let mut body = [0; 5 + CARRIED];
    body[..5].copy_from_slice(&[id, previous, root, start, now.wrapping_sub(start)]);
    // All of them, as copying a number known here is cheaper than copying the number there are.
    body[5..].copy_from_slice(&running.words());
    recorder.ring().push(head, &body[..5 + running.carried()], now);
}
