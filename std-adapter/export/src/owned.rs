//! Copies of records, which can be passed to another thread.

use crate::Exporter;
use crate::view::{
    ExemplarView, Fields, FieldsView, HistogramView, LogView, LossView, PointData, PointView, Scope,
    SpanView, SummaryView,
};
use std::ops::Range;
use throughline::adapter::record::Extended;
use throughline::{Level, SpanId, SpanKind, Status, TraceId, Value};

/// Copies of spans, log records, points and losses, in a few buffers that are reused.
#[derive(Debug, Default)]
pub struct OwnedRecords {
    /// All texts and byte strings, one after another.
    bytes: Vec<u8>,
    fields: Vec<Field>,
    records: Vec<Record>,
    points: Option<Vec<Point>>,
    losses: Vec<Loss>,
}

/// The place of a text in `bytes`.
type Text = Range<u32>;

#[derive(Debug)]
enum Record {
    Span(Span),
    Log(Log),
}

#[derive(Debug)]
struct Span {
    trace_id: TraceId,
    span_id: SpanId,
    parent_span_id: Option<SpanId>,
    parent_is_remote: bool,
    name: Text,
    code: Code,
    kind: SpanKind,
    level: Level,
    status: Status,
    start_unix_ns: u64,
    end_unix_ns: u64,
    busy_ns: Option<u64>,
    time_error_ns: Option<u64>,
    fields: Range<u32>,
}

#[derive(Debug)]
struct Log {
    span: Option<(TraceId, SpanId)>,
    time_unix_ns: u64,
    level: Level,
    message: Text,
    event_name: Text,
    trace_flags: u8,
    code: Code,
    time_error_ns: Option<u64>,
    fields: Range<u32>,
}

/// Where in the source a record was made.
#[derive(Debug)]
struct Code {
    package: Text,
    version: Text,
    target: Text,
    file: Text,
    line: u32,
}

/// The name and value of an attribute.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    name: Text,
    value: Stored,
}

#[derive(Clone, Debug)]
enum Stored {
    /// A value that borrows nothing.
    Plain(Value<'static>),
    Str {
        text: Text,
        truncated: bool,
    },
    Bytes {
        bytes: Text,
        truncated: bool,
    },
    Postcard {
        bytes: Text,
        truncated: bool,
    },
    Shown {
        text: Text,
        truncated: bool,
    },
    Extended {
        encoding: Text,
        truncated: bool,
    },
}

#[derive(Debug)]
struct Point {
    id: u64,
    name: Box<str>,
    unit: Box<str>,
    description: Box<str>,
    scope: (Box<str>, Box<str>),
    target: Box<str>,
    start_unix_ns: u64,
    time_unix_ns: u64,
    labels: Vec<(Box<str>, Box<str>)>,
    data: PointData<'static>,
    /// The buckets of a histogram, which `data` would borrow.
    buckets: Vec<u64>,
    /// The exemplars of a histogram, which `data` would borrow.
    exemplars: Vec<ExemplarView>,
    /// The quantiles of a summary, which `data` would borrow.
    quantiles: Vec<(f64, f64)>,
}

#[derive(Debug)]
struct Loss {
    time_unix_ns: u64,
    count: u64,
    what: Box<str>,
}

impl OwnedRecords {
    /// Copies a span.
    pub fn span<'a, F: Fields<'a>>(&mut self, view: &SpanView<'a, F>) {
        let span = Span {
            trace_id: view.trace_id,
            span_id: view.span_id,
            parent_span_id: view.parent_span_id,
            parent_is_remote: view.parent_is_remote,
            name: self.text(view.name),
            code: self.code(view.scope, view.target, view.file, view.line),
            kind: view.kind,
            level: view.level,
            status: view.status,
            start_unix_ns: view.start_unix_ns,
            end_unix_ns: view.end_unix_ns,
            busy_ns: view.busy_ns,
            time_error_ns: view.time_error_ns,
            fields: self.fields(view.fields.clone()),
        };
        self.records.push(Record::Span(span));
    }

