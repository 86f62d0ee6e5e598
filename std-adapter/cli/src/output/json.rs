//! One JSON object per line; README.md lists the kinds and their members.

use std::borrow::Cow;
use std::io::{BufWriter, StdoutLock, Write};

use serde_json::{Map, Value as Json5, json};
use throughline::adapter::record::{ExtendedValue, LINK_FIELD};
use throughline::{SpanId, TraceId, Value};
use throughline_decode::preamble::Hex;
use throughline_decode::trace::{Assembled, Entry, Loss, LossCause, OwnedEvent, OwnedSpan};
use throughline_decode::{Context, Item, OwnedValue, PointValue, Snapshot, Time, TimeSource};
use throughline_export::message::{ValueText, render};
use throughline_export::text::is_dangerous;

use super::Output;
use crate::error::CliError;
use crate::summary::Summary;

pub(crate) struct Json {
    out: BufWriter<StdoutLock<'static>>,
}

impl Json {
    pub(crate) fn new() -> Json {
        Json { out: BufWriter::new(std::io::stdout().lock()) }
    }

    fn line(&mut self, value: Json5) -> Result<(), CliError> {
        Ok(write_line(&mut self.out, &value)?)
    }

    fn metrics(&mut self, context: &Context, snapshot: &Snapshot<'_>) -> Result<(), CliError> {
        let at = context.time(snapshot.time);
        for point in &snapshot.points {
            let labels: Map<_, _> = point.labels.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
            let (shape, value) = value(&point.value);
            let mut object = json!({
                "kind": "metric",
                "name": point.callsite.name(),
                "shape": shape,
                "unit": point.callsite.unit(),
                "labels": labels,
                "value": value,
                "snapshot": snapshot.number,
                "complete": snapshot.complete,
            });
            put_time(&mut object, "time", at);
            self.line(object)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), CliError> {
        self.line(match entry {
            Entry::Span(s) => span(s),
            Entry::Event(e) => event("event", e),
            Entry::Fields(e) => event("fields", e),
            Entry::Loss(l) => loss(l),
        })
    }
}

impl<'elf> Output<'elf> for Json {
    fn item(&mut self, context: &Context, item: &Item<'elf, '_>) -> Result<(), CliError> {
        match item {
            Item::Boot(boot) => self.line(json!({
                "kind": "boot",
                "epoch": boot.epoch,
                "cause": format!("{:?}", boot.cause).to_lowercase(),
                "records_before": boot.missed.map_or(0, |m| m.records),
                "frames_before": boot.missed.map_or(0, |m| m.frames),
            })),
            Item::Preamble(p) => self.line(json!({
                "kind": "preamble",
                "name": p.name,
                "device_id": format!("{:016x}", p.device_id),
                "epoch": context.epoch,
                "build_id": Hex(&p.build_id).to_string(),
                "tick_hz": p.tick_hz,
                "word_bits": p.word_bits,
                "unix_ns": p.unix.map(|(unix, _)| unix),
                "unix_ticks": p.unix.map(|(_, ticks)| ticks),
            })),
            Item::Attach(attach) => {
                let mut object = json!({
                    "kind": "attach",
                    "trace_id": attach.remote.map(|r| r.trace_id.to_string()),
                    "span_id": attach.remote.map(|r| r.span_id.to_string()),
                    "flags": attach.remote.map(|r| r.flags),
                });
                put_time(&mut object, "time", context.time(attach.time));
                self.line(object)
            }
            Item::Metrics(snapshot) => self.metrics(context, snapshot),
            Item::Samples(samples) => {
                let sample = |sample: throughline_decode::Sample| {
                    let span = sample.span.map(|id| context.span_id(id).to_string());
                    json!({ "pc": sample.pc, "lr": sample.lr, "span_id": span })
                };
                let mut object = json!({
                    "kind": "samples",
                    "before": samples.before,
                    "lost": samples.lost,
                    "period_ns": context.duration_ns(samples.period),
                    "samples": samples.iter().map(sample).collect::<Vec<_>>(),
                });
                put_time(&mut object, "time", context.time(samples.time));
                self.line(object)
            }
            Item::ClockSet { by_ns } => self.line(json!({ "kind": "clock_set", "by_ns": by_ns })),
            Item::Damage(damage) => self.line(json!({
                "kind": "damage",
                "offset": damage.offset,
                "length": damage.len,
                "late_join": damage.is_late_join(),
                "what": damage.kind.to_string(),
            })),
            // Records are shown again as parts of traces. Clock records and detach records are not shown.
            _ => Ok(()),
        }
    }

