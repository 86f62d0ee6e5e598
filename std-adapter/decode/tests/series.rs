//! Series as a reader sees them: callsites of one metric are one series, and no sum goes down.

mod common;

use common::{BUILD_ID, Device, M, Site, elf};
use throughline_decode::{Decoder, Elf, Item, PointValue, TimeOptions};

/// Name, labels and value of every point of every snapshot.
type Points = Vec<(String, Vec<(String, String)>, PointValue)>;

fn points(wire: &[u8], elf: &Elf) -> Points {
    let mut all = Points::new();
    let mut decoder = Decoder::new(Some(elf), TimeOptions::default());
    decoder.push(wire, None, &mut |_, item| {
        let Item::Metrics(snapshot) = item else { return };
        for point in snapshot.points {
            let labels = point.labels.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
            all.push((point.callsite.name().into_owned(), labels, point.value));
        }
    });
    all
}

fn values(points: Points) -> Vec<PointValue> {
    points.into_iter().map(|(_, _, value)| value).collect()
}

fn program(sites: &[Site]) -> (Elf, Vec<u64>) {
    let (file, ids) = elf(Some(sites), "", &BUILD_ID);
    (Elf::parse("test.elf", file).expect("the test's ELF"), ids)
}

const fn site(kind: u8, name: &'static str) -> Site {
    Site {
        kind,
        name,
        level: 0,
        span_kind: 0,
        param: 0,
        line: 1,
        unit: "",
        description: "",
        fields: &[],
        labels: &[],
    }
}

#[test]
fn callsites_of_one_counter_are_one_sum_32() {
    let labelled = Site { labels: &[("bus", "can0"), ("dir", "in")], ..site(3, "c") };
    let turned = Site { labels: &[("dir", "in"), ("bus", "can0")], ..site(3, "c") };
    let other_unit = Site { unit: "By", ..site(3, "c") };
    let family = Site { fields: &["code"], ..site(3, "by_code") };
    let (elf, ids) = program(&[
        site(3, "c"),
        site(3, "c"),
        labelled,
        turned,
        other_unit,
        family.clone(),
        family,
        site(4, "c"),
    ]);
    let [a, b, c, d, e, f, g, h] = ids.try_into().unwrap();
    let mut device = Device::new(32);
    device.preamble();
    let top = u64::from(u32::MAX);
    for (number, (one, two)) in [(top, 5), (3, 7)].into_iter().enumerate() {
        device.metrics(
            number as u64,
            true,
            0,
            &[
                (a, 0, &[], M::Counter(one)),
                (b, 0, &[], M::Counter(two)),
                (c, 0, &[], M::Counter(1)),
                (d, 0, &[], M::Counter(2)),
                (e, 0, &[], M::Counter(4)),
                (f, 0, &["200"], M::Counter(10)),
                (g, 0, &["200"], M::Counter(20)),
                (g, 0, &["503"], M::Counter(40)),
                (h, 0, &[], M::UpDown(-1)),
            ],
        );
    }
    let seen = points(&device.wire, &elf);
    let counted: Vec<_> = seen
        .iter()
        .map(|(name, labels, value)| {
            let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            (format!("{name}{{{}}}", labels.join(",")), value.clone())
        })
        .collect();
    let expected = |c: u64| {
        vec![
            ("c{}".to_owned(), PointValue::Counter(c)),
            ("c{bus=can0,dir=in}".to_owned(), PointValue::Counter(3)),
            ("c{}".to_owned(), PointValue::Counter(4)),
            ("by_code{code=200}".to_owned(), PointValue::Counter(30)),
            ("by_code{code=503}".to_owned(), PointValue::Counter(40)),
            ("c{}".to_owned(), PointValue::UpDown(-1)),
        ]
    };
    assert_eq!(counted, [expected(top + 5), expected(top + 4 + 7)].concat());
}

#[test]
fn histograms_of_several_callsites_are_one_at_the_coarser_scale_32() {
    let fine = Site { param: 1, ..site(6, "h") };
    let (elf, ids) = program(&[fine, site(6, "h")]);
    let mut device = Device::new(32);
    device.preamble();
    let histogram = |scale, buckets: &[u64]| M::Histogram {
        scale,
        sum: 10,
        zeros: 1,
        first: 1,
        buckets: buckets.to_vec(),
    };
    device.metrics(
        0,
        true,
        0,
        &[(ids[0], 0, &[], histogram(1, &[1, 2, 4, 8])), (ids[1], 0, &[], histogram(0, &[100]))],
    );
    let [PointValue::Histogram { scale, sum, zeros, offset, buckets, .. }] =
        &values(points(&device.wire, &elf))[..]
    else {
        panic!("one series");
    };
    // Positions 1 and 2 of scale 1 are position 1 of scale 0; positions 3 and 4 are position 2.
    assert_eq!((*scale, *sum, *zeros, *offset, &buckets[..]), (0, 20, 2, 0, &[103, 12][..]));
}

