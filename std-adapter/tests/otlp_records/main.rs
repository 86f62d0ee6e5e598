//! Whatever is recorded through the macros can be read from the pump's bodies with the types of
//! `opentelemetry-proto`: any value of any type, fields given at the start and later, statuses, remote
//! parents, futures, threads.

mod spans;

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value as V},
    logs::v1::LogRecord,
    trace::v1::Span as SpanRecord,
};
use proptest::prelude::*;
use prost::Message;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use throughline::adapter::ring::{Mode, Slot};
use throughline::adapter::{metrics::Cell, recorder};
use throughline::{Clock, Recorder, StaticStr, Status, info, record, span};
use throughline_std::{Resource, Stage, otlp::Options};

const WIDE: bool = cfg!(target_pointer_width = "64");

/// The pump's work, for one test at a time.
fn stage() -> MutexGuard<'static, Option<Stage>> {
    static STAGE: Mutex<Option<Stage>> = Mutex::new(None);
    static RECORDING: Once = Once::new();
    RECORDING.call_once(|| recorder::set_thread_hook(|| recorder::acquire_thread(|| Some(new_recorder()))));
    let mut stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut options = Options::default();
    options.code_location = false;
    *stage = None;
    *stage = Some(Stage::new(&Resource::new("recorded"), options));
    bodies(&mut stage);
    stage
}

fn new_recorder() -> &'static Recorder {
    let slots = Vec::leak((0..4096).map(|_| Slot::new()).collect());
    let cells = Vec::leak((0..8).map(|_| Cell::new(0)).collect());
    Box::leak(Box::new(Recorder::for_thread(slots, Mode::LocalOldest, clock(), cells)))
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn clock() -> Clock {
    Clock::processor(1_000_000_000)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn clock() -> Clock {
    Clock::mock()
}

/// All bodies. It takes two rounds, because the first may keep records back for what another ring holds.
fn bodies(stage: &mut Option<Stage>) -> Vec<(Vec<u8>, u64)> {
    let stage = stage.as_mut().unwrap();
    let mut bodies = Vec::new();
    for _ in 0..2 {
        assert_eq!(stage.round(|body, records| bodies.push((body.to_vec(), records))), 0, "nothing is lost");
    }
    bodies
}

fn spans(stage: &mut Option<Stage>) -> Vec<SpanRecord> {
    let mut spans = Vec::new();
    for (body, records) in bodies(stage) {
        let request = ExportTraceServiceRequest::decode(&*body).unwrap();
        assert_eq!(request.resource_spans.len(), 1, "the resource is there once");
        for mut resource_spans in request.resource_spans {
            assert!(resource_spans.resource.unwrap().attributes.contains(&text("service.name", "recorded")));
            assert_eq!(resource_spans.scope_spans.len(), 1, "and so is the scope");
            let found = resource_spans.scope_spans.remove(0).spans;
            assert_eq!(found.len() as u64, records);
            spans.extend(found);
        }
    }
    spans
}

fn logs(stage: &mut Option<Stage>) -> Vec<LogRecord> {
    let requests =
        bodies(stage).into_iter().map(|(body, _)| ExportLogsServiceRequest::decode(&*body).unwrap());
    let scopes = requests.flat_map(|r| r.resource_logs).flat_map(|r| r.scope_logs);
    scopes.flat_map(|scope| scope.log_records).collect()
}

fn named<'a>(spans: &'a [SpanRecord], name: &str) -> &'a SpanRecord {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name} in {spans:?}"));
    assert!(found.next().is_none(), "{name} twice");
    span
}