    /// Copies a log record.
    pub fn log<'a, F: Fields<'a>>(&mut self, view: &LogView<'a, F>) {
        let log = Log {
            span: view.span,
            time_unix_ns: view.time_unix_ns,
            level: view.level,
            message: self.text(view.message),
            event_name: self.text(view.event_name),
            trace_flags: view.trace_flags,
            code: self.code(view.scope, view.target, view.file, view.line),
            time_error_ns: view.time_error_ns,
            fields: self.fields(view.fields.clone()),
        };
        self.records.push(Record::Log(log));
    }

    /// Copies a snapshot of metrics, which replaces an earlier one.
    pub fn points(&mut self, points: &[PointView<'_>]) {
        self.points = Some(points.iter().map(Point::of).collect());
    }

    /// Copies a report of a loss.
    pub fn loss(&mut self, loss: &LossView<'_>) {
        self.losses.push(Loss { time_unix_ns: loss.time_unix_ns, count: loss.count, what: loss.what.into() });
    }

    /// Number of spans and log records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds nothing, not even points or losses.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.points.is_none() && self.losses.is_empty()
    }

    /// Size of its records in bytes, without points and losses.
    pub fn size(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.fields) + size_of_val(&*self.records)
    }

    /// Removes everything and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
        self.records.clear();
        self.points = None;
        self.losses.clear();
    }

    /// Calls the methods of `exporter` with everything: losses, then spans and log records in order, then
    /// points.
    pub fn replay(&self, exporter: &mut (impl Exporter + ?Sized)) {
        if !self.losses.is_empty() {
            let losses: Vec<_> = self.losses.iter().map(Loss::view).collect();
            exporter.losses(&losses);
        }
        for record in &self.records {
            match record {
                Record::Span(span) => exporter.span(&self.span_view(span)),
                Record::Log(log) => exporter.log(&self.log_view(log)),
            }
        }
        self.with_points(|points| exporter.points(points));
    }

    /// Calls `look` with the snapshot of metrics, if there is one.
    pub fn with_points(&self, look: impl FnOnce(&[PointView<'_>])) {
        if let Some(points) = &self.points {
            let labels: Vec<Vec<(&str, &str)>> =
                points.iter().map(|p| p.labels.iter().map(|(k, v)| (&**k, &**v)).collect()).collect();
            let views: Vec<_> =
                points.iter().zip(&labels).map(|(point, labels)| point.view(labels)).collect();
            look(&views);
        }
    }

    fn span_view<'a>(&'a self, span: &Span) -> SpanView<'a> {
        SpanView {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            parent_is_remote: span.parent_is_remote,
            name: text(&self.bytes, &span.name),
            scope: self.scope(&span.code),
            target: text(&self.bytes, &span.code.target),
            file: text(&self.bytes, &span.code.file),
            line: span.code.line,
            kind: span.kind,
            level: span.level,
            status: span.status,
            start_unix_ns: span.start_unix_ns,
            end_unix_ns: span.end_unix_ns,
            busy_ns: span.busy_ns,
            time_error_ns: span.time_error_ns,
            fields: self.fields_view(&span.fields),
        }
    }

    fn log_view<'a>(&'a self, log: &Log) -> LogView<'a> {
        LogView {
            span: log.span,
            time_unix_ns: log.time_unix_ns,
            level: log.level,
            message: text(&self.bytes, &log.message),
            event_name: text(&self.bytes, &log.event_name),
            trace_flags: log.trace_flags,
            scope: self.scope(&log.code),
            target: text(&self.bytes, &log.code.target),
            file: text(&self.bytes, &log.code.file),
            line: log.code.line,
            time_error_ns: log.time_error_ns,
            fields: self.fields_view(&log.fields),
        }
    }

    fn scope(&self, code: &Code) -> Scope<'_> {
        Scope { name: text(&self.bytes, &code.package), version: text(&self.bytes, &code.version) }
    }

    fn fields_view(&self, range: &Range<u32>) -> FieldsView<'_> {
        FieldsView::stored(&self.fields[range.start as usize..range.end as usize], &self.bytes)
    }

    fn text(&mut self, text: &str) -> Text {
        self.store(text.as_bytes())
    }

    /// Stores `bytes`. Batches are passed on long before they reach 2^32 bytes; beyond that, texts are left
    /// empty.
    fn store(&mut self, bytes: &[u8]) -> Range<u32> {
        let start = u32::try_from(self.bytes.len());
        let end = u32::try_from(self.bytes.len() + bytes.len());
        let (Ok(start), Ok(end)) = (start, end) else { return 0..0 };
        self.bytes.extend_from_slice(bytes);
        start..end
    }

    fn code(&mut self, scope: Scope<'_>, target: &str, file: &str, line: u32) -> Code {
        let (package, version) = (self.text(scope.name), self.text(scope.version));
        Code { package, version, target: self.text(target), file: self.text(file), line }
    }

    fn fields<'a>(&mut self, fields: impl Fields<'a>) -> Range<u32> {
        let start = self.fields.len() as u32;
        for (name, value) in fields {
            let name = self.text(name);
            let value = self.value(value);
            self.fields.push(Field { name, value });
        }
        start..self.fields.len() as u32
    }

    fn value(&mut self, value: Value<'_>) -> Stored {
        match value {
            Value::Bool(b) => Stored::Plain(Value::Bool(b)),
            Value::U64(n) => Stored::Plain(Value::U64(n)),
            Value::I64(n) => Stored::Plain(Value::I64(n)),
            Value::F32(x) => Stored::Plain(Value::F32(x)),
            Value::F64(x) => Stored::Plain(Value::F64(x)),
            Value::Str { text, truncated } => Stored::Str { text: self.text(text), truncated },
            Value::Bytes { bytes, truncated } => Stored::Bytes { bytes: self.store(bytes), truncated },
            Value::Postcard { bytes, truncated } => Stored::Postcard { bytes: self.store(bytes), truncated },
            Value::Shown { text, truncated } => Stored::Shown { text: self.text(text), truncated },
            Value::Extended(extended) => {
                let encoding = self.store(extended.encoding());
                Stored::Extended { encoding, truncated: value.is_truncated() }
            }
            Value::Absent => Stored::Plain(Value::Absent),
            _ => Stored::Plain(Value::Str { text: "(a value of a later version)", truncated: false }),
        }
    }
}