#[test]
fn no_sum_of_a_device_goes_down_18() {
    let (elf, ids) = program(&[site(3, "c"), site(3, "c"), site(6, "h"), site(6, "h")]);
    let mut device = Device::new(64);
    device.preamble();
    let histogram = || M::Histogram { scale: 0, sum: u64::MAX, zeros: 0, first: 5, buckets: vec![1] };
    device.metrics(
        0,
        true,
        0,
        &[
            (ids[0], 0, &[], M::Counter(u64::MAX)),
            (ids[1], 0, &[], M::Counter(5)),
            (ids[2], 0, &[], histogram()),
            (ids[3], 0, &[], histogram()),
        ],
    );
    let seen = values(points(&device.wire, &elf));
    let sums = |value: &PointValue| match value {
        PointValue::Counter(n) => *n,
        PointValue::Histogram { sum, .. } => *sum,
        other => panic!("{other:?}"),
    };
    assert_eq!(seen.iter().map(sums).collect::<Vec<_>>(), [u64::MAX, u64::MAX]);
}

#[test]
fn an_up_down_counter_is_extended_over_its_wraps_18() {
    let (elf, ids) = program(&[site(4, "u")]);
    let mut device = Device::new(32);
    device.preamble();
    // Go to 2^31 - 10, up by 20, down by 30, and below the lower end.
    let cells = [i32::MAX - 9, i32::MIN + 10, i32::MAX - 19, -5, i32::MIN + 1, i32::MAX];
    for (number, cell) in cells.into_iter().enumerate() {
        device.metrics(number as u64, true, 0, &[(ids[0], 0, &[], M::UpDown(cell.into()))]);
    }
    let top = 1_i64 << 31;
    let seen = values(points(&device.wire, &elf));
    let expected = [top - 10, top + 10, top - 20, -5, -top + 1, -top - 1];
    assert_eq!(seen, expected.map(PointValue::UpDown));
}

#[test]
fn sums_of_fractions_and_of_whole_numbers_are_one_sum_32() {
    let float = Site { param: 2, ..site(3, "c") };
    let (elf, ids) = program(&[float.clone(), site(3, "c"), float]);
    let mut device = Device::new(32);
    device.preamble().metrics(
        0,
        true,
        0,
        &[
            (ids[0], 0, &[], M::CounterF64(0.25)),
            (ids[1], 0, &[], M::Counter(3)),
            (ids[2], 0, &[], M::CounterF64(0.5)),
        ],
    );
    assert_eq!(values(points(&device.wire, &elf)), [PointValue::CounterFloat(3.75)]);
}

#[test]
fn histograms_in_steps_of_any_size_are_one_32() {
    // At scale 1 in quarters, the value 1 is four quarters and at position 4; in integers, it is at position
    // 0.
    let (elf, ids) = program(&[site(6, "h"), site(6, "h")]);
    let mut device = Device::new(32);
    let quarters = M::Fixed { scale: 1, bits: 2, sum: 5, zeros: 0, first: 0, buckets: vec![1, 0, 0, 0, 1] };
    let whole = M::Histogram { scale: 1, sum: 1, zeros: 2, first: 0, buckets: vec![1] };
    device.preamble().metrics(0, true, 0, &[(ids[0], 0, &[], quarters), (ids[1], 0, &[], whole)]);
    let expected = PointValue::Histogram {
        scale: 1,
        fraction_bits: 2,
        sum: 5 + 4,
        zeros: 2,
        // OTLP's index -1 holds the value 1. A quarter is two powers of two below, which is four buckets.
        offset: -5,
        buckets: vec![1, 0, 0, 0, 2],
    };
    assert_eq!(values(points(&device.wire, &elf)), [expected]);
}

#[test]
fn steps_that_no_device_has_are_refused() {
    let fixed = |bits| M::Fixed { scale: 0, bits, sum: 0, zeros: 0, first: 0, buckets: vec![1] };
    for (bits, malformed) in [(30, 0), (31, 1), (255, 1)] {
        let mut device = Device::new(32);
        device.preamble().metrics(0, true, 0, &[(1, 0, &[], fixed(bits))]);
        let mut decoder = Decoder::new(None, TimeOptions::default());
        decoder.push(&device.wire, None, &mut |_, _| {});
        assert_eq!(decoder.counts().malformed, malformed, "{bits}");
    }
}

#[test]
fn of_a_gauge_that_older_firmware_sent_for_each_callsite_one_value_is_given() {
    let (elf, ids) = program(&[site(5, "g"), site(5, "g")]);
    let mut device = Device::new(32);
    device.preamble().metrics(
        0,
        true,
        0,
        &[(ids[0], 0, &[], M::GaugeInt(17)), (ids[1], 0, &[], M::GaugeInt(4))],
    );
    assert_eq!(values(points(&device.wire, &elf)), [PointValue::GaugeInt(4)]);
}
