//! The terminal's tree and table, compared with expected text.

use proptest::prelude::*;
use throughline::{Level, SpanId, SpanKind, Status, TraceId, Value};
use throughline_export::terminal::{LossNote, Style, Tree, write_metrics};
use throughline_export::text::is_dangerous;
use throughline_export::view::{HistogramView, LogView, PointData, PointView, Scope, SpanView};

const T0: u64 = 1_700_000_000_000_000_000;

fn id(n: u8) -> SpanId {
    SpanId::from_bytes([n; 8]).unwrap()
}

fn trace(n: u8) -> TraceId {
    TraceId::from_bytes([n; 16]).unwrap()
}

type NoFields = std::iter::Empty<(&'static str, Value<'static>)>;

fn span(
    t: u8,
    n: u8,
    parent: Option<u8>,
    name: &'static str,
    start: u64,
    end: u64,
) -> SpanView<'static, NoFields> {
    SpanView {
        trace_id: trace(t),
        span_id: id(n),
        parent_span_id: parent.map(id),
        parent_is_remote: false,
        scope: Scope::OWN,
        name,
        target: "t",
        file: "f.rs",
        line: 1,
        kind: SpanKind::Internal,
        level: Level::Info,
        status: Status::Unset,
        start_unix_ns: T0 + start,
        end_unix_ns: T0 + end,
        busy_ns: None,
        time_error_ns: None,
        fields: std::iter::empty(),
    }
}

fn log(span: Option<(u8, u8)>, time: u64, level: Level, message: &'static str) -> LogView<'static, NoFields> {
    LogView {
        span: span.map(|(t, s)| (trace(t), id(s))),
        time_unix_ns: T0 + time,
        level,
        message,
        event_name: "",
        trace_flags: 1,
        scope: Scope::OWN,
        target: "t",
        file: "f.rs",
        line: 1,
        time_error_ns: None,
        fields: std::iter::empty(),
    }
}

fn with<'a, A, F: Iterator<Item = (&'a str, Value<'a>)> + Clone>(
    view: SpanView<'a, A>,
    fields: F,
) -> SpanView<'a, F> {
    let SpanView {
        trace_id,
        span_id,
        parent_span_id,
        parent_is_remote,
        scope,
        name,
        target,
        file,
        line,
        kind,
        level,
        status,
        ..
    } = view;
    let SpanView { start_unix_ns, end_unix_ns, busy_ns, time_error_ns, .. } = view;
    SpanView {
        trace_id,
        span_id,
        parent_span_id,
        parent_is_remote,
        scope,
        name,
        target,
        file,
        line,
        kind,
        level,
        status,
        start_unix_ns,
        end_unix_ns,
        busy_ns,
        time_error_ns,
        fields,
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Str { text, truncated: false }
}

