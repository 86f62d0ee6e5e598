//! Remote write against a server that decodes what the specification demands: contents, retries, and what is lost.
#![cfg(feature = "prometheus")]

#[path = "support/points.rs"]
mod points;
#[path = "support/write_request.rs"]
mod write_request;

use points::point;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use throughline::{SpanId, TraceId};
use throughline_export::ledger::DropReason;
use throughline_export::prometheus::{PageOptions, RemoteWrite, RemoteWriteVersion};
use throughline_export::view::{ExemplarView, HistogramView, PointData, PointView, SummaryView};
use throughline_export::{Deadline, Exporter, Host, Resource};
use write_request::{Span, WriteRequest};

const TIME_MS: i64 = 1_700_000_100_000;
const START_MS: i64 = 1_700_000_000_250;

/// The answer to a request that was taken, as version 2 has it.
const WRITTEN: &str = "204 No Content\r\nX-Prometheus-Remote-Write-Samples-Written: 1";

/// Answers requests with these statuses in turn, then with 204. Gives back its address and the requests.
fn receiver(statuses: &'static [&'static str]) -> (String, Receiver<WriteRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        let answered = Arc::new(AtomicUsize::new(0));
        // A client may keep a connection that it has no more use for, so each has a thread.
        for stream in listener.incoming() {
            let (stream, sender, answered) = (stream.unwrap(), sender.clone(), Arc::clone(&answered));
            std::thread::spawn(move || {
                serve(stream, &sender, || {
                    statuses.get(answered.fetch_add(1, Ordering::Relaxed)).unwrap_or(&WRITTEN)
                })
            });
        }
    });
    (url, requests)
}

/// Answers the requests of one connection.
fn serve(stream: TcpStream, sender: &Sender<WriteRequest>, status: impl Fn() -> &'static str) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|n| n > 0) {}
        if head.is_empty() {
            return;
        }
        let head = head.to_lowercase();
        assert!(head.starts_with("post /api/v1/write http/1.1\r\n"), "{head}");
        let is_2_0 = head.contains("\r\nx-prometheus-remote-write-version: 2.0.0\r\n");
        let (version, kind) = if is_2_0 {
            ("2.0.0", "application/x-protobuf;proto=io.prometheus.write.v2.request")
        } else {
            ("0.1.0", "application/x-protobuf")
        };
        for header in [
            "content-encoding: snappy",
            &format!("content-type: {kind}"),
            &format!("x-prometheus-remote-write-version: {version}"),
            "x-scope-orgid: shop",
        ] {
            assert!(head.contains(&format!("\r\n{header}\r\n")), "{header} in {head}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        if sender.send(WriteRequest::of(&body, is_2_0)).is_err() {
            return;
        }
        let answer = format!("HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n", status());
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
    }
}

fn spawn(_: &str, _: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    panic!("it needs no thread of its own")
}

fn begun(url: &str, with: impl FnOnce(RemoteWrite) -> RemoteWrite) -> RemoteWrite {
    let page = PageOptions::default().process_metrics(false).scope_labels(false);
    let mut writer = with(RemoteWrite::new(url).unwrap().header("X-Scope-OrgID", "shop").page(page));
    let resource =
        Resource::new("checkout").with("service.namespace", "shop").with("service.instance.id", "a-1");
    writer.begin(&Host::new(&resource, &spawn)).unwrap();
    assert!(writer.wants().points && !writer.wants().spans);
    writer
}

fn counter(n: u64) -> [PointView<'static>; 1] {
    [point("orders", "", &[], PointData::Counter(n))]
}

fn deadline() -> Deadline {
    Deadline::within(Duration::from_secs(30))
}