fn kv(key: &str, value: V) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    kv(key, V::StringValue(value.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    kv(key, V::IntValue(value))
}

/// An unsigned integer, which OTLP does not have.
fn unsigned(key: &str, value: u64) -> KeyValue {
    i64::try_from(value).map_or_else(|_| text(key, &value.to_string()), |value| int(key, value))
}

fn double(key: &str, value: f64) -> KeyValue {
    kv(key, V::DoubleValue(value))
}

/// One value of each type, including the extreme ones.
#[derive(Clone, Debug)]
struct Given {
    truth: bool,
    small: (u8, u16, u32, i8, i16, i32),
    wide: (u64, i64, usize, isize),
    floats: (f32, f64),
    texts: (String, String),
    bytes: Vec<u8>,
}

fn extreme<T: Copy + std::fmt::Debug + 'static>(
    any: impl Strategy<Value = T> + 'static,
    values: &'static [T],
) -> impl Strategy<Value = T> {
    prop_oneof![1 => any, 1 => prop::sample::select(values)]
}

prop_compose! {
    fn given()(
        truth in any::<bool>(),
        small in any::<(u8, u16, u32, i8, i16, i32)>(),
        wide in (
            extreme(any::<u64>(), &[0, 127, 128, (1 << 56) - 1, 1 << 56, i64::MAX as u64, 1 << 63, u64::MAX]),
            extreme(any::<i64>(), &[0, -1, i64::MIN, i64::MAX]),
            any::<usize>(),
            any::<isize>(),
        ),
        floats in (
            // NaN is left out, because it is unequal to itself.
            any::<f32>().prop_filter("NaN", |x| !x.is_nan()),
            extreme(any::<f64>().prop_filter("NaN", |x| !x.is_nan()), &[0.0, -0.0, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY]),
        ),
        // A record of a 32-bit host holds less than half of what others hold.
        texts in if WIDE { (".{0,12}", "[ -~]{0,48}") } else { (".{0,4}", "[ -~]{0,16}") },
        bytes in proptest::collection::vec(any::<u8>(), 0..if WIDE { 48 } else { 16 }),
    ) -> Given {
        Given { truth, small, wide, floats, texts, bytes }
    }
}

impl Given {
    /// The most fields that are possible: every type, with text and bytes between numbers.
    fn attributes(&self) -> Vec<KeyValue> {
        let (a, b, c, d, e, f) = self.small;
        vec![
            kv("truth", V::BoolValue(self.truth)),
            int("u8", a.into()),
            int("u16", b.into()),
            text("text", &self.texts.0),
            int("u32", c.into()),
            int("i8", d.into()),
            int("i16", e.into()),
            int("i32", f.into()),
            kv("größe", V::BytesValue(self.bytes.clone())),
            unsigned("u64", self.wide.0),
            int("i64", self.wide.1),
            unsigned("a.name.that.is.longer.than.a.prepared.key.may.be", self.wide.2 as u64),
            text("shown", &self.texts.1),
            double("f32", self.floats.0.into()),
            double("f64", self.floats.1),
        ]
    }
}

