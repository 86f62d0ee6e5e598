//! Runs code with a recorder installed and shows its records, one line each, in the order of the ring. A span
//! comes when it ends.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use throughline::adapter::callsite::{Blob, registry};
use throughline::adapter::metrics::{self, Reading};
use throughline::adapter::record::{ExtendedValue, Record, Values};
use throughline::{Clock, Recorder, Slots, SpanKind, Status, Value};

static SLOTS: Slots<1024> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());
/// Serialises the tests, because the recorder has one current span and one reader.
static TURN: Mutex<()> = Mutex::new(());

/// The records of `f`, such as `info "message" a=1 in outer` or `span outer a=1 Error`.
pub(crate) fn recorded(f: impl FnOnce()) -> Vec<String> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    throughline::install(&RECORDER);
    let mut reader = RECORDER.ring().reader().expect("a turn has the only reader");
    reader.drain(|_| {});
    f();
    let mut raw = Vec::new();
    reader.drain(|record| raw.push(record.clone()));
    assert!(reader.take_loss().is_none(), "the ring is too small for this test");
    let records: Vec<Record<'_>> = raw.iter().map(|raw| Record::parse(raw).expect("a record")).collect();
    let mut names = HashMap::new();
    for record in &records {
        if let Record::Span(span) = record {
            names.insert(span.id, blob(span.callsite).name);
        }
    }
    records.iter().map(|record| line(record, &names)).collect()
}

/// Polls a future until it is done. It must need nothing but being polled again.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

/// The descriptions and values of the metrics whose name begins with `prefix`, sorted by name.
pub(crate) fn counted(prefix: &str, f: impl FnOnce()) -> Vec<String> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    throughline::install(&RECORDER);
    f();
    let mut lines = Vec::new();
    metrics::for_each(|series| {
        let blob = series.blob().expect("a metric of this program");
        if !blob.name.starts_with(prefix) {
            return;
        }
        let mut line = format!("{} {:?}", blob.name, blob.kind);
        match series.read() {
            Reading::Counter(n) => _ = write!(line, " {n}"),
            Reading::UpDown(n) | Reading::GaugeInt(n) => _ = write!(line, " {n}"),
            Reading::CounterFloat(x) | Reading::GaugeFloat(x) => _ = write!(line, " {x:?}"),
            Reading::Histogram(_) => {}
        }
        if blob.param != 0 {
            _ = write!(line, " param {}", blob.param);
        }
        for text in [blob.unit, blob.description] {
            if !text.is_empty() {
                _ = write!(line, " {text:?}");
            }
        }
        blob.labels().for_each(|(key, value)| _ = write!(line, " {key}={value}"));
        blob.fields().for_each(|key| _ = write!(line, " {key}=*"));
        lines.push(line);
    });
    lines.sort();
    lines
}

fn line(record: &Record<'_>, names: &HashMap<usize, &str>) -> String {
    let mut line = String::new();
    let place = |id: usize| match names.get(&id) {
        Some(name) => format!(" in {name}"),
        None if id == 0 => String::new(),
        None => " in a span still open".into(),
    };
    match record {
        Record::Span(span) => {
            let blob = blob(span.callsite);
            _ = write!(line, "span {}", blob.name);
            write_level(&mut line, &blob);
            if blob.span_kind != SpanKind::Internal {
                _ = write!(line, " {:?}", blob.span_kind);
            }
            write_fields(&mut line, &blob, span.values);
            if span.status != Status::Unset {
                _ = write!(line, " {:?}", span.status);
            }
            line + &place(span.parent)
        }
        Record::Event(event) => {
            let blob = blob(event.callsite);
            _ = write!(line, "event {:?}", blob.name);
            write_level(&mut line, &blob);
            write_fields(&mut line, &blob, event.values);
            line + &place(event.span)
        }
        Record::Fields(fields) => {
            line.push_str("fields");
            write_fields(&mut line, &blob(fields.callsite), fields.values);
            line + &place(fields.span)
        }
        other => format!("{other:?}"),
    }
}

/// Writes the level, unless it is `Info`.
fn write_level(line: &mut String, blob: &Blob<'_>) {
    if let Some(level) = blob.level.filter(|level| *level != throughline::Level::Info) {
        _ = write!(line, " {level}");
    }
}

fn write_fields(line: &mut String, blob: &Blob<'_>, values: Values<'_>) {
    assert!(values.count() == 0 || values.count() == blob.field_count());
    for (key, value) in blob.fields().zip(values).filter(|(_, value)| *value != Value::Absent) {
        _ = write!(line, " {key}=");
        _ = match value {
            Value::Bool(v) => write!(line, "{v}"),
            Value::U64(v) => write!(line, "{v}u"),
            Value::I64(v) => write!(line, "{v}"),
            Value::F32(v) => write!(line, "{v:?}f32"),
            Value::F64(v) => write!(line, "{v:?}f64"),
            Value::Str { text, truncated: false } => write!(line, "{text:?}"),
            Value::Bytes { bytes, truncated: false } => write!(line, "{bytes:?}"),
            Value::Shown { text, truncated: false } => write!(line, "shown {text:?}"),
            Value::Extended(value) => match value.get() {
                ExtendedValue::Char(c) => write!(line, "{c:?}"),
                ExtendedValue::U128(n) => write!(line, "{n}u"),
                other => write!(line, "{other:?}"),
            },
            other => write!(line, "{other:?}"),
        };
    }
}

fn blob(callsite: u32) -> Blob<'static> {
    let mut found = None;
    registry::for_each(|known| {
        if known.id() == callsite {
            found = Some(known.blob());
        }
    });
    found.expect("a callsite that is registered")
}
