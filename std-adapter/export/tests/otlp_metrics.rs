//! What a backend is sent of metrics by its wishes: totals or what was added, exponential histograms or explicit ones.

mod support;

use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Metric, exemplar, metric::Data, number_data_point::Value as Number,
};
use std::sync::Arc;
use std::time::Duration;
use support::receiver::Receiver;
use throughline::{SpanId, TraceId};
use throughline_export::ledger::Cells;
use throughline_export::otlp::{ClientConfig, Histograms, Options, OtlpExporter, Temporality};
use throughline_export::view::{ExemplarView, HistogramView, PointData, PointView, Scope};
use throughline_export::{Deadline, Launch, Limits, Resource};

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

fn point<'a>(name: &'a str, target: &'a str, time: u64, data: PointData<'a>) -> PointView<'a> {
    PointView {
        id: 0,
        name,
        unit: "1",
        description: "",
        scope: Scope::OWN,
        target,
        start_unix_ns: 1,
        time_unix_ns: time,
        labels: &[],
        data,
    }
}

/// What arrives of these snapshots.
fn sent(
    config: impl FnOnce(ClientConfig) -> ClientConfig,
    snapshots: &[Vec<PointView<'_>>],
) -> Vec<Vec<Metric>> {
    let receiver = Receiver::start([]);
    let client = config(ClientConfig::new(&receiver.endpoint).unwrap());
    let (cells, deadline) = (Cells::default(), Arc::new(Deadline::never()));
    let spawn = |_: &str, run: Box<dyn FnOnce() + Send>| {
        std::thread::spawn(run);
        Ok(())
    };
    let launch =
        Launch { cells: &cells, deadline: &deadline, report: false, spawn: &spawn, wake: Arc::new(|| ()) };
    let limits = Limits { batch_bytes: 1, interval: Duration::ZERO, queue: 100 };
    let resource = Resource::new("svc");
    let mut exporter =
        OtlpExporter::start("otlp", &resource, Options::default(), &client, [limits; 3], &launch).unwrap();
    snapshots.iter().for_each(|points| exporter.points(points, false));
    let (done, all) = std::sync::mpsc::channel();
    exporter.finish(&done);
    drop(done);
    assert_eq!(
        all.recv_timeout(Duration::from_secs(30)),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
    );
    receiver.with(|r| r.metrics.clone())
}

/// Temporality, start and value of the one point of a sum.
fn sum(metrics: &[Metric], name: &str) -> Option<(i32, u64, Number)> {
    let metric = metrics.iter().find(|metric| metric.name == name)?;
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    let [point] = &sum.data_points[..] else { panic!("{sum:?}") };
    Some((sum.aggregation_temporality, point.start_time_unix_nano, point.value.unwrap()))
}

fn snapshots<'a>(histograms: &'a [HistogramView<'a>; 3]) -> [Vec<PointView<'a>>; 3] {
    let of = |time: u64, total: u64, observed: u64, open: i64, histogram: HistogramView<'a>| {
        vec![
            point("made", "shop", time, PointData::Counter(total)),
            point("seen", "", time, PointData::Counter(observed)),
            point("open", "shop", time, PointData::UpDown(open)),
            point("size", "shop", time, PointData::Histogram(histogram)),
        ]
    };
    [
        of(100, 5, 10, 3, histograms[0]),
        of(200, 5, 30, 2, histograms[1]),
        // The counter began anew.
        of(300, 4, 30, 1, histograms[2]),
    ]
}

/// At scale 1, 1 and 0: a coarser histogram after a finer one.
const BUCKETS: [&[u64]; 3] = [&[1, 0, 2], &[1, 1, 2], &[2, 2, 5]];

fn histograms() -> [HistogramView<'static>; 3] {
    [
        HistogramView::new(1, 10.0, 1, 0, BUCKETS[0]).with_extremes(Some((0.0, 4.0))),
        HistogramView::new(1, 12.5, 1, 0, BUCKETS[1]).with_extremes(Some((0.0, 4.0))),
        HistogramView::new(0, 60.0, 3, 0, BUCKETS[2]).with_extremes(Some((0.0, 8.0))),
    ]
}

#[test]
fn a_delta_is_what_was_added() {
    let histograms = histograms();
    let metrics = sent(|config| config.temporality(Temporality::Delta), &snapshots(&histograms));
    let made: Vec<_> = metrics.iter().map(|metrics| sum(metrics, "made")).collect();
    assert_eq!(
        made,
        [Some((DELTA, 1, Number::AsInt(5))), None, Some((DELTA, 200, Number::AsInt(4)))],
        "nothing added is not sent"
    );
    let seen: Vec<_> = metrics.iter().map(|metrics| sum(metrics, "seen")).collect();
    assert_eq!(seen, [Some((DELTA, 1, Number::AsInt(10))), Some((DELTA, 100, Number::AsInt(20))), None]);
    let open: Vec<_> = metrics.iter().map(|metrics| sum(metrics, "open").unwrap()).collect();
    assert_eq!(open, [3, 2, 1].map(|n| (CUMULATIVE, 1, Number::AsInt(n))), "what goes down is a total");
    let sizes = metrics.iter().map(|metrics| {
        let metric = metrics.iter().find(|metric| metric.name == "size").unwrap();
        let Some(Data::ExponentialHistogram(histogram)) = &metric.data else { panic!("{metric:?}") };
        assert_eq!(histogram.aggregation_temporality, DELTA);
        let point = histogram.data_points[0].clone();
        assert_eq!((point.min, point.max), (None, None));
        let positive = point.positive.unwrap();
        (
            point.scale,
            point.count,
            point.sum.unwrap(),
            point.zero_count,
            positive.offset,
            positive.bucket_counts,
        )
    });
    assert_eq!(
        sizes.collect::<Vec<_>>(),
        [
            (1, 4, 10.0, 1, 0, vec![1, 0, 2]),
            (1, 1, 2.5, 0, 1, vec![1]),
            // Of the coarser histogram (2, 2, 5) the finer one (1 + 1, 2) is taken off.
            (0, 7, 47.5, 2, 2, vec![5]),
        ]
    );
}

