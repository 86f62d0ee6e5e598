//! The state of a running span, which its guard keeps until the span ends.

use super::CARRIED;
use crate::place::{RECORD_ONLY, is_outside, own_root, root_word, unsampled_span_word};
use crate::recorder::ERA;
use crate::ring::Word;
use core::mem::MaybeUninit;

/// The state of a running span. The fields are in an order in which a few store-multiple instructions can
/// write them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct State {
    pub(super) callsite: u32,
    pub(super) id: Word,
    /// The span word of the place before this span. It is the parent's word, unless this span is [`APART`];
    /// outside any span its id is 0.
    pub(super) previous: Word,
    pub(super) previous_root: Word,
    pub(super) start: Word,
    /// The recorder's era when the span began, and the flags below it. A plain span has no flag set, so one
    /// comparison with the era checks both.
    pub(super) flags: Word,
    /// The types and values of the fields. As many of the value words as are carried are initialised, and the
    /// types if any word is, so a span without fields pays nothing for them.
    types: MaybeUninit<u32>,
    pub(super) words: [MaybeUninit<Word>; CARRIED],
}

/// In [`State::flags`]: the status.
pub(super) const STATUS: Word = 3;
/// In [`State::flags`]: the span begins a new trace, whatever was current before.
pub(super) const APART: Word = 4;
/// In [`State::flags`]: the span is the root of an unsampled trace and stands for all spans below it.
pub(super) const NOT_RECORDED: Word = 1 << 6;
/// In [`State::flags`]: the span is the first one below a remote parent about which the sampler was asked.
/// Its end restores a different root word.
pub(super) const ASKED: Word = 1 << 7;
/// In [`State::flags`]: the span is the first one of a trace that is recorded although other processes are told
/// that it is not sampled. Its place is above the era's, which a 64-bit machine does not use; a 32-bit machine
/// has no such traces.
pub(super) const UNFLAGGED: Word = if RECORD_ONLY == 0 { 0 } else { 1 << ERA };
/// In [`State::flags`]: position of the number of carried field words.
const CARRIED_SHIFT: u32 = 3;
const _: () = assert!(CARRIED << CARRIED_SHIFT < NOT_RECORDED && ASKED < 1 << ERA);

impl State {
    #[inline(always)]
    pub(super) fn new(callsite: u32, id: Word, (previous, previous_root): (Word, Word)) -> State {
        State {
            callsite,
            id,
            previous,
            previous_root,
            start: 0,
            flags: 0,
            types: MaybeUninit::uninit(),
            words: [MaybeUninit::uninit(); CARRIED],
        }
    }

    /// The root word.
    pub(super) fn root(&self) -> Word {
        let root = if self.is_root() { self.id } else { own_root(self.previous, self.previous_root) };
        // Test both flags at once: usually neither is set, and shifting each to its place takes more instructions.
        if self.flags & (NOT_RECORDED | UNFLAGGED) == 0 {
            return root;
        }
        let mark = if self.flags & UNFLAGGED == 0 { 0 } else { RECORD_ONLY };
        root_word(root, self.is_recorded()) | mark
    }

    /// The span word while the span is current.
    pub(super) fn word(&self) -> Word {
        if self.is_recorded() { self.id } else { unsampled_span_word(self.id) }
    }

    #[inline(always)]
    pub(super) fn is_recorded(&self) -> bool {
        self.flags & NOT_RECORDED == 0
    }

    #[inline(always)]
    pub(super) fn is_root(&self) -> bool {
        is_outside(self.previous) || self.flags & APART != 0
    }

    #[inline(always)]
    pub(super) fn status(&self) -> u8 {
        (self.flags & STATUS) as u8
    }

    #[inline(always)]
    pub(super) fn set_status(&mut self, status: u8) {
        self.flags = self.flags & !STATUS | Word::from(status);
    }

    /// Keeps field words until the span ends; the first `count` of them are used and must be initialised. Must
    /// be called at most once.
    #[inline(always)]
    pub(super) fn carry(&mut self, types: u32, count: usize, words: [MaybeUninit<Word>; CARRIED]) {
        debug_assert!(count <= CARRIED && self.carried() == 0);
        self.flags |= count << CARRIED_SHIFT;
        self.types = MaybeUninit::new(types);
        self.words = words;
    }

    /// The number of carried field words.
    #[inline(always)]
    pub(super) fn carried(&self) -> usize {
        let carried = (self.flags & (NOT_RECORDED - 1)) >> CARRIED_SHIFT;
        // SAFETY: only `carry` sets these bits, at most once, and to no more than it has words.
        unsafe { core::hint::assert_unchecked(carried <= CARRIED) };
        carried
    }

    /// The types of the carried fields.
    #[inline(always)]
    pub(super) fn types(&self) -> u32 {
        // SAFETY: some words are carried, so `carry` has initialised the types.
        if self.carried() == 0 { 0 } else { unsafe { self.types.assume_init() } }
    }
}
