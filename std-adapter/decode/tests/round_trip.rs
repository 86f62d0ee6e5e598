//! Whatever is encoded decodes to the same records; damage affects only the frames that it touches; nothing
//! panics.

mod common;

use common::{Device, F, Rec, Seen, decode};
use proptest::collection::vec;
use proptest::prelude::*;
use throughline_decode::decoder::MAX_HELD;
use throughline_decode::stream::MAX_FRAME;
use throughline_decode::{DamageKind, Decoder, Item, TimeOptions};

fn field() -> impl Strategy<Value = F> {
    // NaN is left out, because it is unequal to itself.
    let text = "[a-zß€𝄞]{0,20}";
    prop_oneof![
        any::<bool>().prop_map(F::Bool),
        any::<u32>().prop_map(F::U32),
        any::<i32>().prop_map(F::I32),
        any::<u64>().prop_map(F::U64),
        any::<i64>().prop_map(F::I64),
        prop::num::f32::NORMAL.prop_map(F::F32),
        prop::num::f64::NORMAL.prop_map(F::F64),
        (any::<u64>(), any::<u64>()).prop_map(|(a, n)| F::Static(a, n)),
        (text, any::<bool>()).prop_map(|(t, cut)| F::Text(t, cut)),
        (vec(any::<u8>(), 0..20), any::<bool>()).prop_map(|(b, cut)| F::Bytes(b, cut)),
        (vec(any::<u8>(), 0..20), any::<bool>()).prop_map(|(b, cut)| F::Postcard(b, cut)),
    ]
}

/// Ids of `bits` bits, never 0.
fn id(bits: u32) -> BoxedStrategy<u64> {
    prop_oneof![1..20u64, 1..=u64::MAX >> (64 - bits)].boxed()
}

/// Times that are close enough for 32-bit deltas, around a wrap of 32 bits.
fn time() -> impl Strategy<Value = u64> {
    (1u64 << 32) - 1_000_000..(1u64 << 32) + 1_000_000
}

fn record(bits: u32) -> impl Strategy<Value = Rec> {
    let fields = || vec(field(), 0..=15);
    let span = (
        any::<u32>(),
        id(bits),
        prop_oneof![Just(None), id(bits).prop_map(Some)],
        id(bits),
        time(),
        0..1_000_000u64,
        0..4u8,
        prop::option::of(any::<u64>()),
        fields(),
    )
        .prop_map(|(callsite, id, parent, root, start, duration, status, busy, fields)| Rec::Span {
            callsite: callsite.into(),
            id,
            parent,
            root: if parent.is_none() { id } else { root },
            start,
            duration,
            status,
            busy,
            fields,
        });
    let event = (any::<u32>(), time(), prop::option::of((id(bits), id(bits))), fields()).prop_map(
        |(callsite, time, span, fields)| Rec::Event { callsite: callsite.into(), time, span, fields },
    );
    let added =
        (any::<u32>(), time(), (id(bits), id(bits)), fields()).prop_map(|(callsite, time, span, fields)| {
            Rec::Fields { callsite: callsite.into(), time, span, fields }
        });
    let attach = (time(), id(bits), any::<[u8; 16]>(), any::<[u8; 8]>(), any::<u8>())
        .prop_map(|(time, id, trace_id, span_id, flags)| Rec::Attach { time, id, trace_id, span_id, flags });
    let loss = (0..3u8, any::<u32>(), time()).prop_map(|(reason, count, first)| Rec::Loss {
        reason,
        count: count.into(),
        first,
    });
    prop_oneof![4 => span, 2 => event, 1 => added, 1 => attach, 1 => time().prop_map(Rec::Clock), 1 => loss]
}

fn batches() -> impl Strategy<Value = (u32, Vec<Vec<Rec>>)> {
    prop_oneof![Just(32u32), Just(64)].prop_flat_map(|bits| (Just(bits), vec(vec(record(bits), 0..6), 1..6)))
}

/// A capture of these batches with a preamble at its start.
fn capture(bits: u32, batches: &[Vec<Rec>]) -> Device {
    let mut device = Device::new(bits);
    device.preamble();
    for (n, records) in batches.iter().enumerate() {
        device.lost += n as u32 % 3;
        device.batch(1 << 32, 7, records);
    }
    device
}

