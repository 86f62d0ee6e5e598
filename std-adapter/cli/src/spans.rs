//! The spans of files in OTLP's JSON, and of captures of devices; and the gauges of the former.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use clap::Parser;
use serde_json::Value;
use throughline::{SpanId, SpanKind, TraceId};
use throughline_decode::trace::{Assembled, Entry};
use throughline_decode::{Context, Item};
use throughline_std::insights::Ended;

use crate::args::{Cli, Command};
use crate::decode;
use crate::error::CliError;
use crate::output::Output;
use crate::summary::Summary;
use crate::{FINE, say, views};

/// Longest line that is read, in bytes. A line is a request, and receivers take no larger ones either.
const LONGEST: u64 = 64 << 20;

/// A value of a gauge, or of a sum that may go down.
#[derive(Clone, Debug)]
pub(crate) struct FileGauge<'a> {
    pub(crate) name: &'a str,
    pub(crate) unit: &'a str,
    /// Attributes that are texts.
    pub(crate) labels: Vec<(&'a str, &'a str)>,
    pub(crate) time_ns: u64,
    pub(crate) value: f64,
}

/// Takes what files have.
pub(crate) trait Sink {
    /// A span; its service is "" for a device.
    fn span(&mut self, span: &Ended<'_>);
    fn gauge(&mut self, _gauge: &FileGauge<'_>) {}
    /// So many lines or spans of a file are damaged.
    fn damaged(&mut self, path: &Path, damaged: u64) {
        say(&format_args!("{}: {damaged} lines or spans are damaged and left out", path.display()));
    }
}

/// Reads the spans of a capture, for which there is the ELF, or of a file in OTLP's JSON. Returns the exit code, too: a damaged capture has spans. `command` is what the
/// error tells to call with `--elf`.
pub(crate) fn read<S: Sink + 'static>(
    path: &Path,
    elf: Option<&Path>,
    command: &'static str,
    sink: S,
) -> Result<(S, u8), CliError> {
    match elf {
        Some(elf) => read_capture(path, elf, sink),
        None => read_otlp(path, command, sink).map(|sink| (sink, FINE)),
    }
}

fn read_capture<S: Sink + 'static>(path: &Path, elf: &Path, sink: S) -> Result<(S, u8), CliError> {
    let words = ["throughline", "decode", "--format", "none", "--elf"].map(OsString::from);
    let rest = [elf.into(), "--".into(), path.into()];
    let Command::Decode(args) = Cli::parse_from(words.into_iter().chain(rest)).command else {
        return Ok((sink, FINE));
    };
    let shared = Rc::new(RefCell::new(Some(sink)));
    let code = decode::run_into(&args, Spans(Rc::clone(&shared)))?;
    let sink = shared.take();
    Ok((sink.expect("only `Spans::assembled` borrows it, and puts nothing else there"), code))
}

/// Passes on the spans of a capture.
struct Spans<S>(Rc<RefCell<Option<S>>>);

impl<'elf, S: Sink> Output<'elf> for Spans<S> {
    fn item(&mut self, _: &Context, _: &Item<'elf, '_>) -> Result<(), CliError> {
        Ok(())
    }

    fn assembled(&mut self, assembled: &Assembled<'elf>) -> Result<(), CliError> {
        let Assembled::Trace(trace) = assembled else { return Ok(()) };
        let mut sink = self.0.borrow_mut();
        for (_, entry) in &trace.entries {
            let Entry::Span(span) = entry else { continue };
            // A span of a remote trace that is not known is in no trace.
            let Some((trace_id, sink)) = span.trace_id.zip(sink.as_mut()) else { continue };
            sink.span(&Ended::of(&views::span(span, trace_id, &span.callsite.name())));
        }
        Ok(())
    }

    fn pause(&mut self) -> Result<(), CliError> {
        Ok(())
    }

    fn finish(&mut self, _: &Context, _: &Summary) -> Result<(), CliError> {
        Ok(())
    }
}

/// Reads requests, one on a line. Lines that are cut off are passed over: a file may end within one.
fn read_otlp<S: Sink>(path: &Path, command: &'static str, mut sink: S) -> Result<S, CliError> {
    let failed = |source| CliError::File { path: path.to_owned(), command, source };
    let mut lines = BufReader::new(File::open(path).map_err(failed)?);
    let (mut requests, mut damaged, mut line) = (0_u64, 0_u64, Vec::new());
    loop {
        line.clear();
        let length = lines.by_ref().take(LONGEST).read_until(b'\n', &mut line).map_err(failed)?;
        if length == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Value>(&line) {
            Ok(request) if is_request(&request) => {
                requests += 1;
                damaged += read_request(&request, &mut sink);
            }
            _ => damaged += 1,
        }
    }
    if requests == 0 {
        return Err(CliError::NoRequests { path: path.to_owned(), command });
    }
    if damaged > 0 {
        sink.damaged(path, damaged);
    }
    Ok(sink)
}

