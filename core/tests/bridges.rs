//! What bridges from other APIs build on: callsites, fields and metrics that are described at run time, and
//! spans that are not bound to a thread.
#![cfg(all(not(loom), feature = "std"))]

mod common;

use common::{Told, alone, drain, event, on_recorder, one, records, span as told_span};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use throughline::adapter::bridge::{self, FieldList};
use throughline::adapter::callsite::{Callsite, Kind, Meta};
use throughline::adapter::metrics::{self, Reading};
#[cfg(all(target_pointer_width = "64", not(miri)))]
use throughline::adapter::record::NO_BUSY;
use throughline::adapter::record::Record;
use throughline::adapter::record::Value as Read;
use throughline::adapter::recorder::for_each_thread;
use throughline::sampler::{AlwaysOff, AlwaysOn, Sampler, set_sampler};
use throughline::{Context, DetachedSpan, Level, Span, Status, TraceContext, attach, current, info, span};

fn callsite(kind: Kind, name: &str, fields: &[&str]) -> &'static Callsite {
    bridge::callsite(&Meta { kind, level: Level::Info as u8, name, fields, ..Meta::EMPTY }).unwrap()
}

/// A span of a callsite made at run time.
fn begin(name: &str, parent: Context) -> DetachedSpan {
    let enabled = callsite(Kind::Span, name, &[]).enabled().unwrap();
    DetachedSpan::begin(enabled, parent, &mut FieldList::expecting(0))
}

fn remote() -> TraceContext {
    TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap()
}

/// The records that the work leaves in the rings of all threads.
fn all_records(work: impl FnOnce() + Send + 'static) -> Vec<Told> {
    let _alone = alone();
    on_recorder(|_| {
        for_each_thread(|recorder| _ = drain(recorder));
        work();
        let mut all = vec![];
        for_each_thread(|recorder| all.extend(drain(recorder)));
        all
    })
}