#[test]
fn unknown_record_kinds_are_skipped_and_counted_and_all_else_stands() {
    let event = |time| Rec::Event { callsite: 7, time, span: Some((9, 8)), fields: vec![] };
    let every_type = vec![
        F::Bool(true),
        F::U32(1),
        F::I32(-1),
        F::U64(u64::MAX),
        F::I64(i64::MIN),
        F::F32(0.5),
        F::F64(0.5),
        F::Static(3, 4),
        F::Text("ä".into(), false),
        F::Bytes(vec![0; 9], true),
        F::Postcard(vec![1], false),
    ];
    let unknown = |kind, time, fields| Rec::Extended { kind, status: 3, callsite: 0, time, fields };
    for bits in [32, 64] {
        let mut device = Device::new(bits);
        device.preamble().batch(
            1000,
            7,
            &[
                event(1001),
                unknown(255, 1005, every_type.clone()),
                // Its time is relative to that of the skipped record; its span and root are relative to
                // earlier ones.
                event(1004),
                unknown(254, 1006, vec![]),
                unknown(255, 1006, vec![F::U32(5)]),
                event(1006),
            ],
        );
        let mut said = vec![];
        let mut decoder = Decoder::new(None, TimeOptions::default());
        let mut seen = vec![];
        let mut sink = |_: &throughline_decode::Context, item: Item<'static, '_>| {
            seen.extend(Seen::of(&item));
            if let Item::Damage(damage) = &item {
                said.push(damage.kind.clone());
            }
        };
        decoder.push(&device.wire, None, &mut sink);
        decoder.finish(&mut sink);
        let expected: Vec<_> = [1001, 1004, 1006].map(event).iter().map(Seen::expected).collect();
        assert_eq!(seen, expected);
        assert_eq!(
            said,
            [DamageKind::RecordKind(255), DamageKind::RecordKind(254)],
            "each kind is said once"
        );
        assert_eq!((decoder.counts().unknown_records, decoder.counts().damage()), (3, 0));
        let balance = decoder.balance();
        assert!(balance.balances() && balance.emitted == 6 && balance.undecoded == 0, "{balance:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_decode_as_they_were_encoded((bits, batches) in batches(), chunk in 1..600usize) {
        let device = capture(bits, &batches);
        let (seen, decoder) = decode(&device.wire, chunk);
        let expected: Vec<_> = batches.iter().flatten().map(Seen::expected).collect();
        prop_assert_eq!(seen, expected);
        prop_assert_eq!(decoder.counts().damage(), 0);
        let balance = decoder.balance();
        prop_assert!(balance.balances());
        prop_assert_eq!(balance.emitted, u64::from(device.ordinal) + u64::from(device.lost));
        prop_assert_eq!((balance.device, balance.link), (u64::from(device.lost), 0));
    }

    #[test]
    fn damage_costs_only_the_frames_it_touches(
        (bits, batches) in batches(),
        cut in any::<prop::sample::Index>(),
        deleted in 0..40usize,
        garbage in vec(any::<u8>(), 0..40),
    ) {
        let device = capture(bits, &batches);
        let mut wire = device.wire.clone();
        // Start behind the first delimiter, because bytes before it are not a frame.
        let from = 1 + cut.index(wire.len() - 1);
        let to = (from + deleted).min(wire.len());
        wire.splice(from..to, garbage.iter().copied());
        // A byte inserted before a frame becomes part of it, so an insertion affects the frame whose byte it
        // moves.
        let touched = |at: &std::ops::Range<usize>| match from == to {
            true => !garbage.is_empty() && at.contains(&from),
            // Deleting up to a frame's start removes the delimiter before it, so two frames become one.
            false => at.start <= to && from < at.end,
        };
        // Send one more preamble at the end, which tells how many records were lost.
        let mut whole = device.clone();
        whole.wire.clear();
        whole.wire.push(0);
        whole.preamble();
        wire.extend(&whole.wire);
        let (seen, decoder) = decode(&wire, 100);
        let mut expected = Vec::new();
        let mut fewest = 0;
        for ((at, count), records) in device.frames[1..].iter().zip(&batches) {
            if !touched(at) {
                expected.extend(records.iter().map(Seen::expected));
                fewest += u64::from(*count);
            }
        }
        // Every record outside of the damage must come, in order.
        let mut left = seen.iter();
        for record in &expected {
            prop_assert!(left.any(|s| s == record), "{:?} is missing", record);
        }
        let balance = decoder.balance();
        prop_assert!(balance.balances(), "{:?}", balance);
        prop_assert!(balance.decoded >= fewest);
        prop_assert_eq!(balance.emitted, u64::from(device.ordinal) + u64::from(device.lost));
        prop_assert_eq!(balance.undecoded, 0);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..4000), chunk in 1..500usize) {
        decode(&bytes, chunk);
    }

    #[test]
    fn arbitrary_bodies_never_panic(
        bodies in vec((0..5u8, vec(prop_oneof![any::<u8>(), 0..8u8], 0..200)), 0..20),
        chunk in 1..500usize,
    ) {
        let mut device = Device::new(32);
        for (kind, body) in &bodies {
            device.frame(*kind, body, 0);
        }
        let (_, decoder) = decode(&device.wire, chunk);
        // The CRCs are right, so nothing is skipped and every frame is recognised.
        prop_assert_eq!(decoder.counts().skipped_bytes, 0);
        prop_assert_eq!(decoder.counts().frames, bodies.len() as u64);
    }
}