fn is_request(request: &Value) -> bool {
    let signals = ["resourceSpans", "resourceLogs", "resourceMetrics", "resourceProfiles"];
    signals.iter().any(|signal| request.get(signal).is_some())
}

/// Passes on the spans and gauges of a request. Returns how many spans are damaged.
fn read_request(request: &Value, sink: &mut impl Sink) -> u64 {
    let mut damaged = 0;
    for resource in list(request, "resourceSpans") {
        let attributes = resource.get("resource").map_or(&[][..], |it| list(it, "attributes"));
        let service =
            texts(attributes).find(|(name, _)| *name == "service.name").map_or("", |(_, text)| text);
        for span in list(resource, "scopeSpans").iter().flat_map(|scope| list(scope, "spans")) {
            match read_span(span, service) {
                Some(span) => sink.span(&span),
                None => damaged += 1,
            }
        }
    }
    for resource in list(request, "resourceMetrics") {
        for metric in list(resource, "scopeMetrics").iter().flat_map(|scope| list(scope, "metrics")) {
            let is_up_and_down = |sum: &&Value| sum.get("isMonotonic") != Some(&Value::Bool(true));
            let data = metric.get("gauge").or_else(|| metric.get("sum").filter(is_up_and_down));
            for point in data.map_or(&[][..], |data| list(data, "dataPoints")) {
                if let Some(gauge) = read_gauge(metric, point) {
                    sink.gauge(&gauge);
                }
            }
        }
    }
    damaged
}

/// The items of a list in an object; none if there is no such list.
fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The attributes that are texts.
fn texts(attributes: &[Value]) -> impl Iterator<Item = (&str, &str)> {
    attributes.iter().filter_map(|attribute| {
        Some((attribute.get("key")?.as_str()?, attribute.get("value")?.get("stringValue")?.as_str()?))
    })
}

fn read_span<'a>(span: &'a Value, service: &'a str) -> Option<Ended<'a>> {
    let attributes = list(span, "attributes");
    let attribute = |name: &str| {
        let is_it = |attribute: &&Value| attribute.get("key").and_then(Value::as_str) == Some(name);
        number(attributes.iter().find(is_it)?.get("value")?.get("intValue")?)
    };
    let text = |name: &str| span.get(name).and_then(Value::as_str);
    let ids = (TraceId::from_hex(text("traceId")?)?, SpanId::from_hex(text("spanId")?)?);
    let times = (number(span.get("startTimeUnixNano")?)?, number(span.get("endTimeUnixNano")?)?);
    let mut ended = Ended {
        // What is in other processes is in the file too.
        parent_span_id: text("parentSpanId").and_then(SpanId::from_hex),
        service,
        kind: span.get("kind").map_or(SpanKind::Internal, kind),
        failed: span.get("status").and_then(|status| status.get("code")).is_some_and(is_error),
        // What this library's exporters and `tracing-opentelemetry` write.
        busy_ns: attribute("busy_ns"),
        ..Ended::new(ids.0, ids.1, text("name").unwrap_or_default(), times.0, times.1)
    };
    texts(attributes).for_each(|(name, text)| ended.attribute(name, text));
    Some(ended)
}

/// The kind, which OTLP's JSON writes as a number, and some writers as a name.
fn kind(value: &Value) -> SpanKind {
    match (value.as_u64(), value.as_str()) {
        (Some(2), _) | (_, Some("SPAN_KIND_SERVER")) => SpanKind::Server,
        (Some(3), _) | (_, Some("SPAN_KIND_CLIENT")) => SpanKind::Client,
        (Some(4), _) | (_, Some("SPAN_KIND_PRODUCER")) => SpanKind::Producer,
        (Some(5), _) | (_, Some("SPAN_KIND_CONSUMER")) => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

fn is_error(code: &Value) -> bool {
    code.as_u64() == Some(2) || code.as_str() == Some("STATUS_CODE_ERROR")
}

fn read_gauge<'a>(metric: &'a Value, point: &'a Value) -> Option<FileGauge<'a>> {
    let whole = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let value = match point.get("asDouble") {
        Some(value) => value.as_f64()?,
        None => whole(point.get("asInt")?)? as f64,
    };
    Some(FileGauge {
        name: metric.get("name")?.as_str()?,
        unit: metric.get("unit").and_then(Value::as_str).unwrap_or_default(),
        labels: texts(list(point, "attributes")).collect(),
        time_ns: number(point.get("timeUnixNano")?)?,
        value,
    })
}

/// A 64-bit integer, which OTLP's JSON writes as a text, and some writers as a number.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
