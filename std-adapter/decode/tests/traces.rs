//! Traces: parents and children in any order, late records, losses, remote parents, boots, and bounded
//! memory.

mod common;

use common::scenario::{REMOTE_SPAN, REMOTE_TRACE, span};
use common::{BUILD_ID, DEVICE, Device, F, Rec, Site, elf};
use throughline::adapter::IdKey;
use throughline::{SpanId, TraceId};
use throughline_decode::trace::{Assembled, Entry, LossCause, Trace, TraceBuilder};
use throughline_decode::{Decoder, OwnedValue, TimeOptions};

fn assemble(device: &Device, limit: usize, linger: u64) -> Vec<Assembled<'static>> {
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut builder = TraceBuilder::new(limit, linger);
    let mut out = Vec::new();
    decoder.push(&device.wire, None, &mut |context, item| {
        builder.take(context, &item, &mut |a| out.push(a));
        assert!(builder.held() <= limit, "{} held", builder.held());
    });
    decoder.finish(&mut |context, item| builder.take(context, &item, &mut |a| out.push(a)));
    builder.flush(&mut |a| out.push(a));
    assert_eq!(builder.held(), 0);
    out
}

fn only_trace(mut out: Vec<Assembled<'static>>) -> Trace<'static> {
    assert_eq!(out.len(), 1, "{out:?}");
    match out.remove(0) {
        Assembled::Trace(trace) => trace,
        other => panic!("{other:?}"),
    }
}

/// Depth and a number for each line: a span's start, an event's time, a loss's count.
fn lines(trace: &Trace<'_>) -> Vec<(usize, &'static str, u64)> {
    let line = |(depth, entry): &(usize, Entry<'_>)| match entry {
        Entry::Span(s) => (*depth, "span", s.start.unix_ns / 1000),
        Entry::Event(e) => (*depth, "event", e.time.unix_ns / 1000),
        Entry::Fields(e) => (*depth, "fields", e.time.unix_ns / 1000),
        Entry::Loss(l) => (*depth, "loss", l.count),
    };
    trace.entries.iter().map(line).collect()
}

fn event(time: u64, span: u64, root: u64) -> Rec {
    Rec::Event { callsite: 1, time, span: Some((span, root)), fields: vec![] }
}

#[test]
fn children_come_under_their_parents_whatever_the_order() {
    let records = [
        span(0, (1, None, 1), 0, 1000),
        span(0, (2, Some(1), 1), 100, 300),
        span(0, (3, Some(2), 1), 150, 50),
        span(0, (4, Some(1), 1), 500, 100),
        event(160, 3, 1),
        event(550, 4, 1),
        Rec::Loss { reason: 0, count: 7, first: 450 },
    ];
    let expected = [
        (0, "span", 0),
        (1, "span", 100),
        (2, "span", 150),
        (3, "event", 160),
        (1, "loss", 7),
        (1, "span", 500),
        (2, "event", 550),
    ];
    for turn in 0..records.len() {
        let mut turned = records.to_vec();
        turned.rotate_left(turn);
        let mut device = Device::new(32);
        device.preamble().batch(0, 0, &turned);
        let trace = only_trace(assemble(&device, 100, 50));
        assert_eq!(lines(&trace), expected, "turned by {turn}");
        assert!(trace.complete && trace.remote.is_none());
        let key = IdKey::new(DEVICE, 0);
        assert_eq!(trace.trace_id, Some(key.trace_id(1)));
        let Entry::Span(grandchild) = &trace.entries[2].1 else { panic!() };
        assert_eq!((grandchild.span_id, grandchild.parent_span_id), (key.span_id(3), Some(key.span_id(2))));
    }
}

#[test]
fn late_fields_go_into_their_span_and_set_anew_what_was_set() {
    let added = |time, fields| Rec::Fields { callsite: 2, time, span: (1, 1), fields };
    let root = Rec::Span {
        callsite: 1,
        id: 1,
        parent: None,
        root: 1,
        start: 0,
        duration: 10,
        status: 0,
        busy: None,
        fields: vec![F::U32(1), F::U32(2)],
    };
    let mut device = Device::new(32);
    device.preamble().batch(0, 0, &[added(3, vec![F::U32(9)]), root, added(5, vec![F::U32(8)])]);
    let trace = only_trace(assemble(&device, 100, 50));
    let Entry::Span(span) = &trace.entries[0].1 else { panic!() };
    let fields: Vec<_> = span.fields.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    assert_eq!(fields, ["field0=U64(8)", "field1=U64(2)"]);
    // Fields of a span that never comes are shown separately.
    let mut device = Device::new(32);
    device.preamble().batch(0, 0, &[added(3, vec![F::U32(9)])]);
    assert_eq!(lines(&only_trace(assemble(&device, 100, 50))), [(0, "fields", 3)]);
}

#[test]
fn a_remote_parent_gives_its_trace_and_stands_for_its_span() {
    let attach = Rec::Attach { time: 1, id: 5, trace_id: REMOTE_TRACE, span_id: REMOTE_SPAN, flags: 1 };
    let (entry, child) = (span(0, (6, Some(5), 5), 2, 10), span(0, (7, Some(6), 5), 3, 2));
    for records in [[attach.clone(), child.clone(), entry.clone()], [child, entry, attach]] {
        let mut device = Device::new(32);
        device.preamble().batch(0, 0, &records);
        let trace = only_trace(assemble(&device, 100, 50));
        assert_eq!(trace.trace_id, TraceId::from_bytes(REMOTE_TRACE));
        assert!(trace.complete);
        let Entry::Span(top) = &trace.entries[0].1 else { panic!() };
        assert_eq!(top.parent_span_id, SpanId::from_bytes(REMOTE_SPAN));
        assert!(!top.orphan);
        assert_eq!(lines(&trace), [(0, "span", 2), (1, "span", 3)]);
    }
}

/// The mark of an id that stands for a remote span, by the width of ids in bits.
fn mark(bits: u32) -> u64 {
    if bits == 64 { 1 << 62 } else { 1 << 31 }
}

#[test]
fn what_belongs_to_a_remote_trace_that_is_not_known_is_put_into_no_invented_trace_07() {
    for bits in [32, 64] {
        let remote = mark(bits) | 5;
        let added = Rec::Fields { callsite: 2, time: 4, span: (6, remote), fields: vec![F::U32(9)] };
        let mut device = Device::new(bits);
        device.preamble();
        // Its attach record was lost, so the ids of the caller cannot be known.
        device.batch(
            0,
            0,
            &[
                added,
                event(5, 6, remote),
                span(0, (7, Some(6), remote), 3, 2),
                span(0, (6, Some(remote), remote), 2, 10),
            ],
        );
        let trace = only_trace(assemble(&device, 100, 50));
        let key = IdKey::new(DEVICE, 0);
        let all = format!("{trace:?}");
        assert!(!all.contains(&key.trace_id(remote).to_string()), "an invented trace: {all}");
        assert!(!all.contains(&key.span_id(remote).to_string()), "an invented parent: {all}");
        assert_eq!(trace.trace_id, None);
        assert!(!trace.complete);
        assert_eq!(lines(&trace), [(0, "span", 2), (1, "span", 3), (1, "event", 5)]);
    }
}

#[test]
fn records_of_unknown_remote_traces_are_counted_and_later_ones_find_a_late_attach_07() {
    let remote = mark(32) | 5;
    let attach = Rec::Attach { time: 9, id: remote, trace_id: REMOTE_TRACE, span_id: REMOTE_SPAN, flags: 1 };
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut builder = TraceBuilder::new(100, 50);
    let mut device = Device::new(32);
    let mut ids = Vec::new();
    let mut keep = |a| match a {
        Assembled::Trace(trace) => ids.push(trace.trace_id),
        other => panic!("{other:?}"),
    };
    device.preamble().batch(0, 0, &[event(3, 6, remote), span(0, (7, Some(6), remote), 3, 2)]);
    let early = device.wire.len();
    device.batch(0, 0, &[attach, span(0, (6, Some(remote), remote), 2, 10)]);
    decoder.push(&device.wire[..early], None, &mut |context, item| builder.take(context, &item, &mut keep));
    builder.flush(&mut keep);
    assert_eq!(builder.unknown_parent(), 2);
    decoder.push(&device.wire[early..], None, &mut |context, item| builder.take(context, &item, &mut keep));
    builder.flush(&mut keep);
    assert_eq!(builder.unknown_parent(), 2);
    assert_eq!(ids, [None, TraceId::from_bytes(REMOTE_TRACE)]);
}

#[test]
fn the_ids_of_a_remote_parent_whose_span_is_open_outlive_any_number_of_others_07() {
    let attach = |id: u64, trace_id| Rec::Attach { time: 1, id, trace_id, span_id: REMOTE_SPAN, flags: 1 };
    for says_detach in [false, true] {
        let mut device = Device::new(32);
        let ours = mark(32) | 1;
        device.preamble().batch(0, 0, &[attach(ours, REMOTE_TRACE)]);
        for n in 1..35_000u64 {
            // Two requests are over: a span below each was recorded, or a detach record says so.
            let ids = [2 * n, 2 * n + 1].map(|id| mark(32) | id);
            let over = |id: u64| match says_detach {
                true => Rec::Extended {
                    kind: 0,
                    status: 0,
                    callsite: 0,
                    time: 2,
                    fields: vec![F::U64(id), F::Bool(false)],
                },
                false => span(0, (id & !mark(32) | 1 << 24, Some(id), id), 1, 1),
            };
            let [a, b] = ids;
            device.batch(0, a, &[attach(a, [7; 16]), over(a), attach(b, [7; 16]), over(b)]);
        }
        device.batch(0, 0, &[span(0, (1 << 25, Some(ours), ours), 1, 100)]);
        let out = assemble(&device, 100, 50);
        let ours = out.iter().find_map(|assembled| match assembled {
            Assembled::Trace(trace) => trace.entries.iter().find_map(|(_, entry)| match entry {
                Entry::Span(span) if span.duration_ns == 100_000 => Some(span),
                _ => None,
            }),
            _ => None,
        });
        assert_eq!(ours.expect("it ended").trace_id, TraceId::from_bytes(REMOTE_TRACE));
    }
}

#[test]
fn links_recorded_at_one_callsite_are_all_kept_07() {
    let site = Site { kind: 2, level: 3, fields: &["throughline.link"], ..Site::default() };
    let (file, ids) = elf(Some(&[site]), "", &BUILD_ID);
    let elf = throughline_decode::Elf::parse("links.elf", file).unwrap();
    let link = |time, n| {
        let fields = vec![F::Bytes(vec![n; 25], false)];
        Rec::Fields { callsite: ids[0], time, span: (1, 1), fields }
    };
    // Links held together with their span, and links kept for it while the rest of its trace is given out.
    for children in [0, 100] {
        let mut decoder = Decoder::new(Some(&elf), TimeOptions::default());
        let mut builder = TraceBuilder::new(40, 4);
        let mut device = Device::new(32);
        device.preamble().batch(0, 1, &[link(1, 1), link(2, 2), link(3, 2)]);
        (0..children).for_each(|n| _ = device.batch(n, 1, &[span(0, (10 + n, Some(1), 1), n, 5)]));
        device.batch(0, 1, &[span(7, (1, None, 1), 0, 500)]);
        let mut links = Vec::new();
        let mut keep = |a| {
            let Assembled::Trace(trace) = a else { panic!("{a:?}") };
            for (_, entry) in trace.entries {
                match entry {
                    Entry::Span(span) if span.callsite.id == 7 => links.extend(span.fields),
                    Entry::Span(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        decoder.push(&device.wire, None, &mut |context, item| builder.take(context, &item, &mut keep));
        builder.flush(&mut keep);
        let expected =
            [1, 2, 2].map(|n| ("throughline.link".into(), OwnedValue::Bytes(vec![n; 25].into(), false)));
        assert_eq!(links, expected);
    }
}

#[test]
fn a_field_whose_key_is_in_the_record_is_found_by_that_key() {
    let site =
        Site { kind: 2, level: 3, fields: &["throughline.key", "throughline.value"], ..Site::default() };
    let declared = Site { kind: 0, level: 3, name: "query", fields: &["rows"], ..Site::default() };
    let (file, ids) = elf(Some(&[site, declared]), "", &BUILD_ID);
    let elf = throughline_decode::Elf::parse("keys.elf", file).unwrap();
    let keyed = |time, key: &str, n| {
        let fields = vec![F::Text(key.into(), false), F::U32(n)];
        Rec::Fields { callsite: ids[0], time, span: (1, 1), fields }
    };
    // Held together with their span, and kept back for it while the rest of its trace is given out.
    for children in [0, 100] {
        let mut decoder = Decoder::new(Some(&elf), TimeOptions::default());
        let mut builder = TraceBuilder::new(40, 4);
        let mut device = Device::new(32);
        device.preamble().batch(0, 1, &[keyed(1, "rows", 1), keyed(2, "table", 2), keyed(3, "rows", 3)]);
        (0..children).for_each(|n| _ = device.batch(n, 1, &[span(0, (10 + n, Some(1), 1), n, 5)]));
        let mut query = span(ids[1], (1, None, 1), 0, 500);
        if let Rec::Span { fields, .. } = &mut query {
            *fields = vec![F::U32(0)];
        }
        device.batch(0, 1, &[query]);
        let mut found = Vec::new();
        let mut keep = |a| {
            let Assembled::Trace(trace) = a else { panic!("{a:?}") };
            for (_, entry) in trace.entries {
                match entry {
                    Entry::Span(span) if span.callsite.id == ids[1] => found.extend(span.fields),
                    Entry::Span(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        decoder.push(&device.wire, None, &mut |context, item| builder.take(context, &item, &mut keep));
        builder.flush(&mut keep);
        let expected = [("rows".into(), OwnedValue::U64(3)), ("table".into(), OwnedValue::U64(2))];
        assert_eq!(found, expected);
    }
}

#[test]
fn a_boot_ends_traces_and_ids_do_not_meet() {
    let mut device = Device::new(32);
    device.preamble().batch(0, 0, &[span(0, (2, Some(1), 1), 10, 5)]);
    device.reset(1);
    device.preamble().batch(0, 0, &[span(0, (1, None, 1), 0, 100)]);
    let out = assemble(&device, 100, 50);
    let [Assembled::Trace(before), Assembled::Trace(after)] = &out[..] else { panic!("{out:?}") };
    assert_ne!(before.trace_id, after.trace_id);
    assert!(!before.complete && after.complete);
    let Entry::Span(child) = &before.entries[0].1 else { panic!() };
    assert!(child.orphan, "its parent is never to come");
}

#[test]
fn a_loss_on_the_link_stands_where_it_happened() {
    let mut device = Device::new(32);
    device.preamble();
    device.batch(0, 0, &[event(100, 2, 1)]);
    device.batch(0, 0, &[event(200, 2, 1), event(210, 2, 1)]);
    device.batch(0, 0, &[event(300, 2, 1), span(0, (1, None, 1), 0, 1000)]);
    let lost = device.frames[2].0.clone();
    device.wire.drain(lost);
    let trace = only_trace(assemble(&device, 100, 50));
    let shown = [(0, "span", 0), (1, "loss", 2), (0, "event", 100), (0, "event", 300)];
    assert_eq!(lines(&trace), shown, "the events' span was not seen");
    let Entry::Loss(loss) = &trace.entries[1].1 else { panic!() };
    assert_eq!((loss.cause, loss.time.unix_ns), (LossCause::Link { frames: 1 }, 100_000));
}

#[test]
fn a_root_that_never_ends_is_given_out_in_parts_as_its_children_end_26() {
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut builder = TraceBuilder::new(1000, 10);
    let mut device = Device::new(32);
    let mut parts: Vec<Trace<'static>> = Vec::new();
    let mut keep = |a| match a {
        Assembled::Trace(trace) => parts.push(trace),
        other => panic!("{other:?}"),
    };
    device.preamble();
    let mut records = 0;
    for n in 0..20u64 {
        // One round of a main loop: a child with an event. The limit of records is not reached.
        let (child, at) = (10 + n, 1_000 * n);
        device.batch(at, 1, &[event(at + 5, child, 1), span(0, (child, Some(1), 1), at, 10)]);
        records += 2;
        let wire = std::mem::take(&mut device.wire);
        decoder.push(&wire, None, &mut |context, item| builder.take(context, &item, &mut keep));
        builder.sweep(&mut keep);
        assert!(builder.held() <= 2, "shown by the second sweep at the latest");
    }
    device.batch(20_000, 1, &[span(0, (1, None, 1), 0, 20_000)]);
    decoder.push(&device.wire, None, &mut |context, item| builder.take(context, &item, &mut keep));
    builder.flush(&mut keep);
    let numbers: Vec<_> = parts.iter().map(|trace| (trace.part, trace.complete)).collect();
    let last = numbers.len() - 1;
    assert!(last >= 9, "{numbers:?}");
    let expected: Vec<_> = (0..=last).map(|n| (n as u32, n == last)).collect();
    assert_eq!(numbers, expected);
    assert!(parts.iter().all(|trace| trace.trace_id == Some(IdKey::new(DEVICE, 0).trace_id(1))));
    assert_eq!(parts.iter().map(|trace| trace.entries.len()).sum::<usize>(), records + 1);
    let Entry::Span(child) = &parts[1].entries[0].1 else { panic!("{:?}", parts[1]) };
    assert!(child.orphan, "its parent is still open");
}

#[test]
fn fields_of_a_span_that_is_still_open_wait_for_it_while_its_children_are_shown_26() {
    let set = |time, value| Rec::Fields { callsite: 2, time, span: (1, 1), fields: vec![F::U32(value)] };
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut builder = TraceBuilder::new(40, 4);
    let mut device = Device::new(32);
    device.preamble();
    let mut parts: Vec<Trace<'static>> = Vec::new();
    for n in 0..500u64 {
        device.batch(n * 10, 1, &[set(n * 10, n as u32), span(0, (10 + n, Some(1), 1), n * 10, 5)]);
    }
    device.batch(5_000, 1, &[span(7, (1, None, 1), 0, 5_000)]);
    let mut keep = |a| match a {
        Assembled::Trace(trace) => parts.push(trace),
        other => panic!("{other:?}"),
    };
    decoder.push(&device.wire, None, &mut |context, item| {
        builder.take(context, &item, &mut keep);
        assert!(builder.held() <= 40);
    });
    builder.flush(&mut keep);
    assert!(parts.len() > 10, "in parts, as the limit is small");
    let entries: Vec<_> = parts.iter().flat_map(|trace| &trace.entries).collect();
    assert!(!entries.iter().any(|(_, entry)| matches!(entry, Entry::Fields(_))), "all waited");
    let root = entries.iter().find_map(|(_, entry)| match entry {
        Entry::Span(span) if span.callsite.id == 7 => Some(span),
        _ => None,
    });
    let fields = &root.expect("the root ends").fields;
    assert_eq!(format!("{fields:?}"), r#"[("field0", U64(499))]"#);
}

#[test]
fn a_name_that_is_set_twice_has_its_last_value_09() {
    let site = Site { kind: 1, level: 3, name: "set", fields: &["a", "b", "a"], ..Site::default() };
    let (file, ids) = elf(Some(&[site]), "", &BUILD_ID);
    let id = ids[0];
    let elf = throughline_decode::Elf::parse("twice.elf", file).unwrap();
    let mut decoder = Decoder::new(Some(&elf), TimeOptions::default());
    let mut builder = TraceBuilder::new(10, 1);
    let mut device = Device::new(32);
    let fields = vec![F::U32(1), F::U32(7), F::U32(2)];
    device.preamble().batch(0, 1, &[Rec::Event { callsite: id, time: 1, span: None, fields }]);
    let mut seen = Vec::new();
    let mut keep = |a| match a {
        Assembled::Event(event) => seen.push(format!("{:?}", event.fields)),
        other => panic!("{other:?}"),
    };
    decoder.push(&device.wire, None, &mut |context, item| builder.take(context, &item, &mut keep));
    builder.flush(&mut keep);
    assert_eq!(seen, [r#"[("a", U64(2)), ("b", U64(7))]"#]);
}

#[test]
fn memory_is_bounded_and_nothing_is_dropped() {
    let mut device = Device::new(32);
    device.preamble();
    // Roots that never end, spans that are their own parents or form cycles, and events without a span.
    let mut records = 0;
    for n in 0..300u64 {
        let (a, b) = (10 * n + 1, 10 * n + 2);
        let loose = Rec::Event { callsite: 1, time: n, span: None, fields: vec![] };
        device.batch(
            n,
            0,
            &[
                span(0, (a, Some(b), 9999), n, 1),
                span(0, (b, Some(a), 9999), n, 1),
                span(0, (b + 1, Some(b + 1), b), n, 1),
                event(n, 77, b + 5),
                loose,
            ],
        );
        records += 5;
    }
    let out = assemble(&device, 64, 8);
    let count = |a: &Assembled<'_>| match a {
        Assembled::Trace(trace) => trace.entries.len(),
        _ => 1,
    };
    assert_eq!(out.iter().map(count).sum::<usize>(), records);
}

#[test]
fn a_trace_comes_out_once_its_root_ended_and_others_had_time_to_follow() {
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut builder = TraceBuilder::new(1000, 10);
    let mut device = Device::new(32);
    device.preamble().batch(0, 0, &[span(0, (1, None, 1), 0, 100)]);
    let mut given = 0;
    decoder.push(&device.wire, None, &mut |context, item| builder.take(context, &item, &mut |_| given += 1));
    assert_eq!(given, 0, "lingers");
    builder.settle(&mut |_| given += 1);
    assert_eq!(given, 1);
    let rest = device.wire.len();
    (0..30)
        .for_each(|n| _ = device.batch(0, 0, &[event(n, 50, 50), span(0, (100 + n, None, 100 + n), n, 1)]));
    decoder.push(&device.wire[rest..], None, &mut |context, item| {
        builder.take(context, &item, &mut |_| given += 1);
    });
    assert!((20..30).contains(&given), "all but those that linger, and the one that is open: {given}");
}