#[test]
fn records_before_a_malformed_one_stand_and_the_rest_is_counted() {
    let event = |time| Rec::Event { callsite: 9, time, span: None, fields: vec![F::U32(1)] };
    let mut device = Device::new(32);
    device.preamble();
    // Kind 9 does not exist, so it and the two records after it cannot be read.
    device.batch(0, 0, &[event(1), event(2), Rec::Raw(vec![9], 1), event(3), event(4)]);
    device.batch(0, 0, &[event(5)]);
    let (seen, decoder) = decode(&device.wire, 11);
    let expected: Vec<_> = [1, 2, 5].map(|t| Seen::expected(&event(t))).into();
    assert_eq!(seen, expected);
    let balance = decoder.balance();
    assert_eq!((balance.decoded, balance.undecoded, balance.link), (3, 3, 0));
    assert_eq!((decoder.counts().malformed, decoder.counts().damage()), (1, 1));
    assert!(balance.balances());
}

#[test]
fn frames_before_the_preamble_wait_for_it_but_not_for_ever() {
    let event = |time| Rec::Event { callsite: 9, time, span: None, fields: vec![] };
    let mut device = Device::new(32);
    let frames = MAX_HELD as u64 + 10;
    (0..frames).for_each(|n| _ = device.batch(n, 0, &[event(n)]));
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut seen = 0;
    let (first, rest) = device.wire.split_at(device.frames[MAX_HELD].0.start);
    decoder.push(first, None, &mut |_, item| seen += u32::from(Seen::of(&item).is_some()));
    assert_eq!(seen, 0, "held back");
    decoder.push(rest, None, &mut |_, item| seen += u32::from(Seen::of(&item).is_some()));
    assert_eq!(u64::from(seen), frames, "given out in full once no more are held");

    // Joined late: the first preamble also gives the earlier frames their clock and ids.
    let mut device = Device::new(32);
    device.preamble().batch(HZ_TIMES_3, 0, &[event(HZ_TIMES_3)]);
    device.unix = (50_000_000_000, 1_000_000);
    device.preamble();
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut times = Vec::new();
    let late = &device.wire[device.frames[1].0.start..];
    let mut sink = |context: &throughline_decode::Context, item: throughline_decode::Item<'static, '_>| {
        if let throughline_decode::Item::Event(event) = item {
            times.push(context.time(event.time).unix_ns);
        }
    };
    decoder.push(late, None, &mut sink);
    decoder.finish(&mut sink);
    assert_eq!(times, [52_000_000_000]);
    let balance = decoder.balance();
    assert_eq!((balance.frames_before, balance.before, balance.decoded), (1, 0, 1));
    assert!(balance.balances());
    assert_eq!(decoder.counts().damage(), 0);
}
const HZ_TIMES_3: u64 = 3 * common::HZ;

#[test]
fn the_longest_frame_fits() {
    let text = "x".repeat(1000);
    let event =
        |time| Rec::Event { callsite: 9, time, span: None, fields: vec![F::Text(text.clone(), false)] };
    let records: Vec<_> = (0..4).map(event).collect();
    let mut device = Device::new(32);
    device.preamble().batch(0, 0, &records);
    assert!(device.frames[1].0.len() > MAX_FRAME - 100, "the test means to come near the limit");
    assert_eq!(decode(&device.wire, 4096).0.len(), 4);
}
