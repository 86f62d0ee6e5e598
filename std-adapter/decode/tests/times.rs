//! Times of a live stream: a better estimate of the clock never changes a time that was shown, and times of a
//! boot never run backwards.

mod common;

use common::scenario::span;
use common::{Device, M, Rec};
use throughline_decode::{Context, Decoder, Item, TimeOptions, TimeSource};

const S: u64 = 1_000_000_000;
/// The true Unix time of tick 0, in nanoseconds.
const BOOTED: u64 = 1_700_000_000 * S;

/// What was shown for each record: ticks since boot, mapped time, and stated error.
type Shown = Vec<(u64, u64, Option<u64>)>;

fn show(context: &Context, item: &Item<'_, '_>, shown: &mut Shown) {
    let ticks = match item {
        Item::Span(span) => span.start,
        Item::Event(event) => event.time,
        Item::Metrics(snapshot) => snapshot.time,
        _ => return,
    };
    let time = context.time(ticks);
    shown.push((ticks, time.unix_ns, time.error_ns));
}

/// A pseudorandom number below `below`, the same in every run.
fn noise(n: u64, below: u64) -> u64 {
    (n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) % below
}

/// Feeds one frame at a time with its arrival time.
fn feed(frames: &[(Vec<u8>, u64)], options: TimeOptions) -> Shown {
    let mut decoder = Decoder::new(None, options);
    let mut shown = Vec::new();
    for (bytes, arrival) in frames {
        decoder.push(bytes, Some(*arrival), &mut |context, item| show(context, &item, &mut shown));
    }
    decoder.finish(&mut |context, item| show(context, &item, &mut shown));
    shown
}

/// A device with a 1 MHz clock whose oscillator is off by `ppm`. It records events in a long root; some
/// frames come late.
fn live(ppm: i64, frames: u64, latency: impl Fn(u64) -> u64) -> Vec<(Vec<u8>, u64)> {
    let mut device = Device::new(32);
    let mut out = Vec::new();
    device.preamble();
    for n in 0..frames {
        let at = n * 20_000;
        let events: Vec<_> = (0..10)
            .map(|i| Rec::Event { callsite: 1, time: at + i * 1_990, span: Some((1, 1)), fields: vec![] })
            .chain([span(2, (n + 2, Some(1), 1), at + 19_000, 900)])
            .collect();
        device.batch(at, 1, &events);
        if n % 10 == 9 {
            device.metrics(n / 10, true, at + 19_990, &[(3, 0, &[], M::Counter(n))]);
        }
        let now = (at + 20_000) * 1_000;
        let drift = now as i64 * ppm / 1_000_000;
        out.push((std::mem::take(&mut device.wire), BOOTED + now.strict_add_signed(drift) + latency(n)));
    }
    out
}

#[test]
fn times_of_one_boot_never_run_backwards_as_faster_frames_arrive_28() {
    // Latencies fall, slowly and in jumps, to 50 µs, so each new minimum changes the mapping.
    let falling = |n: u64| 50_000 + 9_000_000 / (n + 1) + noise(n, 76_000);
    for ppm in [0, 80, -80] {
        let mut shown = feed(&live(ppm, 4_000, falling), TimeOptions::default());
        assert_eq!(shown.len(), 44_000 + 400);
        shown.sort();
        for pair in shown.windows(2) {
            let [(t0, a, _), (t1, b, _)] = *pair else { unreachable!() };
            assert!(a <= b, "{ppm} ppm: tick {t1} is shown {} ns before tick {t0}", a - b);
            let ratio = (b - a) as f64 / ((t1 - t0) * 1_000).max(1) as f64;
            assert!(t1 == t0 || (0.4..1.6).contains(&ratio), "{ppm} ppm: {t0} to {t1} at pace {ratio}");
        }
    }
}

