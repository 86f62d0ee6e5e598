//! Metrics: counts can be read, histograms have OTLP's buckets, and families are bounded.
#![cfg(not(loom))]

use proptest::prelude::*;
use throughline::adapter::metrics::{
    self, Count, MAX_SCALE, Reading, Series, SeriesKey, bucket_count, position, upper_bound,
};
use throughline::{Clock, Recorder, Slots};

static SLOTS: Slots<8> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());

fn series(name: &str) -> Vec<Series> {
    let mut found = vec![];
    metrics::for_each(|s| {
        if s.blob().is_some_and(|b| b.name == name) {
            found.push(s);
        }
    });
    found
}

/// The value of a counter.
fn count(series: &Series) -> u64 {
    match series.read() {
        Reading::Counter(n) => n,
        other => panic!("{other:?}"),
    }
}

#[test]
fn counts_can_be_read() {
    throughline::install(&RECORDER);
    for n in 1..=3 {
        throughline::counter!("frames", unit = "{frame}", description = "Seen", bus = "can0").add(n);
        throughline::up_down_counter!("open").add(-(n as isize));
        throughline::gauge!("depth").set(-(n as isize));
        throughline::gauge!("celsius" as f32).set(n as f32 / 2.0);
        throughline::histogram!("latency", scale = 1, unit = "us").record(n - 1);
    }
    let [frames] = series("frames").try_into().unwrap();
    let blob = frames.blob().unwrap();
    assert_eq!((count(&frames), blob.unit, blob.description), (6, "{frame}", "Seen"));
    assert_eq!(blob.labels().collect::<Vec<_>>(), [("bus", "can0")]);
    assert_eq!(series("open")[0].read(), Reading::UpDown(-6));
    assert_eq!(series("depth")[0].read(), Reading::GaugeInt(-3));
    assert_eq!(series("celsius")[0].read(), Reading::GaugeFloat(1.5));
    let [latency] = series("latency").try_into().unwrap();
    assert_eq!((latency.kind(), latency.scale(), latency.bucket_count()), (6, 1, bucket_count(1)));
    let Reading::Histogram(read) = latency.read() else { panic!("a histogram") };
    assert_eq!((read.zeros, read.sum), (1, 3));
    assert_eq!((latency.bucket(0), latency.bucket(2), latency.bucket(bucket_count(1))), (1, 1, 0));
}

#[test]
fn a_family_is_bounded_and_loses_nothing() {
    throughline::install(&RECORDER);
    let family = throughline::counter_family!("requests", labels = ["route", "status"], capacity = 4);
    for route in 0..10 {
        for _ in 0..=route {
            family.add([&format!("/r{route}"), "200"], 1);
        }
    }
    family.add(["a route longer than any place for it, by far, as some clients will send", "404"], 5);
    let all = series("requests");
    let (overflow, own): (Vec<Series>, Vec<Series>) = all.iter().copied().partition(Series::is_overflow);
    assert_eq!((own.len(), overflow.len()), (4, 1));
    assert_eq!(all.iter().map(count).sum::<u64>(), 55 + 5);
    for s in own {
        let mut key = [0; SeriesKey::BYTES];
        s.labels(&mut key);
        let route = std::str::from_utf8(&key[1..=key[0] as usize]).unwrap();
        assert_eq!(count(&s), route.strip_prefix("/r").unwrap().parse::<u64>().unwrap() + 1);
    }
}

/// The label values of a series, in order.
fn values(series: &Series) -> Vec<String> {
    let mut bytes = [0; SeriesKey::BYTES];
    series.labels(&mut bytes);
    let mut rest = &bytes[..];
    (0..series.label_count())
        .map(|_| {
            let (value, after) = rest[1..].split_at(usize::from(rest[0]));
            rest = after;
            String::from_utf8(value.to_vec()).unwrap()
        })
        .collect()
}

