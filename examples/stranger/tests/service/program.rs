//! The program as a whole, whose first line of `main` is all that it has of throughline: what a collector gets from it.

use crate::support::look::{body, histogram, value};
use crate::support::receiver::{Received, Receiver, attribute, double, int, text};
use crate::{ORDERS, parent};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use opentelemetry_proto::tonic::trace::v1::Span;
use std::process::Command;

/// Runs the program, which sends to a collector.
fn run(arguments: &[&str], look: impl FnOnce(&Received)) {
    let receiver = Receiver::start([]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_stranger-example"));
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("OTEL_")) {
        command.env_remove(key);
    }
    let command = command.args(arguments).env("NO_PROXY", "127.0.0.1");
    let output = command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    let answers: Vec<_> = stdout.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(answers, ORDERS.map(|(_, status)| status.to_string()), "{stdout}");
    receiver.with(look);
}

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// The one span of this name for this item.
fn of_item<'s>(spans: &'s [Span], name: &str, item: &str) -> &'s Span {
    let found: Vec<_> = spans
        .iter()
        .filter(|span| span.name == name && text(&span.attributes, "item").as_deref() == Some(item))
        .collect();
    assert_eq!(found.len(), 1, "{name} {item}");
    found[0]
}

fn said<'l>(logs: &'l [LogRecord], message: &str) -> Vec<&'l LogRecord> {
    logs.iter().filter(|log| body(log) == message).collect()
}

/// Checks that the record is in the span, and the severity and the target that it has.
#[track_caller]
fn assert_in(log: &LogRecord, span: &Span, severity: i32, target: &str) {
    assert_eq!((&log.trace_id, &log.span_id), (&span.trace_id, &span.span_id), "{log:?}");
    assert_eq!((log.severity_number, log.flags & 1), (severity, 1));
    assert_eq!(text(&log.attributes, "code.module.name").unwrap(), target);
}

#[test]
fn one_line_gives_traces_correlated_logs_and_metrics() {
    run(&[], |got| {
        assert_eq!(text(&got.resource, "service.name").unwrap(), "shop");
        traces(&got.spans);
        logs(&got.spans, &got.logs);
        metrics(&got.spans, got.metrics.last().unwrap());
    });
}

fn traces(spans: &[Span]) {
    for (item, status) in ORDERS {
        let sell = of_item(spans, "sell", item);
        let order = parent(spans, sell).unwrap();
        let request = parent(spans, order).unwrap();
        assert_eq!((&*order.name, &*request.name), ("order", "request"));
        assert_eq!(text(&request.attributes, "uri").unwrap(), format!("/orders/{item}"));
        assert_eq!(request.parent_span_id, []);
        let failed = request.status.as_ref().is_some_and(|status| status.code == 2);
        assert_eq!(failed, status >= 500, "tower-http logs an error");
        let price = of_item(spans, "price", item);
        assert_eq!(price.parent_span_id, sell.span_id);
    }
    let status = |name: &str, item| {
        let status = of_item(spans, name, item).status.clone().unwrap_or_default();
        (status.code, status.message)
    };
    assert_eq!(status("price", "lamp"), (0, String::new()));
    assert_eq!(status("price", "moon"), (2, "nobody sells moon".into()));
    let lamp = of_item(spans, "sell", "lamp");
    assert_eq!((int(&lamp.attributes, "shelf"), double(&lamp.attributes, "paid")), (Some(4), Some(6.0)));
    assert_eq!(attribute(&lamp.attributes, "express"), Some(Value::BoolValue(false)));
    let [reserve, none_left] = ["reserve lamp", "reserve unicorn"].map(|name| named(spans, name)[0]);
    let status = |span: &Span| span.status.clone().map(|status| (status.code, status.message));
    assert_eq!((reserve.kind, status(reserve)), (3, Some((1, String::new()))));
    assert_eq!((none_left.kind, status(none_left)), (3, Some((2, "there are none".into()))));
    let [pack] = named(spans, "pack")[..] else { panic!("one parcel") };
    assert_eq!((pack.kind, &*pack.parent_span_id), (5, &[][..]));
    assert_ne!(pack.trace_id, lamp.trace_id);
    let linked: Vec<_> = pack.links.iter().map(|link| (&link.trace_id, &link.span_id)).collect();
    assert_eq!(linked, [(&lamp.trace_id, &lamp.span_id)]);
}

