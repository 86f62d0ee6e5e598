//! The messages of OTLP that occur in requests, with number, JSON name and kind of each field. Source:
//! opentelemetry-proto 1.x.

/// A field of a message.
pub(super) struct Field {
    pub(super) number: u8,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether the field may occur several times. A packed field occurs once.
    pub(super) is_repeated: bool,
}

/// How a value is read and written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Message(&'static [Field]),
    Text,
    Hex,
    Base64,
    Bool,
    Int64,
    Fixed64,
    Sfixed64,
    Double,
    /// Also used for enumerations, and for `uint32`, whose values are small in OTLP.
    Int32,
    Fixed32,
    Sint32,
    PackedUint64,
    PackedFixed64,
    PackedDouble,
}

const fn one(number: u8, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, is_repeated: false }
}

const fn many(number: u8, name: &'static str, message: &'static [Field]) -> Field {
    Field { number, name, kind: Kind::Message(message), is_repeated: true }
}

pub(super) static TRACES: [Field; 1] = [many(1, "resourceSpans", &RESOURCE_SPANS)];
pub(super) static LOGS: [Field; 1] = [many(1, "resourceLogs", &RESOURCE_LOGS)];
pub(super) static METRICS: [Field; 1] = [many(1, "resourceMetrics", &RESOURCE_METRICS)];

static RESOURCE_SPANS: [Field; 3] = [
    one(1, "resource", Kind::Message(&RESOURCE)),
    many(2, "scopeSpans", &SCOPE_SPANS),
    one(3, "schemaUrl", Kind::Text),
];
static RESOURCE_LOGS: [Field; 3] = [
    one(1, "resource", Kind::Message(&RESOURCE)),
    many(2, "scopeLogs", &SCOPE_LOGS),
    one(3, "schemaUrl", Kind::Text),
];
static RESOURCE_METRICS: [Field; 3] = [
    one(1, "resource", Kind::Message(&RESOURCE)),
    many(2, "scopeMetrics", &SCOPE_METRICS),
    one(3, "schemaUrl", Kind::Text),
];
static RESOURCE: [Field; 2] =
    [many(1, "attributes", &KEY_VALUE), one(2, "droppedAttributesCount", Kind::Int32)];

static SCOPE_SPANS: [Field; 3] =
    [one(1, "scope", Kind::Message(&SCOPE)), many(2, "spans", &SPAN), one(3, "schemaUrl", Kind::Text)];
static SCOPE_LOGS: [Field; 3] = [
    one(1, "scope", Kind::Message(&SCOPE)),
    many(2, "logRecords", &LOG_RECORD),
    one(3, "schemaUrl", Kind::Text),
];
static SCOPE_METRICS: [Field; 3] =
    [one(1, "scope", Kind::Message(&SCOPE)), many(2, "metrics", &METRIC), one(3, "schemaUrl", Kind::Text)];
static SCOPE: [Field; 4] = [
    one(1, "name", Kind::Text),
    one(2, "version", Kind::Text),
    many(3, "attributes", &KEY_VALUE),
    one(4, "droppedAttributesCount", Kind::Int32),
];

static KEY_VALUE: [Field; 2] = [one(1, "key", Kind::Text), one(2, "value", Kind::Message(&ANY_VALUE))];
static ANY_VALUE: [Field; 7] = [
    one(1, "stringValue", Kind::Text),
    one(2, "boolValue", Kind::Bool),
    one(3, "intValue", Kind::Int64),
    one(4, "doubleValue", Kind::Double),
    one(5, "arrayValue", Kind::Message(&ARRAY_VALUE)),
    one(6, "kvlistValue", Kind::Message(&KEY_VALUE_LIST)),
    one(7, "bytesValue", Kind::Base64),
];
static ARRAY_VALUE: [Field; 1] = [many(1, "values", &ANY_VALUE)];
static KEY_VALUE_LIST: [Field; 1] = [many(1, "values", &KEY_VALUE)];

static SPAN: [Field; 16] = [
    one(1, "traceId", Kind::Hex),
    one(2, "spanId", Kind::Hex),
    one(3, "traceState", Kind::Text),
    one(4, "parentSpanId", Kind::Hex),
    one(16, "flags", Kind::Fixed32),
    one(5, "name", Kind::Text),
    one(6, "kind", Kind::Int32),
    one(7, "startTimeUnixNano", Kind::Fixed64),
    one(8, "endTimeUnixNano", Kind::Fixed64),
    many(9, "attributes", &KEY_VALUE),
    one(10, "droppedAttributesCount", Kind::Int32),
    many(11, "events", &EVENT),
    one(12, "droppedEventsCount", Kind::Int32),
    many(13, "links", &LINK),
    one(14, "droppedLinksCount", Kind::Int32),
    one(15, "status", Kind::Message(&STATUS)),
];
static EVENT: [Field; 4] = [
    one(1, "timeUnixNano", Kind::Fixed64),
    one(2, "name", Kind::Text),
    many(3, "attributes", &KEY_VALUE),
    one(4, "droppedAttributesCount", Kind::Int32),
];
static LINK: [Field; 6] = [
    one(1, "traceId", Kind::Hex),
    one(2, "spanId", Kind::Hex),
    one(3, "traceState", Kind::Text),
    many(4, "attributes", &KEY_VALUE),
    one(5, "droppedAttributesCount", Kind::Int32),
    one(6, "flags", Kind::Fixed32),
];
static STATUS: [Field; 2] = [one(2, "message", Kind::Text), one(3, "code", Kind::Int32)];

