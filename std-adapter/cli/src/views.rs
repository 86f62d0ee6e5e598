//! Converts decoded records to the views that exporters take.

use std::borrow::Cow;

use throughline::{TraceId, Value};
use throughline_decode::time::TimeSource;
use throughline_decode::trace::{Loss, LossCause, OwnedEvent, OwnedSpan};
use throughline_decode::{Balance, Callsite, OwnedValue, Point, PointValue, Time};
use throughline_export::terminal::LossNote;
use throughline_export::view::{
    Fields, HistogramView, LogView, PointData, PointView, Scope, SpanView, SummaryView,
};

/// Whether a time counts from 1970.
pub(crate) fn is_wall_clock(time: &Time) -> bool {
    time.source != TimeSource::Boot
}

/// The package of a callsite.
fn scope<'elf>(callsite: &Callsite<'elf>) -> Scope<'elf> {
    Scope::of(callsite.package(), callsite.version(), callsite.target())
}

/// The view of a span in this trace. `name` is the name of its callsite.
pub(crate) fn span<'a>(
    span: &'a OwnedSpan<'_>,
    trace_id: TraceId,
    name: &'a str,
) -> SpanView<'a, impl Fields<'a>> {
    SpanView {
        trace_id,
        span_id: span.span_id,
        parent_span_id: span.parent_span_id,
        parent_is_remote: span.parent_is_remote,
        name,
        scope: scope(&span.callsite),
        target: span.callsite.target(),
        file: span.callsite.file(),
        line: span.callsite.line(),
        kind: span.callsite.span_kind(),
        level: span.callsite.level(),
        status: span.status,
        start_unix_ns: span.start.unix_ns,
        end_unix_ns: span.start.unix_ns.saturating_add(span.duration_ns),
        busy_ns: span.busy_ns,
        time_error_ns: span.start.error_ns,
        fields: fields(&span.fields),
    }
}

/// The view of an event, in this trace if there is one. `message` is the message of its callsite.
pub(crate) fn log<'a>(
    event: &'a OwnedEvent<'_>,
    trace_id: Option<TraceId>,
    message: &'a str,
) -> LogView<'a, impl Fields<'a>> {
    LogView {
        span: trace_id.zip(event.span_id),
        time_unix_ns: event.time.unix_ns,
        level: event.callsite.level(),
        message,
        event_name: event.callsite.event_name(),
        trace_flags: u8::from(event.sampled),
        scope: scope(&event.callsite),
        target: event.callsite.target(),
        file: event.callsite.file(),
        line: event.callsite.line(),
        time_error_ns: event.time.error_ns,
        fields: fields(&event.fields),
    }
}

