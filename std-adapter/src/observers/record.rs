//! What conditions, keys and texts see of a record.

use super::Match;
use std::borrow::Cow;
use std::sync::OnceLock;
use throughline::Value;
use throughline::adapter::record::ExtendedValue;
use throughline_export::message;
use throughline_export::view::{FieldsView, LogView, PointData, PointView, SpanView};

/// Most attributes that a [`Match`] keeps, and most bytes of a value.
const MOST_FIELDS: usize = 64;
const MOST_BYTES: usize = 1024;

/// Names of what every record has, beside its attributes. A record that has no such thing has "" or 0.
pub(super) const NAMES: [&str; 16] = [
    "type",
    "name",
    "message",
    "level",
    "target",
    "kind",
    "status",
    "trace_id",
    "span_id",
    "parent_id",
    "unit",
    "duration_ms",
    "value",
    "rate",
    "count",
    "attributes",
];

/// A span, an event or a series of a metric.
pub(super) enum Record<'a> {
    Span(&'a SpanView<'a>),
    Event(&'a LogView<'a>, OnceLock<Cow<'a, str>>),
    Metric { point: &'a PointView<'a>, value: f64, rate: f64 },
}

impl<'a> Record<'a> {
    pub(super) fn event(log: &'a LogView<'a>) -> Record<'a> {
        Record::Event(log, OnceLock::new())
    }

    /// A point; `before` are the value and the time of the series' point before it.
    pub(super) fn metric(point: &'a PointView<'a>, before: Option<(f64, u64)>) -> Record<'a> {
        let value = value_of(&point.data);
        let rate = before
            .filter(|(_, at)| *at < point.time_unix_ns)
            .map_or(0.0, |(last, at)| (value - last) * 1e9 / (point.time_unix_ns - at) as f64);
        Record::Metric { point, value, rate }
    }

    /// Its type, as conditions call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Record::Span(_) => "span",
            Record::Event(..) => "event",
            Record::Metric { .. } => "metric",
        }
    }

    /// When it was complete, in nanoseconds since 1970: the end of a span.
    pub(super) fn time_unix_ns(&self) -> u64 {
        match self {
            Record::Span(span) => span.end_unix_ns,
            Record::Event(log, _) => log.time_unix_ns,
            Record::Metric { point, .. } => point.time_unix_ns,
        }
    }

    fn message(&self) -> &str {
        match self {
            Record::Event(log, text) => text.get_or_init(|| message::render(log.message, log.fields.clone())),
            _ => "",
        }
    }

    /// The attributes; those of a metric are its labels.
    pub(super) fn fields(&self) -> Attributes<'a> {
        match self {
            Record::Span(span) => Attributes::Fields(span.fields.clone()),
            Record::Event(log, _) => Attributes::Fields(log.fields.clone()),
            Record::Metric { point, .. } => Attributes::Labels(point.labels),
        }
    }

    /// What this name stands for, but for `attributes`. Ids are given as text.
    pub(super) fn get(&self, name: &str) -> Option<Got<'_>> {
        let hex = |id: Option<String>| Got::Text(Cow::Owned(id.unwrap_or_default()));
        Some(match (name, self) {
            ("type", _) => Got::text(self.kind()),
            ("name", Record::Span(span)) => Got::text(span.name),
            ("name", Record::Event(log, _)) => Got::text(log.event_name),
            ("name", Record::Metric { point, .. }) => Got::text(point.name),
            ("message", _) => Got::text(self.message()),
            ("level", Record::Span(span)) => Got::text(lower(span.level)),
            ("level", Record::Event(log, _)) => Got::text(lower(log.level)),
            ("target", Record::Span(span)) => Got::text(span.target),
            ("target", Record::Event(log, _)) => Got::text(log.target),
            ("target", Record::Metric { point, .. }) => Got::text(point.target),
            ("kind", Record::Span(span)) => Got::text(span.kind.as_str()),
            ("status", Record::Span(span)) => Got::text(span.status.as_str()),
            ("trace_id", Record::Span(span)) => hex(Some(span.trace_id.to_string())),
            ("trace_id", Record::Event(log, _)) => hex(log.span.map(|(trace, _)| trace.to_string())),
            ("span_id", Record::Span(span)) => hex(Some(span.span_id.to_string())),
            ("span_id", Record::Event(log, _)) => hex(log.span.map(|(_, span)| span.to_string())),
            ("parent_id", Record::Span(span)) => hex(span.parent_span_id.map(|id| id.to_string())),
            ("unit", Record::Metric { point, .. }) => Got::text(point.unit),
            ("duration_ms", Record::Span(span)) => {
                Got::Float(span.end_unix_ns.saturating_sub(span.start_unix_ns) as f64 / 1e6)
            }
            ("value", Record::Metric { value, .. }) => Got::Float(*value),
            ("rate", Record::Metric { rate, .. }) => Got::Float(*rate),
            ("count", Record::Metric { point: PointView { data: PointData::Histogram(it), .. }, .. }) => {
                Got::Int(i64::try_from(it.count()).unwrap_or(i64::MAX))
            }
            ("count", Record::Metric { point: PointView { data: PointData::Summary(it), .. }, .. }) => {
                Got::Int(i64::try_from(it.count).unwrap_or(i64::MAX))
            }
            ("duration_ms" | "value" | "rate", _) => Got::Float(0.0),
            ("count", _) => Got::Int(0),
            (name, _) if NAMES.contains(&name) && name != "attributes" => Got::text(""),
            _ => return None,
        })
    }

    /// The text of what this name stands for, or of the attribute of this name; "" if there is none.
    pub(super) fn text(&self, name: &str) -> Cow<'_, str> {
        match self.get(name).or_else(|| self.fields().get(name)) {
            Some(got) => got.into_text(),
            None => Cow::Borrowed(""),
        }
    }

    /// A copy for the actions.
    pub(super) fn matched(&self, observer: &std::sync::Arc<str>) -> Match {
        let text = |name| self.text(name).chars().take(MOST_BYTES).collect::<String>();
        let value = match self {
            Record::Span(_) => self.get("duration_ms"),
            _ => self.get("value"),
        };
        let mut fields = Vec::new();
        self.fields().each(&mut |name, got| {
            if fields.len() < MOST_FIELDS {
                let is_text = matches!(got, Got::Text(_));
                let value: String = got.into_text().chars().take(MOST_BYTES).collect();
                fields.push((name.to_owned(), value, is_text));
            }
        });
        Match {
            observer: std::sync::Arc::clone(observer),
            time_unix_ns: self.time_unix_ns(),
            record: self.kind(),
            name: text("name"),
            message: text("message"),
            status: text("status"),
            trace_id: text("trace_id"),
            span_id: text("span_id"),
            value: value.map_or(0.0, |got| got.number().unwrap_or(0.0)),
            count: 1,
            key: Vec::new(),
            fields,
        }
    }
}

