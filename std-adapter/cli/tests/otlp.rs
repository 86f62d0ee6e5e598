//! The metrics that `decode --otlp` sends, read with another library's types: series and the ledger of
//! records.

#[path = "../../decode/tests/common/mod.rs"]
mod common;
mod tool;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::Duration;

use common::scenario::{program, round, span};
use common::{BUILD_ID, Device, M, Rec, Site, elf};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use prost::Message;
use tool::{Bench, collect, collect_each, said};

/// Sends the capture. Returns the exit code, the metrics by `service.instance.id` in order of arrival, and
/// standard error.
fn send(bench: &Bench) -> (i32, BTreeMap<String, Vec<Metric>>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let collector = std::thread::spawn(move || collect(&listener));
    let output = bench.run(&["decode", "--elf", "fw.elf", "--format", "none", "--otlp", &url, "capture.bin"]);
    let (code, _, err) = said(&output);
    let mut metrics: BTreeMap<String, Vec<Metric>> = BTreeMap::new();
    for (path, body) in collector.join().unwrap() {
        if path != "/v1/metrics" {
            continue;
        }
        for of_resource in ExportMetricsServiceRequest::decode(&*body).unwrap().resource_metrics {
            let instance = text(&of_resource.resource.unwrap().attributes, "service.instance.id");
            let all = of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            metrics.entry(instance).or_default().extend(all);
        }
    }
    (code, metrics, err.to_owned())
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|a| a.key == key).and_then(|a| a.value.clone()).and_then(|v| v.value);
    match found {
        Some(Value::StringValue(text)) => text,
        other => panic!("{key} is {other:?}"),
    }
}

