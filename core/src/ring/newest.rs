//! The reading end of a ring that keeps what is newest, for many writers: a scan of its slots, whose finds the writers may take back.
//!
//! All of it, and the writing end's part, is reached by the pointers of [`NEWEST`], which only such a ring refers to: firmware whose rings
//! keep what is oldest does not link it.

use super::reader::{Found, Reader};
use super::scan::Scan;
use super::{Head, RecordKind, Ring, Slot, Word, Words, slot_stamp, state};
use crate::sync::{Acquire, Relaxed, fence};

/// What a ring that keeps the newest does in its own way.
#[derive(Debug)]
pub(super) struct Newest {
    #[cfg_attr(any(feature = "std", loom), allow(dead_code))]
    pub(super) push: fn(&Ring<'_>, Head, &[Word], Word) -> bool,
    pub(super) find: fn(&mut Reader<'_>) -> bool,
    pub(super) take: fn(&mut Reader<'_>, &Found) -> bool,
    pub(super) not_before: fn(&Reader<'_>, u64) -> u64,
}

pub(super) static NEWEST: Newest = Newest {
    push: |ring, head, body, time| ring.push_shared_newest(head, body, time),
    find,
    take,
    not_before,
};

/// The next record; false ends one scan of the ring.
fn find(reader: &mut Reader<'_>) -> bool {
    let mut overtaken = false;
    // If writers went over what was left of this scan, what they wrote is of the next.
    scan_on(reader, &mut overtaken) || overtaken && scan_on(reader, &mut overtaken)
}

/// Goes on with the scan until it finds a record or ends. Notes whether it met one that is newer than the scan.
fn scan_on(reader: &mut Reader<'_>, overtaken: &mut bool) -> bool {
    let ring = reader.ring;
    let mut scan = reader.scan.or_begin(ring);
    while scan.left > 0 {
        let at = scan.at();
        let word = ring.slot(at).stamp_word(Acquire);
        let stamp = slot_stamp(word);
        let is_record = stamp & state::MASK == state::START;
        if is_record && stamp.wrapping_sub(state::at(at, state::START)) as i32 > 0 {
            // Left to the next scan, so that what is older than it comes first.
            *overtaken = true;
        } else if is_record {
            reader.scan = scan;
            return reader.found(at, ring.slot(at).load_head().slots(), word);
        }
        scan.left -= 1;
    }
    reader.scan = Scan::NONE;
    false
}

/// Takes the record out, unless a writer was faster; whether what was read of it may be believed.
fn take(reader: &mut Reader<'_>, found: &Found) -> bool {
    let (ring, at) = (reader.ring, found.position);
    // What was read of the record, was read before what is now looked at.
    fence(Acquire);
    let whole = is_whole(ring, found);
    reader.scan.left = reader.scan.left.saturating_sub(if whole { found.slots } else { 1 });
    let (record, begun) = (ring.slot(at).load_head(), ring.slot(at).begun());
    let stamp = slot_stamp(found.word) & !state::MASK | state::CONSUMED;
    let ours = ring.slot(at).exchange_word0(found.word, Slot::word0(stamp, Head::default())).is_ok();
    if ours && !whole {
        // Its later slots went to a record whose own first slot did not take this one.
        ring.lose(record, begun);
    }
    ours && whole
}

/// Whether the slots after the first belong to the record still.
fn is_whole(ring: &Ring<'_>, found: &Found) -> bool {
    let first = slot_stamp(found.word) & !state::MASK | found.position as u32 & state::MASK;
    (1..found.slots).all(|i| {
        let expected = state::at(first.wrapping_add(i as u32) as usize, state::NEXT);
        ring.slot(found.position.wrapping_add(i)).stamp(Relaxed) == expected
    })
}

/// Ticks before the oldest clock record at which what precedes it may begin; see [`Reader::not_before`].
const BEFORE_CLOCK: u64 = 6 << 29;

fn not_before(reader: &Reader<'_>, now: u64) -> u64 {
    oldest_clock(reader).unwrap_or(now).saturating_sub(BEFORE_CLOCK)
}

fn oldest_clock(reader: &Reader<'_>) -> Option<u64> {
    let ring = reader.ring;
    let head = ring.head();
    // What was written since the scan began comes after it, so the walk goes on to the newest; and begins at the oldest that can be there.
    let begun = reader.scan.or_begin(ring);
    let left = head.wrapping_sub(begun.at()).min(ring.capacity());
    for at in (1..=left).rev().map(|left| head.wrapping_sub(left)) {
        let slot = ring.slot(at);
        let word = slot.stamp_word(Acquire);
        if slot_stamp(word) == state::at(at, state::START) && slot.load_head().kind() == RecordKind::Clock {
            let ticks = Words::new(ring, at).wide();
            fence(Acquire);
            if slot.stamp_word(Relaxed) == word {
                return Some(ticks);
            }
        }
    }
    None
}