/// The bytes in `range`.
fn slice<'a>(bytes: &'a [u8], range: &Range<u32>) -> &'a [u8] {
    &bytes[range.start as usize..range.end as usize]
}

/// The text in `range`.
fn text<'a>(bytes: &'a [u8], range: &Text) -> &'a str {
    std::str::from_utf8(slice(bytes, range)).unwrap_or_default()
}

impl Field {
    /// The name and the value, which borrow from the batch's bytes.
    pub(crate) fn view<'a>(&self, bytes: &'a [u8]) -> (&'a str, Value<'a>) {
        let value = match &self.value {
            Stored::Plain(value) => *value,
            Stored::Str { text: range, truncated } => {
                Value::Str { text: text(bytes, range), truncated: *truncated }
            }
            Stored::Bytes { bytes: range, truncated } => {
                Value::Bytes { bytes: slice(bytes, range), truncated: *truncated }
            }
            Stored::Postcard { bytes: range, truncated } => {
                Value::Postcard { bytes: slice(bytes, range), truncated: *truncated }
            }
            Stored::Shown { text: range, truncated } => {
                Value::Shown { text: text(bytes, range), truncated: *truncated }
            }
            Stored::Extended { encoding, truncated } => {
                Value::Extended(Extended::new(slice(bytes, encoding), *truncated))
            }
        };
        (text(bytes, &self.name), value)
    }
}

