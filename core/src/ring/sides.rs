//! The words that the two ends of a ring keep: which lie together, and which on cache lines of their own.

use crate::sync::AtomicWord;

/// Keeps writer's and reader's words on cache lines of their own, where there are caches.
#[derive(Debug)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub(super) struct Line<T>(pub(super) T);

#[derive(Debug)]
#[repr(C)]
pub(super) struct WriterSide {
    /// Slots reserved (shared) or published (local) since the beginning, counted from [`first_position`](super::first_position). Of `SharedNewest` always 0.
    pub(super) head: AtomicWord,
    pub(super) owner: Owner,
    /// `SharedNewest` only: slots reserved since the beginning.
    pub(super) next: AtomicWord,
    /// Local only: the position it may write up to, which is a whole ring after the tail as the writer last saw it. So it seldom touches the
    /// reader's line, and one comparison tells whether there is room. While a record is being written, the mark that says so.
    #[cfg(not(target_os = "none"))]
    pub(super) room_to: AtomicWord,
    /// `LocalNewest` only: slots announced before they are written.
    #[cfg(not(target_os = "none"))]
    pub(super) begin: AtomicWord,
    /// `LocalNewest` only: records written.
    #[cfg(not(target_os = "none"))]
    pub(super) written: AtomicWord,
    /// `LocalNewest` only: 1 + `reported` as it was when `first_loss` was last set.
    #[cfg(not(target_os = "none"))]
    pub(super) noted: AtomicWord,
    /// Local only: records lost because a signal handler made them while it interrupted the writing of another, and ticks at the first that was not yet
    /// reported.
    #[cfg(not(target_os = "none"))]
    pub(super) reentrant: AtomicWord,
    #[cfg(not(target_os = "none"))]
    pub(super) first_reentrant: AtomicWord,
    /// Records lost.
    pub(super) lost: AtomicWord,
    /// Ticks at the first loss that was not yet reported.
    pub(super) first_loss: AtomicWord,
}

/// What a [`Recorder`](crate::Recorder) writes with every span: beside the ring's position, and on a 64-bit machine in the same 32 bytes.
///
/// A slot that the reader on another core has had takes 70 to 140 ns to get back. A processor asks for the next one meanwhile, as long as there are
/// few stores to other places in between: on Zen 4, with these words on a line of their own, two threads take twice as long for a span.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Owner {
    /// The id that the next span gets.
    pub(crate) next_id: AtomicWord,
    /// The current span.
    pub(crate) span: AtomicWord,
    /// Its root.
    pub(crate) root: AtomicWord,
}

const _: () = assert!(core::mem::offset_of!(WriterSide, owner) + size_of::<Owner>() <= 32 || cfg!(loom));

#[derive(Debug)]
pub(super) struct ReaderSide {
    /// `SharedOldest` only: how far `head` may go, which is one ring ahead of what was consumed. Of `SharedNewest` 0, so that whoever
    /// takes it for the other finds no room, and looks again.
    pub(super) limit: AtomicWord,
    /// Local only: slots consumed since the beginning.
    #[cfg(not(target_os = "none"))]
    pub(super) tail: AtomicWord,
    /// `LocalNewest` only: number of the record expected next.
    #[cfg(not(target_os = "none"))]
    pub(super) expected: AtomicWord,
    /// `lost` as last reported.
    pub(super) reported: AtomicWord,
    /// Local only: `reentrant` as last reported.
    #[cfg(not(target_os = "none"))]
    pub(super) reported_reentrant: AtomicWord,
    /// 1 while a [`Reader`](super::Reader) exists.
    pub(super) reading: AtomicWord,
}