/// Labels and value of each point of the sums with this name.
fn sums<'m>(metrics: &'m [Metric], name: &str) -> Vec<(&'m [KeyValue], i64)> {
    let of_name = metrics.iter().filter(|metric| metric.name == name);
    let points = of_name.flat_map(|metric| match metric.data.as_ref() {
        Some(Data::Sum(sum)) => &sum.data_points[..],
        other => panic!("{name} is {other:?}"),
    });
    points
        .map(|point| match point.value {
            Some(Number::AsInt(n)) => (&point.attributes[..], n),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn metrics_of_one_name_at_two_callsites_are_sent_as_one_sum_21() {
    let site = |line| Site { kind: 3, line, name: "retries", unit: "{try}", ..Site::default() };
    let (file, ids) = elf(Some(&[site(1), site(2)]), "", &BUILD_ID);
    let mut device = Device::new(32);
    device.unix = (1_700_000_000_000_000_000, 1);
    device.preamble();
    let snapshot = |device: &mut Device, n, counts: [u64; 2]| {
        let at = |i: usize| (ids[i], 0, &[] as &[&str], M::Counter(counts[i]));
        device.metrics(n, true, 1_000 * (n + 1), &[at(0), at(1)]);
    };
    snapshot(&mut device, 0, [2, 40]);
    snapshot(&mut device, 1, [3, 40]);
    let bench = Bench::new(&device.wire);
    bench.put("fw.elf", &file);
    let (code, metrics, _) = send(&bench);
    assert_eq!(code, 0);
    let metrics = &metrics["1122334455667788-0"];
    assert_eq!(sums(metrics, "retries"), [(&[] as &[KeyValue], 42), (&[], 43)]);
}

#[test]
fn where_records_went_is_sent_as_a_metric_of_each_boot_21() {
    let (_, ids) = program();
    let mut device = Device::new(32);
    device.unix = (1_700_000_000_000_000_000, 1);
    device.preamble();
    device.batch(0, 0, &round(&ids, 0, 10));
    // Five records are lost on the device: two in its ring, one that is too large, one for a reason from the future,
    // and one that no loss record tells of. Then four are lost on the link.
    device.lost = 5;
    device.batch(
        2_000,
        0,
        &[
            Rec::Loss { reason: 0, count: 2, first: 1_500 },
            Rec::Loss { reason: 2, count: 1, first: 1_500 },
            Rec::Loss { reason: 77, count: 1, first: 1_500 },
        ],
    );
    let lost = device.batch(3_000, 0, &round(&ids, 3_000, 20)).frames.last().unwrap().0.clone();
    device.metrics(0, true, 5_000, &[(ids.samples, 0, &[], M::Counter(1))]);
    // A malformed batch: the first record can be read, the others cannot.
    device.batch(6_000, 0, &[round(&ids, 6_000, 30)[0].clone(), Rec::Raw(vec![0xff], 2)]);
    // The next frame tells how many records it held.
    device.preamble();
    device.reset(1);
    device.unix = (1_700_000_100_000_000_000, 1);
    device.preamble();
    device.batch(0, 0, &round(&ids, 0, 10));
    // A span of a remote trace that no attach record names is decoded but not sent.
    let root = 1 << 31 | 20;
    device.batch(0, 0, &[span(ids.adc, (21, Some(root), root), 2, 10)]);
    device.wire.drain(lost);
    let (code, metrics, err) = send(&Bench::new(&device.wire));
    assert_eq!(code, 2, "damaged");
    assert_eq!(
        err, "throughline: 10 records delivered, 0 rejected\n",
        "nine of the device's, and one series"
    );
    let account = |instance: &str| {
        let of_hop = |(labels, n): (&[KeyValue], i64)| ((text(labels, "hop"), text(labels, "outcome")), n);
        sums(&metrics[instance], "throughline.records").into_iter().map(of_hop).collect::<Vec<_>>()
    };
    let hops = |counts: [i64; 10]| {
        let names = [
            ("device", "output"),
            ("device", "ring_full"),
            ("device", "overwritten"),
            ("device", "too_large"),
            ("device", "lost"),
            ("link", "output"),
            ("link", "lost"),
            ("decoder", "output"),
            ("decoder", "undecoded"),
            ("traces", "unknown_parent"),
        ];
        names
            .map(|(hop, outcome)| (hop.to_owned(), outcome.to_owned()))
            .into_iter()
            .zip(counts)
            .collect::<Vec<_>>()
    };
    // The ledger is sent with the snapshot and at the end of the boot.
    let first = account("1122334455667788-0");
    assert_eq!(first[..10], hops([8, 2, 0, 1, 2, 4, 4, 4, 0, 0]));
    assert_eq!(first[10..], hops([11, 2, 0, 1, 2, 7, 4, 5, 2, 0]));
    assert_eq!(account("1122334455667788-1"), hops([5, 0, 0, 0, 0, 5, 0, 5, 0, 1]));
}

#[test]
fn a_devices_histograms_have_extremes_and_its_summaries_quantiles_45() {
    let site = |param, line, name| Site { kind: 6, param, line, name, unit: "ms", ..Site::default() };
    // A histogram of scale 1 in integers, the same in quarters, and a summary of scale 0.
    let (file, ids) =
        elf(Some(&[site(1, 1, "took"), site(1 | 1 << 4, 2, "load"), site(8, 3, "job")]), "", &BUILD_ID);
    let mut device = Device::new(32);
    device.unix = (1_700_000_000_000_000_000, 1);
    device.preamble();
    let whole = |scale, zeros, first, buckets: &[u64]| M::Histogram {
        scale,
        sum: 99,
        zeros,
        first,
        buckets: buckets.to_vec(),
    };
    let quarters = M::Fixed { scale: 1, bits: 2, sum: 99, zeros: 0, first: 0, buckets: vec![1, 0, 1] };
    device.metrics(
        0,
        true,
        1_000,
        &[
            (ids[0], 0, &[], whole(1, 0, 3, &[2, 0, 1])),
            (ids[1], 0, &[], quarters),
            (ids[2], 0, &[], whole(0, 1, 2, &[1, 7, 1])),
        ],
    );
    let bench = Bench::new(&device.wire);
    bench.put("fw.elf", &file);
    let (code, metrics, _) = send(&bench);
    assert_eq!(code, 0);
    let metrics = &metrics["1122334455667788-0"];
    let data = |name| metrics.iter().find(|metric| metric.name == name).unwrap().data.clone().unwrap();
    let histogram = |name| match data(name) {
        Data::ExponentialHistogram(histogram) => histogram.data_points[0].clone(),
        other => panic!("{other:?}"),
    };
    // At scale 1, position 3 holds only 3, and position 5 holds only 5 (values above 4 up to 5.6).
    let took = histogram("took");
    assert_eq!((took.sum, took.min, took.max), (Some(99.0), Some(3.0), Some(5.0)));
    // In quarters, position 0 is one quarter and position 2 is two.
    let load = histogram("load");
    assert_eq!((load.sum, load.min, load.max), (Some(24.75), Some(0.25), Some(0.5)));
    assert_eq!(load.positive.unwrap().offset, -5);
    let Data::Summary(job) = data("job") else { panic!("a summary") };
    let job = &job.data_points[0];
    assert_eq!((job.count, job.sum), (10, 99.0));
    let quantiles: Vec<_> = job.quantile_values.iter().map(|at| (at.quantile, at.value)).collect();
    assert_eq!(quantiles, [(0.0, 0.0), (0.5, 8.0), (0.9, 8.0), (0.95, 16.0), (0.99, 16.0), (1.0, 16.0)]);
}

#[test]
fn the_state_of_a_device_is_sent_as_metrics_of_each_boot() {
    let (_, ids) = program();
    let mut device = Device::new(32);
    device.unix = (1_700_000_000_000_000_000, 1);
    device.preamble();
    device.batch(0, 0, &round(&ids, 0, 10));
    let lost = device.batch(1_000, 0, &round(&ids, 1_000, 20)).frames.last().unwrap().0.clone();
    // A root of 7 and one of 5 ticks, with a child that is in the time of its parent.
    device.batch(
        2_000,
        0,
        &[
            span(ids.adc, (31, Some(30), 30), 2, 3),
            span(ids.adc, (30, None, 30), 1, 7),
            span(ids.adc, (40, None, 40), 20, 5),
        ],
    );
    device.reset(3);
    device.unix = (1_700_000_100_000_000_000, 1);
    device.preamble();
    device.batch(0, 0, &[span(ids.adc, (50, None, 50), 1, 4)]);
    device.wire.drain(lost);
    let (_, metrics, _) = send(&Bench::new(&device.wire));
    let value = |instance: &str, name: &str| {
        let metric = metrics[instance].iter().rfind(|metric| metric.name == name).unwrap();
        let point = match metric.data.as_ref() {
            Some(Data::Sum(sum)) => sum.data_points[0].clone(),
            Some(Data::Gauge(gauge)) => gauge.data_points[0].clone(),
            other => panic!("{name} is {other:?}"),
        };
        match point.value.unwrap() {
            Number::AsInt(n) => n as f64,
            Number::AsDouble(x) => x,
        }
    };
    let [first, second] = ["1122334455667788-0", "1122334455667788-3"];
    assert_eq!(value(first, "throughline.device.boot"), 0.0);
    assert_eq!(value(second, "throughline.device.boot"), 3.0);
    assert_eq!(value(first, "throughline.device.frames.lost"), 1.0);
    assert_eq!(value(second, "throughline.device.frames.lost"), 0.0);
    assert!((value(second, "throughline.device.last_record") - 1_700_000_100.0).abs() < 1.0);
    // The first boot's roots took 1240, 7 and 5 ticks; that of the second took 4. The round that was lost is not known.
    let ratio = value(first, "throughline.device.busy") / value(second, "throughline.device.busy");
    assert!((ratio - (1240.0 + 7.0 + 5.0) / 4.0).abs() < 1e-6, "{ratio}");
}

#[test]
fn a_live_stream_without_metrics_has_its_ledger_while_it_runs() {
    let (_, ids) = program();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (found, ledger) = channel();
    let collector = std::thread::spawn(move || {
        collect_each(&listener, |path, body| {
            if path == "/v1/metrics" {
                let request = ExportMetricsServiceRequest::decode(&*body).unwrap();
                let scopes = request.resource_metrics.iter().flat_map(|of| &of.scope_metrics);
                let has_ledger = scopes.flat_map(|of| &of.metrics).any(|it| it.name == "throughline.records");
                has_ledger.then(|| found.send(()).ok());
            }
        });
    });
    let bench = Bench::new(b"");
    let mut tool = tool::tool()
        .current_dir(bench.0.path())
        .args(["decode", "--elf", "fw.elf", "--format", "none", "--otlp", &url, "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = tool.stdin.take().unwrap();
    let mut device = Device::new(32);
    device.unix = (1_700_000_000_000_000_000, 1);
    device.preamble();
    // A round now and then, until the ledger has come.
    let has_come = (0..3_000).any(|n| {
        device.batch(n * 10_000, 0, &round(&ids, n * 10_000, 10 + 4 * n));
        input.write_all(&std::mem::take(&mut device.wire)).unwrap();
        ledger.recv_timeout(Duration::from_millis(20)).is_ok()
    });
    drop(input);
    assert!(has_come, "there was no ledger while the stream ran");
    assert!(tool.wait().unwrap().success());
    collector.join().unwrap();
}