static LOG_RECORD: [Field; 11] = [
    one(1, "timeUnixNano", Kind::Fixed64),
    one(11, "observedTimeUnixNano", Kind::Fixed64),
    one(2, "severityNumber", Kind::Int32),
    one(3, "severityText", Kind::Text),
    one(5, "body", Kind::Message(&ANY_VALUE)),
    many(6, "attributes", &KEY_VALUE),
    one(7, "droppedAttributesCount", Kind::Int32),
    one(8, "flags", Kind::Fixed32),
    one(9, "traceId", Kind::Hex),
    one(10, "spanId", Kind::Hex),
    one(12, "eventName", Kind::Text),
];

static METRIC: [Field; 9] = [
    one(1, "name", Kind::Text),
    one(2, "description", Kind::Text),
    one(3, "unit", Kind::Text),
    one(5, "gauge", Kind::Message(&GAUGE)),
    one(7, "sum", Kind::Message(&SUM)),
    one(9, "histogram", Kind::Message(&HISTOGRAM)),
    one(10, "exponentialHistogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)),
    one(11, "summary", Kind::Message(&SUMMARY)),
    many(12, "metadata", &KEY_VALUE),
];
static GAUGE: [Field; 1] = [many(1, "dataPoints", &NUMBER_POINT)];
static SUM: [Field; 3] = [
    many(1, "dataPoints", &NUMBER_POINT),
    one(2, "aggregationTemporality", Kind::Int32),
    one(3, "isMonotonic", Kind::Bool),
];
static HISTOGRAM: [Field; 2] =
    [many(1, "dataPoints", &HISTOGRAM_POINT), one(2, "aggregationTemporality", Kind::Int32)];
static EXPONENTIAL_HISTOGRAM: [Field; 2] =
    [many(1, "dataPoints", &EXPONENTIAL_POINT), one(2, "aggregationTemporality", Kind::Int32)];
static SUMMARY: [Field; 1] = [many(1, "dataPoints", &SUMMARY_POINT)];

static NUMBER_POINT: [Field; 6] = [
    many(7, "attributes", &KEY_VALUE),
    one(2, "startTimeUnixNano", Kind::Fixed64),
    one(3, "timeUnixNano", Kind::Fixed64),
    one(4, "asDouble", Kind::Double),
    one(6, "asInt", Kind::Sfixed64),
    one(8, "flags", Kind::Int32),
];
static HISTOGRAM_POINT: [Field; 11] = [
    many(9, "attributes", &KEY_VALUE),
    one(2, "startTimeUnixNano", Kind::Fixed64),
    one(3, "timeUnixNano", Kind::Fixed64),
    one(4, "count", Kind::Fixed64),
    one(5, "sum", Kind::Double),
    one(6, "bucketCounts", Kind::PackedFixed64),
    one(7, "explicitBounds", Kind::PackedDouble),
    many(8, "exemplars", &EXEMPLAR),
    one(10, "flags", Kind::Int32),
    one(11, "min", Kind::Double),
    one(12, "max", Kind::Double),
];
static EXPONENTIAL_POINT: [Field; 14] = [
    many(1, "attributes", &KEY_VALUE),
    one(2, "startTimeUnixNano", Kind::Fixed64),
    one(3, "timeUnixNano", Kind::Fixed64),
    one(4, "count", Kind::Fixed64),
    one(5, "sum", Kind::Double),
    one(6, "scale", Kind::Sint32),
    one(7, "zeroCount", Kind::Fixed64),
    one(8, "positive", Kind::Message(&BUCKETS)),
    one(9, "negative", Kind::Message(&BUCKETS)),
    one(10, "flags", Kind::Int32),
    many(11, "exemplars", &EXEMPLAR),
    one(12, "min", Kind::Double),
    one(13, "max", Kind::Double),
    one(14, "zeroThreshold", Kind::Double),
];
static EXEMPLAR: [Field; 6] = [
    many(7, "filteredAttributes", &KEY_VALUE),
    one(2, "timeUnixNano", Kind::Fixed64),
    one(3, "asDouble", Kind::Double),
    one(6, "asInt", Kind::Sfixed64),
    one(4, "spanId", Kind::Hex),
    one(5, "traceId", Kind::Hex),
];
static BUCKETS: [Field; 2] = [one(1, "offset", Kind::Sint32), one(2, "bucketCounts", Kind::PackedUint64)];
static SUMMARY_POINT: [Field; 7] = [
    many(7, "attributes", &KEY_VALUE),
    one(2, "startTimeUnixNano", Kind::Fixed64),
    one(3, "timeUnixNano", Kind::Fixed64),
    one(4, "count", Kind::Fixed64),
    one(5, "sum", Kind::Double),
    many(6, "quantileValues", &QUANTILE),
    one(8, "flags", Kind::Int32),
];
static QUANTILE: [Field; 2] = [one(1, "quantile", Kind::Double), one(2, "value", Kind::Double)];