fn fields<'a>(fields: &'a [(Cow<'_, str>, OwnedValue)]) -> impl Fields<'a> {
    fields.iter().map(|(name, value)| -> (&'a str, Value<'a>) { (name, value.as_value()) })
}

/// A loss as text.
pub(crate) fn loss(loss: &Loss) -> LossNote {
    LossNote { time_unix_ns: loss.time.unix_ns, count: loss.count, what: cause(&loss.cause) }
}

/// Where and why records were lost, as text.
pub(crate) fn cause(cause: &LossCause) -> String {
    match cause {
        LossCause::Device(Some(throughline::adapter::LossReason::RingFull)) => {
            "ring full on the device".to_owned()
        }
        LossCause::Device(Some(throughline::adapter::LossReason::Overwritten)) => {
            "overwritten on the device".to_owned()
        }
        LossCause::Device(Some(throughline::adapter::LossReason::TooLarge)) => {
            "too large for a frame of the device".to_owned()
        }
        LossCause::Device(_) => "on the device".to_owned(),
        LossCause::Link { frames: 1 } => "on the link, in 1 frame".to_owned(),
        LossCause::Link { frames } => format!("on the link, in {frames} frames"),
        _ => "for a reason that is not known here".to_owned(),
    }
}

/// The ledger of a boot as points of `throughline.records`, by hop and outcome, like a server's own ledger.
/// `unknown_parent` is the number of spans of remote traces that are not known. `times` is when the boot
/// began and the present time, in nanoseconds since 1970.
pub(crate) fn ledger(
    balance: &Balance,
    unknown_parent: u64,
    times: (u64, u64),
    mut take: impl FnMut(PointView<'_>),
) {
    let Balance { emitted, decoded, device, link, undecoded, before, .. } = *balance;
    let framed = emitted.saturating_sub(device).saturating_sub(before);
    let arrived = framed.saturating_sub(link);
    let hops = [
        ("device", "output", framed),
        ("device", "ring_full", balance.ring_full),
        ("device", "overwritten", balance.overwritten),
        ("device", "too_large", balance.too_large),
        ("device", "lost", balance.unexplained()),
        ("link", "output", arrived),
        ("link", "lost", link),
        ("decoder", "output", decoded),
        ("decoder", "undecoded", undecoded),
        ("traces", "unknown_parent", unknown_parent),
    ];
    for (hop, outcome, records) in hops {
        take(PointView {
            id: 0,
            name: "throughline.records",
            unit: "{record}",
            description: "Records by hop and by their outcome there",
            scope: Scope::OWN,
            target: module_path!(),
            start_unix_ns: times.0,
            time_unix_ns: times.1,
            labels: &[("hop", hop), ("outcome", outcome)],
            data: PointData::Counter(records),
        });
    }
}

/// What is known of a device in one boot, beside where its records went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct DeviceState {
    /// The epoch of the boot.
    pub(crate) epoch: u32,
    /// Frames that were lost or damaged on the link.
    pub(crate) frames_lost: u64,
    /// Time in spans that have no parent on the device, as far as their futures were polled.
    pub(crate) busy_ns: u64,
}

/// The state of a device as the metrics `throughline.device.*`. `times` is when the boot began and the time of its last record,
/// in nanoseconds since 1970.
pub(crate) fn device(state: DeviceState, times: (u64, u64), mut take: impl FnMut(PointView<'_>)) {
    const NANO: f64 = 1e-9;
    let points = [
        (
            "throughline.device.boot",
            "",
            "Epoch of the present boot",
            PointData::GaugeInt(i64::from(state.epoch)),
        ),
        (
            "throughline.device.busy",
            "s",
            "Time in spans that have no parent on the device, without the times in which they waited",
            PointData::CounterFloat(state.busy_ns as f64 * NANO),
        ),
        (
            "throughline.device.frames.lost",
            "{frame}",
            "Frames that were lost or damaged on the link",
            PointData::Counter(state.frames_lost),
        ),
        (
            "throughline.device.last_record",
            "s",
            "Time of the last record, in seconds since 1970",
            PointData::GaugeFloat(times.1 as f64 * NANO),
        ),
    ];
    for (name, unit, description, data) in points {
        take(PointView {
            id: 0,
            name,
            unit,
            description,
            scope: Scope::OWN,
            target: module_path!(),
            start_unix_ns: times.0,
            time_unix_ns: times.1,
            labels: &[],
            data,
        });
    }
}

/// Texts from which the view of a series borrows.
pub(crate) struct PointTexts<'a> {
    point: &'a Point<'a>,
    name: Cow<'a, str>,
    labels: Vec<(&'a str, &'a str)>,
    /// The quantiles of a summary.
    quantiles: Vec<(f64, f64)>,
}

impl<'a> PointTexts<'a> {
    pub(crate) fn new(point: &'a Point<'_>) -> PointTexts<'a> {
        let labels = point.labels.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let quantiles = match histogram(&point.value) {
            Some(view) if is_summary(point) => view.quantiles(),
            _ => Vec::new(),
        };
        PointTexts { point, name: point.callsite.name(), labels, quantiles }
    }

    /// The series, counted since `start` and read at `now`, both in nanoseconds since 1970.
    pub(crate) fn view(&self, start: u64, now: u64) -> PointView<'_> {
        PointView {
            id: 0,
            name: &self.name,
            unit: self.point.callsite.unit(),
            description: self.point.callsite.description(),
            scope: scope(&self.point.callsite),
            target: self.point.callsite.target(),
            start_unix_ns: start,
            time_unix_ns: now,
            labels: &self.labels,
            data: self.data(),
        }
    }

    fn data(&self) -> PointData<'_> {
        if let Some(view) = histogram(&self.point.value) {
            if is_summary(self.point) {
                let quantiles = &self.quantiles;
                return PointData::Summary(SummaryView { count: view.count(), sum: view.sum, quantiles });
            }
            return PointData::Histogram(view);
        }
        match self.point.value {
            PointValue::CounterFloat(x) => PointData::CounterFloat(x),
            PointValue::UpDown(n) => PointData::UpDown(n),
            PointValue::GaugeInt(n) => PointData::GaugeInt(n),
            PointValue::GaugeFloat(x) => PointData::GaugeFloat(x),
            PointValue::Counter(n) => PointData::Counter(n),
            PointValue::Histogram { sum, .. } => PointData::Counter(sum),
        }
    }
}

/// Whether the callsite of a histogram asks for quantiles.
fn is_summary(point: &Point<'_>) -> bool {
    point.callsite.blob.is_some_and(|blob| throughline::adapter::metrics::is_summary(blob.param))
}

/// The view of a histogram. A device does not keep the extremes, so the bounds of the outermost buckets stand
/// for them.
pub(crate) fn histogram(value: &PointValue) -> Option<HistogramView<'_>> {
    let PointValue::Histogram { scale, fraction_bits, sum, zeros, offset, buckets } = value else {
        return None;
    };
    let sum = *sum as f64 * (-f64::from(*fraction_bits)).exp2();
    let view = HistogramView::new(*scale, sum, *zeros, *offset, buckets).with_fraction_bits(*fraction_bits);
    Some(view.with_extremes_of_buckets())
}