/// The attributes of a record.
#[derive(Clone, Debug)]
pub(super) enum Attributes<'a> {
    Fields(FieldsView<'a>),
    Labels(&'a [(&'a str, &'a str)]),
}

impl<'a> Attributes<'a> {
    /// The attribute of this name. If it was given twice, the last one counts.
    pub(super) fn get(&self, name: &str) -> Option<Got<'a>> {
        match self {
            Attributes::Fields(fields) => {
                let values = fields.clone().filter(|(known, _)| *known == name);
                values.filter_map(|(_, value)| Got::of(value)).last()
            }
            Attributes::Labels(labels) => {
                labels.iter().find(|(known, _)| *known == name).map(|(_, value)| Got::text(value))
            }
        }
    }

    fn each(self, take: &mut dyn FnMut(&'a str, Got<'a>)) {
        match self {
            Attributes::Fields(fields) => {
                for (name, value) in fields {
                    if let Some(got) = Got::of(value) {
                        take(name, got);
                    }
                }
            }
            Attributes::Labels(labels) => {
                labels.iter().for_each(|(name, value)| take(name, Got::text(value)));
            }
        }
    }
}

/// A value in one of the types that conditions know.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Got<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
}

impl<'a> Got<'a> {
    fn text(text: &'a str) -> Got<'a> {
        Got::Text(Cow::Borrowed(text))
    }

    /// An attribute's value; `None` if there is none. What is neither a truth, a number nor a text is its text in logs.
    fn of(value: Value<'a>) -> Option<Got<'a>> {
        Some(match value {
            Value::Bool(on) => Got::Bool(on),
            Value::U64(n) => i64::try_from(n).map_or(Got::Float(n as f64), Got::Int),
            Value::I64(n) => Got::Int(n),
            Value::F32(x) => Got::Float(x.into()),
            Value::F64(x) => Got::Float(x),
            Value::Str { text, .. } | Value::Shown { text, .. } => Got::text(text),
            Value::Extended(extended) => match extended.get() {
                ExtendedValue::Duration(time) => Got::Float(time.as_secs_f64()),
                _ => Got::Text(Cow::Owned(shown(value))),
            },
            Value::Absent => return None,
            other => Got::Text(Cow::Owned(shown(other))),
        })
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Got::Int(n) => Some(*n as f64),
            Got::Float(x) => Some(*x),
            Got::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            Got::Bool(_) => None,
        }
    }

    pub(super) fn into_text(self) -> Cow<'a, str> {
        match self {
            Got::Bool(on) => Cow::Borrowed(if on { "true" } else { "false" }),
            Got::Int(n) => Cow::Owned(n.to_string()),
            Got::Float(x) => Cow::Owned(x.to_string()),
            Got::Text(text) => text,
        }
    }
}

