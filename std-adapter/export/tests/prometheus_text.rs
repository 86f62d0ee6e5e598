//! The text pages for Prometheus: as expected to the byte, and, whatever the points are, parsed by a strict parser.
#![cfg(feature = "prometheus")]

#[path = "support/exposition.rs"]
mod exposition;
#[path = "support/points.rs"]
mod points;

use exposition::{parse, parse_names};
use points::point;
use proptest::prelude::*;
use throughline::{SpanId, TraceId};
use throughline_export::Resource;
use throughline_export::prometheus::{Format, PageOptions, Renderer, render};
use throughline_export::view::{ExemplarView, HistogramView, PointData, PointView, SummaryView};

fn page(points: &[PointView<'_>], options: &PageOptions, format: Format) -> String {
    let mut out = Vec::new();
    render(points, &Resource::new("shop"), options, format, &mut out);
    String::from_utf8(out).unwrap()
}

/// Without what every page has.
fn bare() -> PageOptions {
    PageOptions::default().scope_labels(false).target_info(false)
}

#[test]
fn every_kind_in_the_text_format() {
    let quantiles = [(0.5, 2.0), (0.99, f64::NAN)];
    let points = [
        point("http.requests", "{request}", &[("http.route", "/a\"b\\c\ndé")], PointData::Counter(u64::MAX)),
        point("queue.depth", "{item}", &[], PointData::UpDown(-3)),
        point("load", "1", &[], PointData::GaugeFloat(f64::NEG_INFINITY)),
        point(
            "request.duration",
            "ms",
            &[("code", "200")],
            PointData::Histogram(HistogramView::new(0, 11.5, 1, -1, &[1, 0, 2])),
        ),
        point(
            "size",
            "By",
            &[],
            PointData::Summary(SummaryView { count: 9, sum: 1e300, quantiles: &quantiles }),
        ),
    ];
    let expected = r#"# HELP http_requests_total http.requests
# TYPE http_requests_total counter
http_requests_total{http_route="/a\"b\\c\ndé"} 18446744073709551615
# HELP queue_depth queue.depth
# TYPE queue_depth gauge
queue_depth -3
# HELP load_ratio load
# TYPE load_ratio gauge
load_ratio -Inf
# HELP request_duration_milliseconds request.duration
# TYPE request_duration_milliseconds histogram
request_duration_milliseconds_bucket{code="200",le="0.0"} 1
request_duration_milliseconds_bucket{code="200",le="0.0625"} 1
request_duration_milliseconds_bucket{code="200",le="0.125"} 1
request_duration_milliseconds_bucket{code="200",le="0.25"} 1
request_duration_milliseconds_bucket{code="200",le="0.5"} 1
request_duration_milliseconds_bucket{code="200",le="1.0"} 2
request_duration_milliseconds_bucket{code="200",le="2.0"} 2
request_duration_milliseconds_bucket{code="200",le="4.0"} 4
request_duration_milliseconds_bucket{code="200",le="8.0"} 4
request_duration_milliseconds_bucket{code="200",le="16.0"} 4
request_duration_milliseconds_bucket{code="200",le="+Inf"} 4
request_duration_milliseconds_sum{code="200"} 11.5
request_duration_milliseconds_count{code="200"} 4
# HELP size_bytes size
# TYPE size_bytes summary
size_bytes{quantile="0.5"} 2.0
size_bytes{quantile="0.99"} NaN
size_bytes_sum 1e300
size_bytes_count 9
"#;
    assert_eq!(page(&points, &bare(), Format::Text), expected);
    parse(expected, false);
}

/// OpenMetrics allows 128 characters for the labels of an exemplar, of which the ids take 63.
#[test]
fn an_exemplar_has_the_fields_that_fit() {
    let long = "x".repeat(60);
    let fields = [
        ("request_id", "r\"7"),
        ("note", &long),
        ("agent.name", "planner"),
        ("not a name", "x"),
        ("span_id", "x"),
    ];
    let fields = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let exemplars = [ExemplarView {
        value: 1.0,
        time_unix_ns: 1_700_000_050_000_000_001,
        trace_id: TraceId::from_bytes([0x4b; 16]).unwrap(),
        span_id: SpanId::from_bytes([0x0f; 8]).unwrap(),
        fields: Some(fields),
    }];
    let histogram = HistogramView::new(0, 1.0, 0, -1, &[1]).with_exemplars(&exemplars);
    let points = [point("size", "", &[], PointData::Histogram(histogram))];
    let text = page(&points, &PageOptions::default(), Format::OpenMetrics);
    let labels = "# {trace_id=\"4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b\",span_id=\"0f0f0f0f0f0f0f0f\",request_id=\"r\\\"7\",agent_name=\"planner\"} 1.0 ";
    assert!(text.contains(labels), "{text}");
    parse(&text, true);
}

#[test]
fn open_metrics_has_units_exemplars_and_an_end() {
    let exemplar = |value| ExemplarView {
        value,
        time_unix_ns: 1_700_000_050_000_000_001,
        trace_id: TraceId::from_bytes([0x4b; 16]).unwrap(),
        span_id: SpanId::from_bytes([0x0f; 8]).unwrap(),
        fields: None,
    };
    let exemplars = [exemplar(3.0), exemplar(4.0), exemplar(1.0), exemplar(0.0)];
    let histogram = HistogramView::new(0, 8.0, 1, -1, &[1, 0, 2]).with_exemplars(&exemplars);
    let points = [
        point("spent", "s", &[], PointData::CounterFloat(0.5)),
        point("duration", "ms", &[], PointData::Histogram(histogram)),
    ];
    let text = page(&points, &PageOptions::default().created_samples(true), Format::OpenMetrics);
    let families = parse(&text, true);
    let spent = &families["spent_seconds"];
    assert_eq!(spent.unit.as_deref(), Some("seconds"));
    let scope = |name: &str| spent.samples[0].labels[name].clone();
    assert_eq!((scope("otel_scope_name"), scope("otel_scope_version")), ("shop".into(), "1.2.0".into()));
    assert_eq!(spent.samples[0].name, "spent_seconds_total");
    assert_eq!(
        (&*spent.samples[1].name, spent.samples[1].value),
        ("spent_seconds_created", 1_700_000_000.25)
    );
    let shown: Vec<_> = families["duration_milliseconds"]
        .samples
        .iter()
        .filter_map(|s| Some((s.labels.get("le")?.clone(), s.exemplar.clone()?)))
        .collect();
    let shown: Vec<_> = shown.iter().map(|(le, (_, value, time))| (&**le, *value, *time)).collect();
    let time = 1_700_000_050.000_000_001;
    assert_eq!(shown, [("0.0", 0.0, time), ("1.0", 1.0, time), ("4.0", 4.0, time)]);
    let line = "duration_milliseconds_bucket{otel_scope_name=\"shop\",otel_scope_version=\"1.2.0\",le=\"4.0\"} 4 # {trace_id=\"4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b\",span_id=\"0f0f0f0f0f0f0f0f\"} 4.0 1700000050.000000001\n";
    assert!(text.contains(line), "{text}");
    let target = &families["target"];
    assert_eq!(
        (target.kind.as_deref(), target.samples[0].labels["service_name"].as_str()),
        (Some("info"), "shop")
    );
    assert!(text.contains("# TYPE target info\n") && text.ends_with("# EOF\n"), "{text}");
    assert!(!page(&points, &PageOptions::default(), Format::OpenMetrics).contains("_created"));
}

#[test]
fn what_becomes_one_series_is_one() {
    let labels = [("a.b", "2"), ("a_b", "3"), ("a-b", "1"), ("empty", "")];
    let reversed = [("a-b", "1"), ("a_b", "3"), ("a.b", "2")];
    let points = [
        point("n", "", &labels, PointData::Counter(5)),
        point("n", "", &reversed, PointData::CounterFloat(0.5)),
        point("g.x", "", &[], PointData::GaugeInt(1)),
        point("g_x", "", &[], PointData::GaugeFloat(2.5)),
        point("u", "", &[], PointData::UpDown(1)),
        point("u", "", &[], PointData::UpDown(2)),
        point("h", "", &[("le", "x")], PointData::Histogram(HistogramView::new(1, 4.0, 0, 2, &[1, 1]))),
        point("h", "", &[("le", "x")], PointData::Histogram(HistogramView::new(0, 2.0, 1, 0, &[1]))),
    ];
    let families = parse(&page(&points, &bare(), Format::Text), false);
    let only = |name: &str| {
        assert_eq!(families[name].samples.len(), 1, "{name}");
        families[name].samples[0].clone()
    };
    // In the order of the original names.
    assert_eq!((only("n_total").labels["a_b"].as_str(), only("n_total").value), ("1;2;3", 5.5));
    assert_eq!((only("g_x").value, only("u").value), (2.5, 3.0));
    let last = families["h"].samples.iter().rfind(|s| s.name == "h_bucket").unwrap();
    assert_eq!((last.labels["exported_le"].as_str(), last.value), ("x", 4.0));
}

#[test]
fn a_name_taken_by_another_kind_is_left_out_and_counted() {
    let points = [
        point("jobs", "", &[], PointData::Counter(5)),
        point("jobs", "", &[("a", "1")], PointData::GaugeInt(1)),
        point("jobs", "", &[("a", "2")], PointData::GaugeInt(2)),
        point("wait", "", &[], PointData::Histogram(HistogramView::new(0, 0.0, 0, 0, &[]))),
        point("wait.count", "", &[], PointData::GaugeInt(3)),
        point("jobs", "", &[("a", "3")], PointData::Counter(6)),
    ];
    for (format, jobs) in [(Format::Text, "jobs_total"), (Format::OpenMetrics, "jobs")] {
        let families = parse(&page(&points, &bare(), format), format == Format::OpenMetrics);
        let names: Vec<_> = families.keys().map(String::as_str).collect();
        assert_eq!(names, [jobs, "throughline_prometheus_conflicts", "wait"]);
        assert_eq!(families[jobs].samples.len(), 2);
        assert_eq!(families["throughline_prometheus_conflicts"].samples[0].value, 3.0);
    }
}

#[test]
fn a_namespace_is_put_before_the_programs_metrics() {
    let points = [point("orders", "", &[], PointData::Counter(5))];
    let text = page(&points, &PageOptions::default().namespace("my-shop"), Format::Text);
    let families = parse(&text, false);
    assert_eq!(families.keys().collect::<Vec<_>>(), ["my_shop_orders_total", "target_info"]);
}

#[derive(Clone, Debug)]
struct Owned {
    name: String,
    unit: String,
    labels: Vec<(String, String)>,
    data: Data,
}

#[derive(Clone, Debug)]
enum Data {
    Counter(u32),
    CounterFloat(f64),
    UpDown(i64),
    Gauge(f64),
    Histogram { scale: u8, zeros: u32, offset: i32, buckets: Vec<u64>, exemplars: Vec<f64> },
    Summary(Vec<(f64, f64)>),
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c][._-]?[a-c]{0,2}", "[a-c](_total|.count|_sum|_bucket|.info)", any::<String>()]
}

