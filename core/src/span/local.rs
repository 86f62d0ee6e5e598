//! The straight path of a server thread that has its own ring, keeps the oldest records and reads the processor's clock. It is inlined into every call site, so
//! that what the call site knows (no fields, no status) costs nothing. Everything else takes the general path, out of line.
//!
//! A span's guard holds the words of the future record. The compiler keeps them in registers where nothing inside the span can panic. On x86-64, with fat link-time
//! optimisation, a call site takes some 350 bytes without fields and 410 with two, and 510 to 540 where it must end the span on a panic too.

use super::{APART, CARRIED, NOT_RECORDED, Span, State, is_panicking, panic};
use crate::Status;
use crate::callsite::CallsiteId;
use crate::clock::processor_ticks;
use crate::fields::{Fields, head_types, min_words};
use crate::recorder::{Recorder, refuse, straight};
use crate::ring::{Head, RecordKind, Word};
use core::mem::{ManuallyDrop, MaybeUninit};

/// What a span's guard keeps on a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    slot: InSlot,
    /// The field words that do not fit `slot`.
    more: [MaybeUninit<Word>; CARRIED - IN_SLOT],
}

/// The part of a span that fits one slot of the ring; like a slot it is one cache line.
#[derive(Clone, Copy, Debug)]
struct InSlot {
    recorder: &'static Recorder,
    /// The lower half of the record's first word; the upper half is 0.
    head: u32,
    /// [`GENERAL`], [`FIRST`], [`OUT`].
    flags: u16,
    /// How many field words there are. Not among the flags, because each call site knows it at compile time. 0 only for a span that began on the straight path.
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

    /// A copy made word by word, before there are field words. The compiler had to put the original into memory for a call; the copy can live in registers.
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

    /// Stores field words until the span ends.
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

    /// The same span as the general path represents it.
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

/// Begins a span: in line when it has a parent, otherwise out of line.
#[inline(always)]
pub(super) fn begin(callsite: CallsiteId) -> Span {
    if let Some(recorder) = straight() {
        let (previous, root) = recorder.place();
        // One comparison suffices: the root's word is 0 outside any trace and where a sampler must be asked, and negative in a trace that is not sampled.
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

/// Ends a span. The usual case is in line: the span is the innermost one, its record takes one slot, and the writer knows of a free one.
///
/// It is in line because a call stores its return address, and every additional store makes the processor slower to fetch slots back from the reader's core
/// (see [`Owner`](crate::ring::Owner)). The words are stored before the clock is read, so that they need no registers across the read.
#[inline(always)]
pub(super) fn end(running: &Running) {
    let InSlot { recorder, head, flags, carried, id, previous, root, start, words } = running.slot;
    // First what the call site knows of a span that it began itself.
    if flags == 0
        && carried <= IN_SLOT as u16
        && recorder.is_current(id)
        && !is_panicking()
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
        // Pass a copy: a reference to the guard would force it into memory on the straight path too.
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
    if !recorder.is_here() {
        refuse();
        return;
    }
    recorder.leave(id, (previous, root));
    let now = processor_ticks();
    let mut head = Head::from_word(head as Word);
    if is_panicking() && head.status() == 0 {
        head = head.with_status(Status::Error as u8);
        panic::say_why(recorder, (id, running.root()), start);
    }
    let mut body = [0; 5 + CARRIED];
    body[..5].copy_from_slice(&[id, previous, root, start, now.wrapping_sub(start)]);
    // Copy all of them: copying a fixed number is cheaper than copying the number in use.
    body[5..].copy_from_slice(&running.words());
    recorder.ring().push(head, &body[..5 + running.carried()], now);
}
