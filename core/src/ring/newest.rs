//! The reading end of a ring that keeps what is newest, for many writers: a scan of its slots, whose finds the writers may take back.
//!
//! All of it, and the writing end's part, is reached by the pointers of [`NEWEST`], which only such a ring refers to: firmware whose rings
//! keep what is oldest does not link it.

use super::reader::{Reader, Ticket};
use super::{Head, RecordKind, Ring, Slot, Word, Words, slot_stamp, state};
use crate::sync::{Acquire, Relaxed, fence};

/// What a ring that keeps the newest does in its own way.
#[derive(Debug)]
pub(super) struct Newest {
    #[cfg_attr(any(feature = "std", loom), allow(dead_code))]
    pub(super) push: fn(&Ring<'_>, Head, &[Word], Word) -> bool,
    pub(super) find: fn(&mut Reader<'_>) -> Option<Ticket>,
    pub(super) take: fn(&mut Reader<'_>, &Ticket) -> bool,
    pub(super) oldest_clock: fn(&Reader<'_>) -> Option<u64>,
}

pub(super) static NEWEST: Newest = Newest {
    push: |ring, head, body, time| ring.push_shared_newest(head, body, time),
    find,
    take,
    oldest_clock,
};

/// The next record in slot order; `None` ends one scan of the ring.
fn find(reader: &mut Reader<'_>) -> Option<Ticket> {
    let ring = reader.ring;
    let mut scan = reader.scan.or_begin(ring);
    while scan.left > 0 {
        let at = scan.at();
        let word = ring.slot(at).stamp_word(Acquire);
        if slot_stamp(word) & state::MASK == state::START {
            reader.scan = scan;
            return Some(Ticket::new(at, ring.slot(at).load_head().slots(), word));
        }
        scan.left -= 1;
    }
    reader.scan = Scan::NONE;
    None
}

/// Takes the record out, unless a writer was faster; whether what was read of it may be believed.
fn take(reader: &mut Reader<'_>, ticket: &Ticket) -> bool {
    let (ring, at) = (reader.ring, ticket.position);
    // What was read of the record, was read before what is now looked at.
    fence(Acquire);
    let whole = is_whole(ring, ticket);
    reader.scan.left = reader.scan.left.saturating_sub(if whole { ticket.slots } else { 1 });
    let begun = ring.slot(at).begun();
    let stamp = slot_stamp(ticket.word) & !state::MASK | state::CONSUMED;
    let ours = ring.slot(at).exchange_word0(ticket.word, Slot::word0(stamp, Head::default())).is_ok();
    if ours && !whole {
        // Its later slots went to a record whose own first slot did not take this one.
        ring.lose(begun);
    }
    ours && whole
}

/// Whether the slots after the first belong to the record still.
fn is_whole(ring: &Ring<'_>, ticket: &Ticket) -> bool {
    let first = slot_stamp(ticket.word) & !state::MASK | ticket.position as u32 & state::MASK;
    (1..ticket.slots).all(|i| {
        let expected = state::at(first.wrapping_add(i as u32) as usize, state::NEXT);
        ring.slot(ticket.position.wrapping_add(i)).stamp(Relaxed) == expected
    })
}

fn oldest_clock(reader: &Reader<'_>) -> Option<u64> {
    let ring = reader.ring;
    let mut scan = reader.scan.or_begin(ring);
    while scan.left > 0 {
        let slot = ring.slot(scan.at());
        let word = slot.stamp_word(Acquire);
        if slot_stamp(word) & state::MASK == state::START
            && slot.load_head().kind() == Some(RecordKind::Clock)
        {
            let ticks = Words::new(ring, scan.at()).wide();
            fence(Acquire);
            if slot.stamp_word(Relaxed) == word {
                return Some(ticks);
            }
        }
        scan.left -= 1;
    }
    None
}

/// A walk over the ring's slots, to the head as it was at the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    end: usize,
    left: usize,
}

impl Scan {
    /// None is under way.
    pub(super) const NONE: Scan = Scan { end: 0, left: usize::MAX };

    fn or_begin(self, ring: &Ring<'_>) -> Scan {
        if self.left == usize::MAX { Scan { end: ring.head(), left: ring.capacity() } } else { self }
    }

    /// Where it is.
    #[cfg(not(target_os = "none"))]
    pub(super) fn position(self) -> Option<usize> {
        (self.left != usize::MAX).then(|| self.at())
    }

    fn at(self) -> usize {
        self.end.wrapping_sub(self.left)
    }
}
