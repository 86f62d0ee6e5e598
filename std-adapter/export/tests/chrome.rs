//! Tests Chrome trace files: they are valid at every moment, spans nest on each row, and sizes are limited.

#[path = "support/page.rs"]
mod page;

use page::Page;
use proptest::prelude::*;
use std::collections::HashMap;
use std::time::Duration;
use throughline::{Level, SpanId, SpanKind, Status, TraceId, Value};
use throughline_export::chrome::ChromeTrace;
use throughline_export::ledger::DropReason;
use throughline_export::view::{LogView, PointData, PointView, Scope, SpanView};
use throughline_export::{Deadline, Exporter};

const T0: u64 = 1_700_000_000_000_000_000;

/// The events. Like Perfetto, this accepts a file without the last bracket and with a trailing comma.
fn events(page: &Page) -> Vec<serde_json::Value> {
    let text = page.text();
    serde_json::from_str(&format!("{}]", text.trim_end().trim_end_matches(','))).unwrap()
}

fn trace(page: &Page) -> ChromeTrace<Page> {
    ChromeTrace::new(page.clone(), "shop").begin_at(T0)
}

fn ids(t: u8, s: u16) -> (TraceId, SpanId) {
    let mut span = [9; 8];
    span[..2].copy_from_slice(&s.to_be_bytes());
    (TraceId::from_bytes([t; 16]).unwrap(), SpanId::from_bytes(span).unwrap())
}

fn span<'a>(t: u8, s: u16, start: u64, end: u64, fields: &'a [(&'a str, Value<'a>)]) -> SpanView<'a> {
    let (trace_id, span_id) = ids(t, s);
    SpanView {
        trace_id,
        span_id,
        parent_span_id: None,
        parent_is_remote: false,
        scope: Scope::OWN,
        name: "wo\"rk",
        target: "shop::a",
        file: "",
        line: 0,
        kind: SpanKind::Internal,
        level: Level::Info,
        status: if s == 1 { Status::Error } else { Status::Unset },
        start_unix_ns: T0 + start,
        end_unix_ns: T0 + end,
        busy_ns: None,
        time_error_ns: None,
        fields: fields.into(),
    }
}

fn flush(trace: &mut dyn Exporter) {
    trace.flush(&Deadline::within(Duration::from_secs(60))).unwrap();
}

#[test]
fn an_orderly_end_makes_the_file_json() {
    let page = Page::default();
    let mut trace = trace(&page);
    for n in 1..3 {
        trace.span(&span(1, n, 0, 10, &[]));
        flush(&mut trace);
        assert_eq!(events(&page).len(), 2 + usize::from(n));
    }
    trace.finish(&Deadline::never()).unwrap();
    let whole: Vec<serde_json::Value> = serde_json::from_str(&page.text()).unwrap();
    assert_eq!(whole.len(), 4);
}

#[test]
fn spans_logs_and_metrics_as_the_format_has_them() {
    let page = Page::default();
    let mut trace = trace(&page);
    trace.span(&span(1, 1, 1_500, 2_001_500, &[("n", Value::U64(7)), ("gone", Value::Absent)]));
    trace.log(&LogView {
        span: Some(ids(1, 1)),
        time_unix_ns: T0 + 2_000,
        level: Level::Warn,
        message: "left {n}",
        event_name: "",
        trace_flags: 1,
        scope: Scope::OWN,
        target: "shop::a",
        file: "",
        line: 0,
        time_error_ns: None,
        fields: [("n", Value::U64(7))].as_slice().into(),
    });
    trace.points(&[PointView {
        id: 0,
        name: "queue",
        unit: "items",
        description: "",
        scope: Scope::OWN,
        target: "shop::a",
        start_unix_ns: T0,
        time_unix_ns: T0 + 3_000,
        labels: &[("kind", "a")],
        data: PointData::GaugeInt(-2),
    }]);
    flush(&mut trace);
    let pid = std::process::id();
    let lines: Vec<String> = page.text().lines().map(str::to_owned).collect();
    let args = r#""args":{"trace_id":"01010101010101010101010101010101","span_id":"0001090909090909","n":7}"#;
    assert_eq!(
        lines,
        [
            "[".to_owned(),
            format!(r#"{{"ph":"M","name":"process_name","pid":{pid},"tid":0,"args":{{"name":"shop"}}}},"#),
            format!(
                r#"{{"ph":"M","name":"thread_name","pid":{pid},"tid":1,"args":{{"name":"trace 01010101010101010101010101010101"}}}},"#
            ),
            format!(
                r#"{{"ph":"X","name":"wo\"rk","pid":{pid},"tid":1,"ts":1.500,"dur":2000.000,"cat":"shop::a","cname":"terrible",{args}}},"#
            ),
            format!(
                r#"{{"ph":"i","name":"left 7","pid":{pid},"tid":1,"ts":2.000,"s":"t","cat":"WARN",{args}}},"#
            ),
            format!(
                r#"{{"ph":"C","name":"queue{{kind=a}}","pid":{pid},"tid":0,"ts":3.000,"args":{{"items":-2}}}}"#
            ),
        ]
    );
    assert_eq!(events(&page).len(), 5);
}

proptest! {
    #[test]
    fn on_every_row_spans_nest(spans in proptest::collection::vec((0u8..3, 0u64..50, 0u64..50), 1..60)) {
        let page = Page::default();
        let mut trace = trace(&page);
        for (i, (t, start, length)) in spans.iter().enumerate() {
            trace.span(&span(t + 1, i as u16, start * 1000, (start + length) * 1000, &[]));
        }
        flush(&mut trace);
        let mut rows: HashMap<u64, Vec<(f64, f64, String)>> = HashMap::new();
        for event in events(&page).iter().filter(|event| event["ph"] == "X") {
            let (start, length) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
            let trace_id = event["args"]["trace_id"].to_string();
            rows.entry(event["tid"].as_u64().unwrap()).or_default().push((start, start + length, trace_id));
        }
        prop_assert_eq!(rows.values().map(Vec::len).sum::<usize>(), spans.len());
        for row in rows.values() {
            for (i, a) in row.iter().enumerate() {
                for b in &row[..i] {
                    prop_assert_eq!(&a.2, &b.2);
                    let nests = a.1 <= b.0 || b.1 <= a.0 || a.0 <= b.0 && b.1 <= a.1 || b.0 <= a.0 && a.1 <= b.1;
                    prop_assert!(nests, "{:?} {:?}", a, b);
                }
            }
        }
    }
}

#[test]
fn a_full_file_counts_what_comes() {
    let page = Page::default();
    let mut trace = trace(&page).limit(600);
    trace.span(&span(1, 2, 0, 1, &[]));
    flush(&mut trace);
    (0..5).for_each(|s| trace.span(&span(1, s, 0, 1, &[])));
    let error = trace.flush(&Deadline::never()).unwrap_err();
    assert_eq!((error.reason, error.lost), (DropReason::WriteError, 5));
    assert!(error.message.ends_with("raise the limit, or record less"), "{}", error.message);
    trace.log(&LogView {
        span: None,
        time_unix_ns: 0,
        level: Level::Info,
        message: "",
        event_name: "",
        trace_flags: 0,
        scope: Scope::OWN,
        target: "",
        file: "",
        line: 0,
        time_error_ns: None,
        fields: [].as_slice().into(),
    });
    assert_eq!(trace.flush(&Deadline::never()).unwrap_err().lost, 1);
    assert!(page.text().len() <= 600 && events(&page).len() == 3);
}
