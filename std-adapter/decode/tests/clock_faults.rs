//! A device whose clock stands still or wraps early: the decoder reports it once, and never for a working
//! clock.

mod common;

use common::{Device, Rec};
use throughline_decode::clock_watch::ClockFault;
use throughline_decode::{DamageKind, Decoder, Item, TimeOptions};

fn event(time: u64) -> Rec {
    Rec::Event { callsite: 7, time, span: None, fields: vec![] }
}

fn span(start: u64, duration: u64) -> Rec {
    let (id, root) = (1, 1);
    Rec::Span { callsite: 9, id, parent: None, root, start, duration, status: 0, busy: None, fields: vec![] }
}

/// The reported faults of the clock, and the count of faults as damage.
fn faults(bits: u32, records: &[Rec]) -> (Vec<ClockFault>, u64) {
    let mut device = Device::new(bits);
    device.preamble();
    for records in records.chunks(32) {
        device.batch(0, 0, records);
    }
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut faults = Vec::new();
    decoder.push(&device.wire, None, &mut |_, item| {
        if let Item::Damage(damage) = item {
            let DamageKind::Clock(fault) = damage.kind else { panic!("{damage:?}") };
            faults.push(fault);
        }
    });
    (faults, decoder.counts().damage())
}

#[test]
fn a_clock_that_stands_is_told_of_once_35() {
    // At 1 MHz, 64 + 20 records may have the same tick.
    let (said, damage) = faults(32, &vec![event(5); 300]);
    assert_eq!((&said[..], damage), (&[ClockFault::Stands { records: 85 }][..], 1));
    assert!(said[0].to_string().contains("enable_cycle_counter"));
    let bursts: Vec<_> = (0..20).flat_map(|tick| vec![event(tick); 84]).collect();
    assert_eq!(faults(32, &bursts), (vec![], 0));
}

#[test]
fn a_clock_that_counts_down_or_turns_over_early_is_told_of_once_35() {
    let turn = 1u64 << 32;
    // The clock counts down, so each span seems to take 2^32 ticks less its real duration.
    let down: Vec<_> = (1..20).map(|n| span(n * turn, turn - 500 * n)).collect();
    let (said, damage) = faults(32, &down);
    assert_eq!((&said[..], damage), (&[ClockFault::TurnsOver { spans: 3 }][..], 1));
    assert!(said[0].to_string().contains("NarrowCounter"));
    // The clock has 24 bits and counts up, so only spans during which it wraps show the fault.
    let narrow: Vec<_> =
        (1..90).map(|n| span(n * turn, if n % 10 == 0 { turn - (1 << 24) + 9 * n } else { 9 * n })).collect();
    assert_eq!(faults(32, &narrow).0, [ClockFault::TurnsOver { spans: 3 }]);
}

#[test]
fn long_spans_of_a_working_clock_are_not_taken_for_it_35() {
    let long: Vec<_> =
        (1..2000u64).map(|n| span(n << 40, n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24)).collect();
    assert_eq!(faults(32, &long), (vec![], 0));
    // Times of a 64-bit machine are not extended.
    let wide: Vec<_> = (1..20).map(|n| span(n << 40, (1 << 32) - n)).collect();
    assert_eq!(faults(64, &wide), (vec![], 0));
}
