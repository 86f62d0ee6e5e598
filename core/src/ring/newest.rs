//! The reader of a `SharedNewest` ring: it scans the slots, and writers may overwrite a record that it has
//! found.
//!
//! The code of this mode, the writer's part included, is called through the pointers of [`NEWEST`], to which
//! only such a ring refers. Firmware whose rings keep the oldest therefore does not link it.

use super::reader::{Found, Reader};
use super::scan::Scan;
use super::{Head, RecordKind, Ring, Slot, Word, Words, slot_stamp, state};
use crate::sync::{Acquire, Relaxed, fence};

/// The functions of a ring that keeps the newest.
#[derive(Debug)]
pub(super) struct Newest {
    #[cfg_attr(any(feature = "std", loom), allow(dead_code))]
    pub(super) push: fn(&Ring<'_>, Head, &[Word], Word) -> bool,
    pub(super) find: fn(&mut Reader<'_>) -> bool,
    pub(super) take: fn(&mut Reader<'_>) -> bool,
    pub(super) not_before: fn(&Reader<'_>, u64) -> u64,
}

pub(super) static NEWEST: Newest = Newest {
    push: |ring, head, body, time| ring.push_shared_newest(head, body, time),
    find,
    take,
    not_before,
};

/// Finds the next record. Returns false at the end of a scan.
fn find(reader: &mut Reader<'_>) -> bool {
    let mut overtaken = false;
    // If writers overtook this scan, their records belong to the next scan, so begin it at once.
    scan_on(reader, &mut overtaken) || overtaken && scan_on(reader, &mut overtaken)
}

/// Continues the scan until it finds a record or ends. Sets `overtaken` if it met a record newer than the
/// scan.
fn scan_on(reader: &mut Reader<'_>, overtaken: &mut bool) -> bool {
    let ring = reader.ring;
    let mut scan = reader.scan.or_begin(ring);
    while scan.left > 0 {
        let at = scan.at();
        let word = ring.slot(at).stamp_word(Acquire);
        let stamp = slot_stamp(word);
        let is_record = stamp & state::MASK == state::START;
        if is_record && stamp.wrapping_sub(state::at(at, state::START)) as i32 > 0 {
            // Leave it to the next scan, so that older records come first.
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

/// Takes the record out of the ring, unless a writer was faster. Returns whether the words that were read are
/// valid.
fn take(reader: &mut Reader<'_>) -> bool {
    let (ring, found) = (reader.ring, reader.found);
    let at = found.position;
    // The reads of the record come before the checks below.
    fence(Acquire);
    let whole = is_whole(ring, &found);
    reader.scan.left = reader.scan.left.saturating_sub(if whole { found.slots } else { 1 });
    let (record, begun) = (ring.slot(at).load_head(), ring.slot(at).begun());
    let stamp = slot_stamp(found.word) & !state::MASK | state::CONSUMED;
    let ours = ring.slot(at).exchange_word0(found.word, Slot::word0(stamp, Head::default())).is_ok();
    if ours && !whole {
        // A newer record took the later slots, but its own first slot is another one, so its writer did not
        // count this loss.
        ring.lose(record, begun);
    }
    ours && whole
}

/// Whether the slots after the first still belong to the record.
fn is_whole(ring: &Ring<'_>, found: &Found) -> bool {
    let first = slot_stamp(found.word) & !state::MASK | found.position as u32 & state::MASK;
    (1..found.slots).all(|i| {
        let expected = state::at(first.wrapping_add(i as u32) as usize, state::NEXT);
        ring.slot(found.position.wrapping_add(i)).stamp(Relaxed) == expected
    })
}

/// A record before the oldest clock record may begin up to this many ticks before that clock record; see
/// [`Reader::not_before`].
const BEFORE_CLOCK: u64 = 6 << 29;

fn not_before(reader: &Reader<'_>, now: u64) -> u64 {
    oldest_clock(reader).unwrap_or(now).saturating_sub(BEFORE_CLOCK)
}

fn oldest_clock(reader: &Reader<'_>) -> Option<u64> {
    let ring = reader.ring;
    let head = ring.head();
    // Records written since the scan began come after it, so walk up to the newest. Begin at the oldest
    // position that can still be in the ring.
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