fn written(f: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    f(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_trace_with_everything() {
    let mut tree = Tree::new(Style::PLAIN, 100);
    tree.span(&span(1, 3, Some(2), "parse", 10_000, 22_000));
    let mut failed = span(1, 4, Some(2), "query", 100_000, 410_000);
    failed.status = Status::Error;
    tree.span(&with(
        failed,
        [("table", text("orders")), ("sql", text("select 1")), ("rows", Value::U64(3))].into_iter(),
    ));
    let mut waited = span(1, 5, Some(4), "wait", 120_000, 130_000);
    (waited.status, waited.busy_ns, waited.time_error_ns) = (Status::Cancelled, Some(400), Some(40_000));
    tree.span(&waited);
    tree.log(&log(Some((1, 3)), 14_200, Level::Warn, "odd header"));
    tree.log(&log(Some((1, 2)), 500_000, Level::Info, "last"));
    tree.loss(LossNote { time_unix_ns: T0 + 450_000, count: 12, what: "ring full".into() });
    assert_eq!(written(|out| tree.write_complete(out)), "", "nothing before the root has ended");
    let mut root = span(1, 2, None, "handle", 0, 1_240_000);
    root.status = Status::Ok;
    tree.span(&with(root, [("cut", Value::Str { text: "a b", truncated: true })].into_iter()));
    let expected = "\
22:13:20.000000 trace 01010101010101010101010101010101
   1.24 ms  handle ✓  cut=\"a b\"…
   12.0 µs  ├─ parse
  +14.2 µs  │  └─ WARN odd header
    310 µs  ├─ query ✗ error  table=orders sql=\"select 1\" rows=3
   10.0 µs  │  └─ wait ⊘ cancelled  busy 400 ns  ±40.0 µs
   +450 µs  ├─ ▲ 12 records lost here: ring full
   +500 µs  └─ INFO last
";
    assert_eq!(written(|out| tree.write_complete(out)), expected);
    assert_eq!(written(|out| tree.write_all(out)), "", "everything is written once");
}

#[test]
fn what_has_no_root_is_shown_all_the_same() {
    let mut tree = Tree::new(Style::PLAIN, 100);
    tree.span(&span(1, 3, Some(2), "child", 10, 22));
    tree.log(&log(Some((1, 9)), 15, Level::Debug, "of a span not seen"));
    tree.log(&log(None, 5, Level::Error, "outside"));
    tree.loss(LossNote { time_unix_ns: T0 + 99, count: 1, what: "link".into() });
    assert_eq!(written(|out| tree.write_complete(out)), "22:13:20.000000 ERROR outside\n");
    assert_eq!(written(|out| tree.write_idle(1_000_000_000, out)), "");
    let expected = "\
22:13:20.000000 trace 01010101010101010101010101010101  (its root has not been seen)
     12 ns  ⋯ child
     +5 ns  DEBUG of a span not seen
22:13:20.000000 ▲ 1 record lost here: link
";
    assert_eq!(written(|out| tree.write_all(out)), expected);
}

#[test]
fn a_settled_trace_has_what_came_right_after_its_root() {
    let mut tree = Tree::new(Style::PLAIN, 100);
    tree.span(&span(1, 2, None, "root", 0, 100));
    assert_eq!(written(|out| tree.write_settled(std::time::Duration::from_secs(1), out)), "");
    tree.span(&span(1, 3, Some(2), "child of another thread", 10, 22));
    let out = written(|out| tree.write_settled(std::time::Duration::from_secs(1), out));
    assert!(out.contains("root") && out.contains("└─ child of another thread"), "{out}");
    assert_eq!(written(|out| tree.write_settled(std::time::Duration::from_secs(1), out)), "");
}

#[test]
fn idle_traces_come_out_after_a_while() {
    let mut tree = Tree::new(Style::PLAIN, 100);
    tree.span(&span(1, 3, Some(2), "old", 0, 10));
    tree.span(&span(2, 3, Some(2), "new", 0, 3_000_000_000));
    let out = written(|out| tree.write_idle(1_000_000_000, out));
    assert!(out.contains("old") && !out.contains("new"), "{out}");
}

#[test]
fn memory_is_bounded() {
    let mut tree = Tree::new(Style::PLAIN, 10);
    for i in 0..25 {
        tree.span(&span(i + 1, 3, Some(2), "open", 0, 10));
    }
    let out = written(|out| tree.write_complete(out));
    assert_eq!(out.matches("open").count(), 15, "the oldest beyond the limit are written as they are");
    assert!(out.contains(&trace(1).to_string()) && !out.contains(&trace(25).to_string()));
}

#[test]
fn circles_and_deep_trees_end() {
    let mut tree = Tree::new(Style::PLAIN, 10_000);
    tree.span(&span(1, 1, Some(2), "a", 0, 10));
    tree.span(&span(1, 2, Some(1), "b", 0, 10));
    tree.span(&span(1, 3, Some(3), "c", 0, 10));
    for i in 4..255 {
        tree.span(&span(1, i, Some(i - 1), "deep", 0, 10));
    }
    let out = written(|out| tree.write_all(out));
    assert_eq!(out.lines().count(), 1 + 3 + 251);
}

#[test]
fn a_log_does_not_show_a_field_twice() {
    let mut tree = Tree::new(Style::PLAIN, 10);
    let fields = [("a", Value::U64(1)), ("b", Value::U64(2)), ("c", Value::U64(3))];
    let LogView { span, time_unix_ns, level, scope, target, file, line, time_error_ns, .. } =
        log(None, 0, Level::Info, "");
    let message = "{} and {{}} and {c:?}";
    tree.log(&LogView {
        span,
        time_unix_ns,
        level,
        message,
        event_name: "",
        trace_flags: 0,
        scope,
        target,
        file,
        line,
        time_error_ns,
        fields: fields.into_iter(),
    });
    assert_eq!(written(|out| tree.write_all(out)), "22:13:20.000000 INFO 1 and {} and 3  b=2\n");
}

#[test]
fn the_name_of_an_event_precedes_its_message() {
    let mut tree = Tree::new(Style::PLAIN, 10);
    for (event_name, message) in [("user.login", "ada came in"), ("user.logout", ""), ("bad\u{1b}", "{")] {
        tree.log(&LogView { event_name, ..log(None, 0, Level::Info, message) });
    }
    let expected = "22:13:20.000000 INFO user.login: ada came in\n22:13:20.000000 INFO user.logout\n22:13:20.000000 INFO bad\\u{1b}: {\n";
    assert_eq!(written(|out| tree.write_all(out)), expected);
}

#[test]
fn colours_only_when_asked() {
    let draw = |style| {
        let mut tree = Tree::new(style, 10);
        tree.span(&span(1, 2, None, "root", 0, 10));
        written(|out| tree.write_all(out))
    };
    assert!(!draw(Style::PLAIN).contains('\u{1b}'));
    assert!(draw(Style::COLOR).contains('\u{1b}'));
}

#[test]
fn metrics_table() {
    let point = |name, unit, labels, data| PointView {
        id: 0,
        name,
        unit,
        description: "",
        scope: Scope::OWN,
        target: "t",
        start_unix_ns: T0,
        time_unix_ns: T0,
        labels,
        data,
    };
    let histogram = PointData::Histogram(HistogramView::new(0, 1_500.0, 1, -1, &[1, 0, 8]));
    let points = [
        point("requests", "{request}", &[("route", "/a"), ("code", "200")][..], PointData::Counter(12)),
        point("open", "", &[], PointData::UpDown(-2)),
        point("heat", "Cel", &[], PointData::GaugeFloat(21.5)),
        point("took", "us", &[], histogram),
    ];
    let expected = "\
heat ......................... 21.5 Cel
open ......................... -2
requests{route=/a,code=200} .. 12 request
took ......................... count 10  sum 1.50 ms  p50 ≤ 4.00 µs  p90 ≤ 4.00 µs  p99 ≤ 4.00 µs
";
    let table = written(|out| write_metrics(out, Style::PLAIN, points));
    assert_eq!(table, expected);
}

/// Spans of several threads arrive in any order, but the drawing depends only on their times and ids.
#[test]
fn a_trace_is_drawn_the_same_in_whatever_order_its_records_arrive_23() {
    // Two pairs of siblings start at the same time; one pair ends at different times, the other at the same
    // time.
    let spans = [
        span(1, 1, None, "root", 0, 900),
        span(1, 2, Some(1), "short", 100, 200),
        span(1, 3, Some(1), "long", 100, 400),
        span(1, 4, Some(1), "twin a", 500, 600),
        span(1, 5, Some(1), "twin b", 500, 600),
    ];
    let drawn = |order: &[usize]| {
        let mut tree = Tree::new(Style::PLAIN, 100);
        order.iter().for_each(|i| tree.span(&spans[*i]));
        let mut out = Vec::new();
        tree.write_all(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let expected = drawn(&[0, 1, 2, 3, 4]);
    let names = expected.lines().skip(1).map(|line| line.rsplit("  ").next().unwrap_or_default());
    assert_eq!(names.collect::<Vec<_>>(), ["root", "├─ short", "├─ long", "├─ twin a", "└─ twin b"]);
    for order in [[4, 3, 2, 1, 0], [2, 1, 0, 4, 3], [3, 4, 0, 2, 1]] {
        assert_eq!(drawn(&order), expected, "arrived as {order:?}");
    }
}

/// Texts with characters that could mislead a terminal or a reader.
fn outside() -> impl Strategy<Value = String> {
    let parts = prop_oneof![
        Just("\n00:00:00.000000 ERROR forged".to_owned()),
        Just("\r\x1b[2J\x1b]0;title\x07".to_owned()),
        Just("\u{202e}exe.txt\u{2066}\u{200f}".to_owned()),
        Just("\u{9b}31m\u{85}\u{7f}\0".to_owned()),
        Just("{} {a} { b } \"quoted\" x=y".to_owned()),
        any::<String>(),
    ];
    proptest::collection::vec(parts, 0..4).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 3 } else { 256 }, ..ProptestConfig::default() })]

    /// Whatever a device or a program puts into names, messages, fields and labels, no control character
    /// reaches the terminal except the line breaks of the drawing, a record takes one line, and no number
    /// causes a panic.
    #[test]
    fn whatever_comes_from_outside_is_drawn_on_its_own_line_15(
        texts in proptest::array::uniform8(outside()),
        times in proptest::array::uniform4(any::<u64>()),
        bytes in any::<Vec<u8>>(),
        truncated in any::<bool>(),
        zeros in any::<u64>(),
        (scale, offset) in any::<(u8, i32)>(),
        buckets in proptest::collection::vec(any::<u64>(), 0..5),
    ) {
        let [name, message, key, value, what, metric, label, unit] = &texts;
        let fields = [
            (&**key, Value::Str { text: value, truncated }),
            ("error.message", Value::Str { text: what, truncated }),
            ("a", Value::Bytes { bytes: &bytes, truncated }),
        ];
        let mut view = with(span(1, 2, None, "", 0, 0), fields.iter().copied());
        (view.name, view.start_unix_ns, view.end_unix_ns) = (name, times[0], times[1]);
        (view.busy_ns, view.time_error_ns) = (Some(times[2]), Some(times[3]));
        let mut event = LogView {
            span: Some((trace(1), id(2))),
            time_unix_ns: times[2],
            level: Level::Error,
            message,
            event_name: name,
            trace_flags: 1,
            scope: Scope::OWN,
            target: name,
            file: name,
            line: 1,
            time_error_ns: None,
            fields: fields.iter().copied(),
        };
        let mut tree = Tree::new(Style::PLAIN, 100);
        tree.span(&view);
        tree.log(&event);
        event.span = None;
        tree.log(&event);
        tree.loss(LossNote { time_unix_ns: times[3], count: times[0], what: what.clone() });
        let drawn = written(|out| {
            tree.write_complete(out)?;
            tree.write_idle(1, out)?;
            tree.write_all(out)
        });
        prop_assert!(!drawn.contains(|c: char| is_dangerous(c) && c != '\n'), "{drawn:?}");
        prop_assert_eq!(drawn.lines().count(), 5, "{}", drawn);

        let labels = [(&**label, &**value)];
        let point = |data| PointView {
            id: 0,
            name: metric,
            unit,
            description: what,
            scope: Scope::OWN,
            target: name,
            start_unix_ns: times[0],
            time_unix_ns: times[1],
            labels: &labels,
            data,
        };
        let histogram = PointData::Histogram(HistogramView::new(scale, times[0] as f64, zeros, offset, &buckets));
        let points = [point(histogram), point(PointData::Counter(times[1]))];
        let table = written(|out| write_metrics(out, Style::PLAIN, points));
        prop_assert!(!table.contains(|c: char| is_dangerous(c) && c != '\n'), "{table:?}");
        prop_assert_eq!(table.lines().count(), 2, "{}", table);
    }
}