    fn assembled(&mut self, assembled: &Assembled<'elf>) -> Result<(), CliError> {
        match assembled {
            Assembled::Trace(trace) => trace.entries.iter().try_for_each(|(_, entry)| self.entry(entry)),
            Assembled::Event(e) => self.line(event("event", e)),
            Assembled::Loss(l) => self.line(loss(l)),
        }
    }

    fn pause(&mut self) -> Result<(), CliError> {
        Ok(self.out.flush()?)
    }

    fn finish(&mut self, _: &Context, summary: &Summary) -> Result<(), CliError> {
        let Summary { balance: b, counts: c, unknown_parent, interrupted } = summary;
        self.line(json!({
            "kind": "summary",
            "interrupted": interrupted,
            "bytes": c.bytes,
            "frames": c.frames,
            "emitted": b.emitted,
            "decoded": b.decoded,
            "lost_device": b.device,
            "lost_link": b.link,
            "undecoded": b.undecoded,
            "unknown_records": c.unknown_records,
            "unknown_parent": unknown_parent,
            "before": b.before,
            "frames_lost": b.frames_lost,
            "frames_before": b.frames_before,
            "duplicates": b.duplicates,
            "boots": b.boots,
            "damage": {
                "crc": c.crc,
                "no_frame": c.not_frames,
                "too_long": c.too_long,
                "unfinished": c.unfinished,
                "malformed": c.malformed,
                "unknown_frames": c.unknown_frames,
                "unknown_callsites": c.unknown_callsites,
                "unknown_texts": c.unknown_texts,
                "build_ids": c.build_ids,
                "clocks": c.clocks,
                "skipped_bytes": c.skipped_bytes,
            },
        }))?;
        Ok(self.out.flush()?)
    }
}

/// Writes an object on a line. Characters that JSON leaves unescaped but that command a terminal (C1 codes)
/// or change the direction of writing are written as `\u` escapes, which a JSON reader decodes to the same
/// text.
pub(crate) fn write_line(out: &mut impl Write, value: &Json5) -> std::io::Result<()> {
    let text = value.to_string();
    let mut rest = text.as_str();
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_dangerous(*c)) {
        write!(out, "{}\\u{:04x}", &rest[..at], u32::from(c))?;
        rest = &rest[at + c.len_utf8()..];
    }
    writeln!(out, "{rest}")
}

fn span(s: &OwnedSpan<'_>) -> Json5 {
    let (kind, status) = (s.callsite.span_kind().as_str(), s.status.as_str());
    let mut object = json!({
        "kind": "span",
        "trace_id": s.trace_id.map(|id| id.to_string()),
        "span_id": s.span_id.to_string(),
        "parent_span_id": s.parent_span_id.map(|id| id.to_string()),
        "parent_is_remote": s.parent_is_remote,
        "name": s.callsite.name(),
        "target": s.callsite.target(),
        "file": s.callsite.file(),
        "line": s.callsite.line(),
        "level": s.callsite.level().as_str(),
        "span_kind": kind,
        "status": status,
    });
    put_time(&mut object, "start", s.start);
    object["duration_ns"] = json!(s.duration_ns);
    object["busy_ns"] = json!(s.busy_ns);
    put_fields(&mut object, &s.fields);
    object
}

fn event(kind: &str, e: &OwnedEvent<'_>) -> Json5 {
    let fields = e.fields.iter().map(|(name, value)| (&**name, value.as_value()));
    let message = e.callsite.name();
    let mut object = json!({
        "kind": kind,
        "trace_id": e.trace_id.map(|id| id.to_string()),
        "span_id": e.span_id.map(|id| id.to_string()),
        "level": e.callsite.level().as_str(),
        "message": render(&message, fields),
        "template": message,
        "event_name": Some(e.callsite.event_name()).filter(|name| !name.is_empty()),
        "target": e.callsite.target(),
        "file": e.callsite.file(),
        "line": e.callsite.line(),
    });
    put_time(&mut object, "time", e.time);
    put_fields(&mut object, &e.fields);
    object
}

fn loss(l: &Loss) -> Json5 {
    let (place, reason, frames) = match l.cause {
        LossCause::Link { frames } => ("link", None, Some(frames)),
        LossCause::Device(reason) => ("device", reason, None),
        _ => ("unknown", None, None),
    };
    let reason = reason.map(|r| match r {
        throughline::adapter::LossReason::RingFull => "ring_full".to_owned(),
        throughline::adapter::LossReason::Overwritten => "overwritten".to_owned(),
        throughline::adapter::LossReason::TooLarge => "too_large".to_owned(),
        throughline::adapter::LossReason::Reentrant => "reentrant".to_owned(),
        other => format!("{other:?}"),
    });
    let mut object =
        json!({ "kind": "loss", "place": place, "reason": reason, "records": l.count, "frames": frames });
    put_time(&mut object, "time", l.time);
    object
}