#[test]
fn a_span_entered_on_several_threads_ends_once_with_its_fields_and_its_busy_time() {
    let all = all_records(|| {
        let outer = span!("outer");
        let job = Arc::new(span!("job", id = 7).detach());
        assert_eq!(Span::current(), outer.context(), "a detached span is not current");
        let workers: Vec<_> = (0..3)
            .map(|part| {
                let job = Arc::clone(&job);
                std::thread::spawn(move || {
                    job.in_scope(|| info!("part"));
                    let _below = span!(parent: &*job, "below");
                    job.record("part", part);
                    info!("below it");
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        job.set_status(Status::Ok);
        drop(outer);
        std::thread::spawn(move || drop(job)).join().unwrap();
    });
    let (id, parent, root) = told_span(&all, "job");
    assert_eq!((parent, root), (told_span(&all, "outer").0, told_span(&all, "outer").0));
    let Told::Span { status, busy, .. } = one(&all, "job") else { panic!() };
    assert_eq!((*status, busy.is_some_and(|ticks| ticks > 0 || cfg!(miri))), (Status::Ok, true));
    let below: Vec<_> = all.iter().filter(|told| told.name() == "below").collect();
    assert_eq!(below.len(), 3);
    assert!(below.iter().all(|told| matches!(told, Told::Span { parent, .. } if *parent == id)));
    let parts = all.iter().filter(|told| told.name() == "part");
    assert!(parts.clone().all(|told| matches!(told, Told::Event { span, .. } if *span == id)));
    assert_eq!(parts.count(), 3);
    assert_eq!(all.iter().filter(|told| matches!(told, Told::Fields { span, .. } if *span == id)).count(), 3);
}

#[test]
fn busy_is_the_sum_over_the_times_it_was_entered_and_nothing_else() {
    let all = records(|| {
        drop(begin("never entered", Context::default()));
        let twice = begin("twice", Context::default());
        for _ in 0..2 {
            let since = twice.busy_since();
            twice.count_busy(since);
        }
    });
    let busy = |name| match one(&all, name) {
        Told::Span { busy, .. } => busy.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(busy("never entered"), 0);
    assert!(busy("twice") < 1_000_000_000);
}

#[test]
fn the_parent_is_given_or_is_what_is_current() {
    let all = records(|| {
        let outer = span!("outer");
        let first = begin("first", Context::current());
        let second = begin("second", first.context());
        let apart = begin("apart", Context::default());
        let within = second.enter();
        let third = begin("third", Context::current());
        drop(within);
        info!("in outer");
        drop((first, apart, outer));
        third.in_scope(|| info!("in the third, though its parents have ended or are elsewhere"));
        info!("loose");
    });
    let outer = told_span(&all, "outer").0;
    let (first, second, third) =
        (told_span(&all, "first"), told_span(&all, "second"), told_span(&all, "third"));
    assert_eq!([first.1, second.1, third.1], [outer, first.0, second.0]);
    assert_eq!([first.2, second.2, third.2], [outer; 3]);
    let apart = told_span(&all, "apart");
    assert_eq!((apart.1, apart.2), (0, apart.0));
    assert_eq!(event(&all, "in outer"), (outer, outer));
    assert_eq!(event(&all, "in the third, though its parents have ended or are elsewhere"), (third.0, outer));
    assert_eq!(event(&all, "loose"), (0, 0));
}

#[test]
fn below_a_remote_parent_the_span_has_the_remote_trace_wherever_it_goes() {
    let place = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&place);
    let all = all_records(move || {
        let attached = attach(remote());
        let handler = begin("handler", Context::current());
        drop(attached);
        let handler = std::thread::spawn(move || {
            let entered = handler.enter();
            *seen.lock().unwrap() = current();
            drop(entered);
            handler
        });
        drop(handler.join().unwrap());
    });
    let (_, parent, root) = told_span(&all, "handler");
    assert!(common::remote(parent) && parent == root);
    assert_eq!(place.lock().unwrap().unwrap().trace_id, remote().trace_id);
}

#[test]
fn an_unsampled_trace_has_no_records_of_its_spans_and_marks_its_events() {
    static OFF: &dyn Sampler = &AlwaysOff;
    static ON: &dyn Sampler = &AlwaysOn;
    let all = records(|| {
        set_sampler(&OFF);
        let root = begin("root", Context::default());
        assert!(!root.is_recorded());
        let below = begin("below", root.context());
        root.record("n", 1).record("text", "not recorded");
        below.in_scope(|| {
            info!("marked");
            assert_eq!(current().map(|here| here.flags), Some(0));
            drop(begin("further below", Context::current()));
        });
        set_sampler(&ON);
    });
    assert!(matches!(one(&all, "marked"), Told::Event { sampled: false, .. }));
    assert_eq!(all.len(), 1, "{all:#?}");
}

#[test]
fn a_panic_while_it_is_entered_makes_its_status_error() {
    let all = records(|| {
        let job = span!("panics").detach();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.in_scope(|| panic!("no"))));
        assert!(caught.is_err());
        let calm = span!("calm").detach();
        calm.in_scope(|| ());
    });
    assert!(matches!(one(&all, "panics"), Told::Span { status: Status::Error, .. }));
    assert!(matches!(one(&all, "calm"), Told::Span { status: Status::Unset, .. }));
}

#[cfg(all(target_pointer_width = "64", not(miri)))]
#[test]
fn a_span_and_its_events_may_have_been_earlier() {
    const SECOND: i64 = 1_000_000_000;
    let _alone = alone();
    let (hz, then, spans) = on_recorder(|recorder| {
        let enabled = callsite(Kind::Event, "then", &[]).enabled().unwrap();
        let mut past = begin("past", Context::default());
        past.begin_ago(3 * SECOND);
        past.leave_out_busy();
        past.event(enabled, &mut FieldList::expecting(0), 2 * SECOND);
        past.end_ago(SECOND);
        past.end_ago(0);
        assert!(!past.is_recorded() && past.context() != Context::default());
        begin("backwards", Context::default()).end_ago(SECOND);
        let mut old = begin("older than the clock", Context::default());
        old.begin_ago(i64::MAX);
        drop(old);
        begin("ahead", Context::default()).end_ago(-SECOND);
        let (mut then, mut spans) = (0, vec![]);
        recorder.ring().reader().unwrap().drain(|raw| match Record::parse(raw) {
            Some(Record::Event(event)) => then = event.time as u64,
            Some(Record::Span(span)) => spans.push((span.start as u64, span.duration, span.busy)),
            other => panic!("{other:?}"),
        });
        (recorder.clock().hz(), then, spans)
    });
    let [past, backwards, old, ahead] = spans[..] else { panic!("{spans:?}") };
    // Beginning, event and end read the clock themselves, and may be apart by the time that this takes.
    assert!(past.1.abs_diff(2 * hz) < hz, "{past:?} at {hz} Hz");
    assert_eq!(past.2, Some(NO_BUSY));
    assert!(then.abs_diff(past.0 + hz) < hz);
    assert_eq!((backwards.1, old.0), (0, 0));
    assert!(ahead.1 >= hz / 2);
}

#[test]
fn a_disabled_callsite_makes_a_span_that_is_nowhere() {
    let all = records(|| {
        let _outer = span!("outer");
        let disabled = Span::none().detach();
        assert!(!disabled.is_recorded());
        disabled.in_scope(|| info!("in outer"));
        disabled.record("n", 1).set_status(Status::Error);
    });
    assert_eq!(event(&all, "in outer").0, told_span(&all, "outer").0);
    assert_eq!(all.len(), 2);
}

#[test]
fn equal_descriptions_are_one_callsite() {
    let (a, b) = (callsite(Kind::Event, "same", &["x"]), callsite(Kind::Event, "same", &["x"]));
    assert!(core::ptr::eq(a, b));
    assert!(!core::ptr::eq(a, callsite(Kind::Event, "same", &["y"])));
    assert_eq!(a.blob().fields().collect::<Vec<_>>(), ["x"]);
}

#[test]
fn metrics_made_at_run_time_count_like_those_of_the_macros() {
    let labels = |route: &'static str| [("route", route)];
    let all = alone();
    on_recorder(move |_| {
        for (route, n) in [("/a", 1), ("/b", 2), ("/a", 3)] {
            let meta = Meta { name: "runtime.requests", labels: &labels(route), ..Meta::EMPTY };
            bridge::counter(&meta).unwrap().add(n as u32);
        }
        let meta = |name| Meta { name, ..Meta::EMPTY };
        bridge::float_gauge(&meta("runtime.load")).unwrap().set(0.5);
        bridge::float_gauge(&meta("runtime.load")).unwrap().add(0.25);
        bridge::up_down_counter(&meta("runtime.open")).unwrap().add(-3);
        bridge::float_counter(&meta("runtime.energy")).unwrap().add(1.5);
        bridge::gauge(&meta("runtime.depth")).unwrap().set(7);
        let histogram = bridge::histogram::<30>(&meta("runtime.took")).unwrap();
        [0.001, 0.002, 3.0].into_iter().for_each(|seconds| histogram.record(seconds));
    });
    let mut read = vec![];
    metrics::for_each(|series| {
        let blob = series.blob().unwrap();
        if blob.name.starts_with("runtime.") {
            let labels: Vec<_> = blob.labels().map(|(_, value)| value.to_owned()).collect();
            read.push((blob.name, labels, series.read()));
        }
    });
    drop(all);
    let value = |name: &str, label: &[&str]| {
        let mut found = read.iter().filter(|(n, labels, _)| *n == name && labels == label);
        let (.., value) = found.next().unwrap_or_else(|| panic!("no {name}: {read:?}"));
        assert!(found.next().is_none(), "one series of {name}");
        *value
    };
    assert_eq!(value("runtime.requests", &["/a"]), Reading::Counter(4));
    assert_eq!(value("runtime.requests", &["/b"]), Reading::Counter(2));
    assert_eq!(value("runtime.load", &[]), Reading::GaugeFloat(0.75));
    assert_eq!(value("runtime.open", &[]), Reading::UpDown(-3));
    assert_eq!(value("runtime.energy", &[]), Reading::CounterFloat(1.5));
    assert_eq!(value("runtime.depth", &[]), Reading::GaugeInt(7));
    let Reading::Histogram(histogram) = value("runtime.took", &[]) else { panic!() };
    assert_eq!((histogram.fraction_bits, histogram.zeros), (30, 0));
    let sum = histogram.sum as f64 / f64::from(1 << 30);
    assert!((sum - 3.003).abs() < 1e-8, "{sum}");
}

/// A value that a bridge may push.
#[derive(Clone, Debug)]
enum Pushed {
    Bool(bool),
    U64(u64),
    I64(i64),
    F64(f64),
    Text(String),
    Bytes(Vec<u8>),
    Wide(u128),
    Absent,
}

fn pushed() -> impl Strategy<Value = Pushed> {
    prop_oneof![
        any::<bool>().prop_map(Pushed::Bool),
        any::<u64>().prop_map(Pushed::U64),
        any::<i64>().prop_map(Pushed::I64),
        (-1e9..1e9).prop_map(Pushed::F64),
        "\\PC{0,20}".prop_map(Pushed::Text),
        "[a-zä]{100,900}".prop_map(Pushed::Text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Pushed::Bytes),
        any::<u128>().prop_map(Pushed::Wide),
        Just(Pushed::Absent),
    ]
}

/// Whether a value was read back as it was pushed, or cut.
fn is_same(pushed: &Pushed, read: Read<'_>) -> bool {
    match (pushed, read) {
        (Pushed::Bool(a), Read::Bool(b)) => *a == b,
        (Pushed::U64(a), Read::U64(b)) => *a == b,
        (Pushed::I64(a), Read::I64(b)) => *a == b,
        (Pushed::F64(a), Read::F64(b)) => *a == b,
        (Pushed::Text(a), Read::Str { text, truncated }) => {
            a.starts_with(text) && truncated == (text.len() < a.len())
        }
        (Pushed::Bytes(a), Read::Bytes { bytes, truncated }) => {
            a.starts_with(bytes) && truncated == (bytes.len() < a.len())
        }
        (Pushed::Wide(a), Read::Extended(b)) => {
            b.get() == throughline::adapter::record::ExtendedValue::U128(*a)
        }
        // A value of fixed length for which there is no room any more is absent.
        (Pushed::Wide(_) | Pushed::Absent, Read::Absent) => true,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 48 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_of_any_values_is_read_back(values in prop::collection::vec(pushed(), 0..20)) {
        let mut list = FieldList::expecting(values.len());
        for value in &values {
            let fits = match value {
                Pushed::Bool(v) => list.push(v),
                Pushed::U64(v) => list.push(v),
                Pushed::I64(v) => list.push(v),
                Pushed::F64(v) => list.push(v),
                Pushed::Text(v) => list.push(v.as_str()),
                Pushed::Bytes(v) => list.push(v.as_slice()),
                Pushed::Wide(v) => list.push(v),
                Pushed::Absent => list.push(&throughline::Empty),
            };
            prop_assert!(fits || list.len() == 15);
        }
        let kept = values.len().min(15);
        prop_assert_eq!(list.len(), kept);
        let names: Vec<String> = (0..kept).map(|i| format!("f{i}")).collect();
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let (in_span, in_event) = (callsite(Kind::Span, "any", &names), callsite(Kind::Event, "any", &names));
        let _alone = alone();
        on_recorder(move |recorder| {
            drop(DetachedSpan::begin(in_span.enabled().unwrap(), Context::default(), &mut list.clone()));
            bridge::event(in_event.enabled().unwrap(), &mut list);
            let (mut of_span, mut of_event) = (0, 0);
            recorder.ring().reader().unwrap().drain(|raw| {
                let (read, count) = match Record::parse(raw).unwrap() {
                    Record::Span(span) => (span.values, &mut of_span),
                    Record::Fields(fields) => (fields.values, &mut of_span),
                    Record::Event(event) => (event.values, &mut of_event),
                    _ => return,
                };
                for (read, pushed) in read.into_iter().zip(&values) {
                    assert!(is_same(pushed, read), "{pushed:?} was read as {read:?}");
                    *count += 1;
                }
            });
            assert_eq!((of_span, of_event), (kept, kept));
        });
    }
}