fn label() -> impl Strategy<Value = (String, String)> {
    let key =
        prop_oneof!["[ab][._-]?[ab]?", Just("le".to_owned()), Just("quantile".to_owned()), any::<String>()];
    (key, prop_oneof!["[a-z]{0,3}", "[\\\\\"\n\0x]{0,6}", any::<String>()])
}

fn data() -> impl Strategy<Value = Data> {
    let bucket = prop_oneof![Just(0), 0..1000_u64, Just(u64::MAX)];
    let offset = prop_oneof![-2000..2000, any::<i32>()];
    prop_oneof![
        any::<u32>().prop_map(Data::Counter),
        (0.0..f64::MAX).prop_map(Data::CounterFloat),
        any::<i64>().prop_map(Data::UpDown),
        any::<f64>().prop_map(Data::Gauge),
        (
            0..10_u8,
            any::<u32>(),
            offset,
            prop::collection::vec(bucket, 0..80),
            prop::collection::vec(0.0..1e6, 0..4)
        )
            .prop_map(|(scale, zeros, offset, buckets, exemplars)| Data::Histogram {
                scale,
                zeros,
                offset,
                buckets,
                exemplars
            }),
        prop::collection::vec((0.0..1.0, any::<f64>()), 0..3).prop_map(|mut quantiles: Vec<(f64, f64)>| {
            quantiles.sort_by(|a, b| a.0.total_cmp(&b.0));
            quantiles.dedup_by(|a, b| a.0 == b.0);
            Data::Summary(quantiles)
        }),
    ]
}

