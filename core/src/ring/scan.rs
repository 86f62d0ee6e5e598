//! How far a reader's walk over a ring that keeps what is newest has come.

use super::Ring;

/// A walk over the ring's slots, to the head as it was at the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    end: usize,
    /// Slots that it has yet to look at.
    pub(super) left: usize,
}

impl Scan {
    /// None is under way.
    pub(super) const NONE: Scan = Scan { end: 0, left: usize::MAX };

    pub(super) fn or_begin(self, ring: &Ring<'_>) -> Scan {
        if self.left == usize::MAX { Scan { end: ring.head(), left: ring.capacity() } } else { self }
    }

    /// Where it is.
    #[cfg(not(target_os = "none"))]
    pub(super) fn position(self) -> Option<usize> {
        (self.left != usize::MAX).then(|| self.at())
    }

    pub(super) fn at(self) -> usize {
        self.end.wrapping_sub(self.left)
    }
}
