//! What instrumentation leaves in the ring: ids, nesting, times, fields, status, remote parents, futures.
#![cfg(not(loom))]

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context as Poller, Poll, Waker};
use throughline::adapter::record::{Record, replace_text, texts, texts_may_hold};
use throughline::adapter::ring::{ExtendedKind, RawRecord};
use throughline::adapter::{IdKey, recorder};
use throughline::{
    Clock, Context, Instrument, Level, Recorder, Slots, Status, TraceContext, Value, attach, clock::mock,
    current, error, event, info, record, set_min_level, span,
};

static SLOTS: Slots<256> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());

/// Runs one test at a time, because the tests share a recorder, and clears what the previous one left.
fn begin() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    throughline::install(&RECORDER);
    set_min_level(Some(Level::Trace));
    mock::set(1000);
    RECORDER.ring().reader().unwrap().drain(|_| {});
    guard
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Seen {
    name: String,
    id: usize,
    parent: usize,
    root: usize,
    start: usize,
    duration: u64,
    busy: Option<u64>,
    status: Status,
    fields: Vec<String>,
}

fn name_of(callsite: u32) -> String {
    let mut name = String::new();
    throughline::adapter::callsite::registry::for_each(|c| {
        if c.id() == callsite {
            name = c.blob().name.to_string();
        }
    });
    name
}

fn fields_of(callsite: u32, values: throughline::adapter::record::Values<'_>) -> Vec<String> {
    let mut names = vec![];
    throughline::adapter::callsite::registry::for_each(|c| {
        if c.id() == callsite {
            names = c.blob().fields().map(str::to_string).collect();
        }
    });
    // A span that cannot carry its fields has them in a separate record.
    assert!(values.count() == names.len() || values.count() == 0);
    let show = |v| match v {
        Value::Str { text, truncated } => format!("{text}{}", if truncated { "…" } else { "" }),
        Value::U64(n) => n.to_string(),
        Value::I64(n) => n.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::F32(x) => format!("{x}f"),
        Value::F64(x) => format!("{x}"),
        other => format!("{other:?}"),
    };
    names.iter().zip(values).map(|(n, v)| format!("{n}={}", show(v))).collect()
}

/// Everything in the ring, spans and events alike. An event has its time in `start` and its span in `parent`.
fn seen() -> Vec<Seen> {
    let mut all = vec![];
    let mut reader = RECORDER.ring().reader().unwrap();
    let mut raw = RawRecord::new();
    while reader.next(&mut raw) {
        assert!(reader.commit());
        all.push(match Record::parse(&raw).expect("a record") {
            Record::Span(s) => Seen {
                name: name_of(s.callsite),
                id: s.id,
                parent: s.parent,
                root: s.root,
                start: s.start,
                duration: s.duration,
                busy: s.busy,
                status: s.status,
                fields: fields_of(s.callsite, s.values),
            },
            Record::Event(e) | Record::Fields(e) => Seen {
                name: name_of(e.callsite),
                parent: e.span,
                root: e.root,
                start: e.time,
                fields: fields_of(e.callsite, e.values),
                ..Seen::default()
            },
            Record::Attach { id, .. } => Seen { name: "attach".into(), id, ..Seen::default() },
            // The end of an attachment, which only a server's recorders write.
            Record::Extended(record) if record.kind == ExtendedKind::DETACH => continue,
            other => panic!("{other:?}"),
        });
    }
    all
}

#[test]
fn spans_nest_and_end_innermost_first() {
    let _one = begin();
    {
        let _outer = span!("outer");
        mock::advance(5);
        {
            let _inner = span!("inner", channel = 3_u8, gain = 1.5_f32);
            info!("sampled", raw = -7, ok = true);
            mock::advance(10);
        }
        mock::advance(1);
    }
    let [event, inner, outer] = seen().try_into().unwrap();
    assert_eq!((outer.name.as_str(), outer.parent, outer.root), ("outer", 0, outer.id));
    assert_eq!((inner.name.as_str(), inner.parent, inner.root), ("inner", outer.id, outer.id));
    assert_eq!((outer.start, outer.duration, inner.start, inner.duration), (1000, 16, 1005, 10));
    assert_eq!(inner.fields, ["channel=3", "gain=1.5f"]);
    assert_eq!((event.parent, event.root, event.start), (inner.id, outer.id, 1005));
    assert_eq!(event.fields, ["raw=-7", "ok=true"]);
}

#[test]
fn a_root_leaves_the_current_trace_and_returns_to_it() {
    let _one = begin();
    {
        let _outer = span!("outer");
        drop(span!(root: true, kind: Server, "request"));
        drop(span!("child"));
    }
    let [request, child, outer] = seen().try_into().unwrap();
    assert_eq!((request.parent, request.root), (0, request.id));
    assert_eq!((child.parent, child.root), (outer.id, outer.id));
}