#[test]
fn labels_of_every_length_come_out_as_they_came() {
    throughline::install(&RECORDER);
    let family = throughline::counter_family!("lengths", labels = ["a", "b"], capacity = 64);
    let text = "abcdefghijklmnopqrstuvwxyz";
    let room = SeriesKey::BYTES - size_of::<usize>();
    let mut expected = vec![];
    for len in 0..text.len() {
        for (a, b) in [(&text[..len], "x"), ("y", &text[text.len() - len..])] {
            let words = |l: &str| l.len().next_multiple_of(size_of::<usize>());
            if words(a) + words(b) <= room && !expected.contains(&[a.to_string(), b.to_string()]) {
                family.add([a, b], 1);
                expected.push([a.to_string(), b.to_string()]);
            }
        }
    }
    assert!(expected.len() > 30 || usize::BITS == 32);
    let mut seen: Vec<Vec<String>> = series("lengths").iter().map(values).collect();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
}

#[test]
fn one_label_of_every_length_comes_out_as_it_came() {
    throughline::install(&RECORDER);
    let family = throughline::counter_family!("length", labels = ["a"], capacity = 64);
    let text = "abcdefghijklmnopqrstuvwxyz";
    let ends = |len: usize| [&text[..len], &text[text.len() - len..]];
    let expected: Vec<_> = (0..text.len()).flat_map(ends).skip(1).collect();
    for count in [1, 2] {
        // The first use takes a slot for each, the second one finds it.
        expected.iter().for_each(|label| family.add([label], count));
    }
    let mut seen: Vec<(String, u64)> =
        series("length").iter().map(|s| (values(s).concat(), count(s))).collect();
    seen.sort();
    let mut expected: Vec<(String, u64)> = expected.iter().map(|label| (label.to_string(), 3)).collect();
    expected.sort();
    assert_eq!(seen, expected);
}

const WORD: usize = size_of::<usize>();
/// The same as in `metrics/series.rs`.
const SPREAD: usize = 0x9E37_79B9_7F4A_7C15_u64 as usize;

/// Whether no byte of a word has its highest bit. It makes the search for twins fast under Miri.
fn is_ascii(word: usize) -> bool {
    word & (usize::MAX / 255 * 128) == 0
}

/// Two texts with the same hash: `before` and two more words. `other(a)` is the last word that compensates
/// for `a` as the word before it.
fn twins(before: &str, first: [u8; WORD], other: impl Fn([u8; WORD]) -> usize) -> [String; 2] {
    let text = |a: [u8; WORD]| {
        let other = Some(other(a)).filter(|word| is_ascii(*word))?;
        String::from_utf8([before.as_bytes(), &a, &other.to_ne_bytes()].concat()).ok()
    };
    let twin = (0..1 << 14).find_map(|n: usize| {
        let mut a = first;
        (a[0], a[1], a[2]) = (b'0' + (n & 31) as u8, b'0' + (n >> 5 & 31) as u8, b'0' + (n >> 10) as u8);
        text(a)
    });
    [text(first).expect("is ASCII"), twin.expect("one in 256 is ASCII")]
}

fn are_told_apart(family: throughline::metrics::CounterFamily<1>, name: &str, twins: &[String; 2]) {
    throughline::install(&RECORDER);
    for (twin, count) in twins.iter().zip([1, 2]) {
        family.add([twin], count);
        family.add([twin], count);
    }
    let mut counts: Vec<u64> = series(name).iter().map(count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [2, 4]);
}

#[test]
fn label_sets_of_one_hash_are_told_apart() {
    // The hash of words a, b, … is ((a · SPREAD) ⋘ 5 ⊕ b) · SPREAD …: change a, and change b by the
    // difference that this makes.
    let before = ["c"; WORD].concat();
    let begun = usize::from_ne_bytes([b'c'; WORD]).wrapping_mul(SPREAD).rotate_left(5);
    let part = |a: [u8; WORD]| (begun ^ usize::from_ne_bytes(a)).wrapping_mul(SPREAD).rotate_left(5);
    let (first, b) = ([b'a'; WORD], usize::from_ne_bytes([b'b'; WORD]));
    let twins = twins(&before, first, |a| b ^ part(first) ^ part(a));
    are_told_apart(throughline::counter_family!("twins", labels = ["a"], capacity = 4), "twins", &twins);
}

