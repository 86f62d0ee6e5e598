//! Compares frames byte by byte with the normative page, `core/docs/wire-format.md`, independently of our
//! decoder.
#![cfg(not(loom))]

use throughline::adapter::metrics;
use throughline::adapter::record::Record;
use throughline::adapter::ring::{ExtendedKind, Head, Mode, RawRecord, RecordKind, Ring, Slot, Word};
use throughline::adapter::wire::{Batch, Frame, Header, Metrics, Window};
use throughline::{Clock, Recorder, Slots, Value};

const HEADER: Header = Header { sequence: 1, epoch: 2, ordinal: 3, lost: 300 };

/// Decodes COBS and checks the delimiter.
fn unstuffed(frame: &[u8]) -> Vec<u8> {
    let (delimiter, mut rest) = frame.split_last().unwrap();
    assert_eq!(*delimiter, 0);
    let mut out = vec![];
    while let [code, after @ ..] = rest {
        let (data, after) = after.split_at(usize::from(*code) - 1);
        out.extend_from_slice(data);
        if *code != 255 && !after.is_empty() {
            out.push(0);
        }
        rest = after;
    }
    out
}

/// The body of a frame of this type.
fn body(frame: &[u8], kind: u8) -> Vec<u8> {
    let bytes = unstuffed(frame);
    let head = [0x10 | kind, 1, 2, 3, 0xac, 2];
    assert_eq!(bytes[..head.len()], head);
    bytes[head.len()..bytes.len() - 4].to_vec()
}

/// A record: its head and the words of its body.
type Made = (Head, Vec<Word>);

fn made(kind: RecordKind, status: u8, types: u32, words: &[Word]) -> Made {
    (Head::new(kind, 9, status, types), words.to_vec())
}

/// The bytes of these records in a batch with base time 1000.
fn records(all: &[Made]) -> Vec<u8> {
    let slots: Vec<Slot> = (0..32).map(|_| Slot::new()).collect();
    let ring = Ring::new(&slots, Mode::SharedOldest);
    for (head, words) in all {
        assert!(ring.push(*head, words, 0));
    }
    let mut buffer = [0; 512];
    let mut frame = Frame::new(Window { buf: &mut buffer, at: 0, room: 512 });
    let mut batch = Batch::new(&mut frame, &HEADER, 1000);
    let mut reader = ring.reader().unwrap();
    while reader.find() {
        assert!(batch.push(&mut reader.words(), 0) && reader.commit());
    }
    let len = batch.finish();
    let body = body(&buffer[..len], 1);
    let base = [0xe8, 0x07, 0];
    assert_eq!(body[..3], base);
    body[3..].to_vec()
}

#[test]
fn spans_and_events_are_deltas_against_the_registers() {
    use RecordKind::{Event, Fields, Span, SpanBusy};
    const OUTSIDE: u8 = 0x10;
    const SAME_ROOT: u8 = 0x20;
    // The marks that the words of a place carry in a ring.
    const WIDE: bool = usize::BITS == 64;
    const MADE: usize = if WIDE { 0 } else { 1 << 30 };
    const UNSAMPLED_SPAN: usize = if WIDE { 0 } else { 3 << 30 };
    const UNSAMPLED_ROOT: usize = if WIDE { 1 << (usize::BITS - 1) } else { 0 };
    let all = [
        // A root, because it has no parent: id 6, from 1001 to 1003. Its third word is the previous place's
        // root word, not its own root.
        made(Span, 0, 0, &[6, 0, 4, 1001, 1003]),
        // Below it, in the same trace.
        made(Span, 0, 0, &[8, 6, 6, 1002, 1005]),
        // In another trace.
        made(Span, 0, 0, &[9, 7, 3, 1005, 1005]),
        // With status error, and busy for 1 tick.
        made(SpanBusy, 2, 0, &[10, 9, 3, 1005, 1007, 1]),
        // Cancelled: it has an extension but no busy time.
        made(Span, 3, 0, &[11, 9, 3, 1007, 1007]),
        made(Event, 0, 0, &[1007, MADE | 10, MADE | 3]),
        made(Event, 0, 0, &[1008, MADE | 10, MADE | 2]),
        made(Event, 0, 0, &[1008, 0, 0]),
        made(Fields, 0, 0, &[1008, MADE | 12, MADE | 2]),
        // In an unsampled trace.
        made(Event, 0, 0, &[1009, UNSAMPLED_SPAN | 2, UNSAMPLED_ROOT | 2]),
    ];
    let expected: &[&[u8]] = &[
        &[OUTSIDE, 9, 12, 2, 2],
        &[SAME_ROOT, 9, 4, 4, 1, 3],
        &[0, 9, 2, 4, 12, 0, 0],
        &[1 | SAME_ROOT, 9, 2, 2, 0, 2, 2 | 4, 1],
        &[1 | SAME_ROOT, 9, 2, 4, 0, 0, 3],
        &[2 | SAME_ROOT, 9, 0, 1],
        &[2, 9, 2, 0, 16],
        &[2 | OUTSIDE, 9, 0],
        &[3 | SAME_ROOT, 9, 0, 4],
        &[8 | SAME_ROOT, 9, 2, 19],
    ];
    assert_eq!(records(&all), expected.concat());
}

#[test]
fn fields_have_their_types_before_them() {
    const TRUE: u32 = 1;
    const U32: u32 = 2;
    const STATIC: u32 = 8;
    let all = [
        made(RecordKind::Event, 0, TRUE | U32 << 4, &[1000, 0, 0, 1, 300]),
        // Text in the image: its address and length.
        made(RecordKind::Event, 0, STATIC, &[1000, 0, 0, 0x1234, 5]),
    ];
    let expected: &[&[u8]] = &[&[0x92, 9, 0, 0x21, 1, 0xac, 2], &[0x52, 9, 0, 8, 0xb4, 0x24, 5]];
    assert_eq!(records(&all), expected.concat());
}

