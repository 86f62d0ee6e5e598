//! The protobuf page for Prometheus, decoded by prost: native histograms bucket for bucket, and all else as in the text.
#![cfg(feature = "prometheus")]

#[path = "support/client_model.rs"]
mod client_model;
#[path = "support/exposition.rs"]
mod exposition;
#[path = "support/points.rs"]
mod points;

use client_model::{Histogram, MetricFamily, MetricType, Timestamp, decode};
use points::point;
use proptest::prelude::*;
use std::collections::BTreeMap;
use throughline::{SpanId, TraceId};
use throughline_export::Resource;
use throughline_export::prometheus::{Format, PageOptions, render};
use throughline_export::view::{ExemplarView, HistogramView, PointData, PointView, SummaryView};

fn page(points: &[PointView<'_>], format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    render(points, &Resource::new("shop"), &PageOptions::default(), format, &mut out);
    out
}

fn families(points: &[PointView<'_>]) -> Vec<MetricFamily> {
    decode(&page(points, Format::Protobuf))
}

fn histogram(view: HistogramView<'_>) -> Histogram {
    families(&[point("h", "", &[], PointData::Histogram(view))])[0].metric[0].histogram.clone().unwrap()
}

#[test]
fn native_histograms_have_the_same_buckets() {
    // Prometheus names a bucket by its upper bound: OTLP's index -1, which holds 1, is its index 0.
    let native = histogram(HistogramView::new(3, 12.5, 4, -1, &[1, 0, 0, 7, 0, 0, 0, 2]));
    assert_eq!((native.schema, native.sample_count, native.zero_count), (Some(3), Some(14), Some(4)));
    assert_eq!((native.sample_sum, native.zero_threshold), (Some(12.5), Some((-128_f64).exp2())));
    assert_eq!(native.native(), [(0, 1), (3, 7), (7, 2)]);
    let spans: Vec<_> = native.positive_span.iter().map(|s| (s.offset.unwrap(), s.length.unwrap())).collect();
    // Two empty buckets are written, three make a span.
    assert_eq!((spans, &*native.positive_delta), (vec![(0, 4), (3, 1)], &[1, -1, 0, 7, -5][..]));
    let bounds: Vec<_> =
        native.bucket.iter().map(|b| (b.upper_bound.unwrap(), b.cumulative_count.unwrap())).collect();
    assert_eq!((bounds[0], bounds.last()), ((0.0, 4), Some(&(f64::INFINITY, 14))));
    assert!(bounds.contains(&(1.0, 5)) && bounds.contains(&(2.0, 14)), "{bounds:?}");
    let empty = histogram(HistogramView::new(0, 0.0, 0, 0, &[]));
    assert_eq!((empty.native(), empty.sample_count, empty.schema), (vec![], Some(0), Some(0)));
    // A scale beyond those of native histograms is lowered.
    let fine = histogram(HistogramView::new(10, 0.0, 0, 0, &[1, 1, 1, 1, 1]));
    assert_eq!((fine.schema, fine.native()), (Some(8), vec![(1, 4), (2, 1)]));
}

#[test]
fn every_kind_has_its_type_and_its_beginning() {
    let quantiles = [(0.5, 2.0)];
    let exemplars = [ExemplarView {
        value: 3.0,
        time_unix_ns: 5_000_000_007,
        trace_id: TraceId::from_bytes([0x4b; 16]).unwrap(),
        span_id: SpanId::from_bytes([0x0f; 8]).unwrap(),
        fields: None,
    }];
    let histogram = HistogramView::new(0, 3.0, 0, 1, &[1]).with_exemplars(&exemplars);
    let points = [
        point("c", "s", &[("b", "2"), ("a", "1")], PointData::CounterFloat(0.5)),
        point("u", "", &[], PointData::UpDown(-3)),
        point("h", "By", &[], PointData::Histogram(histogram)),
        point("s", "", &[], PointData::Summary(SummaryView { count: 9, sum: 1.5, quantiles: &quantiles })),
    ];
    let families = families(&points);
    let heads: Vec<_> =
        families.iter().map(|f| (f.name(), f.r#type(), f.unit.as_deref(), f.help())).collect();
    let expected = [
        ("c_seconds_total", MetricType::Counter, Some("seconds"), "c"),
        ("u", MetricType::Gauge, None, "u"),
        ("h_bytes", MetricType::Histogram, Some("bytes"), "h"),
        ("s", MetricType::Summary, None, "s"),
        ("target_info", MetricType::Gauge, None, "What is being observed"),
    ];
    assert_eq!(heads, expected);
    let created = Some(Timestamp { seconds: 1_700_000_000, nanos: 250_000_000 });
    let counter = families[0].metric[0].counter.clone().unwrap();
    assert_eq!((counter.value, counter.created_timestamp), (Some(0.5), created.clone()));
    let labels: Vec<_> = families[0].metric[0].label.iter().map(|l| (l.name(), l.value())).collect();
    assert_eq!(
        labels,
        [("a", "1"), ("b", "2"), ("otel_scope_name", "shop"), ("otel_scope_version", "1.2.0")]
    );
    let shown = families[2].metric[0].histogram.clone().unwrap();
    assert_eq!(shown.created_timestamp, created);
    let with_exemplar: Vec<_> = shown.bucket.iter().filter(|b| b.exemplar.is_some()).collect();
    assert_eq!((with_exemplar.len(), with_exemplar[0].upper_bound), (1, Some(4.0)));
    assert_eq!(with_exemplar[0].exemplar.as_ref(), shown.exemplars.first());
    let exemplar = &shown.exemplars[0];
    assert_eq!(exemplar.timestamp, Some(Timestamp { seconds: 5, nanos: 7 }));
    assert_eq!((exemplar.label[0].value(), exemplar.label[1].value()), (&*"4b".repeat(16), &*"0f".repeat(8)));
    let summary = families[3].metric[0].summary.clone().unwrap();
    assert_eq!((summary.sample_count, summary.created_timestamp), (Some(9), created));
    assert_eq!((summary.quantile[0].quantile, summary.quantile[0].value), (Some(0.5), Some(2.0)));
}

proptest! {
    #[test]
    fn a_page_says_what_the_text_says(
        counters in prop::collection::vec(("[a-c]{1,2}", "[a-z\\\\\n\"]{0,3}", any::<u32>()), 0..8),
        histograms in prop::collection::vec(("[d-f]{1,2}", 0..9_u8, any::<u32>(), -300..300_i32,
            prop::collection::vec(prop_oneof![3 => Just(0_u64), 2 => 0..1000_u64], 0..60)), 0..6),
    ) {
        let labels: Vec<[(&str, &str); 1]> = counters.iter().map(|(_, value, _)| [("l", &**value)]).collect();
        let mut points: Vec<_> = counters.iter().zip(&labels)
            .map(|((name, _, n), labels)| point(name, "", labels, PointData::Counter((*n).into()))).collect();
        points.extend(histograms.iter().map(|(name, scale, zeros, offset, buckets)| {
            point(name, "", &[], PointData::Histogram(HistogramView::new(*scale, 1.0, (*zeros).into(), *offset, buckets)))
        }));
        let text = exposition::parse(&String::from_utf8(page(&points, Format::Text)).unwrap(), false);
        let families = families(&points);
        prop_assert_eq!(families.len(), text.len());
        for family in families {
            let shown = &text[family.name()];
            if let MetricType::Counter = family.r#type() {
                let values: Vec<_> = shown.samples.iter().map(|s| s.value).collect();
                prop_assert_eq!(family.metric.iter().map(|m| m.counter.as_ref().unwrap().value()).collect::<Vec<_>>(), values);
            }
            for native in family.metric.iter().filter_map(|m| m.histogram.as_ref()) {
                let counted: i64 = native.native().iter().map(|(_, n)| n).sum();
                prop_assert_eq!(counted as u64 + native.zero_count(), native.sample_count());
                let classic: Vec<_> = shown.samples.iter().filter(|s| s.labels.contains_key("le")).map(|s| s.value).collect();
                prop_assert_eq!(native.bucket.iter().map(|b| b.cumulative_count() as f64).collect::<Vec<_>>(), classic);
                // Every value is in the bucket that it was in, at the coarsest of the scales that were added up.
                let mut expected = BTreeMap::new();
                for (_, scale, _, offset, buckets) in histograms.iter().filter(|h| h.0 == family.name()) {
                    for (i, n) in buckets.iter().enumerate().filter(|(_, n)| **n > 0) {
                        let index = (i64::from(*offset) + i as i64) >> (i32::from(*scale) - native.schema());
                        *expected.entry(index + 1).or_insert(0) += *n as i64;
                    }
                }
                prop_assert_eq!(native.native(), expected.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
