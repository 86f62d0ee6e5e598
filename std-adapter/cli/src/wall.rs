//! Wall-clock profiles: the spans of files in OTLP's JSON, and of captures of devices.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use clap::Parser;
use serde_json::Value;
use throughline::{SpanId, TraceId};
use throughline_decode::trace::{Assembled, Entry};
use throughline_decode::{Context, Item};
use throughline_profile::{WallProfile, WallSpan};

use crate::args::{Cli, Command};
use crate::decode;
use crate::error::CliError;
use crate::output::Output;
use crate::summary::Summary;
use crate::{FINE, say};

/// Longest line that is read, in bytes. A line is a request, and receivers take no larger ones either.
const LONGEST: u64 = 64 << 20;

/// Reads the spans of a capture, for which there is the ELF, or of a file in OTLP's JSON. Returns the exit code: a damaged
/// capture has a profile too.
pub(crate) fn read(path: &Path, elf: Option<&Path>, profile: &mut WallProfile) -> Result<u8, CliError> {
    match elf {
        Some(elf) => read_capture(path, elf, profile),
        None => read_otlp(path, profile).map(|()| FINE),
    }
}

fn read_capture(path: &Path, elf: &Path, profile: &mut WallProfile) -> Result<u8, CliError> {
    let words = ["throughline", "decode", "--format", "none", "--elf"].map(OsString::from);
    let rest = [elf.into(), "--".into(), path.into()];
    let Command::Decode(args) = Cli::parse_from(words.into_iter().chain(rest)).command else {
        return Ok(FINE);
    };
    let spans = Rc::new(RefCell::new(std::mem::take(profile)));
    let code = decode::run_into(&args, Spans(Rc::clone(&spans)))?;
    *profile = spans.take();
    Ok(code)
}

/// Collects the spans of a capture.
struct Spans(Rc<RefCell<WallProfile>>);

impl<'elf> Output<'elf> for Spans {
    fn item(&mut self, _: &Context, _: &Item<'elf, '_>) -> Result<(), CliError> {
        Ok(())
    }

    fn assembled(&mut self, assembled: &Assembled<'elf>) -> Result<(), CliError> {
        let Assembled::Trace(trace) = assembled else { return Ok(()) };
        for (_, entry) in &trace.entries {
            let Entry::Span(span) = entry else { continue };
            // A span of a remote trace that is not known is in no trace.
            let Some(trace_id) = span.trace_id else { continue };
            self.0.borrow_mut().add(WallSpan {
                trace_id,
                span_id: span.span_id,
                parent_span_id: span.parent_span_id,
                name: span.callsite.name().into_owned(),
                start_ns: span.start.unix_ns,
                end_ns: span.start.unix_ns.saturating_add(span.duration_ns),
                busy_ns: span.busy_ns,
            });
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

/// Reads requests of traces, one on a line. Those of other signals are passed over, and so are lines that are cut off: a
/// file may end within one.
fn read_otlp(path: &Path, profile: &mut WallProfile) -> Result<(), CliError> {
    let failed = |source| CliError::Input { path: path.to_owned(), source };
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
                damaged += read_request(&request, profile);
            }
            _ => damaged += 1,
        }
    }
    if requests == 0 {
        return Err(CliError::NoRequests { path: path.to_owned() });
    }
    if damaged > 0 {
        say(&format_args!("{}: {damaged} lines or spans are damaged and left out", path.display()));
    }
    Ok(())
}

fn is_request(request: &Value) -> bool {
    let signals = ["resourceSpans", "resourceLogs", "resourceMetrics", "resourceProfiles"];
    signals.iter().any(|signal| request.get(signal).is_some())
}

/// Adds the spans of a request. Returns how many are damaged.
fn read_request(request: &Value, profile: &mut WallProfile) -> u64 {
    let mut damaged = 0;
    for resource in list(request, "resourceSpans") {
        for scope in list(resource, "scopeSpans") {
            for span in list(scope, "spans") {
                match read_span(span) {
                    Some(span) => profile.add(span),
                    None => damaged += 1,
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

fn read_span(span: &Value) -> Option<WallSpan> {
    let attribute = |name: &str| {
        let is_it = |attribute: &&Value| attribute.get("key").and_then(Value::as_str) == Some(name);
        number(list(span, "attributes").iter().find(is_it)?.get("value")?.get("intValue")?)
    };
    let id = |name: &str| span.get(name).and_then(Value::as_str);
    Some(WallSpan {
        trace_id: TraceId::from_hex(id("traceId")?)?,
        span_id: SpanId::from_hex(id("spanId")?)?,
        parent_span_id: id("parentSpanId").and_then(SpanId::from_hex),
        name: span.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        start_ns: number(span.get("startTimeUnixNano")?)?,
        end_ns: number(span.get("endTimeUnixNano")?)?,
        // What this library's exporters and `tracing-opentelemetry` write.
        busy_ns: attribute("busy_ns"),
    })
}

/// A 64-bit integer, which OTLP's JSON writes as a text, and some writers as a number.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
