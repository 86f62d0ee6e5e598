//! From ring to decoder: whatever the link does, what a flusher sends decodes to what was recorded, and the
//! ledger balances.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use embedded_io::{ErrorKind, ErrorType, Write};
use throughline::adapter::ring::{Head, RecordKind};
use throughline::{
    Clock, Recorder, Slots, StaticStr, Status, clock::mock, counter, counter_family, gauge, gauge_family,
    histogram, histogram_family, info, span, up_down_counter,
};
use throughline_decode::{Balance, Context, DamageKind, Decoder, Item, OwnedValue, PointValue};
use throughline_embedded::{Buffer, Config, DeviceId, Flusher, init, init_with_frame};

/// Serialises the tests, because a process has only one recorder that the macros use.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const CONFIG: Config =
    Config { name: "pump", device_id: DeviceId::new(17), boot_epoch: 3, ..Config::DEFAULT };

macro_rules! recorder {
    ($make:ident, $slots:literal) => {{
        static SLOTS: Slots<$slots> = Slots::new();
        static RECORDER: Recorder = Recorder::$make(&SLOTS, Clock::mock());
        &RECORDER
    }};
}

/// An event without fields, at `time`.
fn push(recorder: &Recorder, time: usize) {
    recorder.ring().push(Head::new(RecordKind::Event, 7, 0, 0), &[time, 0, 0], time);
}

fn decode(bytes: &[u8], mut see: impl FnMut(&Context, Item<'_, '_>)) -> Balance {
    let mut decoder = Decoder::new(None, Default::default());
    decoder.push(bytes, None, &mut |context, item| see(context, item));
    decoder.finish(&mut |context, item| see(context, item));
    assert!(decoder.balance().balances(), "{:?}", decoder.balance());
    decoder.balance()
}

fn event_times(bytes: &[u8]) -> (Vec<u64>, Balance) {
    let mut times = Vec::new();
    let balance = decode(bytes, |_, item| match item {
        Item::Event(event) => times.push(event.time),
        // Accept a frame that the link cut, and a callsite that is not in an ELF, because there is none here.
        Item::Damage(damage) => {
            assert!(matches!(damage.kind, DamageKind::Skipped(_) | DamageKind::Callsite(_)), "{damage:?}");
        }
        _ => {}
    });
    (times, balance)
}

fn flush_all<const FRAME: usize>(flusher: &mut Flusher<Buffer<FRAME>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(frame) = flusher.frame(FRAME) {
        bytes.extend_from_slice(frame);
        flusher.sent();
    }
    bytes
}