#[test]
fn every_kind_is_written_as_the_specification_has_it() {
    let (url, requests) = receiver(&[]);
    let exemplars = [ExemplarView {
        value: 3.0,
        time_unix_ns: 1_700_000_099_500_000_000,
        trace_id: TraceId::from_bytes([0x4b; 16]).unwrap(),
        span_id: SpanId::from_bytes([0xa7; 8]).unwrap(),
        fields: None,
    }];
    let histogram = HistogramView::new(1, 7.5, 2, -1, &[1, 0, 0, 3]).with_exemplars(&exemplars);
    let summary = SummaryView { count: 4, sum: 9.0, quantiles: &[(0.5, 2.0)] };
    let odd = [("Zone", "eu west"), ("job", "nightly"), ("a\"b", "c\\d\ne é")];
    let points = [
        point("orders", "{order}", &odd, PointData::Counter(7)),
        point("depth", "", &[], PointData::UpDown(-2)),
        point("wait", "s", &[("route", "/a")], PointData::Histogram(histogram)),
        point("size", "By", &[], PointData::Summary(summary)),
    ];
    let target = [("instance", "a-1"), ("job", "shop/checkout")];
    let both = [RemoteWriteVersion::V1, RemoteWriteVersion::V2]
        .map(|version| [false, true].map(|native| (version, native)));
    for (version, native) in both.into_iter().flatten() {
        let mut writer = begun(&url, |writer| writer.version(version).native_histograms(native));
        writer.points(&points);
        writer.flush(&deadline()).unwrap();
        let request = requests.recv().unwrap();
        // `__name__` comes after `Zone`, as capitals do before underscores.
        let orders = request.series("orders_total", &target);
        let names: Vec<_> = orders.labels.iter().map(|label| &*label.name).collect();
        assert_eq!(names, ["Zone", "__name__", "a_b", "exported_job", "instance", "job"]);
        assert_eq!((orders.labels()["a_b"], orders.labels()["exported_job"]), ("c\\d\ne é", "nightly"));
        assert_eq!((orders.samples[0].value, orders.samples[0].timestamp), (7.0, TIME_MS));
        assert_eq!(request.value("depth", &target), -2.0);
        assert_eq!(request.value("size_bytes", &[("quantile", "0.5"), target[0], target[1]]), 2.0);
        assert_eq!(
            (request.value("size_bytes_sum", &[]), request.value("size_bytes_count", &[])),
            (9.0, 4.0)
        );
        assert_eq!(request.value("target_info", &[("service_name", "checkout"), target[1]]), 1.0);
        let kinds: Vec<_> = request.metadata.iter().map(|it| (&*it.metric_family_name, it.r#type)).collect();
        for kind in
            [("orders_total", 1), ("depth", 2), ("wait_seconds", 3), ("size_bytes", 5), ("target_info", 6)]
        {
            assert!(kinds.contains(&kind), "{kind:?} in {kinds:?}");
        }
        let start = |name| request.series(name, &[]).samples[0].start_timestamp;
        let began = if version == RemoteWriteVersion::V2 { START_MS } else { 0 };
        assert_eq!((start("orders_total"), start("depth"), start("size_bytes_sum")), (began, 0, began));
        let exemplar = if native {
            let series = request.series("wait_seconds", &[("route", "/a"), target[1]]);
            let native = &series.histograms[0];
            assert_eq!((native.count_int, native.sum, native.schema), (6, 7.5, 1));
            assert_eq!(
                (native.zero_count_int, native.zero_threshold, native.timestamp),
                (2, (-128_f64).exp2(), TIME_MS)
            );
            assert_eq!(native.positive_spans, [Span { offset: 0, length: 4 }]);
            assert_eq!(native.positive_deltas, [1, -1, 0, 3]);
            series.exemplars.clone()
        } else {
            let at = |le| request.value("wait_seconds_bucket", &[("le", le), ("route", "/a")]);
            assert_eq!((at("0.0"), at("1.0"), at("4.0"), at("+Inf")), (2.0, 3.0, 6.0, 6.0));
            assert_eq!(
                (request.value("wait_seconds_sum", &[]), request.value("wait_seconds_count", &[])),
                (7.5, 6.0)
            );
            let exemplars = |le| request.series("wait_seconds_bucket", &[("le", le)]).exemplars.clone();
            assert_eq!((exemplars("2.0"), exemplars("8.0")), (vec![], vec![]));
            exemplars("4.0")
        };
        let labels: Vec<_> = exemplar[0].labels.iter().map(|it| (&*it.name, it.value.clone())).collect();
        assert_eq!(labels, [("span_id", "a7".repeat(8)), ("trace_id", "4b".repeat(16))]);
        assert_eq!((exemplar.len(), exemplar[0].value, exemplar[0].timestamp), (1, 3.0, 1_700_000_099_500));
        // At the end every series has ended, one millisecond after its last sample.
        writer.finish(&deadline()).unwrap();
        let end = requests.recv().unwrap();
        assert_eq!(end.timeseries.len(), request.timeseries.len());
        for (last, end) in request.timeseries.iter().zip(&end.timeseries) {
            let of = |it: &write_request::TimeSeries| match (&it.samples[..], &it.histograms[..]) {
                ([sample], _) => (sample.timestamp, sample.value),
                (_, [histogram]) => (histogram.timestamp, histogram.sum),
                _ => unreachable!(),
            };
            assert_eq!(last.labels, end.labels);
            assert_eq!((of(end).0, of(end).1.to_bits()), (of(last).0 + 1, 0x7ff0_0000_0000_0002));
            assert_eq!(end.exemplars, []);
        }
    }
}

#[test]
fn version_2_sends_an_exemplar_once_and_those_of_a_series_in_the_order_of_their_times() {
    let (url, requests) = receiver(&[]);
    let exemplar = |value, seconds: u64| ExemplarView {
        value,
        time_unix_ns: seconds * 1_000_000_000,
        trace_id: TraceId::from_bytes([1; 16]).unwrap(),
        span_id: SpanId::from_bytes([2; 8]).unwrap(),
        fields: None,
    };
    let mut writer = begun(&url, |writer| writer.version(RemoteWriteVersion::V2).native_histograms(true));
    let mut times = |exemplars: &[ExemplarView]| {
        let histogram = HistogramView::new(0, 7.5, 0, 0, &[1, 1, 1]).with_exemplars(exemplars);
        writer.points(&[point("wait", "s", &[], PointData::Histogram(histogram))]);
        writer.flush(&deadline()).unwrap();
        let request = requests.recv().unwrap();
        let series = request.series("wait_seconds", &[]);
        series.exemplars.iter().map(|exemplar| exemplar.timestamp / 1000).collect::<Vec<_>>()
    };
    assert_eq!(times(&[exemplar(1.5, 30), exemplar(3.0, 20)]), [20, 30]);
    assert_eq!(times(&[exemplar(1.5, 30), exemplar(3.0, 40)]), [40]);
    assert_eq!(times(&[exemplar(1.5, 30), exemplar(3.0, 40)]), [0; 0]);
}

#[test]
fn a_receiver_that_does_not_know_version_2_is_told_apart() {
    // It finds nothing that it knows in the request, and says that all is well.
    let (url, _requests) = receiver(&["204 No Content"]);
    let mut writer = begun(&url, |writer| writer.version(RemoteWriteVersion::V2));
    writer.points(&counter(1));
    let error = writer.flush(&deadline()).unwrap_err();
    assert_eq!((error.reason, writer.held()), (DropReason::Refused, 0));
    assert!(error.message.contains("metrics.remote_write.version"), "{error}");
    writer.points(&counter(2));
    writer.flush(&deadline()).unwrap();
}

#[test]
fn what_is_not_taken_is_sent_again_in_order_and_what_is_refused_is_counted() {
    let statuses =
        &["500 Internal Server Error", "429 Too Many Requests\r\nRetry-After: 0", "400 Bad Request"];
    let (url, requests) = receiver(statuses);
    let mut writer = begun(&url, |writer| writer);
    writer.points(&counter(1));
    let error = writer.flush(&deadline()).unwrap_err();
    assert_eq!((error.reason, error.lost), (DropReason::Unreachable, 0));
    assert!(writer.held() > 0, "it waits");
    writer.points(&counter(2));
    // The first snapshot is tried again, and refused at last; the second one comes after it.
    let error = writer.finish(&deadline()).unwrap_err();
    assert_eq!((error.reason, error.lost, writer.held()), (DropReason::Refused, 0, 0));
    assert!(error.message.contains("answered 400"), "{error}");
    let orders: Vec<f64> = (0..4).map(|_| requests.recv().unwrap().value("orders_total", &[])).collect();
    assert_eq!(orders, [1.0, 1.0, 1.0, 2.0]);
    let mut later = begun(&url, |writer| writer);
    later.points(&counter(3));
    later.flush(&deadline()).unwrap();
    later.points(&counter(4));
    later.flush(&deadline()).unwrap();
    let sent = |request: WriteRequest, outcome| {
        request.value("throughline_remote_write_samples_total", &[("outcome", outcome)])
    };
    let _stale = requests.recv().unwrap();
    let first = requests.recv().unwrap();
    let samples = first.timeseries.len() as f64;
    assert_eq!(sent(first, "sent"), 0.0);
    let second = requests.recv().unwrap();
    assert_eq!((sent(second.clone(), "sent"), sent(second, "dropped")), (samples, 0.0));
}

#[test]
fn a_large_snapshot_is_several_requests_and_a_short_interval_waits() {
    let (url, requests) = receiver(&[]);
    let mut writer = begun(&url, |writer| writer.interval(Duration::from_secs(3600)));
    let values: Vec<String> = (0..20_000).map(|n| format!("{n:080}")).collect();
    let labels: Vec<[(&str, &str); 1]> = values.iter().map(|v| [("v", &**v)]).collect();
    let points: Vec<_> = labels.iter().map(|l| point("large", "", l, PointData::GaugeInt(1))).collect();
    writer.points(&points);
    writer.flush(&deadline()).unwrap();
    let mut series = 0;
    let mut parts = 0;
    while series < 20_000 + 3 {
        series += requests.recv().unwrap().timeseries.len();
        parts += 1;
    }
    assert!(series == 20_003 && parts > 1, "{series} in {parts}");
    // What comes too soon is sent at the end.
    writer.points(&counter(5));
    writer.flush(&deadline()).unwrap();
    assert!(requests.try_recv().is_err());
    writer.finish(&deadline()).unwrap();
    assert_eq!(requests.recv().unwrap().value("orders_total", &[]), 5.0);
}