/// Source: Prometheus, *UTF-8 in Prometheus*, "Exposition".
#[test]
fn names_in_utf8_are_in_quotes_as_documented() {
    let requests = [("http.route", "/a \"b\""), ("code", "200"), ("le", "x")];
    let histogram = HistogramView::new(0, 3.0, 0, 0, &[1]);
    let points = [
        point("http.requests", "{request}", &requests, PointData::Counter(7)),
        point("größe in \"m\"", "", &[], PointData::GaugeInt(-1)),
        point("plain", "", &[("is.not", "é")], PointData::GaugeInt(1)),
        point("wait.time", "s", &[("a b", "c")], PointData::Histogram(histogram)),
    ];
    let options = PageOptions::default().scope_labels(false).target_info(false).utf8_names(true);
    let expected = r#"# HELP "http.requests" http.requests
# TYPE "http.requests" counter
{"http.requests_total",code="200","http.route"="/a \"b\"",le="x"} 7
# HELP "größe in \"m\"" größe in \"m\"
# TYPE "größe in \"m\"" gauge
{"größe in \"m\""} -1
# HELP plain plain
# TYPE plain gauge
plain{"is.not"="é"} 1
# HELP "wait.time_seconds" wait.time
# TYPE "wait.time_seconds" histogram
# UNIT "wait.time_seconds" seconds
{"wait.time_seconds_bucket","a b"="c",le="0.0"} 0
{"wait.time_seconds_bucket","a b"="c",le="1.0"} 0
{"wait.time_seconds_bucket","a b"="c",le="2.0"} 1
{"wait.time_seconds_bucket","a b"="c",le="4.0"} 1
{"wait.time_seconds_bucket","a b"="c",le="8.0"} 1
{"wait.time_seconds_bucket","a b"="c",le="16.0"} 1
{"wait.time_seconds_bucket","a b"="c",le="+Inf"} 1
{"wait.time_seconds_sum","a b"="c"} 3.0
{"wait.time_seconds_count","a b"="c"} 1
# EOF
"#;
    assert_eq!(page(&points, &options, Format::OpenMetrics), expected);
    let text = page(&points, &options, Format::Text);
    assert!(text.starts_with("# HELP \"http.requests_total\" http.requests\n"), "{text}");
}