#[test]
fn what_macros_record_is_what_a_decoder_reads() {
    let _alone = alone();
    let mut flusher = init(recorder!(new, 64), CONFIG);
    {
        let mut outer = span!("outer", a = 1u32, b = -2i32);
        let _inner = span!("inner");
        info!("text {}", text = "héllo", yes = true, f = 1.5f32, d = -0.5f64, big = u64::MAX, neg = i64::MIN);
        info!("more", s = StaticStr("static"), bytes = &[1u8, 2][..]);
        outer.set_status(Status::Error);
    }
    let mut seen = Vec::new();
    decode(&flush_all(&mut flusher), |context, item| match item {
        Item::Preamble(preamble) => {
            assert_eq!(
                (preamble.name.as_str(), preamble.device_id, preamble.tick_hz),
                ("pump", 17, 1_000_000_000)
            );
            assert_eq!((context.epoch, context.word_bits()), (3, usize::BITS as u8));
        }
        Item::Event(event) => {
            let fields: Vec<OwnedValue> = event.fields.map(|(_, value)| value.into()).collect();
            seen.push(format!("event {:?} {fields:?}", event.span));
        }
        Item::Span(span) => {
            let fields: Vec<OwnedValue> = span.fields.map(|(_, value)| value.into()).collect();
            seen.push(format!(
                "span {} of {:?} in {} {:?} {fields:?}",
                span.id, span.parent, span.root, span.status
            ));
        }
        _ => {}
    });
    let expected = [
        "event Some((2, 1)) [Str(\"héllo\", false), Bool(true), F32(1.5), F64(-0.5), U64(18446744073709551615), I64(-9223372036854775808)]",
        "event Some((2, 1)) [Str(\"static\", false), Bytes([1, 2], false)]",
        "span 2 of Some(1) in 1 Unset []",
        "span 1 of None in 1 Error [U64(1), I64(-2)]",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn optional_extended_and_shown_values_reach_the_decoder() {
    let _alone = alone();
    let mut flusher = init(recorder!(new, 64), CONFIG);
    info!(
        "optional",
        a = None::<u64>,
        b = Some(7u8),
        c = None::<&str>,
        d = Some("d"),
        e = Some(None::<i32>),
        end = 1
    );
    let took = core::time::Duration::new(3, 5);
    info!(
        "extended",
        a = 'ü',
        b = u128::MAX,
        c = -1i128,
        took,
        list = [-1i8, 2],
        ip = [127u8, 0, 0, 1],
        end = 2
    );
    info!("shown {:.1?}", Some(0.25));
    let mut seen = Vec::new();
    decode(&flush_all(&mut flusher), |_, item| {
        if let Item::Event(event) = item {
            let fields = event.fields.map(|(_, value)| match value {
                throughline::Value::Extended(value) => format!("{:?}", value.get()),
                value => format!("{value:?}"),
            });
            seen.push(fields.collect::<Vec<_>>().join(" "));
        }
    });
    let expected = [
        "Absent U64(7) Absent Str { text: \"d\", truncated: false } Absent I64(1)",
        "Char('ü') U128(340282366920938463463374607431768211455) I128(-1) Duration(3.000000005s) \
         List(List { code: 3, elements: [255, 255, 255, 255, 2, 0, 0, 0] }) \
         Bytes { bytes: [127, 0, 0, 1], truncated: false } I64(2)",
        "Shown { text: \"Some(0.2)\", truncated: false }",
    ];
    assert_eq!(seen, expected);
}

/// A link that takes some bytes of each write, and fails at fixed points of a pseudorandom sequence.
struct Flaky {
    bytes: Vec<u8>,
    random: u32,
}

impl Flaky {
    fn next(&mut self) -> u32 {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.random >> 24
    }
}

impl ErrorType for Flaky {
    type Error = ErrorKind;
}

impl Write for Flaky {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        match self.next() {
            0..40 => Err(ErrorKind::Other),
            40..60 => Ok(0),
            n => {
                let n = buf.len().min(n as usize / 4);
                self.bytes.extend_from_slice(&buf[..n]);
                Ok(n)
            }
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Writes and flushes alternately over a bad link. Returns the decoded times, the balance, and the number of
/// records written.
fn in_turns(recorder: &'static Recorder) -> (Vec<u64>, Balance, u64) {
    let mut flusher = init(recorder, CONFIG);
    let mut link = Flaky { bytes: Vec::new(), random: 1 };
    let mut written = 0;
    for _ in 0..3000 {
        for _ in 0..link.next() / 16 {
            written += 1;
            push(recorder, 1000 * written as usize);
        }
        let budget = 200 + link.next() as usize;
        let before = link.bytes.len();
        if let Ok(flushed) = flusher.flush(&mut link, budget) {
            assert!(flushed.bytes <= budget);
            assert!(link.bytes.len() - before <= budget);
        }
    }
    // The next record carries the count of losses after the last one.
    link.bytes.extend(flush_all(&mut flusher));
    written += 1;
    push(recorder, 1000 * written as usize);
    link.bytes.extend(flush_all(&mut flusher));
    let (times, balance) = event_times(&link.bytes);
    (times, balance, written)
}

#[test]
fn a_bad_link_costs_nothing_but_time_and_the_ring_counts_the_rest() {
    let _alone = alone();
    let (times, balance, written) = in_turns(recorder!(new, 64));
    assert!(times.is_sorted() && times.iter().all(|time| time % 1000 == 0));
    assert_eq!(balance.emitted, written);
    assert_eq!(balance.decoded, times.len() as u64);
    assert_eq!((balance.link, balance.undecoded), (0, 0));
    assert!(balance.device > 0, "the ring was to overflow");
}

#[test]
fn a_flight_recorder_balances_too() {
    let _alone = alone();
    let (times, balance, written) = in_turns(recorder!(keep_newest, 32));
    assert_eq!(times.last(), Some(&(1000 * written)));
    assert_eq!((balance.emitted, balance.decoded), (written, times.len() as u64));
    assert!(balance.device > 0, "records were to be overwritten");
}

#[test]
fn frames_lost_on_the_link_are_counted_to_the_record() {
    let _alone = alone();
    let recorder = recorder!(new, 64);
    let mut flusher = init(recorder, CONFIG);
    let (mut bytes, mut dropped) = (Vec::new(), 0);
    for round in 1..200 {
        for i in 0..20 {
            push(recorder, 100 * round + i);
        }
        let mut frame = 0;
        while let Some(it) = flusher.frame(192) {
            frame += 1;
            let lost = (round + frame) % 5 == 0 && round > 1 && round < 199;
            if !lost {
                bytes.extend_from_slice(it);
            }
            let records = flusher.sent();
            dropped += if lost { u64::from(records) } else { 0 };
        }
    }
    let (times, balance) = event_times(&bytes);
    assert_eq!((balance.emitted, balance.link), (199 * 20, dropped));
    assert_eq!(times.len() as u64 + dropped, balance.emitted);
    assert!(dropped > 100);
}

#[test]
fn a_preamble_at_least_every_64_frames_and_first() {
    let _alone = alone();
    let recorder = recorder!(new, 64);
    let mut flusher = init(recorder, CONFIG);
    assert!(flusher.frame(192).is_none(), "nothing to say, nothing said");
    let (mut since, mut preambles) = (64, 0);
    for time in 0..1000 {
        push(recorder, time);
        while let Some(frame) = flusher.frame(192) {
            // The second byte of a frame is its version and type, if the first COBS code is not 2.
            let start = usize::from(frame[0] == 0);
            if frame[start + 1] == 0x10 {
                since = 0;
                preambles += 1;
            }
            since += 1;
            assert!(since <= 64, "at record {time}");
            flusher.sent();
        }
    }
    assert!(preambles >= 16);
}

#[test]
fn a_record_too_large_for_a_frame_is_lost_at_its_time_30() {
    let _alone = alone();
    let mut flusher = init_with_frame::<168>(recorder!(new, 64), CONFIG);
    let n = u64::MAX;
    mock::set(1_000_000);
    info!("before");
    for _ in 0..2 {
        mock::advance(500);
        info!(
            "long",
            n,
            b = n,
            c = n,
            d = n,
            e = n,
            f = n,
            g = n,
            h = n,
            i = n,
            j = n,
            k = n,
            l = n,
            m = n,
            o = n,
            p = n
        );
    }
    mock::advance(500);
    info!("after");
    let bytes = flush_all(&mut flusher);
    let mut losses = Vec::new();
    let balance = decode(&bytes, |_, item| {
        if let Item::Loss(loss) = item {
            losses.push((loss.reason, loss.count, loss.first));
        }
    });
    let too_large = Some(throughline::adapter::LossReason::TooLarge);
    assert_eq!(losses, [(too_large, 1, 1_000_500), (too_large, 1, 1_001_000)]);
    assert_eq!((balance.emitted, balance.decoded, balance.device), (4, 2, 2));
}

#[test]
fn texts_longer_than_a_frame_are_cut_to_fit_and_marked_30() {
    let _alone = alone();
    let mut flusher = init_with_frame::<168>(recorder!(new, 64), CONFIG);
    let long = "0123456789".repeat(30);
    info!("one", text = long.as_str(), n = 7u32);
    info!("short ones stay whole", a = "abc", b = &long[..100], c = "déf", d = &[9u8; 90][..]);
    info!("wide characters", text = "€".repeat(100).as_str());
    let bytes = flush_all(&mut flusher);
    let mut seen = Vec::new();
    let balance = decode(&bytes, |_, item| {
        if let Item::Event(event) = item {
            seen.push(event.fields.map(|(_, value)| value.into()).collect::<Vec<OwnedValue>>());
        }
    });
    assert_eq!((balance.emitted, balance.decoded, balance.device), (3, 3, 0));
    let [one, two, three] = &seen[..] else { panic!("{seen:?}") };
    let [OwnedValue::Str(text, true), OwnedValue::U64(7)] = &one[..] else { panic!("{one:?}") };
    // 168 bytes less a delimiter, 21 bytes of header, CRC and COBS, and about twelve bytes of the record.
    assert!(long.starts_with(&**text) && text.len() > 120, "{} bytes were kept", text.len());
    let [
        OwnedValue::Str(a, false),
        OwnedValue::Str(b, true),
        OwnedValue::Str(c, false),
        OwnedValue::Bytes(d, true),
    ] = &two[..]
    else {
        panic!("{two:?}")
    };
    assert_eq!((&**a, &**c), ("abc", "déf"));
    assert!(b.len() == d.len() && b.len() > 50, "both have the same length: {}, {}", b.len(), d.len());
    let [OwnedValue::Str(text, true)] = &three[..] else { panic!("{three:?}") };
    assert!(text.len() > 120 && text.chars().all(|c| c == '€'), "cut between characters: {text}");
}

#[test]
fn a_loss_always_finds_room_in_a_frame_30() {
    let _alone = alone();
    let recorder = recorder!(new, 8);
    let epoch = Config { boot_epoch: u32::MAX, ..CONFIG };
    let mut flusher = init(recorder, epoch);
    let begin = usize::MAX / 2;
    push(recorder, begin);
    let mut bytes = flush_all(&mut flusher);
    for n in 0..200 {
        push(recorder, begin + n);
    }
    // 63 bytes, delimiter included, is the smallest limit at which a frame is made.
    while let Some(frame) = flusher.frame(63) {
        bytes.extend_from_slice(frame);
        flusher.sent();
    }
    let mut losses = 0;
    decode(&bytes, |_, item| {
        if let Item::Loss(loss) = item {
            losses += loss.count;
        }
    });
    assert_eq!(losses, 192);
}

#[test]
fn a_flush_gets_on_whatever_its_budget_36() {
    let _alone = alone();
    let recorder = recorder!(new, 64);
    let name = "a name as long as a name can be, so that preambles are long too";
    let mut flusher = init(recorder, Config { name, ..CONFIG });
    for budget in [0, 1, 47, 100, 191] {
        info!("long", text = "x".repeat(150).as_str());
        counter!("flushes.of.any.budget").add(1);
        flusher.set_wall_clock(1, 1);
        flusher.snapshot_metrics();
        let mut bytes = Vec::new();
        let mut flushes = 0;
        loop {
            let before = bytes.len();
            let flushed = match flusher.flush(&mut Sink(&mut bytes), budget) {
                Ok(flushed) => flushed,
                Err(never) => match never {},
            };
            assert_eq!(bytes.len() - before, flushed.bytes);
            assert!(flushed.bytes <= budget || flushed.frames == 1 && flushed.bytes <= 192, "{flushed:?}");
            flushes += 1;
            assert!(flushes < 20, "no progress with a budget of {budget}");
            if !flushed.pending {
                break;
            }
        }
        let (mut texts, mut snapshots) = (0, 0);
        decode(&bytes, |_, item| match item {
            Item::Event(event) => {
                texts += event
                    .fields
                    .filter(|(_, v)| matches!(v, throughline::Value::Str { truncated: false, .. }))
                    .count();
            }
            Item::Metrics(snapshot) => snapshots += u32::from(snapshot.complete),
            _ => {}
        });
        assert_eq!((texts, snapshots), (1, 1), "with a budget of {budget}");
    }
}

#[test]
fn a_frame_comes_whatever_its_limit_36() {
    let _alone = alone();
    let recorder = recorder!(new, 64);
    let mut flusher = init(recorder, CONFIG);
    for limit in [0, 10, 61, 100] {
        push(recorder, 1);
        let mut frames = 0;
        while flusher.is_pending() || frames == 0 {
            assert!(flusher.frame(limit).is_some_and(|frame| frame.len() <= 192));
            flusher.sent();
            frames += 1;
            if flusher.frame(limit).is_none() {
                break;
            }
        }
    }
}

/// A ring that overwrites: a clock record that is overwritten is not a lost record.
#[test]
fn overwritten_readings_of_the_clock_are_no_losses_25() {
    let _alone = alone();
    let recorder = recorder!(keep_newest, 32);
    let mut flusher = init(recorder, CONFIG);
    for n in 0..5000 {
        push(recorder, n);
        if n % 100 == 0 {
            recorder.ring().push(Head::new(RecordKind::Clock, 0, 0, 0), &[n, 0], n);
        }
    }
    let (times, balance) = event_times(&flush_all(&mut flusher));
    assert_eq!((balance.emitted, balance.decoded), (5000, times.len() as u64));
}

/// A clock record that finds the ring full is not a lost record either.
#[test]
fn a_reading_of_the_clock_without_room_is_no_loss_25() {
    let _alone = alone();
    let recorder = recorder!(new, 32);
    let mut flusher = init(recorder, CONFIG);
    for n in 0..40 {
        push(recorder, n);
    }
    recorder.ring().push(Head::new(RecordKind::Clock, 0, 0, 0), &[40, 0], 40);
    let (times, balance) = event_times(&flush_all(&mut flusher));
    assert_eq!((balance.emitted, times.len()), (40, 32));
}

#[test]
fn a_small_budget_makes_small_frames() {
    let _alone = alone();
    let recorder = recorder!(new, 64);
    let mut flusher = init(recorder, CONFIG);
    push(recorder, 0);
    let mut bytes = flush_all(&mut flusher);
    for time in 1..50 {
        push(recorder, time);
    }
    let mut flushes = 0;
    loop {
        let flushed = match flusher.flush(&mut Sink(&mut bytes), 64) {
            Ok(flushed) => flushed,
            Err(never) => match never {},
        };
        assert!(flushed.bytes <= 64);
        flushes += 1;
        if !flushed.pending {
            break;
        }
    }
    assert!(flushes > 3);
    assert_eq!(event_times(&bytes).0, (0..50).collect::<Vec<_>>());
}

struct Sink<'v>(&'v mut Vec<u8>);

impl ErrorType for Sink<'_> {
    type Error = Infallible;
}

impl Write for Sink<'_> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        self.0.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[test]
fn a_snapshot_over_many_frames_adds_up() {
    let _alone = alone();
    let mut flusher = init_with_frame::<168>(recorder!(new, 64), CONFIG);
    counter!("c").add(300);
    gauge!("g").set(-5);
    let values: Vec<usize> = (0..400).map(|i| (i * i * 97 % 100_003) >> (i % 17)).collect();
    for value in &values {
        histogram!("h", scale = 4).record(*value);
    }
    for _ in 0..3 {
        histogram!("wide", scale = 0).record(u32::MAX as usize);
    }
    let queries = histogram_family!("q", labels = ["table"], capacity = 2, scale = 1);
    for (table, value) in [("a", 0), ("b", 0), ("b", 1), ("b", 4), ("c", 5), ("c", 0), ("c", 0)] {
        queries.record([table], value);
    }
    let family = counter_family!("f", labels = ["route", "status"], capacity = 2);
    for (route, n) in [("/a", 1), ("", 2), ("/c", 4), ("/d", 8)] {
        family.add([route, "200"], n);
    }
    let many = counter_family!("many", labels = ["n"], capacity = 64);
    for n in 0..60 {
        many.add([&format!("many-{n}")], 1000 + n);
    }
    up_down_counter!("u").add(-2);
    gauge!("half" as f32).set(0.5_f32);
    flusher.snapshot_metrics();
    let bytes = flush_all(&mut flusher);
    assert!(bytes.len() > 2 * 168, "{}", bytes.len());
    let mut snapshots = Vec::new();
    decode(&bytes, |_, item| {
        if let Item::Metrics(snapshot) = item {
            snapshots.push((
                snapshot.number,
                snapshot.complete,
                snapshot
                    .points
                    .iter()
                    .map(|p| (p.labels.iter().map(|l| l.1.clone()).collect::<Vec<_>>(), p.value.clone()))
                    .collect::<Vec<_>>(),
            ));
        }
    });
    let [(0, true, points)] = &snapshots[..] else { panic!("{snapshots:?}") };
    let values_of = |wanted: &[&str]| -> Vec<PointValue> {
        points.iter().filter(|(labels, _)| labels == wanted).map(|(_, value)| value.clone()).collect()
    };
    assert!(values_of(&[]).contains(&PointValue::Counter(300)));
    assert!(values_of(&[]).contains(&PointValue::GaugeInt(-5)));
    assert!(values_of(&[]).contains(&PointValue::UpDown(-2)));
    assert!(values_of(&[]).contains(&PointValue::GaugeFloat(0.5)));
    for n in 0..60 {
        assert_eq!(values_of(&[&format!("many-{n}")]), [PointValue::Counter(1000 + n)]);
    }
    assert_eq!(values_of(&["/a", "200"]), [PointValue::Counter(1)]);
    assert_eq!(values_of(&["", "200"]), [PointValue::Counter(2)]);
    assert!(values_of(&["true"]).contains(&PointValue::Counter(12)));
    let histograms = |labels: &[&str]| -> Vec<(u8, u64, u64, u64)> {
        let shown = values_of(labels).into_iter().filter_map(|value| match value {
            PointValue::Histogram { scale, sum, zeros, buckets, .. } => {
                Some((scale, sum, zeros, buckets.iter().sum::<u64>()))
            }
            _ => None,
        });
        shown.collect()
    };
    let zeros = values.iter().filter(|v| **v == 0).count() as u64;
    let all = (4, values.iter().sum::<usize>() as u64, zeros, 400 - zeros);
    let mut alone = histograms(&[]);
    alone.sort_unstable();
    assert_eq!(alone, [(0, 3 * u64::from(u32::MAX), 0, 3), all]);
    assert_eq!(histograms(&["a"]), [(1, 0, 1, 0)]);
    assert_eq!(histograms(&["b"]), [(1, 5, 1, 2)]);
    assert_eq!(histograms(&["true"]), [(1, 5, 2, 1)]);
}

#[test]
fn metrics_of_every_kind_come_from_all_their_callsites_04_32() {
    let _alone = alone();
    let mut flusher = init(recorder!(new, 16), CONFIG);
    // Here callsites have no names from an ELF, so callsites that share a series show only in the small
    // number of points.
    gauge!("round.depth").set(17);
    gauge!("round.depth").set(-1_000_017);
    gauge!("round.level" as f64).set(1_000_000.25);
    gauge!("round.level" as f64).add(0.25);
    let _active = [gauge!("round.active"), gauge!("round.active")].map(|gauge| gauge.in_flight());
    gauge!("round.active").add(1_000_020);
    counter!("round.energy" as f64).add(1_000_000.125);
    counter!("round.energy" as f64).add(f64::NAN);
    histogram!("round.load" as f64, scale = 1, fraction_bits = 4).record(0.25);
    let rooms = || gauge_family!("round.rooms", labels = ["room"], capacity = 2);
    rooms().set(["round-hall"], 1_000_021);
    gauge_family!("round.rooms", labels = ["room"], capacity = 2).sub(["round-hall"], 1);
    let mut all = Vec::new();
    for _ in 0..2 {
        flusher.snapshot_metrics();
        decode(&flush_all(&mut flusher), |_, item| {
            if let Item::Metrics(snapshot) = item {
                all.push(snapshot.points.iter().map(|point| point.value.clone()).collect::<Vec<_>>());
            }
        });
    }
    let [first, second] = &all[..] else { panic!("two snapshots: {all:?}") };
    assert_eq!(first, second, "reading changes nothing");
    let once = |value: PointValue| {
        assert_eq!(first.iter().filter(|there| **there == value).count(), 1, "{value:?} in {first:?}");
    };
    once(PointValue::GaugeInt(-1_000_017));
    once(PointValue::GaugeFloat(1_000_000.5));
    once(PointValue::GaugeInt(1_000_022));
    once(PointValue::GaugeInt(1_000_020));
    once(PointValue::CounterFloat(1_000_000.125));
    let (scale, fraction_bits, sum, zeros) = (1, 4, 4, 0);
    // A quarter is four sixteenths: position 4, which is OTLP's index 4 - 1 - (4 << 1).
    once(PointValue::Histogram { scale, fraction_bits, sum, zeros, offset: -5, buckets: vec![1] });
    assert!(!first.contains(&PointValue::GaugeInt(17)));
}

#[test]
fn a_name_too_long_is_cut_between_characters() {
    let _alone = alone();
    for (name, kept) in
        [("é".repeat(40), 62), ("x".repeat(70), 63), ("€".repeat(22), 63), ("𝄞".repeat(17), 60)]
    {
        let recorder =
            Box::leak(Box::new(Recorder::new(Box::leak(Box::new(Slots::<8>::new())), Clock::mock())));
        let mut flusher = init(recorder, Config { name: String::leak(name.clone()), ..CONFIG });
        push(recorder, 1);
        let mut names = vec![];
        decode(&flush_all(&mut flusher), |_, item| {
            if let Item::Preamble(preamble) = item {
                names.push(preamble.name.clone());
            }
        });
        assert_eq!(names, [&name[..kept]]);
    }
}