#[test]
fn a_time_that_was_shown_stays_and_later_ones_are_as_good_as_the_fastest_frame_28() {
    let options = TimeOptions { max_latency_ns: Some(10_000_000), ..TimeOptions::default() };
    let frames = live(0, 500, |n| if n < 250 { 9_000_000 } else { 1_000_000 });
    let mut decoder = Decoder::new(None, options);
    let mut shown = Vec::new();
    for (bytes, arrival) in &frames {
        decoder.push(bytes, Some(*arrival), &mut |context, item| show(context, &item, &mut shown));
        for (ticks, unix_ns, _) in &shown {
            assert_eq!(decoder.context().time(*ticks).unix_ns, *unix_ns, "tick {ticks} was shown");
        }
        shown.drain(..shown.len().saturating_sub(300));
    }
    let time = decoder.context().time(500 * 20_000);
    assert_eq!(time.source, TimeSource::Arrival);
    // The fastest frame arrived 1 ms after it was made, and its newest record is 10 µs older. Half of the
    // longest latency is subtracted.
    assert_eq!(time.unix_ns, BOOTED + 10 * S + 1_010_000 - 5_000_000);
    for (ticks, unix_ns, error) in feed(&frames, options) {
        let truth = BOOTED + ticks * 1_000;
        assert!(unix_ns.abs_diff(truth) <= error.unwrap(), "tick {ticks}: {unix_ns}, {truth} ± {error:?}");
    }
}

#[test]
fn a_device_that_corrects_its_clock_does_not_run_backwards_28() {
    let mut device = Device::new(32);
    let mut frames = Vec::new();
    for n in 0..200u64 {
        // Once a minute the device learns that its clock was a few milliseconds ahead.
        if n % 50 == 0 {
            device.unix = (BOOTED + n * 20_000_000 - n * 100_000, n * 20_000);
            device.preamble();
        }
        let event = |i: u64| Rec::Event {
            callsite: 1,
            time: n * 20_000 + i * 999,
            span: Some((1, 1)),
            fields: vec![],
        };
        device.batch(n * 20_000, 1, &(0..20).map(event).collect::<Vec<_>>());
        frames.push((std::mem::take(&mut device.wire), BOOTED));
    }
    let shown = feed(&frames, TimeOptions::default());
    assert_eq!(shown.len(), 4_000);
    for pair in shown.windows(2) {
        assert!(pair[0].1 <= pair[1].1, "{pair:?}");
    }
    let (ticks, unix_ns, _) = shown[3_990];
    assert_eq!(unix_ns, BOOTED + ticks * 1_000 - 15_000_000, "the newest word of the device holds");
}

#[test]
fn a_device_that_sets_its_clock_back_by_an_hour_says_so_and_what_was_shown_stays_28() {
    let event = |time| Rec::Event { callsite: 1, time, span: Some((1, 1)), fields: vec![] };
    let mut device = Device::new(32);
    device.unix = (BOOTED, 0);
    device.preamble().batch(0, 1, &[event(1_000), event(2_000_000)]);
    device.unix = (BOOTED - 3_600 * S + 2_000_000_000, 2_000_000);
    // The same time is sent again with each preamble, but it is one step.
    device.preamble().preamble();
    device.batch(2_000_000, 1, &[event(3_000_000), event(1_500_000)]);
    let (mut shown, mut steps) = (Vec::new(), Vec::new());
    let mut decoder = Decoder::new(None, TimeOptions::default());
    decoder.push(&device.wire, None, &mut |context, item| {
        if let Item::ClockSet { by_ns } = item {
            steps.push(by_ns);
        }
        show(context, &item, &mut shown);
    });
    assert_eq!(steps, [-3_600 * S as i64]);
    let times: Vec<_> = shown.iter().map(|(_, unix_ns, _)| *unix_ns).collect();
    // The last record was made before the step, but arrived after it.
    let expected = [BOOTED + S / 1_000, BOOTED + 2 * S, BOOTED + 3 * S - 3_600 * S, BOOTED + 3 * S / 2];
    assert_eq!(times, expected);
}