#[test]
fn with_low_memory_what_is_observed_is_a_total() {
    let histograms = histograms();
    let metrics = sent(|config| config.temporality(Temporality::LowMemory), &snapshots(&histograms));
    let temporality =
        |name: &str| metrics[0].iter().find(|m| m.name == name).map(|_| sum(&metrics[0], name).unwrap().0);
    assert_eq!((temporality("made"), temporality("seen")), (Some(DELTA), Some(CUMULATIVE)));
}

#[test]
fn explicit_histograms_have_every_value_in_its_bucket() {
    // 1 and 3 at scale 2 (above 2^1.5 up to 2^1.75: 3), a value above all bounds, and quarters.
    let mut large = vec![0; 4 * 50];
    (large[0], large[7], large[199]) = (1, 2, 3);
    let whole = HistogramView::new(2, 100.0, 4, -1, &large).with_extremes(Some((0.0, 1e15)));
    let quarters = HistogramView::new(0, 1.25, 0, -3, &[1, 0, 1]).with_fraction_bits(2);
    let points = vec![
        point("whole", "shop", 100, PointData::Histogram(whole)),
        point("quarters", "shop", 100, PointData::Histogram(quarters)),
    ];
    let metrics = sent(|config| config.histograms(Histograms::Explicit), &[points]);
    let read = |name: &str| {
        let metric = metrics[0].iter().find(|metric| metric.name == name).unwrap();
        let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
        assert_eq!(histogram.aggregation_temporality, CUMULATIVE);
        histogram.data_points[0].clone()
    };
    let whole = read("whole");
    assert_eq!(whole.bucket_counts.len(), whole.explicit_bounds.len() + 1);
    assert!(whole.explicit_bounds.is_sorted());
    assert_eq!(&whole.explicit_bounds[..5], [0.0, 1.0, 2.0, 4.0, 8.0]);
    assert_eq!(&whole.bucket_counts[..5], [4, 1, 0, 2, 0]);
    assert_eq!(whole.bucket_counts.last(), Some(&3));
    assert_eq!((whole.count, whole.sum, whole.min, whole.max), (10, Some(100.0), Some(0.0), Some(1e15)));
    let quarters = read("quarters");
    assert_eq!(&quarters.explicit_bounds[..4], [0.0, 0.25, 0.5, 1.0]);
    assert_eq!(&quarters.bucket_counts[..4], [0, 1, 0, 1]);
}

#[test]
fn exemplars_are_those_of_the_time_that_the_point_is_about() {
    let exemplar = |time_unix_ns: u64, value: f64| ExemplarView {
        value,
        time_unix_ns,
        trace_id: TraceId::from_bytes([0x4b; 16]).unwrap(),
        span_id: SpanId::from_bytes([0xa7; 8]).unwrap(),
        // Longer than a length of one byte can say.
        fields: (time_unix_ns == 150).then(|| [("request_id".into(), "r".repeat(200).into())].into()),
    };
    let exemplars = [exemplar(90, 1.5), exemplar(150, 3.0)];
    let snapshots: Vec<_> = [(100, 1), (200, 2), (300, 3)]
        .into_iter()
        .map(|(time, n)| {
            let of_time = &exemplars[..1 + usize::from(time > 150)];
            let histogram = HistogramView::new(0, 1.0, n, 0, &[1, 1]).with_exemplars(of_time);
            vec![point("size", "shop", time, PointData::Histogram(histogram))]
        })
        .collect();
    let values = |histograms, temporality| {
        let metrics = sent(|config| config.histograms(histograms).temporality(temporality), &snapshots[..]);
        let of = |metrics: &Vec<Metric>| -> Vec<Exemplar> {
            match metrics[0].data.as_ref().unwrap() {
                Data::ExponentialHistogram(histogram) => histogram.data_points[0].exemplars.clone(),
                Data::Histogram(histogram) => histogram.data_points[0].exemplars.clone(),
                other => panic!("{other:?}"),
            }
        };
        let all: Vec<_> = metrics.iter().map(of).collect();
        let ids = all.iter().flatten().all(|it| it.trace_id == [0x4b; 16] && it.span_id == [0xa7; 8]);
        assert!(ids, "{all:?}");
        let fields =
            |it: &Exemplar| it.filtered_attributes.iter().map(|field| field.key.clone()).collect::<String>();
        assert!(
            all.iter()
                .flatten()
                .all(|it| fields(it) == if it.time_unix_nano == 150 { "request_id" } else { "" })
        );
        let value = |it: &Exemplar| match it.value {
            Some(exemplar::Value::AsDouble(value)) => (it.time_unix_nano, value),
            _ => panic!("{it:?}"),
        };
        all.iter().map(|of| of.iter().map(value).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let (first, both) = (vec![(90, 1.5)], vec![(90, 1.5), (150, 3.0)]);
    for histograms in [Histograms::Exponential, Histograms::Explicit] {
        let total = values(histograms, Temporality::Cumulative);
        assert_eq!(total, [first.clone(), both.clone(), both.clone()]);
        let delta = values(histograms, Temporality::Delta);
        assert_eq!(delta, [first.clone(), vec![(150, 3.0)], vec![]]);
    }
}
