//! Spans to the body of `/v1/traces`.

use super::{
    Options, Site,
    attribute::{self, Key},
    batch::Batch,
    out::Out,
    proto,
    site::{Code, SPAN_ATTRIBUTE, span_begin},
};
use crate::{
    Resource,
    view::{Fields, SpanView},
};
use throughline::adapter::record::Values;
use throughline::{Status, Value};

/// `ScopeSpans.spans` with a two-byte length, then the fields of fixed size that every span has: trace id, span id, start, end.
pub(super) const HEAD: [u8; 49] = {
    let mut head = [0; 49];
    head[0] = 0x12;
    (head[3], head[4]) = (0x0a, 16);
    (head[21], head[22]) = (0x12, 8);
    head[31] = 0x39;
    head[40] = 0x41;
    head
};

/// Appends spans to the body of one request.
///
/// Cost: no allocation once the buffer has grown. On one x86-64 virtual machine 30 ns for a span of two fields at a prepared callsite, ids included, and
/// 110 ns without one.
///
/// ```
/// use throughline_export::{Resource, otlp::{Options, TraceEncoder}};
/// let mut encoder = TraceEncoder::new(&Resource::new("shop"), Options::default());
/// assert_eq!(encoder.count(), 0);
/// let empty = encoder.finish().len();
/// assert!(empty > 0, "the resource is there already");
/// ```
#[derive(Clone, Debug)]
pub struct TraceEncoder(Batch);

impl TraceEncoder {
    /// An empty request for spans of `resource`.
    pub fn new(resource: &Resource, options: Options) -> TraceEncoder {
        TraceEncoder(Batch::new(resource, options))
    }

    /// Appends a span.
    pub fn span<'a, F: Fields<'a>>(&mut self, view: &SpanView<'a, F>) {
        let code = self.0.options.code_location.then_some(Code {
            target: view.target,
            file: view.file,
            line: view.line,
        });
        self.append(
            view,
            |out| span_begin(out, view.name, view.kind, code),
            |out| attribute::all(out, SPAN_ATTRIBUTE, view.fields.clone(), |_, name| Key::Plain(name)),
        );
    }

    /// Appends a span of a prepared callsite. Name, kind and code location are taken from `site`, not from `view`.
    pub fn span_at<'a, F: Fields<'a>>(&mut self, site: &Site<'a>, view: &SpanView<'a, F>) {
        self.append(
            view,
            |out| out.extend_from_slice(&site.span),
            |out| attribute::all(out, SPAN_ATTRIBUTE, view.fields.clone(), |i, name| site.key(i, name)),
        );
    }

    /// As [`span_at`](Self::span_at), with the attributes straight from records: the values of each, and the callsite whose fields they are.
    #[inline(always)]
    pub fn span_of<'a, F>(
        &mut self,
        site: &Site<'a>,
        view: &SpanView<'a, F>,
        records: impl Iterator<Item = (&'a Site<'a>, Values<'a>)>,
    ) {
        self.append(
            view,
            |out| out.extend_from_slice(&site.span),
            |out| {
                for (site, values) in records {
                    attribute::all_of_record(out, SPAN_ATTRIBUTE, &site.keys, values);
                }
            },
        );
    }

    #[inline(always)]
    fn append<F>(
        &mut self,
        view: &SpanView<'_, F>,
        begin: impl FnOnce(&mut Out),
        attributes: impl FnOnce(&mut Out),
    ) {
        let out = &mut self.0.out;
        let at = out.len();
        begin(out);
        let head = out.written::<{ HEAD.len() }>(at);
        head[5..21].copy_from_slice(&view.trace_id.to_bytes());
        head[23..31].copy_from_slice(&view.span_id.to_bytes());
        head[32..40].copy_from_slice(&view.start_unix_ns.to_le_bytes());
        head[41..49].copy_from_slice(&view.end_unix_ns.to_le_bytes());
        if let Some(parent) = view.parent_span_id {
            let room = out.room::<10>();
            room[..2].copy_from_slice(&[0x22, 8]);
            room[2..].copy_from_slice(&parent.to_bytes());
            out.advance(10);
        }
        attributes(out);
        if view.busy_ns.is_some() || view.time_error_ns.is_some() {
            measured(
                out,
                view.busy_ns,
                view.time_error_ns,
                view.end_unix_ns.saturating_sub(view.start_unix_ns),
            );
        }
        match view.status {
            Status::Unset => {}
            // Span.status { code }
            Status::Ok => out.extend_from_slice(&[0x7a, 2, 0x18, 1]),
            Status::Error => out.extend_from_slice(&[0x7a, 2, 0x18, 2]),
            // Nothing failed, somebody stopped waiting: OTLP has no word for it, so the status stays unset.
            Status::Cancelled => plain(out, "throughline.cancelled", Value::Bool(true)),
        }
        proto::close::<2>(out, at + 3);
        self.0.count += 1;
    }

    /// Spans appended since the last [`clear`](Self::clear).
    pub fn count(&self) -> usize {
        self.0.count
    }

    /// Bytes they take.
    pub fn record_bytes(&self) -> usize {
        self.0.record_bytes()
    }

    /// The body of the request. More spans may be appended afterwards, and it be taken again.
    pub fn finish(&mut self) -> &[u8] {
        self.0.finish()
    }

    /// As [`finish`](Self::finish), but gives the bytes away; `spare` (empty, or one that was given away before) becomes the next buffer.
    pub fn take(&mut self, spare: Vec<u8>) -> Vec<u8> {
        self.0.take(spare)
    }

    /// Forgets the spans; resource, options and memory stay.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// What was measured beside start and end. The names `busy_ns` and `idle_ns` are those of `tracing-opentelemetry`.
fn measured(out: &mut Out, busy_ns: Option<u64>, time_error_ns: Option<u64>, duration_ns: u64) {
    let mut put = |name, n| plain(out, name, Value::U64(n));
    if let Some(busy) = busy_ns {
        put("busy_ns", busy);
        put("idle_ns", duration_ns.saturating_sub(busy));
    }
    if let Some(error) = time_error_ns {
        put("throughline.time_error_ns", error);
    }
}

#[cold]
fn plain(out: &mut Out, key: &str, value: Value<'_>) {
    attribute::attribute(out, SPAN_ATTRIBUTE, Key::Plain(key), &value);
}