#[test]
fn status_late_fields_and_errors_reach_the_span() {
    let _one = begin();
    {
        let mut span = span!("query");
        record!(span, rows = 42);
        record!(current, shard = 3);
        span.fail("no such table");
    }
    let [rows, shard, message, span] = seen().try_into().unwrap();
    assert_eq!(span.status, Status::Error);
    assert!([&rows, &shard, &message].iter().all(|f| f.parent == span.id));
    assert_eq!(
        [rows.fields, shard.fields, message.fields].concat(),
        ["rows=42", "shard=3", "error.message=no such table"]
    );
}

#[test]
fn many_and_long_fields_are_kept_whole_or_marked() {
    let _one = begin();
    let long = "é".repeat(400);
    event!(Warn, "all", a = 1_u64, b = -2_i64, c = 2.5_f64, d = "text", e = true, f = %7, g = ?Some(1), h = 8_u8);
    info!("long", first = 1, text = long.as_str(), last = 2);
    drop(span!("carried elsewhere", text = "in a record of its own"));
    let [all, cut, fields, span] = seen().try_into().unwrap();
    assert_eq!(all.fields, ["a=1", "b=-2", "c=2.5", "d=text", "e=true", "f=7", "g=Some(1)", "h=8"]);
    assert_eq!((cut.fields[0].as_str(), cut.fields[2].as_str()), ("first=1", "last=2"));
    let kept = cut.fields[1].strip_prefix("text=").unwrap().strip_suffix('…').unwrap();
    assert!(long.starts_with(kept) && kept.len() > 100, "{kept}");
    assert_eq!(
        (fields.parent, fields.fields.as_slice()),
        (span.id, ["text=in a record of its own".to_string()].as_slice())
    );
}

#[test]
fn levels_switch_callsites_off_and_on() {
    let _one = begin();
    for (level, expected) in [(None, 0), (Some(Level::Error), 1), (Some(Level::Trace), 3)] {
        set_min_level(level);
        let _span = span!("s");
        error!("e");
        throughline::trace!("t");
        drop(_span);
        assert_eq!(seen().len(), expected, "{level:?}");
    }
}

#[test]
fn a_remote_parent_gives_its_trace_and_takes_the_children() {
    let _one = begin();
    recorder::set_id_key(IdKey::new(7, 0));
    let remote = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    assert_eq!(current(), None);
    {
        let _remote = attach(remote);
        let span = span!("served");
        let sent = current().unwrap();
        assert_eq!(sent.trace_id, remote.trace_id);
        assert!(sent.sampled());
        drop(span!(root: true, "apart"));
        assert_eq!(current(), Some(sent));
        drop(span);
    }
    assert_eq!(current(), None);
    let [attached, apart, served] = seen().try_into().unwrap();
    assert_eq!((served.parent, served.root), (attached.id, attached.id));
    assert_eq!(apart.root, apart.id);
    let span = span!("alone");
    let here = current().unwrap();
    drop(span);
    let [alone] = seen().try_into().unwrap();
    assert_eq!(here.span_id, IdKey::new(7, 0).span_id(alone.id as u64));
    assert_eq!(here.trace_id, IdKey::new(7, 0).trace_id(alone.root as u64));
}

#[test]
fn a_remote_trace_within_a_remote_trace_leaves_the_outer_one_as_it_was() {
    let _one = begin();
    let outer = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let inner = TraceContext::parse("00-11111111111111111111111111111111-2222222222222222-01").unwrap();
    let _outer = attach(outer);
    {
        // A root of this process's own in between, so that the place to return to from the inner trace is not
        // remote.
        let _root = span!(root: true, "between");
        let _inner = attach(inner);
        assert_eq!(current().unwrap().trace_id, inner.trace_id);
    }
    assert_eq!(current().unwrap().trace_id, outer.trace_id);
    drop(_outer);
    seen();
}

#[test]
fn below_a_remote_parent_that_is_not_sampled_events_are_recorded_and_spans_are_not_06() {
    let _one = begin();
    {
        let not_sampled =
            TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").unwrap();
        let _remote = attach(not_sampled);
        drop(span!("unseen"));
        info!("unseen");
        assert!(!current().unwrap().sampled());
        assert_eq!(current().unwrap().trace_id, not_sampled.trace_id);
    }
    drop(span!("seen"));
    let all = seen();
    assert_eq!(all.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["attach", "unseen", "seen"]);
    assert_ne!(all[1].parent, 0, "it belongs to the trace that is not recorded");
}

#[test]
fn a_context_carries_the_trace_to_another_place() {
    let _one = begin();
    let outer = span!("outer");
    let place = Context::current();
    drop(outer);
    {
        let _there = place.enter();
        drop(span!("elsewhere"));
    }
    drop(span!("after"));
    let [outer, elsewhere, after] = seen().try_into().unwrap();
    assert_eq!((elsewhere.parent, elsewhere.root), (outer.id, outer.id));
    assert_eq!(after.root, after.id);
}

/// Completes at the second poll.
async fn yield_once() {
    let mut polled = false;
    std::future::poll_fn(
        move |_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending },
    )
    .await;
}

