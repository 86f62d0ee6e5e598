//! The progress of a reader's scan over a ring that keeps the newest.

use super::Ring;

/// A scan over all slots of a ring, up to its head at the time when the scan began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    end: usize,
    /// Number of slots not yet visited.
    pub(super) left: usize,
}

impl Scan {
    /// No scan is under way.
    pub(super) const NONE: Scan = Scan { end: 0, left: usize::MAX };

    pub(super) fn or_begin(self, ring: &Ring<'_>) -> Scan {
        if self.left == usize::MAX { Scan { end: ring.head(), left: ring.capacity() } } else { self }
    }

    /// The current position; `None` when no scan is under way.
    #[cfg(not(target_os = "none"))]
    pub(super) fn position(self) -> Option<usize> {
        (self.left != usize::MAX).then(|| self.at())
    }

    pub(super) fn at(self) -> usize {
        self.end.wrapping_sub(self.left)
    }
}