#[cfg(all(target_pointer_width = "64", target_endian = "little"))]
#[test]
fn short_labels_of_one_hash_are_told_apart() {
    // The hash of words a, b is ((a ⊕ 16) · SPREAD) ⊕ ((b ⋘ 32 ⊕ SPREAD) · OTHER). Its bit 1 is not kept.
    const OTHER: usize = 0xBF58_476D_1CE4_E5B9;
    // Newton's method for the inverse of an odd number: each step doubles the number of correct bits.
    let inverse = |n: usize| (0..6).fold(n, |x, _| x.wrapping_mul(2_usize.wrapping_sub(n.wrapping_mul(x))));
    let part = |a: usize| (a ^ 16).wrapping_mul(SPREAD);
    let part_of_last = |b: usize| (b.rotate_left(32) ^ SPREAD).wrapping_mul(OTHER);
    let last = |part: usize| (part.wrapping_mul(inverse(OTHER)) ^ SPREAD).rotate_right(32);
    let (first, b) = ([b'a'; WORD], usize::from_ne_bytes([b'b'; WORD]));

    let both = part(usize::from_ne_bytes(first)) ^ part_of_last(b);
    let twins = twins("", first, |a| last(both ^ part(usize::from_ne_bytes(a))));
    are_told_apart(throughline::counter_family!("both", labels = ["a"], capacity = 4), "both", &twins);

    // Texts with the same hash that differ in only one word.
    let texts = (1..1 << 16)
        .map(|n: usize| usize::from_ne_bytes(n.wrapping_mul(SPREAD).to_ne_bytes().map(|byte| byte & 127)));
    let text = |a: usize, b: usize| String::from_utf8([a.to_ne_bytes(), b.to_ne_bytes()].concat()).unwrap();
    let other_first = |a: usize| (part(a) ^ 2).wrapping_mul(inverse(SPREAD)) ^ 16;
    let a = texts.clone().find(|a| is_ascii(other_first(*a))).expect("one in 256 is ASCII");
    let twins = [text(a, b), text(other_first(a), b)];
    are_told_apart(throughline::counter_family!("first", labels = ["a"], capacity = 4), "first", &twins);
    let other_last = |b: usize| last(part_of_last(b) ^ 2);
    let b = texts.clone().find(|b| is_ascii(other_last(*b))).expect("one in 256 is ASCII");
    let twins = [text(a, b), text(a, other_last(b))];
    are_told_apart(throughline::counter_family!("last", labels = ["a"], capacity = 4), "last", &twins);
}

/// `a` times `a` as two words of 128 bits: high, low.
fn squared(a: u128) -> (u128, u128) {
    let (high, low) = (a >> 64, a & u128::from(u64::MAX));
    let (cross, carried) = (2 * high.wrapping_mul(low)).overflowing_add((low * low) >> 64);
    assert!(!carried, "a is below 2^127");
    (high * high + (cross >> 64), cross << 64 | (low * low) & u128::from(u64::MAX))
}

/// Whether `value` is above 2^(power + step / 2^scale), computed with integers alone: its 2^scale-th power is
/// compared with a power of 2.
fn is_above(value: u64, power: u32, step: u32, scale: u32) -> bool {
    // value = m · 2^(power − 63). m is squared `scale` times, cut to 127 bits each time and kept as an
    // interval.
    let m = u128::from(value) << 63 >> power;
    let (mut least, mut most, mut exponent) = (m << 63, m << 63, 0_u32);
    for _ in 0..scale {
        exponent *= 2;
        least = squared(least).0 << 2;
        most = (squared(most).0 + 1) << 2;
        if least >= 1 << 127 {
            exponent += 1;
            least >>= 1;
            most = (most >> 1) + 1;
        }
    }
    // The value's mantissa to the power of 2^scale is between least and most, times 2^exponent, in units of
    // 2^126.
    let one = 1_u128 << 126;
    if exponent != step {
        return exponent > step;
    }
    if step == 0 {
        return value != 1 << power;
    }
    assert!(least > one || most < one, "{value} is too near for 127 bits");
    least > one
}

