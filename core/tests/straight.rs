//! The straight path of a server thread records the same as the general path: the same work runs on a ring
//! that takes the one and on a ring that takes the other.
#![cfg(all(feature = "std", not(loom)))]

use std::cell::Cell;
use throughline::adapter::record::{Record, Values};
use throughline::adapter::recorder;
use throughline::adapter::ring::{Mode, RawRecord, Slot};
use throughline::{Clock, Recorder, Status, TraceContext, attach, info, record, span};

thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode::LocalOldest) };
    static MINE: Cell<Option<&'static Recorder>> = const { Cell::new(None) };
}

const SLOTS: usize = 32;

fn hook() -> Option<&'static Recorder> {
    let slots = Vec::leak((0..SLOTS).map(|_| Slot::new()).collect());
    let recorder = Recorder::for_thread(slots, MODE.get(), Clock::processor(1_000_000_000), &[]);
    let recorder = Box::leak(Box::new(recorder));
    MINE.set(Some(recorder));
    recorder::acquire_thread(|| Some(recorder))
}

/// Runs `work` on a new thread whose ring has this mode, and passes it the ring's recorder.
fn on_a_thread<R: Send + 'static>(mode: Mode, work: fn(&'static Recorder) -> R) -> R {
    recorder::set_thread_hook(hook);
    let thread = std::thread::spawn(move || {
        MODE.set(mode);
        // The first record gives the thread its recorder.
        info!("hello");
        let recorder = MINE.get().expect("the hook was called");
        drop(span!("before all others"));
        recorder.ring().reader().expect("the only reader").drain(|raw| {
            if let Some(Record::Span(span)) = Record::parse(raw) {
                BEFORE.set(span.id);
            }
        });
        work(recorder)
    });
    thread.join().unwrap()
}

thread_local! {
    /// The id of a span made before all others.
    static BEFORE: Cell<usize> = const { Cell::new(0) };
}

/// An id relative to the thread's first one, because recorders start counting in different places.
fn nth(id: usize) -> usize {
    if id == 0 { 0 } else { id.wrapping_sub(BEFORE.get()) }
}

/// Everything in a record except its times.
fn told(raw: &RawRecord) -> String {
    let values =
        |values: Values<'_>| values.into_iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(" ");
    match Record::parse(raw).expect("a record") {
        Record::Span(s) => {
            assert!(s.duration < 1 << 60, "it ended after it began");
            let place = (nth(s.id), nth(s.parent), nth(s.root));
            format!(
                "span {} {place:?} {:?} {:?} {}",
                s.callsite,
                s.busy.is_some(),
                s.status,
                values(s.values)
            )
        }
        Record::Event(e) => {
            format!("event {} {:?} {}", e.callsite, (nth(e.span), nth(e.root)), values(e.values))
        }
        Record::Fields(e) => {
            format!("fields {} {:?} {}", e.callsite, (nth(e.span), nth(e.root)), values(e.values))
        }
        other => format!("{:?}", std::mem::discriminant(&other)),
    }
}

fn drain(recorder: &Recorder) -> Vec<String> {
    let mut all = vec![];
    recorder.ring().reader().expect("the only reader").drain(|raw| all.push(told(raw)));
    all
}

/// Runs the work on both paths, and compares them record by record.
fn both(work: fn(&'static Recorder) -> Vec<String>) -> Vec<String> {
    // The first thread registers the callsites, and so numbers them for both.
    let straight = on_a_thread(Mode::LocalOldest, work);
    let general = on_a_thread(Mode::LocalNewest, work);
    assert_eq!(straight, general);
    straight
}

#[test]
fn fields_of_any_number() {
    let all = both(|recorder| {
        let _root = span!("root", n = 1);
        drop(span!("none"));
        drop(span!("one", a = 1));
        drop(span!("two", a = 1, b = -2));
        drop(span!("three", a = 1, b = 2.5, c = true));
        drop(span!("five", a = 1, b = 2, c = 3, d = 4, e = 5));
        drop(span!("six", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6));
        drop(span!("text", a = "some text that is longer than a word"));
        info!("none");
        info!("two", a = 1, b = 2);
        info!("four", a = 1, b = 2, c = 3);
        info!("five", a = 1, b = 2, c = 3, d = 4, e = 5);
        drain(recorder)
    });
    // Six values and their types are more than a guard can hold, and so is a text. Such fields become a
    // record of their own.
    assert_eq!(all.len(), 13, "{all:#?}");
    assert!(all[0].contains("(2, 1, 1)") && all[0].ends_with("Unset "), "{all:#?}");
    assert!(all[2].ends_with("I64(1) I64(-2)"), "{all:#?}");
}

#[test]
fn status_late_fields_and_an_error() {
    both(|recorder| {
        let mut root = span!("root");
        let mut child = span!("child", a = 1);
        child.set_status(Status::Ok);
        record!(child, late = 2);
        drop(child);
        let mut bare = span!("bare");
        bare.set_status(Status::Error);
        drop(bare);
        root.fail(&"broken");
        drop(root);
        drain(recorder)
    });
}

#[test]
fn traces_in_traces_and_guards_dropped_in_any_order() {
    let all = both(|recorder| {
        let outer = span!("outer", a = 1, b = 2);
        let child = span!("child");
        let own = span!(root: true, "own", a = 1);
        let below = span!("below", a = 1, b = 2, c = 3);
        drop(child);
        info!("where is this");
        drop(below);
        drop(outer);
        drop(own);
        drop(span!("alone"));
        drain(recorder)
    });
    let places = ["(2, 1, 1)", "(4, 3)", "(4, 3, 3)", "(1, 0, 1)", "(3, 0, 3)", "(5, 0, 5)"];
    for (told, place) in all.iter().zip(places) {
        assert!(told.contains(place), "{all:#?}");
    }
}

#[test]
fn remote_parents() {
    both(|recorder| {
        for flags in ["01", "00"] {
            let header = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            let _remote = TraceContext::parse(&header).map(attach);
            let _span = span!("below", a = 1);
            let _leaf = span!("leaf");
            info!("event");
        }
        drain(recorder)
    });
}

#[test]
fn a_panic_ends_the_spans_it_leaves() {
    let all = both(|recorder| {
        let result = std::panic::catch_unwind(|| {
            let _outer = span!("outer");
            let _inner = span!("inner", a = 1, b = 2);
            // Unwind with a value instead of a panic message, so that nothing is printed.
            std::panic::resume_unwind(Box::new("left"));
        });
        assert!(result.is_err());
        drop(span!("after"));
        drain(recorder)
    });
    assert_eq!(all.len(), 3, "{all:#?}");
    assert!(all[2].contains(", 0, "), "a root: {all:#?}");
}

#[test]
fn what_finds_no_room_is_counted_and_what_comes_after_a_drain_is_kept() {
    on_a_thread(Mode::LocalOldest, |recorder| {
        let _root = span!("root");
        for lap in 1..=3 {
            for i in 0..SLOTS {
                match i % 3 {
                    0 => drop(span!("bare")),
                    1 => drop(span!("fields", a = i, b = lap)),
                    _ => info!("event", a = i),
                }
            }
            // Whatever the span's size.
            drop(span!("bare"));
            drop(span!("fields", a = 1, b = 2));
            drop(span!("long", a = 1, b = 2, c = 3));
            info!("event", a = 1);
            assert_eq!(recorder.ring().lost(), 4 * lap);
            assert_eq!(drain(recorder).len(), SLOTS, "lap {lap}");
        }
    });
}