fn put_time(object: &mut Json5, name: &str, time: Time) {
    let source = match time.source {
        TimeSource::Device => "device",
        TimeSource::Arrival => "arrival",
        TimeSource::Given => "given",
        TimeSource::Boot => "boot",
        _ => "unknown",
    };
    object[format!("{name}_ns")] = json!(time.unix_ns);
    object["time_error_ns"] = json!(time.error_ns);
    object["time_source"] = json!(source);
}

fn put_fields(object: &mut Json5, fields: &[(Cow<'_, str>, OwnedValue)]) {
    let mut values = Map::new();
    let mut truncated = Vec::new();
    let mut links = Vec::new();
    for (name, value) in fields {
        let value = value.as_value();
        if value == Value::Absent {
            continue;
        }
        // A span may have several links, all in fields of the same name.
        if name == LINK_FIELD
            && let Some(link) = link(value)
        {
            links.push(link);
            continue;
        }
        let (value, cut) = field(value);
        if cut {
            truncated.push(&**name);
        }
        values.insert(name.to_string(), value);
    }
    object["fields"] = Json5::Object(values);
    if !links.is_empty() {
        object["links"] = Json5::Array(links);
    }
    if !truncated.is_empty() {
        object["truncated"] = json!(truncated);
    }
}

/// A link to another span as in [`LINK_FIELD`]: trace id, span id and flags. `None` if the value is not a
/// link.
fn link(value: Value<'_>) -> Option<Json5> {
    let Value::Bytes { bytes, truncated: false } = value else { return None };
    let (trace_id, rest) = bytes.split_first_chunk()?;
    let (span_id, flags) = rest.split_first_chunk()?;
    let (trace_id, span_id) = (TraceId::from_bytes(*trace_id)?, SpanId::from_bytes(*span_id)?);
    let [flags] = flags else { return None };
    Some(json!({ "trace_id": trace_id.to_string(), "span_id": span_id.to_string(), "flags": flags }))
}

/// A field's value, and whether the device cut it. Values without a JSON form (bytes, infinities) become
/// strings.
fn field(value: Value<'_>) -> (Json5, bool) {
    let float = |x: f64| if x.is_finite() { json!(x) } else { json!(x.to_string()) };
    match value {
        Value::Bool(v) => (json!(v), false),
        Value::U64(v) => (json!(v), false),
        Value::I64(v) => (json!(v), false),
        // Convert through the shortest decimal form, so that 0.1 does not become 0.10000000149011612.
        Value::F32(v) => (float(v.to_string().parse().unwrap_or(f64::from(v))), false),
        Value::F64(v) => (float(v), false),
        Value::Str { text, truncated } => (json!(text), truncated),
        Value::Bytes { bytes, truncated } | Value::Postcard { bytes, truncated } => {
            (json!(format!("0x{}", Hex(bytes))), truncated)
        }
        Value::Extended(extended) => match extended.get() {
            ExtendedValue::Duration(duration) => (float(duration.as_secs_f64()), false),
            ExtendedValue::List(list) => {
                (list.iter().map(|element| field(element).0).collect(), value.is_truncated())
            }
            _ => (json!(ValueText(&value).to_string()), value.is_truncated()),
        },
        other => (json!(ValueText(&other).to_string()), other.is_truncated()),
    }
}

fn value(value: &PointValue) -> (&'static str, Json5) {
    match value {
        PointValue::Counter(n) => ("counter", json!(n)),
        PointValue::CounterFloat(x) => ("counter", field(Value::F64(*x)).0),
        PointValue::UpDown(n) => ("up_down_counter", json!(n)),
        PointValue::GaugeInt(n) => ("gauge", json!(n)),
        PointValue::GaugeFloat(x) => ("gauge", field(Value::F64(*x)).0),
        PointValue::Histogram { scale, fraction_bits, sum, zeros, offset, buckets } => {
            let count = buckets.iter().fold(*zeros, |a, n| a.saturating_add(*n));
            let sum = match fraction_bits {
                0 => json!(sum),
                bits => json!(*sum as f64 * (-f64::from(*bits)).exp2()),
            };
            let value = json!({
                "count": count, "sum": sum, "zeros": zeros, "scale": scale, "offset": offset, "buckets": buckets,
            });
            ("histogram", value)
        }
    }
}