fn logs(spans: &[Span], logs: &[LogRecord]) {
    let one = |message| match said(logs, message)[..] {
        [log] => log,
        ref all => panic!("{message}: {all:?}"),
    };
    let (lamp, unicorn) = (of_item(spans, "sell", "lamp"), of_item(spans, "sell", "unicorn"));
    let sold = one("sold");
    assert_in(sold, lamp, 9, "stranger_example::shop");
    assert_eq!((int(&sold.attributes, "price"), double(&sold.attributes, "rate")), (Some(12), Some(0.5)));
    assert_in(one("the warehouse has none"), unicorn, 13, "stranger_example::shop");
    let packed = one("packed");
    assert_in(packed, named(spans, "pack")[0], 9, "stranger_example::shop");
    assert_eq!(attribute(&packed.attributes, "fragile"), Some(Value::BoolValue(true)));
    let failed =
        logs.iter().find(|log| log.severity_number == 17 && attribute(&log.attributes, "error").is_some());
    assert_in(failed.unwrap(), of_item(spans, "price", "moon"), 17, "stranger_example::shop");
    // Of the crate `log`.
    let rates = named(spans, "rate");
    let asked = said(logs, "somebody asks for EUR");
    assert_eq!((rates.len(), asked.len()), (2, 2));
    for log in asked {
        let rate = rates.iter().find(|rate| rate.span_id == log.span_id).expect("a span of a handler");
        assert_in(log, rate, 9, "warehouse::rates");
        assert_eq!(text(&log.attributes, "currency").unwrap(), "EUR");
        assert_eq!(attribute(&log.attributes, "known"), Some(Value::BoolValue(true)));
        assert!(text(&log.attributes, "code.file.path").unwrap().ends_with("src/warehouse.rs"));
    }
}

fn metrics(spans: &[Span], metrics: &[Metric]) {
    let find = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap();
    let orders = find("shop.orders");
    assert_eq!((&*orders.unit, &*orders.description), ("1", "Orders by how they ended"));
    let Some(Data::Sum(sum)) = &orders.data else { panic!("{orders:?}") };
    assert!(sum.is_monotonic);
    let mut counted: Vec<_> = sum
        .data_points
        .iter()
        .map(|point| (text(&point.attributes, "outcome").unwrap(), value(point.value) as u64))
        .collect();
    counted.sort();
    assert_eq!(counted, [("not sold".to_owned(), 2), ("sold".to_owned(), 1)]);
    let open = find("shop.orders.open");
    assert_eq!((&*open.unit, &*open.description), ("1", "Orders that are worked on"));
    let Some(Data::Gauge(gauge)) = &open.data else { panic!("{open:?}") };
    assert_eq!(gauge.data_points.iter().map(|point| value(point.value)).collect::<Vec<_>>(), [0.0]);
    assert_eq!(find("shop.order.duration").description, "How long orders take");
    let points = histogram(metrics, "shop.order.duration");
    let orders = named(spans, "order");
    assert_eq!(points.iter().map(|point| point.count).sum::<u64>(), 3);
    for point in points {
        assert!(point.sum.unwrap() > 0.0 && !point.exemplars.is_empty(), "{point:?}");
        for exemplar in &point.exemplars {
            let order = orders.iter().find(|order| order.span_id == exemplar.span_id).expect("an order");
            assert_eq!(exemplar.trace_id, order.trace_id);
        }
    }
}

#[test]
fn with_the_layers_each_order_is_one_trace() {
    run(&["--with-layers"], |got| {
        for (item, _) in ORDERS {
            let sell = of_item(&got.spans, "sell", item);
            let mut root = sell;
            while let Some(around) = parent(&got.spans, root) {
                root = around;
            }
            assert_eq!((&*root.name, root.kind), ("POST /orders/{item}", 2));
        }
        for (name, parent_name) in [("rate", "GET /rates/{currency}"), ("reserve", "shop.Warehouse/Reserve")]
        {
            for span in named(&got.spans, name) {
                let server = parent(&got.spans, span).unwrap();
                assert_eq!((&*server.name, server.kind), (parent_name, 2));
                let client = parent(&got.spans, server).expect("the client, in the same trace");
                assert_eq!((&*client.name, client.kind), (parent_name, 3));
            }
        }
    });
}
