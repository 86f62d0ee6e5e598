//! Metrics over time: wraps, parts, gaps, resets, and bounded memory whatever is sent.

mod common;

use common::{Device, M};
use throughline_decode::series::{MAX_BUCKETS, MAX_SERIES};
use throughline_decode::{Decoder, Item, PointValue, Snapshot, TimeOptions};

fn snapshots(wire: &[u8]) -> Vec<Snapshot<'static>> {
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut all = Vec::new();
    let mut sink = |_: &throughline_decode::Context, item: Item<'static, '_>| {
        if let Item::Metrics(snapshot) = item {
            all.push(snapshot);
        }
    };
    decoder.push(wire, None, &mut sink);
    decoder.finish(&mut sink);
    all
}

fn histogram(scale: u8, sum: u64, zeros: u64, first: u64, buckets: &[u64]) -> M {
    M::Histogram { scale, sum, zeros, first, buckets: buckets.to_vec() }
}

#[test]
fn every_cell_is_extended_over_its_wraps() {
    const TOP: u64 = u32::MAX as u64;
    let mut device = Device::new(32);
    device.preamble();
    for (n, cell) in [TOP - 1, 3, 3, TOP, 0].into_iter().enumerate() {
        let counts = histogram(0, 7, cell, 1, &[cell, 5]);
        device.metrics(n as u64, true, 0, &[(1, 0, &[], M::Counter(cell)), (2, 0, &[], counts)]);
    }
    let totals: Vec<_> = snapshots(&device.wire)
        .iter()
        .map(|s| match (&s.points[0].value, &s.points[1].value) {
            (PointValue::Counter(n), PointValue::Histogram { zeros, buckets, offset: 0, .. }) => {
                assert!(s.complete);
                assert_eq!((*zeros, buckets[0], buckets[1]), (*n, *n, 5));
                *n
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(totals, [TOP - 1, TOP + 4, TOP + 4, 2 * TOP + 1, 2 * TOP + 2]);
}

#[test]
fn a_snapshot_with_a_lost_frame_says_so_and_the_next_is_whole() {
    let mut device = Device::new(32);
    device.preamble();
    let counter = |n| M::Counter(n);
    device.metrics(0, false, 5, &[(1, 0, &[], counter(1))]);
    device.metrics(0, false, 5, &[(2, 0, &[], counter(2))]);
    device.metrics(0, true, 5, &[(3, 0, &[], counter(3))]);
    device.metrics(1, false, 6, &[(1, 0, &[], counter(1))]);
    device.metrics(2, true, 7, &[(1, 0, &[], counter(1))]);
    let lost = device.frames[2].0.clone();
    device.wire.drain(lost);
    let seen = snapshots(&device.wire);
    let shape: Vec<_> = seen.iter().map(|s| (s.number, s.time, s.complete, s.points.len())).collect();
    assert_eq!(shape, [(0, 5, false, 2), (1, 6, false, 1), (2, 7, true, 1)]);
}

#[test]
fn a_reset_begins_again() {
    let mut device = Device::new(32);
    device.preamble().metrics(0, true, 0, &[(1, 0, &[], M::Counter(9))]);
    device.reset(1);
    device.preamble().metrics(0, true, 0, &[(1, 0, &[], M::Counter(4))]);
    let values: Vec<_> = snapshots(&device.wire).into_iter().map(|s| s.points[0].value.clone()).collect();
    assert_eq!(values, [PointValue::Counter(9), PointValue::Counter(4)]);
}

#[test]
fn buckets_far_apart_are_merged_without_error() {
    let mut device = Device::new(64);
    // At scale 20, the value 1 is at position 0 and 2^63 is at position 63 · 2^20.
    let far = 63u64 << 20;
    device.preamble().metrics(
        0,
        true,
        0,
        &[(1, 0, &[], histogram(20, 0, 0, 0, &[3])), (1, 0, &[], histogram(20, 0, 0, far, &[2]))],
    );
    let seen = snapshots(&device.wire);
    let PointValue::Histogram { scale, offset, buckets, .. } = &seen[0].points[0].value else { panic!() };
    assert!(buckets.len() <= 1 << 14);
    assert_eq!((buckets[0], *buckets.last().unwrap(), buckets.iter().sum::<u64>()), (3, 2, 5));
    // Position p of scale s holds values up to 2^(p / 2^s), so the upper bounds must match the values.
    let upper = |index: i64| (index + 1) as f64 / f64::from(1u32 << scale);
    assert_eq!(upper(i64::from(*offset)), 0.0);
    assert_eq!(upper(i64::from(*offset) + buckets.len() as i64 - 1), 63.0);
}

#[test]
fn positions_no_value_can_have_are_refused() {
    for (scale, first) in [(21, 0), (0, 65), (20, 64 << 20 | 1), (3, u64::MAX)] {
        let mut device = Device::new(32);
        device.preamble().metrics(0, true, 0, &[(1, 0, &[], histogram(scale, 0, 0, first, &[1]))]);
        let mut decoder = Decoder::new(None, TimeOptions::default());
        decoder.push(&device.wire, None, &mut |_, _| {});
        assert_eq!(decoder.counts().malformed, 1, "{scale} {first}");
    }
}

#[test]
fn counts_that_cannot_be_do_not_overflow() {
    let mut device = Device::new(64);
    device.preamble();
    device.metrics(0, true, 0, &[(1, 0, &[], histogram(0, 0, u64::MAX - 1, 0, &[u64::MAX, u64::MAX]))]);
    let seen = snapshots(&device.wire);
    let PointValue::Histogram { zeros, buckets, .. } = &seen[0].points[0].value else { panic!() };
    assert_eq!(buckets.iter().try_fold(*zeros, |sum, n| sum.checked_add(*n)), Some(u64::MAX));
}

#[test]
fn memory_is_bounded_and_values_beyond_it_are_still_given() {
    let mut device = Device::new(32);
    device.preamble();
    let series = MAX_SERIES as u64 + 500;
    let mut number = 0;
    for _ in 0..2 {
        for base in (0..series).step_by(100) {
            let entries: Vec<_> = (base..base + 100).map(|id| (id, 0, &[][..], M::Counter(id))).collect();
            device.metrics(number, base + 100 >= series, 0, &entries);
        }
        number += 1;
    }
    // Send more buckets than are followed, and more in one snapshot than are held.
    for id in 0..200 {
        let first = 1 + id * 1000 % 50_000;
        device.metrics(number, false, 0, &[(id, 0, &[], histogram(10, 1, 0, first, &[1; 1000]))]);
    }
    let seen = snapshots(&device.wire);
    let points: usize = seen.iter().map(|s| s.points.len()).sum();
    assert_eq!(points, 2 * (series as usize).next_multiple_of(100) + 200, "no series is dropped");
    assert!(seen.iter().all(|s| s.points.len() <= MAX_BUCKETS + MAX_SERIES));
}

#[test]
fn wraps_are_followed_for_as_many_buckets_as_there_is_room() {
    // Scale 10 has the positions 0 to 65536. One series takes all the room, or leaves some.
    for (taken, followed) in [(MAX_BUCKETS as u64, false), (MAX_BUCKETS as u64 - 1, true)] {
        let mut device = Device::new(32);
        device.preamble();
        for first in (0..taken).step_by(1000) {
            let counts = vec![1; 1000.min(taken - first) as usize];
            device.metrics(0, first + 1000 >= taken, 0, &[(1, 0, &[], histogram(10, 0, 0, first, &counts))]);
        }
        device.metrics(1, true, 0, &[(2, 0, &[], histogram(0, 0, 0, 1, &[u32::MAX.into()]))]);
        device.metrics(2, true, 0, &[(2, 0, &[], histogram(0, 0, 0, 1, &[3]))]);
        let seen = snapshots(&device.wire);
        let PointValue::Histogram { buckets, .. } = &seen[2].points[0].value else { panic!() };
        assert_eq!(buckets[0], if followed { u64::from(u32::MAX) + 4 } else { 3 });
    }
}