impl Point {
    fn of(view: &PointView<'_>) -> Point {
        let (mut buckets, mut exemplars, mut quantiles) = (Vec::new(), Vec::new(), Vec::new());
        let data = match view.data {
            PointData::Counter(n) => PointData::Counter(n),
            PointData::CounterFloat(x) => PointData::CounterFloat(x),
            PointData::UpDown(n) => PointData::UpDown(n),
            PointData::UpDownFloat(x) => PointData::UpDownFloat(x),
            PointData::GaugeInt(n) => PointData::GaugeInt(n),
            PointData::GaugeFloat(x) => PointData::GaugeFloat(x),
            PointData::Histogram(histogram) => {
                buckets = histogram.buckets.to_vec();
                exemplars = histogram.exemplars.to_vec();
                PointData::Histogram(HistogramView { buckets: &[], exemplars: &[], ..histogram })
            }
            PointData::Summary(summary) => {
                quantiles = summary.quantiles.to_vec();
                PointData::Summary(SummaryView { quantiles: &[], ..summary })
            }
        };
        Point {
            id: view.id,
            name: view.name.into(),
            unit: view.unit.into(),
            description: view.description.into(),
            scope: (view.scope.name.into(), view.scope.version.into()),
            target: view.target.into(),
            start_unix_ns: view.start_unix_ns,
            time_unix_ns: view.time_unix_ns,
            labels: view.labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            data,
            buckets,
            exemplars,
            quantiles,
        }
    }

    fn view<'a>(&'a self, labels: &'a [(&'a str, &'a str)]) -> PointView<'a> {
        let data = match self.data.clone() {
            PointData::Histogram(histogram) => {
                let (buckets, exemplars) = (&self.buckets, &self.exemplars);
                PointData::Histogram(HistogramView { buckets, exemplars, ..histogram })
            }
            PointData::Summary(summary) => {
                PointData::Summary(SummaryView { quantiles: &self.quantiles, ..summary })
            }
            plain => plain,
        };
        PointView {
            id: self.id,
            name: &self.name,
            unit: &self.unit,
            description: &self.description,
            scope: Scope { name: &self.scope.0, version: &self.scope.1 },
            target: &self.target,
            start_unix_ns: self.start_unix_ns,
            time_unix_ns: self.time_unix_ns,
            labels,
            data,
        }
    }
}

impl Loss {
    fn view(&self) -> LossView<'_> {
        LossView { time_unix_ns: self.time_unix_ns, count: self.count, what: &self.what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Collects the fields of log records as text.
    #[derive(Default)]
    struct Values(Vec<String>);

    impl Exporter for Values {
        fn log(&mut self, log: &LogView<'_>) {
            self.0.extend(log.fields.clone().map(|(name, value)| format!("{name} {value:?}")));
        }

        fn flush(&mut self, _deadline: &crate::Deadline) -> Result<(), crate::ExportError> {
            Ok(())
        }
    }

    #[test]
    fn values_of_every_kind_are_what_they_were() {
        let (text, bytes) = ("a text", &[1, 2, 3][..]);
        let encoding = [&[2][..], &u128::MAX.to_le_bytes()].concat();
        let mut fields = vec![
            Value::Bool(true),
            Value::U64(u64::MAX),
            Value::I64(i64::MIN),
            Value::F32(0.1),
            Value::F64(-0.0),
            Value::Absent,
        ];
        for truncated in [false, true] {
            fields.extend([
                Value::Str { text, truncated },
                Value::Bytes { bytes, truncated },
                Value::Postcard { bytes, truncated },
                Value::Shown { text, truncated },
                Value::Extended(Extended::new(&encoding, truncated)),
            ]);
        }
        let fields = fields.iter().map(|value| ("name", *value));
        let view = LogView {
            span: None,
            trace_flags: 0,
            time_unix_ns: 1,
            level: Level::Info,
            message: "",
            event_name: "",
            scope: Scope { name: "", version: "" },
            target: "",
            file: "",
            line: 0,
            time_error_ns: None,
            fields: fields.clone(),
        };
        let mut owned = OwnedRecords::default();
        owned.log(&view);
        let mut values = Values::default();
        owned.replay(&mut values);
        let expected: Vec<_> = fields.map(|(name, value)| format!("{name} {value:?}")).collect();
        assert_eq!(values.0, expected);
    }
}
