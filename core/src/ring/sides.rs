//! The words of the writer and of the reader of a ring, arranged by cache lines.

use crate::sync::AtomicWord;

/// Puts the words of the writer and those of the reader on separate cache lines, on machines that have
/// caches.
#[derive(Debug)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub(super) struct Line<T>(pub(super) T);

#[derive(Debug)]
#[repr(C)]
pub(super) struct WriterSide {
    /// Slots reserved (shared) or published (local) since the beginning, counted from
    /// [`first_position`](super::first_position). Always 0 in `SharedNewest` mode.
    pub(super) head: AtomicWord,
    pub(super) owner: Owner,
    /// `SharedNewest` only: slots reserved since the beginning.
    pub(super) next: AtomicWord,
    /// Local only: the position up to which the writer may write, which is one ring after the tail as the
    /// writer last saw it. With this copy the writer seldom touches the reader's cache line, and one
    /// comparison tells whether there is room. While a record is being written it holds a mark instead.
    #[cfg(not(target_os = "none"))]
    pub(super) room_to: AtomicWord,
    /// `LocalNewest` only: slots announced; they are announced before they are written.
    #[cfg(not(target_os = "none"))]
    pub(super) begin: AtomicWord,
    /// `LocalNewest` only: number of records written.
    #[cfg(not(target_os = "none"))]
    pub(super) written: AtomicWord,
    /// `LocalNewest` only: the value of `reported` when `first_loss` was last set, plus 1.
    #[cfg(not(target_os = "none"))]
    pub(super) noted: AtomicWord,
    /// Local only: number of records lost because a signal handler made them while it interrupted the writing
    /// of another record. The next word holds the ticks at the first of them that has not been reported.
    #[cfg(not(target_os = "none"))]
    pub(super) reentrant: AtomicWord,
    #[cfg(not(target_os = "none"))]
    pub(super) first_reentrant: AtomicWord,
    /// Number of records lost.
    pub(super) lost: AtomicWord,
    /// Ticks at the first loss that has not been reported.
    pub(super) first_loss: AtomicWord,
}

/// The words that a [`Recorder`](crate::Recorder) writes with every span. They lie beside the ring's
/// position, on a 64-bit machine in the same 32 bytes.
///
/// After the reader on another core has touched a slot, the writer needs 70 to 140 ns to refetch its cache
/// line. The processor prefetches the next slot meanwhile, but only if there are few stores to other lines in
/// between. With these words on a cache line of their own, a span takes twice as long in a test with two
/// threads on Zen 4.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Owner {
    /// The id for the next span.
    pub(crate) next_id: AtomicWord,
    /// The span word of the current place.
    pub(crate) span: AtomicWord,
    /// The root word of the current place.
    pub(crate) root: AtomicWord,
}

const _: () = assert!(core::mem::offset_of!(WriterSide, owner) + size_of::<Owner>() <= 32 || cfg!(loom));

#[derive(Debug)]
pub(super) struct ReaderSide {
    /// `SharedOldest` only: the limit for `head`, which is one ring ahead of the consumed position. In
    /// `SharedNewest` mode it is 0: the short path, which does not know the mode, then finds no room and
    /// takes the general path.
    pub(super) limit: AtomicWord,
    /// Local only: number of slots consumed since the beginning.
    #[cfg(not(target_os = "none"))]
    pub(super) tail: AtomicWord,
    /// `LocalNewest` only: the number of the record that is expected next.
    #[cfg(not(target_os = "none"))]
    pub(super) expected: AtomicWord,
    /// The value of `lost` at the last report.
    pub(super) reported: AtomicWord,
    /// Local only: the value of `reentrant` at the last report.
    #[cfg(not(target_os = "none"))]
    pub(super) reported_reentrant: AtomicWord,
    /// 1 while a [`Reader`](super::Reader) exists.
    pub(super) reading: AtomicWord,
}