/// Compares every boundary of every scale, and the integers around it, with a reference without floating
/// point.
#[test]
fn positions_are_exact_around_every_boundary() {
    for scale in 0..=MAX_SCALE {
        // Under Miri only some of them: the arithmetic is the same for all.
        for p in (0..bucket_count(scale) - 1).step_by(if cfg!(miri) { 13 } else { 1 }) {
            let (power, step) = (p as u32 >> scale, p as u32 & ((1 << scale) - 1));
            let bound = upper_bound(p, scale).unwrap();
            for value in [bound.saturating_sub(1), bound, bound.saturating_add(1)] {
                if value == 0 || Count::try_from(value).is_err() || value.ilog2() != power {
                    continue;
                }
                let above = is_above(value, power, step, scale);
                assert_eq!(position(value, scale).unwrap() > p, above, "{value} at scale {scale}, bound {p}");
            }
        }
    }
}

/// Merging two histograms gives the histogram of all values: at any coarser scale by halving positions, and
/// for any two by addition.
#[test]
fn merging_is_without_error() {
    for bits in 0..Count::BITS {
        for low in [0, 1, 0x5555_5555, u64::MAX >> 1, u64::MAX] {
            let value = 1 << bits | low & ((1 << bits) - 1);
            for scale in 1..=MAX_SCALE {
                let coarser = position(value, scale).map(|p| p.div_ceil(2));
                assert_eq!(coarser, position(value, scale - 1), "{value}");
            }
        }
    }
}

/// OTLP's index + 1 by its definition, in floating point. It is correct except for values within an ulp of a
/// boundary.
fn by_logarithm(value: u64, scale: u32) -> f64 {
    (value as f64).log2() * f64::from(1 << scale)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 8 } else { 4096 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn positions_are_otlps(bits in 0_u32..Count::BITS, low in any::<u64>(), scale in 0..=MAX_SCALE) {
        let value = 1 << bits | low & ((1 << bits) - 1);
        let exact = by_logarithm(value, scale);
        let p = position(value, scale).unwrap();
        prop_assert!(p < bucket_count(scale));
        prop_assert!((p as f64) > exact - 1e-9 && (p as f64) < exact + 1.0 + 1e-9, "{value} at scale {scale}: {p}, log {exact}");
        prop_assert!(Some(value) <= upper_bound(p, scale));
        prop_assert!(p == 0 || Some(value) > upper_bound(p - 1, scale), "{value} at scale {scale}: {p}");
    }

    #[test]
    fn positions_grow_with_values_and_powers_end_their_bucket(bits in 0..Count::BITS, scale in 0..=MAX_SCALE) {
        let power = 1_u64 << bits;
        prop_assert_eq!(position(power, scale), Some((bits as usize) << scale));
        // From 256 on, neighbouring integers are closer together than the finest bucket is wide.
        if bits >= 8 {
            prop_assert_eq!(position(power + 1, scale), Some(((bits as usize) << scale) + 1));
        }
    }
}

/// The table in `metrics/histogram.rs` agrees with the code.
#[test]
fn the_table_of_errors_and_sizes_is_true() {
    let source = include_str!("../src/metrics/histogram.rs");
    for scale in 0..=MAX_SCALE {
        let base = 2_f64.powf(1.0 / f64::from(1 << scale));
        let error = (base - 1.0) / (base + 1.0) * 100.0;
        let (narrow, wide) = (3 + (32 << scale) + 1, 7 + (64 << scale) + 1);
        let row = format!("| {scale} | {error:.2} % | {narrow} | {} | {wide} | {} |", narrow * 4, wide * 8);
        assert!(source.contains(&row), "no such row: {row}");
        let here = if Count::BITS == 64 { wide } else { narrow };
        assert_eq!(metrics::histogram_cells(scale), here);
    }
}