/// A renderer's page is that of [`render`], whatever pages it made before.
#[test]
fn a_layout_that_is_kept_changes_nothing() {
    let mut renderer = Renderer::new(Resource::new("shop"), PageOptions::default());
    let of = |ids: &[u64], n: u64| {
        ids.iter()
            .map(|id| {
                let (name, data) = match id % 4 {
                    0 => ("plain", PointData::GaugeInt(-(n as i64))),
                    1 => ("orders", PointData::Counter(n + id)),
                    2 => ("orders.total", PointData::Counter(n)),
                    _ => ("wait", PointData::Histogram(HistogramView::new(2, n as f64, 1, -5, &[1, 0, 4]))),
                };
                let labels: &[(&str, &str)] =
                    [&[("a", "b")][..], &[("a", "c"), ("b", "x y")]][*id as usize % 2];
                PointView { id: *id, ..point(name, "", labels, data) }
            })
            .collect::<Vec<_>>()
    };
    let (without_ids, renamed) = (of(&[0, 0], 5), PointView { name: "other", ..of(&[0], 5).remove(0) });
    let pages = [
        of(&[1, 2, 3], 1),
        of(&[1, 2, 3], 2),
        of(&[3, 2, 1], 3),
        of(&[1, 2, 3, 4, 5], 2),
        without_ids.clone(),
        of(&[0, 0], 6),
        vec![without_ids[0].clone(), renamed],
        Vec::new(),
        of(&[1, 2, 3], 4),
    ];
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        for points in &pages {
            let (mut kept, mut fresh) = (Vec::new(), Vec::new());
            renderer.render(points, format, &mut kept);
            render(points, &Resource::new("shop"), &PageOptions::default(), format, &mut fresh);
            assert_eq!(String::from_utf8_lossy(&kept), String::from_utf8_lossy(&fresh));
        }
    }
}

