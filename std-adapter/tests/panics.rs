//! A panic: the spans that it unwinds through report it with its message, and no other spans do.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;
use support::in_own_process;
use support::receiver::{Received, Receiver, attribute, text};
use throughline::{Instrument, Status, instrument, span};
use throughline_std::Config;

const LONG: Duration = Duration::from_secs(30);

/// What a receiver got from the records of `work`.
fn received(work: impl FnOnce()) -> Receiver {
    let receiver = Receiver::start([]);
    let config = Config::new("svc").otlp(&receiver.endpoint).unwrap().report_errors(false);
    let guard = throughline_std::init(&config).unwrap();
    work();
    let report = guard.shutdown(LONG);
    assert!(report.complete, "{report:?}");
    receiver
}

/// Runs `f`, which panics.
fn caught(f: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
}

/// Status code and message of a span, after checking that its field `error.message` says the same.
fn status(received: &Received, name: &str) -> (i32, String) {
    let span = received.spans.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no span {name}"));
    let status = span.status.clone().unwrap_or_default();
    if !status.message.is_empty() {
        assert_eq!(text(&span.attributes, "error.message").as_ref(), Some(&status.message), "{name}");
    }
    (status.code, status.message)
}

fn failed(message: &str) -> (i32, String) {
    (2, message.into())
}

/// A future that is pending once and then panics.
fn panics_later() -> impl Future<Output = ()> {
    let mut polls = 0;
    std::future::poll_fn(move |_| {
        polls += 1;
        assert!(polls < 2, "poll {polls}");
        std::task::Poll::Pending
    })
}

fn poll(future: &mut Pin<Box<impl Future<Output = ()>>>) {
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[instrument]
fn divide(by: u32) -> u32 {
    let _inside = span!("inside");
    7 / by
}

#[instrument]
async fn serve() {
    panics_later().await;
}

#[test]
fn spans_that_a_panic_goes_through_have_its_message_37() {
    in_own_process("spans_that_a_panic_goes_through_have_its_message_37", || {
        let receiver = received(|| {
            caught(|| {
                let _request = span!("request", user = "ann");
                // More fields than the fast path of a span's end takes.
                let _wide = span!("wide", a = 1, b = 2, c = 3, d = 4);
                let _root = span!(root: true, "a trace of its own", name = "own");
                divide(0);
            });
            caught(|| panic_in(span!("without arguments")));

            let mut serving = Box::pin(serve());
            poll(&mut serving);
            caught(|| poll(&mut serving));
            drop(serving);
            let mut task = Box::pin(panics_later().instrument(span!("task")));
            poll(&mut task);
            // A panic in a future, which is dropped while the panic unwinds.
            caught(move || poll(&mut task));
            let mut waiting = Box::pin(panics_later().instrument(span!("waiting")));
            poll(&mut waiting);
            caught(move || {
                let _waiting = waiting;
                panic!("elsewhere");
            });
        });
        receiver.with(|r| {
            for name in ["request", "wide", "a trace of its own", "divide", "inside"] {
                assert_eq!(status(r, name), failed("attempt to divide by zero"), "{name}");
            }
            assert_eq!(status(r, "without arguments"), failed("just so"));
            assert_eq!(status(r, "serve"), failed("poll 2"));
            assert_eq!(status(r, "task"), failed("poll 2"));
            assert_eq!(status(r, "waiting"), failed("elsewhere"));
        });
    });
}

fn panic_in(_span: throughline::Span) {
    panic!("just so");
}

#[test]
fn a_panic_marks_no_other_span_37() {
    /// Makes a span when it is dropped.
    struct CleansUp;
    impl Drop for CleansUp {
        fn drop(&mut self) {
            let _cleanup = span!("cleanup");
            drop(span!("cleanup with fields", a = 1, b = 2, c = 3, d = 4));
            drop(span!(root: true, "cleanup root"));
        }
    }
    /// Makes a span when it is dropped and panics in it.
    struct FailsToCleanUp;
    impl Drop for FailsToCleanUp {
        fn drop(&mut self) {
            caught(|| {
                let _fails = span!("cleanup fails");
                panic!("no water");
            });
        }
    }
    in_own_process("a_panic_marks_no_other_span_37", || {
        let receiver = received(|| {
            let around = span!("around");
            caught(|| {
                let _first = span!("first");
                let _cleans_up = CleansUp;
                panic!("one");
            });
            caught(|| {
                let _fails_to_clean_up = FailsToCleanUp;
                panic!("anything");
            });
            let mut after = span!("after");
            caught(|| {
                let _second = span!("second");
                panic!("two");
            });
            after.set_status(Status::Error);
            drop(after);
            drop(around);
            // A panic without a text payload has no message, not even that of an earlier panic.
            caught(|| {
                let _silent = span!("silent");
                panic_any(7);
            });
            // A panic that is resumed by hand calls no hook, and the message before its span does not belong
            // to it.
            caught(|| {
                let _passed_on = span!("passed on");
                std::panic::resume_unwind(Box::new("unknown"));
            });
            // A message that the program set itself is kept.
            caught(|| {
                let mut said = span!("said");
                said.fail("no bread left");
                panic!("three");
            });
            std::thread::spawn(|| drop(span!("elsewhere"))).join().unwrap();
        });
        receiver.with(|r| {
            assert_eq!(status(r, "first"), failed("one"));
            assert_eq!(status(r, "second"), failed("two"));
            assert_eq!(status(r, "said"), failed("no bread left"));
            for name in ["after", "silent", "passed on"] {
                assert_eq!(status(r, name), failed(""), "{name}");
            }
            // What a destructor does during a panic did not fail, unless it panics as well.
            assert_eq!(status(r, "cleanup fails"), failed("no water"));
            for name in ["around", "elsewhere", "cleanup", "cleanup with fields", "cleanup root"] {
                assert_eq!(status(r, name), (0, String::new()), "{name}");
            }
        });
    });
}

#[test]
fn the_hook_that_was_there_is_called_and_long_messages_are_cut_37() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    in_own_process("the_hook_that_was_there_is_called_and_long_messages_are_cut_37", || {
        std::panic::set_hook(Box::new(|_| _ = CALLS.fetch_add(1, Ordering::Relaxed)));
        let long = "世".repeat(1000);
        let receiver = received(|| {
            caught(|| {
                let _long = span!("long");
                panic!("{long}");
            });
        });
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
        receiver.with(|r| {
            let (code, message) = status(r, "long");
            assert_eq!(code, 2);
            let room = if cfg!(target_pointer_width = "64") { 130 } else { 60 };
            assert!(message.chars().count() >= room && long.starts_with(&message), "{message}");
            let span = r.spans.iter().find(|s| s.name == "long").unwrap();
            assert!(attribute(&span.attributes, "error.message.truncated").is_some());
        });
    });
}