/// A call with the fields of [`Given::attributes`].
macro_rules! with_all {
    ($what:ident, $name:literal, $g:expr) => {
        $what!(
            $name,
            truth = $g.truth,
            u8 = $g.small.0,
            u16 = $g.small.1,
            text = $g.texts.0,
            u32 = $g.small.2,
            i8 = $g.small.3,
            i16 = $g.small.4,
            i32 = $g.small.5,
            "größe" = $g.bytes[..],
            u64 = $g.wide.0,
            i64 = $g.wide.1,
            "a.name.that.is.longer.than.a.prepared.key.may.be" = $g.wide.2,
            shown = %$g.texts.1,
            f32 = $g.floats.0,
            f64 = $g.floats.1
        )
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spans_arrive_as_they_were_recorded(g in given(), status in 0u8..3) {
        let mut stage = stage();
        {
            let mut root = span!("root", i64 = g.wide.1, f64 = g.floats.1);
            root.set_status(Status::from_u8(status));
            drop(span!("bare"));
            {
                let carried = span!("carried", truth = g.truth, u64 = g.wide.0, isize = g.wide.3, f32 = g.floats.0);
                drop(with_all!(span, "all", g));
                record!(carried, "later" = g.texts.0, u64 = g.wide.0);
            }
            let fixed = span!("static", state = StaticStr("charging"), n = 1);
            record!(fixed, empty = "", none = [0_u8; 0][..]);
            record!(root, shown = ?g.texts.1);
        }
        let spans = spans(&mut stage);
        prop_assert_eq!(spans.len(), 5);
        let root = named(&spans, "root");
        let debug = format!("{:?}", g.texts.1);
        prop_assert_eq!(&root.attributes, &[int("i64", g.wide.1), double("f64", g.floats.1), text("shown", &debug)]);
        prop_assert_eq!(root.status.as_ref().map_or(0, |status| status.code), i32::from(status));
        prop_assert!(root.parent_span_id.is_empty());
        prop_assert_eq!(&named(&spans, "bare").attributes, &[]);
        let carried = named(&spans, "carried");
        prop_assert_eq!(&carried.attributes, &[
            kv("truth", V::BoolValue(g.truth)), unsigned("u64", g.wide.0), int("isize", g.wide.3 as i64), double("f32", g.floats.0.into()),
            text("later", &g.texts.0),
        ]);
        let all = named(&spans, "all");
        prop_assert_eq!(&all.attributes, &g.attributes());
        prop_assert_eq!(&all.parent_span_id, &carried.span_id);
        prop_assert_eq!(&named(&spans, "static").attributes, &[
            text("state", "charging"), int("n", 1), text("empty", ""), kv("none", V::BytesValue(vec![])),
        ]);
        for span in &spans {
            prop_assert_eq!(&span.trace_id, &root.trace_id);
            prop_assert!(span.start_time_unix_nano >= root.start_time_unix_nano && span.end_time_unix_nano <= root.end_time_unix_nano);
            prop_assert!(span.name == "root" || !span.parent_span_id.is_empty());
        }
    }

    #[test]
    fn events_arrive_as_they_were_recorded(g in given()) {
        let mut stage = stage();
        with_all!(info, "all", g);
        info!("two", u64 = g.wide.0, i64 = g.wide.1);
        let logs = logs(&mut stage);
        prop_assert_eq!(logs.len(), 2);
        prop_assert_eq!(&logs[0].attributes, &g.attributes());
        prop_assert_eq!(&logs[1].attributes, &[unsigned("u64", g.wide.0), int("i64", g.wide.1)]);
        prop_assert_eq!(logs[1].body.clone(), Some(AnyValue { value: Some(V::StringValue("two".into())) }));
        prop_assert!(logs.iter().all(|log| log.event_name.is_empty()));
    }

    #[test]
    fn an_event_keeps_its_name_beside_its_message(n in any::<u32>()) {
        let mut stage = stage();
        info!(name: "user.login", "user {n} came in");
        info!(target: "audit", name: "user.logout", n);
        let logs = logs(&mut stage);
        let found: Vec<_> = logs.iter().map(|log| (&*log.event_name, log.body.clone().and_then(|body| body.value))).collect();
        let body = |text: String| Some(V::StringValue(text));
        prop_assert_eq!(found, [("user.login", body(format!("user {n} came in"))), ("user.logout", body(String::new()))]);
    }

    #[test]
    fn what_a_record_cannot_hold_is_cut_and_said_to_be(long in ".{100,300}", n in any::<u32>()) {
        let mut stage = stage();
        drop(span!("cut", long = long, n));
        let spans = spans(&mut stage);
        let attributes = &spans[0].attributes;
        let Some(V::StringValue(kept)) = attributes[0].value.clone().unwrap().value else { panic!("no text") };
        prop_assert!(long.starts_with(&kept));
        let mut expected = vec![text("long", &kept)];
        if kept.len() < long.len() {
            let room = if WIDE { 350 } else { 150 };
            prop_assert!(kept.len() > room, "as much as there is room for");
            expected.push(kv("long.truncated", V::BoolValue(true)));
        }
        expected.push(int("n", n.into()));
        prop_assert_eq!(attributes, &expected);
    }
}
