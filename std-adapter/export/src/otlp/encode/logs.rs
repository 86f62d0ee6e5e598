//! Encodes events as the body of a request to `/v1/logs`.

use super::{
    Counts, Options, Site,
    attribute::{self, Key},
    out::Out,
    proto,
    request::{Request, ScopeKey},
    site::{Code, LOG_ATTRIBUTE, log_body, log_fixed},
    unique::Attributes,
};
use crate::{
    Resource, message,
    view::{Fields, LogView},
};
use throughline::Value;

/// The tag of `LogRecord.dropped_attributes_count`.
const DROPPED: u8 = 0x38;

/// Appends log records to the body of one request. The body of a record is its message with the fields filled
/// in; the fields are also attributes, except one that is all of the message. Each scope, that is each instrumented package, has its own part of the
/// request.
///
/// Cost: no allocation once the buffers have grown.
#[derive(Clone, Debug)]
pub struct LogEncoder {
    request: Request,
    options: Options,
    counts: Counts,
    /// The message being rendered.
    text: String,
}

impl LogEncoder {
    /// An empty request for logs of `resource`.
    pub fn new(resource: &Resource, options: Options) -> LogEncoder {
        LogEncoder {
            request: Request::new(resource),
            options,
            counts: Counts::default(),
            text: String::new(),
        }
    }

    /// Appends a log record.
    pub fn log<'a, F: Fields<'a>>(&mut self, view: &LogView<'a, F>) {
        let code = Code { target: view.target, file: view.file, line: view.line };
        let code = self.options.code_location.then_some(code);
        let fixed = |out: &mut Out| log_fixed(out, view.level, view.event_name);
        self.mixed(&ScopeKey::new(view.scope), view, true, fixed, code, |_, name| Key::Plain(name));
    }

    /// Appends a log record of a prepared callsite. The view must have exactly the fields of the callsite.
    /// Scope, message, event name, severity and code location are taken from `site`.
    pub fn log_at<'a, F: Fields<'a>>(&mut self, site: &Site<'a>, view: &LogView<'a, F>) {
        if !site.is_plain() {
            let fixed = |out: &mut Out| out.extend_from_slice(&site.log[..site.log_code]);
            let key = |i, name| site.key(i, name);
            return self.mixed(&site.scope, view, site.has_placeholders, fixed, site.code, key);
        }
        let LogEncoder { request, options, counts, text } = self;
        let out = request.of(&site.scope);
        let start = begin(out, view);
        out.extend_from_slice(&site.log);
        if site.has_placeholders {
            body(out, text, view);
        }
        let limits = &options.logs;
        for (i, (name, value)) in view.fields.clone().enumerate() {
            attribute::limited(out, LOG_ATTRIBUTE, site.key(i, name), name, value, limits, counts);
        }
        if let Some(error) = view.time_error_ns {
            attribute::attribute(out, LOG_ATTRIBUTE, Key::Plain(TIME_ERROR), &Value::U64(error));
        }
        proto::close::<2>(out, start);
        request.count += 1;
    }

    /// Appends a record whose fields must be compared, because their names may be equal.
    fn mixed<'k, 'a: 'k, F: Fields<'a>>(
        &mut self,
        scope: &ScopeKey<'_>,
        view: &LogView<'a, F>,
        render: bool,
        fixed: impl FnOnce(&mut Out),
        code: Option<Code<'_>>,
        key: impl Fn(usize, &'a str) -> Key<'k>,
    ) {
        let LogEncoder { request, options, counts, text } = self;
        let mut attributes = Attributes::default();
        for (i, (name, value)) in view.fields.clone().enumerate() {
            if message::is_beside(view.message, name, &value) {
                attributes.push(name, key(i, name), value);
            }
        }
        let out = request.of(scope);
        let start = begin(out, view);
        fixed(out);
        if render {
            body(out, text, view);
        }
        if let Some(code) = code {
            code.attributes(|name, value| attributes.write_own(out, LOG_ATTRIBUTE, name, value));
        }
        attributes.write(out, LOG_ATTRIBUTE, DROPPED, &options.logs, counts);
        if let Some(error) = view.time_error_ns {
            attributes.write_own(out, LOG_ATTRIBUTE, TIME_ERROR, Value::U64(error));
        }
        proto::close::<2>(out, start);
        request.count += 1;
    }

    /// The numbers of values cut and attributes left out of all records so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Records appended since the last [`clear`](Self::clear).
    pub fn count(&self) -> usize {
        self.request.count
    }

    /// Number of bytes that these records take.
    pub fn record_bytes(&self) -> usize {
        self.request.record_bytes()
    }

    /// Returns the body of the request. More records may be appended afterwards, and `finish` called again.
    pub fn finish(&mut self) -> &[u8] {
        self.request.finish()
    }

    /// Like [`finish`](Self::finish), but returns the buffer itself. `spare`, which is empty or an earlier
    /// buffer, is used for the next request.
    pub fn take(&mut self, spare: Vec<u8>) -> Vec<u8> {
        self.request.take(spare)
    }

    /// Removes the records, and keeps the resource, the options and the memory.
    pub fn clear(&mut self) {
        self.request.clear();
    }
}

/// The attribute for the possible error of the time.
const TIME_ERROR: &str = "throughline.time_error_ns";

/// Begins a record with its times and ids. Returns the position of its first byte.
#[inline]
fn begin<F>(out: &mut Out, view: &LogView<'_, F>) -> usize {
    let start = proto::open::<2>(out, 0x12);
    let mut times = [0; 18];
    // time_unix_nano, observed_time_unix_nano
    (times[0], times[9]) = (0x09, 0x59);
    times[1..9].copy_from_slice(&view.time_unix_ns.to_le_bytes());
    times[10..].copy_from_slice(&view.time_unix_ns.to_le_bytes());
    out.extend_from_slice(&times);
    if let Some((trace_id, span_id)) = view.span {
        let mut ids = [0; 33];
        // trace_id, span_id, flags
        (ids[0], ids[1], ids[18], ids[19], ids[28], ids[29]) = (0x4a, 16, 0x52, 8, 0x45, view.trace_flags);
        ids[2..18].copy_from_slice(&trace_id.to_bytes());
        ids[20..28].copy_from_slice(&span_id.to_bytes());
        out.extend_from_slice(&ids);
    }
    start
}

/// Writes the message with the fields filled in as the body.
fn body<'a, F: Fields<'a>>(out: &mut Out, text: &mut String, view: &LogView<'a, F>) {
    text.clear();
    message::render_into(text, view.message, view.fields.clone());
    log_body(out, text);
}