/// The value as a log shows it.
fn shown(value: Value<'_>) -> String {
    message::render("{}", [("", value)].into_iter()).into_owned()
}

/// The number of a series: the value of a sum or a gauge, the mean of a distribution.
fn value_of(data: &PointData<'_>) -> f64 {
    let mean = |sum: f64, count: u64| if count == 0 { 0.0 } else { sum / count as f64 };
    match data {
        PointData::Counter(n) => *n as f64,
        PointData::UpDown(n) | PointData::GaugeInt(n) => *n as f64,
        PointData::CounterFloat(x) | PointData::UpDownFloat(x) | PointData::GaugeFloat(x) => *x,
        PointData::Histogram(it) => mean(it.sum, it.count()),
        PointData::Summary(it) => mean(it.sum, it.count),
        _ => 0.0,
    }
}

fn lower(level: throughline::Level) -> &'static str {
    use throughline::Level;
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use throughline::{Level, SpanId, SpanKind, Status, TraceId};
    use throughline_export::view::Scope;

    /// A span that took 750.5 ms.
    pub(in crate::observers) fn with_span<R>(look: impl FnOnce(&Record<'_>) -> R) -> R {
        let text = |text| Value::Str { text, truncated: false };
        let fields = [
            ("http.route", text("/cart/{id}")),
            ("items", Value::I64(3)),
            ("zero", Value::U64(0)),
            ("ratio", Value::F64(0.5)),
            ("fast", Value::Bool(false)),
            ("absent", Value::Absent),
        ];
        let span = SpanView {
            trace_id: TraceId::from_bytes([7; 16]).unwrap(),
            span_id: SpanId::from_bytes([8; 8]).unwrap(),
            parent_span_id: None,
            parent_is_remote: false,
            name: "checkout",
            scope: Scope { name: "shop", version: "" },
            target: "shop::cart",
            file: "",
            line: 0,
            kind: SpanKind::Server,
            level: Level::Info,
            status: Status::Error,
            start_unix_ns: 1_000_000_000,
            end_unix_ns: 1_750_500_000,
            busy_ns: None,
            time_error_ns: None,
            fields: FieldsView::from(&fields[..]),
        };
        look(&Record::Span(&span))
    }

    #[test]
    fn names_and_attributes_have_texts() {
        with_span(|record| {
            let texts = ["name", "http.route", "items", "duration_ms", "fast", "none", "trace_id", "value"];
            assert_eq!(
                texts.map(|name| record.text(name).into_owned()),
                ["checkout", "/cart/{id}", "3", "750.5", "false", "", &"07".repeat(16), "0"]
            );
            let found = record.matched(&"slow".into());
            assert_eq!((found.value, found.time_unix_ns, found.fields.len()), (750.5, 1_750_500_000, 5));
        });
    }
}
