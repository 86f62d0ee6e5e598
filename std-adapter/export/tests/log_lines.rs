//! Tests log records as lines, and the files that they are written to.

#[path = "support/points.rs"]
mod points;

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use points::point;
use proptest::prelude::*;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};
use throughline::{Level, SpanId, TraceId, Value};
use throughline_export::ledger::DropReason;
use throughline_export::log::{Filter, Format, Lines, Period, RollingFile};
use throughline_export::otlp::{OtlpFile, Signal};
use throughline_export::view::{LogView, PointData, Scope, SpanView};
use throughline_export::{Deadline, ExportError, Exporter, Host, Resource};

/// 2026-01-22T10:00:00.123456789Z
const TIME: u64 = 1_769_076_000_123_456_789;

fn log<'a>(message: &'a str, in_span: bool, fields: &'a [(&'a str, Value<'a>)]) -> LogView<'a> {
    let ids = (TraceId::from_bytes([0xab; 16]).unwrap(), SpanId::from_bytes([0x12; 8]).unwrap());
    LogView {
        span: in_span.then_some(ids),
        time_unix_ns: TIME,
        level: Level::Info,
        message,
        event_name: "",
        trace_flags: 1,
        scope: Scope::OWN,
        target: "shop::events",
        file: "src/events.rs",
        line: 12,
        time_error_ns: None,
        fields: fields.into(),
    }
}

/// A writer whose content the test can read, and which takes only a limited number of bytes.
#[derive(Clone, Default)]
struct Page {
    text: Arc<Mutex<Vec<u8>>>,
    limit: Arc<AtomicU64>,
}

impl Page {
    fn new(limit: u64) -> Page {
        Page { text: Arc::default(), limit: Arc::new(AtomicU64::new(limit)) }
    }

    fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut text = self.text.lock().unwrap();
        let room = (self.limit.load(Ordering::Relaxed) as usize).saturating_sub(text.len()).min(buf.len());
        if room == 0 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        text.extend_from_slice(&buf[..room]);
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn flush(lines: &mut dyn Exporter) -> Result<(), ExportError> {
    lines.flush(&Deadline::within(Duration::from_secs(60)))
}

fn line(format: Format, view: &LogView<'_>) -> String {
    let page = Page::new(u64::MAX);
    let mut lines = Lines::new(page.clone(), format);
    lines.log(view);
    flush(&mut lines).unwrap();
    page.text()
}

fn text(text: &str) -> Value<'_> {
    Value::Str { text, truncated: false }
}

#[test]
fn text_has_the_shape_that_was_asked_for() {
    let ids = "trace_id=abababababababababababababababab span_id=1212121212121212";
    let fields = [
        ("event_id", text("evt-1")),
        ("note", text("two words")),
        ("n", Value::U64(3)),
        ("gone", Value::Absent),
    ];
    assert_eq!(
        line(Format::Text, &log("Processing event {n}", true, &fields)),
        format!(
            "2026-01-22T10:00:00.123Z INFO shop::events {ids} event_id=evt-1 note=\"two words\" Processing event 3\n"
        )
    );
    assert_eq!(
        line(Format::Text, &log("loose", false, &[])),
        "2026-01-22T10:00:00.123Z INFO shop::events loose\n"
    );
    assert_eq!(
        line(Format::Text, &LogView { event_name: "user login", ..log("came in", false, &[]) }),
        "2026-01-22T10:00:00.123Z INFO shop::events event_name=\"user login\" came in\n"
    );
}

