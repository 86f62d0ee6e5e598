//! Sends spans to Zipkin with version 2 of its API (<https://zipkin.io/zipkin-api/>).

use crate::json::Object;
use crate::message::ValueText;
use crate::otlp::ConfigError;
use crate::push::{Push, PushUrlError};
use crate::view::SpanView;
use crate::{Deadline, ExportError, Exporter, Wants};
use std::fmt::Write;
use std::path::Path;
use throughline::{SpanKind, Status, Value};

const PATH: &str = "/api/v2/spans";
const EXAMPLE: &str = "http://localhost:9411/api/v2/spans";
/// A request with this many bytes is full.
const REQUEST: usize = 512 << 10;

/// Sends spans to Zipkin as JSON.
///
/// Names, kinds and tags follow OpenTelemetry's rules for Zipkin. Attributes become tags, which are always
/// text. The tags `otel.status_code` and `error` say that a span failed; `otel.scope.name` and
/// `otel.scope.version` name the package that made it. Zipkin's times are in microseconds, and a span takes
/// at least one.
///
/// While Zipkin is unavailable, up to 16 MiB of requests wait for it, in order. Spans that find no room are
/// counted as `dropped[unreachable]`.
///
/// ```
/// use throughline_export::zipkin::Zipkin;
/// let zipkin = Zipkin::new("http://localhost:9411", "shop")?;
/// // let config = throughline_std::Config::new("shop").exporter("zipkin", zipkin);
/// # Ok::<(), throughline_export::PushUrlError>(())
/// ```
#[derive(Debug)]
pub struct Zipkin {
    push: Push,
    service: String,
    batch: String,
    taken: u64,
}

impl Zipkin {
    /// Sends to `url`; `/api/v2/spans` is appended if it has no path. `service` is the name of the spans'
    /// endpoint.
    ///
    /// # Errors
    ///
    /// Fails if `url` is not a valid URL.
    pub fn new(url: &str, service: &str) -> Result<Zipkin, PushUrlError> {
        let push = Push::new("Zipkin", url, PATH, "application/json", EXAMPLE)?;
        Ok(Zipkin { push, service: service.into(), batch: String::new(), taken: 0 })
    }

    /// Sends this header with each request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Zipkin {
        self.push.header(name, value);
        self
    }

    /// Trusts a server whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate, or TLS is not built in.
    pub fn ca_certificate(mut self, path: impl AsRef<Path>) -> Result<Zipkin, ConfigError> {
        self.push.ca_certificate(path.as_ref())?;
        Ok(self)
    }

    /// Puts the taken spans into a request.
    fn close(&mut self) {
        if self.taken > 0 {
            self.batch.push(']');
            self.push.queue(std::mem::take(&mut self.batch), std::mem::take(&mut self.taken));
        }
    }

    fn deliver(&mut self, deadline: &Deadline, last: bool) -> Result<(), ExportError> {
        self.close();
        self.push.deliver(deadline, last, |_| Ok(()))
    }
}

impl Exporter for Zipkin {
    fn wants(&self) -> Wants {
        Wants { spans: true, ..Wants::NOTHING }
    }

    fn span(&mut self, span: &SpanView<'_>) {
        self.batch.push(if self.batch.is_empty() { '[' } else { ',' });
        push_span(&mut self.batch, &self.service, span);
        self.taken += 1;
        if self.batch.len() >= REQUEST {
            self.close();
        }
    }

    fn flush(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.deliver(deadline, false)
    }

    fn finish(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.deliver(deadline, true)
    }

    fn held(&self) -> u64 {
        self.push.held()
    }
}

fn push_span(out: &mut String, service: &str, span: &SpanView<'_>) {
    let mut object = Object::new(out);
    object.plain("traceId", span.trace_id);
    object.plain("id", span.span_id);
    if let Some(parent) = span.parent_span_id {
        object.plain("parentId", parent);
    }
    object.text("name", span.name);
    let kind = match span.kind {
        SpanKind::Internal => None,
        SpanKind::Server => Some("SERVER"),
        SpanKind::Client => Some("CLIENT"),
        SpanKind::Producer => Some("PRODUCER"),
        SpanKind::Consumer => Some("CONSUMER"),
    };
    if let Some(kind) = kind {
        object.plain("kind", kind);
    }
    object.number("timestamp", span.start_unix_ns / 1000);
    object.number("duration", (span.end_unix_ns.saturating_sub(span.start_unix_ns) / 1000).max(1));
    let mut endpoint = object.object("localEndpoint");
    endpoint.text("serviceName", service);
    endpoint.end();
    push_tags(object.object("tags"), span);
    object.end();
}

fn push_tags(mut tags: Object<'_>, span: &SpanView<'_>) {
    let mut error = None;
    let mut text = String::new();
    for (name, value) in span.fields.clone().filter(|(_, value)| *value != Value::Absent) {
        text.clear();
        // Writing to a String cannot fail.
        let _ = write!(text, "{}", ValueText(&value));
        if matches!(name, "error.message" | "exception.message") {
            error = Some(text.clone());
        }
        // In Zipkin the tag `error` means that the span failed, so only the status may set it.
        if name != "error" {
            tags.text(name, &text);
        }
    }
    match span.status {
        Status::Error => {
            tags.plain("otel.status_code", "ERROR");
            tags.text("error", error.as_deref().unwrap_or_default());
        }
        Status::Ok => tags.plain("otel.status_code", "OK"),
        _ => {}
    }
    tags.text("otel.scope.name", span.scope.name);
    if !span.scope.version.is_empty() {
        tags.text("otel.scope.version", span.scope.version);
    }
    tags.end();
}
