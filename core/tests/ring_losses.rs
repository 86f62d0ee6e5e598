//! What each kind of ring reports about its losses: their number, their reason, and the time of the first
//! one.
#![cfg(not(loom))]

use throughline::adapter::LossReason;
use throughline::adapter::ring::{Head, Loss, MAX_BODY, Mode, RawRecord, RecordKind, Ring, Slot};

/// Pushes events of one slot, each with its number as its time. Returns whether all of them were kept.
fn push(ring: &Ring<'_>, times: std::ops::Range<usize>) -> bool {
    times
        .map(|time| ring.push(Head::new(RecordKind::Event, time as u32, 0, 0), &[time, 0, 0], time))
        .fold(true, |all, kept| all & kept)
}

/// Fills the ring beyond its end twice, and takes the report of its losses in between.
fn check(mode: Mode, reason: LossReason) {
    let slots: Vec<Slot> = (0..8).map(|_| Slot::new()).collect();
    let ring = Ring::new(&slots, mode);
    let mut reader = ring.reader().unwrap();
    let oldest = reason == LossReason::RingFull;
    assert!(push(&ring, 100..108));
    assert!(!reader.has_loss());
    assert_eq!(reader.take_loss(), None);
    assert_eq!(push(&ring, 108..111), !oldest);
    let mut seen = vec![];
    assert_eq!(reader.drain(|raw| seen.push(raw.body[0])), 8);
    assert_eq!(seen, Vec::from_iter(if oldest { 100..108 } else { 103..111 }));
    assert!(reader.has_loss());
    assert_eq!(reader.take_loss(), Some(Loss { reason, count: 3, total: 3, first: 108 }));
    assert!(!reader.has_loss());
    assert_eq!(reader.take_loss(), None);

    assert!(push(&ring, 200..208));
    assert_eq!(push(&ring, 208..210), !oldest);
    assert_eq!(reader.drain(|_| {}), 8);
    assert_eq!(reader.take_loss(), Some(Loss { reason, count: 2, total: 5, first: 208 }));
    assert_eq!(ring.lost(), 5);
}

#[test]
fn each_kind_of_ring_tells_when_the_first_was_lost() {
    check(Mode::SharedOldest, LossReason::RingFull);
    check(Mode::LocalOldest, LossReason::RingFull);
    check(Mode::SharedNewest, LossReason::Overwritten);
    check(Mode::LocalNewest, LossReason::Overwritten);
}

#[test]
fn a_ring_that_is_just_full_again_has_lost_nothing_yet() {
    let slots: Vec<Slot> = (0..8).map(|_| Slot::new()).collect();
    let ring = Ring::new(&slots, Mode::LocalNewest);
    assert!(push(&ring, 100..108));
    let mut reader = ring.reader().unwrap();
    assert!(reader.next(&mut RawRecord::new()) && reader.commit());
    assert!(push(&ring, 108..110));
    assert_eq!(reader.drain(|_| {}), 8);
    assert_eq!(reader.take_loss().map(|loss| (loss.count, loss.first)), Some((1, 109)));
}

#[test]
fn a_record_that_fills_the_ring_to_its_last_slot_is_kept() {
    for mode in [Mode::SharedOldest, Mode::LocalOldest] {
        let slots: Vec<Slot> = (0..8).map(|_| Slot::new()).collect();
        let ring = Ring::new(&slots, mode);
        assert!(push(&ring, 0..6));
        let long = [7; throughline::adapter::ring::FIRST_WORDS + 1];
        assert!(ring.push(Head::new(RecordKind::Event, 7, 0, 0), &long, 7), "two slots are left");
        assert!(!push(&ring, 8..9));
        assert_eq!(ring.reader().unwrap().drain(|_| {}), 7);
    }
}

#[test]
fn a_record_longer_than_eight_slots_is_lost_and_counted_01() {
    for mode in [Mode::SharedOldest, Mode::LocalOldest, Mode::SharedNewest, Mode::LocalNewest] {
        let slots: Vec<Slot> = (0..32).map(|_| Slot::new()).collect();
        let ring = Ring::new(&slots, mode);
        let types = 0x21;
        let longest = [7; MAX_BODY];
        assert!(ring.push(Head::new(RecordKind::Event, 7, 1, types), &longest, 7), "{mode:?}");
        assert!(!ring.push(Head::new(RecordKind::Event, 8, 1, types), &[8; MAX_BODY + 1], 8), "{mode:?}");
        assert!(ring.push(Head::new(RecordKind::Event, 9, 5, types), &[9, 0, 0], 9), "{mode:?}");
        let mut heads = vec![];
        let mut reader = ring.reader().unwrap();
        reader.drain(|raw| heads.push((raw.head.callsite, raw.head.status(), raw.head.types(), raw.body[0])));
        assert_eq!(heads, [(7, 1, types, 7), (9, 1, types, 9)], "{mode:?}");
        assert_eq!(ring.lost(), 1, "{mode:?}");
    }
}