#[test]
fn json_has_the_documented_members() {
    let cut = Value::Str { text: "lo", truncated: true };
    let fields =
        [("event_id", text("evt \"1\"")), ("n", Value::U64(3)), ("long", cut), ("x", Value::F64(0.5))];
    let expected = concat!(
        r#"{"timestamp":"2026-01-22T10:00:00.123456789Z","level":"INFO","target":"shop::events","message":"Event 3","#,
        r#""trace_id":"abababababababababababababababab","span_id":"1212121212121212","trace_sampled":true,"#,
        r#""file":"src/events.rs","line":12,"fields":{"event_id":"evt \"1\"","n":3,"long":"lo","x":0.5},"truncated":["long"]}"#,
        "\n"
    );
    assert_eq!(line(Format::Json, &log("Event {n}", true, &fields)), expected);
    let loose = line(Format::Json, &log("loose", false, &[]));
    assert!(loose.contains(r#""trace_id":null,"span_id":null,"file""#), "{loose}");
    assert!(!loose.contains("event_name"), "{loose}");
    let named = line(Format::Json, &LogView { event_name: "user.login", ..log("came in", false, &[]) });
    assert!(named.contains(r#""message":"came in","event_name":"user.login","trace_id""#), "{named}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn whatever_the_texts_a_record_is_one_line_and_json_is_json(key in "\\PC{1,8}", value in any::<String>(), message in any::<String>()) {
        let fields = [(key.as_str(), text(&value))];
        for format in [Format::Text, Format::Json] {
            let line = line(format, &log(&message, true, &fields));
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(line.ends_with('\n'));
            prop_assert!(!line.trim_end_matches('\n').contains(throughline_export::text::is_dangerous));
            if format == Format::Json {
                let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
                prop_assert_eq!(parsed["fields"][&key].as_str(), Some(&*value));
            }
        }
    }
}

#[test]
fn what_was_not_written_whole_is_lost_and_counted_and_the_next_line_begins_afresh() {
    let view = log("0123456789", false, &[]);
    let whole = line(Format::Text, &view);
    let page = Page::new(whole.len() as u64 * 2 + 5);
    let mut lines = Lines::new(page.clone(), Format::Text);
    (0..4).for_each(|_| lines.log(&view));
    let error = flush(&mut lines).unwrap_err();
    assert_eq!((error.reason, error.lost), (DropReason::WriteError, 2));
    assert!(error.message.contains("check the disk"), "{}", error.message);
    page.limit.store(u64::MAX, Ordering::Relaxed);
    lines.log(&view);
    flush(&mut lines).unwrap();
    assert_eq!(page.text(), format!("{whole}{whole}{}\n{whole}", &whole[..5]));
}

/// A span with this name.
fn span(name: &str) -> SpanView<'_> {
    SpanView {
        trace_id: TraceId::from_bytes([0xab; 16]).unwrap(),
        span_id: SpanId::from_bytes([0x12; 8]).unwrap(),
        parent_span_id: None,
        parent_is_remote: false,
        name,
        scope: Scope::OWN,
        target: "shop::events",
        file: "src/events.rs",
        line: 12,
        kind: throughline::SpanKind::Internal,
        level: Level::Info,
        status: throughline::Status::Unset,
        start_unix_ns: TIME,
        end_unix_ns: TIME + 5,
        busy_ns: None,
        time_error_ns: None,
        fields: [].as_slice().into(),
    }
}

/// Starts the exporter for a service of this name.
fn begin(exporter: &mut dyn Exporter, service: &str) {
    let spawn = |_: &str, _: Box<dyn FnOnce() + Send>| Ok(());
    exporter.begin(&Host::new(&Resource::new(service), &spawn)).unwrap();
}

#[test]
fn otlp_lines_are_requests_of_one_signal_each_that_opentelemetrys_own_types_read() {
    let page = Page::new(u64::MAX);
    let mut file = OtlpFile::new(page.clone());
    begin(&mut file, "shop");
    file.span(&span("a\nb"));
    file.span(&span("c"));
    file.log(&log("placed {}", true, &[("", text("42"))]));
    let counter = point("orders", "", &[], PointData::Counter(3));
    file.points(&[counter]);
    flush(&mut file).unwrap();
    let written = page.text();
    let lines: Vec<serde_json::Value> =
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{written}");
    let of = |name: &str| lines.iter().find(|line| line.get(name).is_some()).unwrap().clone();
    let traces: ExportTraceServiceRequest = serde_json::from_value(of("resourceSpans")).unwrap();
    let spans: Vec<&str> =
        traces.resource_spans[0].scope_spans[0].spans.iter().map(|span| &*span.name).collect();
    assert_eq!(spans, ["a\nb", "c"]);
    assert_eq!(traces.resource_spans[0].resource.as_ref().unwrap().attributes[0].key, "service.name");
    let logs: ExportLogsServiceRequest = serde_json::from_value(of("resourceLogs")).unwrap();
    assert_eq!(logs.resource_logs[0].scope_logs[0].log_records[0].trace_id, [0xab; 16]);
    let metrics: ExportMetricsServiceRequest = serde_json::from_value(of("resourceMetrics")).unwrap();
    assert_eq!(metrics.resource_metrics[0].scope_metrics[0].metrics[0].name, "orders");

    // Each line stays below what the Collector's receiver takes, and a signal that is not wanted is left out.
    let page = Page::new(u64::MAX);
    let mut file = OtlpFile::new(page.clone()).signals(&[Signal::Traces]);
    begin(&mut file, "shop");
    assert!(file.wants().spans && !file.wants().logs && !file.wants().points);
    // Control characters take six bytes in JSON. The last record of a line may be large.
    let [name, large] = [400, 52_000].map(|len| "\u{1}".repeat(len));
    (0..2000).for_each(|n| file.span(&span(if n % 221 == 220 { &large } else { &name })));
    flush(&mut file).unwrap();
    let lengths: Vec<usize> = page.text().lines().map(str::len).collect();
    assert!(lengths.len() > 2 && lengths.iter().all(|length| *length < 1 << 20), "{lengths:?}");
}

#[test]
fn records_in_otlp_lines_that_were_not_written_are_counted() {
    let page = Page::new(10);
    let mut file = OtlpFile::new(page.clone());
    begin(&mut file, "shop");
    (0..3).for_each(|_| file.span(&span("a")));
    file.log(&log("b", false, &[]));
    let error = flush(&mut file).unwrap_err();
    assert_eq!((error.reason, error.lost), (DropReason::WriteError, 4));
    page.limit.store(u64::MAX, Ordering::Relaxed);
    file.log(&log("b", false, &[]));
    flush(&mut file).unwrap();
    let second = page.text().lines().nth(1).unwrap().to_owned();
    assert!(serde_json::from_str::<serde_json::Value>(&second).is_ok(), "{second}");
}

#[test]
fn an_output_takes_what_its_filter_takes() {
    let lines = Lines::new(io::sink(), Format::Text).filter("shop=warn".parse().unwrap());
    assert!(!lines.log_filter().takes("shop::a", Level::Info));
    assert_eq!(Lines::new(io::sink(), Format::Text).log_filter(), Filter::all());
}

/// A folder of the test, which is removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("throughline-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder(path)
    }

    /// All files, sorted by name, with their content.
    fn files(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut files: Vec<_> =
            entries.map(|path| (name(&path), fs::read_to_string(path).unwrap())).collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_file_begins_anew_by_size_between_lines_and_keeps_the_newest() {
    let folder = Folder::new("size");
    let now = || UNIX_EPOCH + Duration::from_secs(1_769_076_000);
    let path = folder.0.join("deep/er/../../shop.log");
    let mut file = RollingFile::new(path).max_bytes(8).keep(2).open().unwrap().clock(now);
    file.write_all(b"one\ntwo\nthree\nvery long line\nfour\nfive\n").unwrap();
    let _ = fs::remove_dir_all(folder.0.join("deep"));
    let expected = [
        ("shop.log", "five\n"),
        ("shop.log.20260122T100000Z.2", "very long line\n"),
        ("shop.log.20260122T100000Z.3", "four\n"),
    ];
    assert_eq!(folder.files(), owned(&expected));
}

#[test]
fn a_file_begins_anew_by_time_also_when_another_run_began_it() {
    let folder = Folder::new("time");
    let seconds = Arc::new(AtomicU64::new(0));
    let clock = |seconds: &Arc<AtomicU64>| {
        let seconds = Arc::clone(seconds);
        move || UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::Relaxed))
    };
    let open = || RollingFile::new(folder.0.join("a.log")).period(Period::Hourly).open().unwrap();
    // The file system sets real times, so the test's clock must begin after the present hour.
    let today = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600 * 3600;
    seconds.store(today + 7200, Ordering::Relaxed);
    let mut file = open().clock(clock(&seconds));
    file.write_all(b"a\nb\n").unwrap();
    seconds.store(today + 7200 + 3599, Ordering::Relaxed);
    file.write_all(b"c\n").unwrap();
    assert_eq!(folder.files().len(), 1);
    seconds.store(today + 7200 + 3600, Ordering::Relaxed);
    file.write_all(b"d\n").unwrap();
    let texts = |folder: &Folder| folder.files().into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    assert_eq!(texts(&folder), ["d\n", "a\nb\nc\n"]);
    drop(file);
    let mut file = open().clock(clock(&seconds));
    seconds.store(today + 7200 + 7200, Ordering::Relaxed);
    file.write_all(b"e\n").unwrap();
    assert_eq!(texts(&folder), ["e\n", "a\nb\nc\n", "d\n"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_was_renamed_or_removed_is_made_anew() {
    let folder = Folder::new("rename");
    let mut file = RollingFile::new(folder.0.join("a.log")).open().unwrap();
    file.write_all(b"one\n").unwrap();
    fs::rename(folder.0.join("a.log"), folder.0.join("a.log.1")).unwrap();
    file.write_all(b"two\n").unwrap();
    assert_eq!(folder.files(), owned(&[("a.log", "two\n"), ("a.log.1", "one\n")]));
    fs::remove_file(folder.0.join("a.log")).unwrap();
    file.write_all(b"three\n").unwrap();
    assert_eq!(folder.files(), owned(&[("a.log", "three\n"), ("a.log.1", "one\n")]));
}

#[test]
fn other_files_of_a_similar_name_are_left_alone() {
    let folder = Folder::new("others");
    fs::create_dir_all(&folder.0).unwrap();
    for name in ["a.log.1", "a.log.20260122T100000", "a.log.20260122T100000Z.gz", "a.log2.20260122T100000Z"] {
        fs::write(folder.0.join(name), "mine").unwrap();
    }
    let mut file = RollingFile::new(folder.0.join("a.log")).max_bytes(1).keep(0).open().unwrap();
    file.write_all(b"one\ntwo\n").unwrap();
    assert_eq!(folder.files().len(), 5, "{:?}", folder.files());
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let folder = Folder::new("denied");
    fs::create_dir_all(&folder.0).unwrap();
    let error = RollingFile::new(&folder.0).open().unwrap_err().to_string();
    assert!(error.starts_with(&format!("{} cannot be opened for writing: ", folder.0.display())), "{error}");
    assert!(error.ends_with("; check the path and its permissions"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_refused_and_not_waited_for() {
    let folder = Folder::new("pipe");
    fs::create_dir_all(&folder.0).unwrap();
    let path = folder.0.join("shop.log");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the name is a string that ends with a zero byte.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let error = RollingFile::new(&path).open().unwrap_err().to_string();
    assert!(error.contains("shop.log") && error.contains("a named pipe"), "{error}");
}