#[test]
fn fields_of_64_bits_are_whole_in_any_word() {
    const TYPES: u64 = 0x454;
    let numbers = [u64::MAX - 1, -3_i64 as u64, 1 << 40];
    let mut words: Vec<Word> = vec![1000, 0, 0];
    let mut put = |n: u64| {
        words.push(n as Word);
        if Word::BITS == 32 {
            words.push((n >> 32) as Word);
        }
    };
    // A 64-bit machine's head has no room for this many types, so they are in the body.
    let in_head = if Word::BITS == 64 {
        put(TYPES);
        15
    } else {
        TYPES as u32
    };
    numbers.into_iter().for_each(put);
    let expected: &[u8] = &[
        0xd2, 9, 0, 3, 0x54, 0x04, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 5, 0x80, 0x80,
        0x80, 0x80, 0x80, 0x20,
    ];
    assert_eq!(records(&[made(RecordKind::Event, 0, in_head, &words)]), expected);
}

#[test]
fn extended_kinds_carry_typed_values_that_any_decoder_can_skip() {
    static SLOTS: Slots<8> = Slots::new();
    let recorder = Recorder::new(&SLOTS, Clock::mock());
    let kind = ExtendedKind(255);
    assert!(kind.0 >= ExtendedKind::FIRST_PRIVATE.0);
    assert!(recorder.push_extended(kind, 9, 2, 1001, &(true, 300_u32, [1_u8, 2, 3], -1_i64)));
    assert!(recorder.push_extended(ExtendedKind(0), 0, 0, 1003, &()));

    let mut buffer = [0; 512];
    let mut frame = Frame::new(Window { buf: &mut buffer, at: 0, room: 512 });
    let mut batch = Batch::new(&mut frame, &HEADER, 1000);
    let mut reader = recorder.ring().reader().unwrap();
    let mut raw = RawRecord::new();
    let mut read = vec![];
    while reader.find() {
        assert!(batch.push(&mut reader.words(), 0));
        assert!(reader.next(&mut raw) && reader.commit());
        let Some(Record::Extended(record)) = Record::parse(&raw) else { panic!("{:?}", raw.head) };
        assert_eq!(Some(record.kind), raw.head.extended_kind());
        read.push((
            record.kind.0,
            record.callsite,
            record.status,
            record.time,
            record.values.into_iter().count(),
        ));
        if record.kind == kind {
            let values: Vec<_> = record.values.into_iter().collect();
            let bytes = Value::Bytes { bytes: &[1, 2, 3], truncated: false };
            assert_eq!(values, [Value::Bool(true), Value::U64(300), bytes, Value::I64(-1)]);
        }
    }
    assert_eq!(read, [(255, 9, 2, 1001, 4), (0, 0, 0, 1003, 0)]);
    let len = batch.finish();
    let first: &[u8] = &[7 | 2 << 4 | 3 << 6, 255, 9, 2, 4, 0x21, 0x5a, 1, 0xac, 2, 6, 1, 2, 3, 1];
    assert_eq!(body(&buffer[..len], 1)[3..], [first, &[7, 0, 0, 4]].concat());
}

/// The bytes of one entry after its callsite, whose length depends on the target. `room` does not include the
/// callsite.
fn entry(name: &str, room: usize) -> Vec<Vec<u8>> {
    let mut pieces = vec![];
    metrics::for_each(|series| {
        if series.blob().is_none_or(|blob| blob.name != name) {
            return;
        }
        let mut callsite = vec![];
        let mut n = series.callsite() as u64;
        while n >= 0x80 {
            callsite.push(n as u8 | 0x80);
            n >>= 7;
        }
        callsite.push(n as u8);
        let buffer = room + callsite.len();
        let mut from = 0;
        while from != Metrics::WHOLE {
            let mut buf = vec![0; buffer];
            let mut frame = Frame::new(Window { buf: &mut buf, at: 0, room: buffer });
            let mut part = Metrics::new(&mut frame, &HEADER, 5);
            part.begin(true, 7);
            let next = part.push(&series, from);
            assert!(next > from);
            from = next;
            let len = part.finish();
            let body = body(&buf[..len], 2);
            assert_eq!(body[..3], [5, 1, 7]);
            pieces.push(body[3..].strip_prefix(&callsite[..]).unwrap().to_vec());
        }
    });
    pieces
}

/// The only test in this file that needs a recorder, because metrics do and the process has only one.
#[test]
fn a_histogram_is_sent_without_its_empty_ends_and_in_pieces_that_fit() {
    static SLOTS: Slots<8> = Slots::new();
    static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());
    throughline::install(&RECORDER);
    let record = |value| throughline::histogram!("h", scale = 0).record(value);
    [0, 4, 16, 16, 1 << 20].into_iter().for_each(record);
    const HISTOGRAM: u8 = 5;
    let sum = [0xa4, 0x80, 0x40];
    let mut whole = [&[HISTOGRAM, 0], &sum[..], &[1, 2, 19, 1, 0, 2]].concat();
    whole.extend([0; 15]);
    whole.push(1);
    assert_eq!(entry("h", 128), [whole]);

    // If the frame is too short, the first half of the buckets is sent first. The next piece repeats neither
    // the first half nor the zeros between them.
    let pieces = entry("h", 42);
    assert_eq!(pieces[0], [&[HISTOGRAM, 0], &sum[..], &[1, 2, 9, 1, 0, 2, 0, 0, 0, 0, 0, 0]].concat());
    assert_eq!(pieces[1..], [vec![HISTOGRAM, 0, 0, 0, 20, 1, 1]]);
}