#[test]
fn a_future_is_busy_while_polled_and_its_span_current_only_then() {
    let _one = begin();
    {
        let work = async {
            mock::advance(10);
            yield_once().await;
            mock::advance(20);
            info!("inside");
        };
        let mut work = pin!(work.instrument(span!("job", id = 7)));
        let mut poller = Poller::from_waker(Waker::noop());
        assert!(work.as_mut().poll(&mut poller).is_pending());
        info!("between");
        mock::advance(100);
        assert!(work.as_mut().poll(&mut poller).is_ready());
    }
    let [between, inside, job] = seen().try_into().unwrap();
    assert_eq!((between.parent, inside.parent), (0, job.id));
    assert_eq!((job.duration, job.busy, job.status), (130, Some(30), Status::Unset));
    assert_eq!(job.fields, ["id=7"]);
}

#[test]
fn a_future_dropped_unfinished_is_cancelled() {
    let _one = begin();
    {
        let mut work = Box::pin(yield_once().instrument(span!("job")));
        assert!(work.as_mut().poll(&mut Poller::from_waker(Waker::noop())).is_pending());
        mock::advance(3);
    }
    let [job] = seen().try_into().unwrap();
    assert_eq!((job.duration, job.status), (3, Status::Cancelled));
}

#[test]
fn a_flight_recorder_keeps_what_is_new_and_another_what_is_old() {
    let _one = begin();
    let kept = |recorder: &'static Recorder| -> Vec<usize> {
        throughline::install(recorder);
        for n in 0..11 {
            mock::set(n);
            info!("filling");
        }
        let mut times = vec![];
        recorder.ring().reader().unwrap().drain(|raw| times.push(raw.body[0]));
        times
    };
    static OLD: Slots<8> = Slots::new();
    static NEW: Slots<8> = Slots::new();
    static OLDEST: Recorder = Recorder::new(&OLD, Clock::mock());
    static NEWEST: Recorder = Recorder::keep_newest(&NEW, Clock::mock());
    assert_eq!(kept(&OLDEST), Vec::from_iter(0..8));
    assert_eq!(kept(&NEWEST), Vec::from_iter(3..11));
}

#[test]
fn texts_can_be_replaced_by_shorter_and_longer_ones() {
    let _one = begin();
    let long = "ä".repeat(400);
    let lengths = if cfg!(miri) { &[0, 1, 7, 8, 25][..] } else { &[0, 1, 2, 7, 8, 9, 15, 16, 17, 40][..] };
    for (before, after) in lengths.iter().flat_map(|a| lengths.iter().map(move |b| (*a, *b))) {
        let (before, after) = ("x".repeat(before), "y".repeat(after));
        info!("m", n = 1_u64, first = &*before, none = None::<&str>, some = Some(&*before), %before, last = 2_u64);
        let mut raws = vec![];
        RECORDER.ring().reader().unwrap().drain(|raw| raws.push(raw.clone()));
        let [raw] = &mut raws[..] else { panic!("{}", raws.len()) };
        let places: Vec<_> = texts(raw).map(|(place, text)| (place, text.to_owned())).collect();
        assert!(places.iter().all(|(_, text)| *text == before) && places.len() == 3);
        for (place, _) in places.iter().rev() {
            replace_text(raw, place, &after);
        }
        let text = Value::Str { text: &after, truncated: false };
        let values = [Value::U64(1), text, Value::Absent, text, text, Value::U64(2)];
        let seen: Vec<Value<'_>> = Record::parse(raw).unwrap().values().unwrap().into_iter().collect();
        assert_eq!(seen, values);
        assert!(texts_may_hold(raw, [b'=']), "one is an option");
        let first = texts(raw).next().unwrap().0;
        replace_text(raw, &first, &long);
        let seen: Vec<Value<'_>> = Record::parse(raw).unwrap().values().unwrap().into_iter().collect();
        let Value::Str { text, truncated: true } = seen[1] else { panic!("{seen:?}") };
        assert!(long.starts_with(text) && (text.len() > 40), "{text}");
        assert_eq!(seen[2..], values[2..]);
    }
}

/// With words of 32 bits every text may hold it.
#[cfg(target_pointer_width = "64")]
#[test]
fn a_character_is_found_wherever_it_is_in_a_text() {
    let _one = begin();
    let lengths = if cfg!(miri) { 7..10 } else { 0..40 };
    for (length, at) in lengths.flat_map(|length| (0..=length).map(move |at| (length, at))) {
        let mut text = "é<>;9!\u{1f}ü".chars().cycle().take(length).collect::<String>();
        let has = text.char_indices().nth(at).map(|(at, _)| text.insert(at, '='));
        info!("m", n = u64::from(b'=') * 0x0101, text = &*text, bytes = &[b'='; 9], x = 0.5);
        let mut raws = vec![];
        RECORDER.ring().reader().unwrap().drain(|raw| raws.push(raw.clone()));
        assert_eq!(texts_may_hold(&raws[0], [b':', b'=']), has.is_some(), "{text}");
        assert!(!texts_may_hold(&raws[0], [b'#']) && raws[0].head.may_have_texts(), "{text}");
    }
}