proptest! {
    #[test]
    fn every_page_is_parsed(
        given in prop::collection::vec((name(), "[a-z%{}/1]{0,3}", prop::collection::vec(label(), 0..4), data()), 0..24),
        (created, scope, target, utf8) in any::<(bool, bool, bool, bool)>(),
        classic in 0..20_u32,
        namespace in prop_oneof![Just(String::new()), any::<String>()],
    ) {
        let options = PageOptions::default().created_samples(created).scope_labels(scope).target_info(target)
            .buckets_per_power_of_two(classic).namespace(namespace).utf8_names(utf8);
        let owned: Vec<Owned> =
            given.into_iter().map(|(name, unit, labels, data)| Owned { name, unit, labels, data }).collect();
        let labels: Vec<Vec<(&str, &str)>> =
            owned.iter().map(|o| o.labels.iter().map(|(k, v)| (&**k, &**v)).collect()).collect();
        let exemplars: Vec<Vec<ExemplarView>> = owned.iter().map(|o| match &o.data {
            Data::Histogram { exemplars, .. } => exemplars.iter().map(|value| ExemplarView {
                value: *value,
                time_unix_ns: 5,
                trace_id: TraceId::from_bytes([1; 16]).unwrap(),
                span_id: SpanId::from_bytes([2; 8]).unwrap(),
                fields: None,
            }).collect(),
            _ => Vec::new(),
        }).collect();
        let points: Vec<_> = owned.iter().zip(&labels).zip(&exemplars).map(|((o, labels), exemplars)| {
            let data = match &o.data {
                Data::Counter(n) => PointData::Counter((*n).into()),
                Data::CounterFloat(x) => PointData::CounterFloat(*x),
                Data::UpDown(n) => PointData::UpDown(*n),
                Data::Gauge(x) => PointData::GaugeFloat(*x),
                Data::Histogram { scale, zeros, offset, buckets, .. } => PointData::Histogram(
                    HistogramView::new(*scale, 1.5, (*zeros).into(), *offset, buckets).with_exemplars(exemplars)),
                Data::Summary(quantiles) => PointData::Summary(SummaryView { count: 3, sum: 2.5, quantiles }),
            };
            point(&o.name, &o.unit, labels, data)
        }).collect();
        let text = parse_names(&page(&points, &options, Format::Text), false, utf8);
        let open = parse_names(&page(&points, &options, Format::OpenMetrics), true, utf8);
        prop_assert_eq!(text.len(), open.len());
        // Nothing is lost: whole counters add up to what was counted, unless the page says that it left something out.
        if !text.contains_key("throughline_prometheus_conflicts") && !owned.iter().any(|o| matches!(o.data, Data::CounterFloat(_))) {
            let counted: u64 = owned.iter().map(|o| if let Data::Counter(n) = o.data { n.into() } else { 0 }).sum();
            let of_counters = |f: &&exposition::Family| f.kind.as_deref() == Some("counter");
            let shown: f64 = text.values().filter(of_counters).flat_map(|f| &f.samples).map(|s| s.value).sum();
            prop_assert_eq!(shown, counted as f64);
        }
    }
}
