//! Events to the body of `/v1/logs`.

use super::{
    Options, Site,
    attribute::{self, Key},
    batch::Batch,
    out::Out,
    proto,
    site::{Code, LOG_ATTRIBUTE, log_body, log_fixed},
};
use crate::{
    Resource, message,
    view::{Fields, LogView},
};
use throughline::Value;

/// Appends log records to the body of one request. The body of a record is its message with the fields filled in; the fields are
/// attributes as well.
///
/// Cost: no allocation once the buffers have grown.
#[derive(Clone, Debug)]
pub struct LogEncoder {
    batch: Batch,
    /// The message being rendered.
    text: String,
}

impl LogEncoder {
    /// An empty request for logs of `resource`.
    pub fn new(resource: &Resource, options: Options) -> LogEncoder {
        LogEncoder { batch: Batch::new(resource, options), text: String::new() }
    }

    /// Appends a log record.
    pub fn log<'a, F: Fields<'a>>(&mut self, view: &LogView<'a, F>) {
        let code = self.batch.options.code_location.then_some(Code {
            target: view.target,
            file: view.file,
            line: view.line,
        });
        self.append(view, true, |out| log_fixed(out, view.level, code), |_, name| Key::Plain(name));
    }

    /// Appends a log record of a prepared callsite. Message, severity and code location are taken from `site`.
    pub fn log_at<'a, F: Fields<'a>>(&mut self, site: &Site<'a>, view: &LogView<'a, F>) {
        self.append(
            view,
            site.has_placeholders,
            |out| out.extend_from_slice(&site.log),
            |i, name| site.key(i, name),
        );
    }

    #[inline]
    fn append<'k, 'a: 'k, F: Fields<'a>>(
        &mut self,
        view: &LogView<'a, F>,
        render: bool,
        fixed: impl FnOnce(&mut Out),
        key: impl Fn(usize, &'a str) -> Key<'k>,
    ) {
        let out = &mut self.batch.out;
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
            (ids[0], ids[1], ids[18], ids[19], ids[28], ids[29]) =
                (0x4a, 16, 0x52, 8, 0x45, view.trace_flags);
            ids[2..18].copy_from_slice(&trace_id.to_bytes());
            ids[20..28].copy_from_slice(&span_id.to_bytes());
            out.extend_from_slice(&ids);
        }
        fixed(out);
        if render {
            self.text.clear();
            message::render_into(&mut self.text, view.message, view.fields.clone());
            log_body(out, &self.text);
        }
        attribute::all(out, LOG_ATTRIBUTE, view.fields.clone(), key);
        if let Some(error) = view.time_error_ns {
            let key = Key::Plain("throughline.time_error_ns");
            attribute::attribute(out, LOG_ATTRIBUTE, key, &Value::U64(error));
        }
        proto::close::<2>(out, start);
        self.batch.count += 1;
    }

    /// Records appended since the last [`clear`](Self::clear).
    pub fn count(&self) -> usize {
        self.batch.count
    }

    /// Bytes they take.
    pub fn record_bytes(&self) -> usize {
        self.batch.record_bytes()
    }

    /// The body of the request. More records may be appended afterwards, and it be taken again.
    pub fn finish(&mut self) -> &[u8] {
        self.batch.finish()
    }

    /// As [`finish`](Self::finish), but gives the bytes away; `spare` (empty, or one that was given away before) becomes the next buffer.
    pub fn take(&mut self, spare: Vec<u8>) -> Vec<u8> {
        self.batch.take(spare)
    }

    /// Forgets the records; resource, options and memory stay.
    pub fn clear(&mut self) {
        self.batch.clear();
    }
}
