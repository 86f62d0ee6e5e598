//! The current place is that of the innermost guard that is still alive, in whatever order guards are
//! dropped; see also `current_model`.
#![cfg(not(loom))]

mod common;

use common::{event, records, remote, span as told_span};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context as Task, Poll, Waker};
use throughline::{Context, Instrument, TraceContext, attach, current, info, span};

fn parent(n: u8) -> TraceContext {
    let (trace, id) = (format!("{n:02x}").repeat(16), format!("{n:02x}").repeat(8));
    TraceContext::parse(&format!("00-{trace}-{id}-01")).unwrap()
}

/// A future that is pending the first `n` times.
fn pause(n: usize) -> impl Future<Output = ()> {
    struct Pause(usize);
    impl Future for Pause {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<()> {
            match self.0.checked_sub(1) {
                Some(left) => {
                    self.0 = left;
                    Poll::Pending
                }
                None => Poll::Ready(()),
            }
        }
    }
    Pause(n)
}

fn poll<F: Future + ?Sized>(future: &mut Pin<&mut F>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Task::from_waker(Waker::noop()))
}

#[test]
fn two_spans_dropped_in_the_order_in_which_they_began_leave_nothing_current_03() {
    let all = records(|| {
        let a = span!("a");
        let b = span!("b");
        drop(a);
        info!("in b");
        drop(b);
        {
            let _c = span!("c");
        }
        info!("loose");
    });
    let (a, b, c) = (told_span(&all, "a"), told_span(&all, "b"), told_span(&all, "c"));
    assert_eq!((b.1, b.2), (a.0, a.0));
    assert_eq!(event(&all, "in b"), (b.0, a.0));
    assert_eq!((c.1, c.2), (0, c.0), "a trace of its own: {all:#?}");
    assert_eq!(event(&all, "loose"), (0, 0), "{all:#?}");
}

#[test]
fn a_vector_of_spans_is_dropped_from_its_front_03() {
    let all = records(|| {
        let outer = span!("outer");
        drop((0..50).map(|_| span!("one of many")).collect::<Vec<_>>());
        info!("in outer");
        drop(outer);
        info!("loose");
    });
    assert_eq!(event(&all, "in outer").0, told_span(&all, "outer").0);
    assert_eq!(event(&all, "loose"), (0, 0));
}

#[test]
fn a_struct_whose_remote_parent_goes_before_its_span_03() {
    struct Request {
        _remote: throughline::AttachGuard,
        _span: throughline::Span,
    }
    let all = records(|| {
        let remote = attach(parent(7));
        drop(Request { _remote: remote, _span: span!("request") });
        assert_eq!(current(), None);
        info!("loose");
        drop(span!("next"));
    });
    let (request, next) = (told_span(&all, "request"), told_span(&all, "next"));
    assert!(remote(request.2) && request.1 == request.2, "{all:#?}");
    assert_eq!(event(&all, "loose"), (0, 0));
    assert_eq!((next.1, next.2), (0, next.0));
}

#[test]
fn guards_held_across_await_by_joined_futures_03() {
    let all = records(|| {
        let held = |name: &'static str| async move {
            let _span = if name == "left" { span!("left") } else { span!("right") };
            pause(1).await;
        };
        let (mut left, mut right) = (pin!(held("left")), pin!(held("right")));
        assert!(poll(&mut left).is_pending() && poll(&mut right).is_pending());
        assert!(poll(&mut left).is_ready());
        info!("in right");
        assert!(poll(&mut right).is_ready());
        info!("loose");
    });
    assert_eq!(event(&all, "in right").0, told_span(&all, "right").0);
    assert_eq!(event(&all, "loose"), (0, 0));
}

#[test]
fn guards_held_across_await_belong_to_their_own_future_03() {
    let all = records(|| {
        let job = |name: &'static str| {
            let work = async move {
                let _inner = if name == "one" { span!("in one") } else { span!("in two") };
                pause(1).await;
                if name == "one" { info!("end of one") } else { info!("end of two") }
            };
            work.instrument(if name == "one" { span!("one") } else { span!("two") })
        };
        let (mut one, mut two) = (pin!(job("one")), pin!(job("two")));
        assert!(poll(&mut one).is_pending());
        info!("between");
        assert!(poll(&mut two).is_pending());
        assert!(poll(&mut one).is_ready() && poll(&mut two).is_ready());
        info!("after");
    });
    for name in ["one", "two"] {
        let (job, inner) = (told_span(&all, name), told_span(&all, &format!("in {name}")));
        assert_eq!((job.1, inner.1, inner.2), (0, job.0, job.0), "{all:#?}");
        assert_eq!(event(&all, &format!("end of {name}")), (inner.0, job.0), "{all:#?}");
    }
    assert_eq!((event(&all, "between"), event(&all, "after")), ((0, 0), (0, 0)));
}

#[test]
fn contexts_left_in_any_order_03() {
    let all = records(|| {
        let outer = span!("outer");
        let here = outer.context();
        let first = here.enter();
        let second = here.enter();
        let inner = span!("inner");
        drop(first);
        drop(outer);
        info!("in inner");
        drop(inner);
        info!("in outer's place");
        drop(second);
        info!("loose");
    });
    let (outer, inner) = (told_span(&all, "outer"), told_span(&all, "inner"));
    assert_eq!(inner.1, outer.0);
    assert_eq!(event(&all, "loose"), (0, 0), "{all:#?}");
    if usize::BITS == 64 {
        assert_eq!(event(&all, "in inner").0, inner.0);
        assert_eq!(event(&all, "in outer's place").0, outer.0);
    } else {
        // A 32-bit machine cannot distinguish two entries of one place, so nothing is current rather than the
        // wrong place.
        assert_eq!((event(&all, "in inner"), event(&all, "in outer's place")), ((0, 0), (0, 0)));
    }
}

#[test]
fn what_cannot_be_remembered_is_not_current_03() {
    let all = records(|| {
        // Drop every second span first, which leaves as many runs of ended spans as there are spans left.
        let mut spans: Vec<_> = (0..100).map(|_| Some(span!("one of many"))).collect();
        spans.iter_mut().step_by(2).for_each(|span| drop(span.take()));
        info!("forgotten");
        let next = span!("next");
        drop(spans);
        info!("in next");
        drop(next);
        info!("loose");
        drop(span!("last"));
    });
    let (next, last) = (told_span(&all, "next"), told_span(&all, "last"));
    assert_eq!(event(&all, "forgotten"), (0, 0));
    assert_eq!((next.1, event(&all, "in next")), (0, (next.0, next.0)));
    assert_eq!((event(&all, "loose"), last.1), ((0, 0), 0));
}

#[test]
fn a_span_gives_its_own_place_10() {
    let all = records(|| {
        let outer = span!("outer");
        let inner = span!("inner");
        let place = outer.context();
        assert_ne!(place, Context::current());
        assert_eq!(inner.context(), Context::current());
        let _there = place.enter();
        drop(span!("below outer"));
    });
    assert_eq!(told_span(&all, "below outer").1, told_span(&all, "outer").0);
}

#[test]
fn a_future_runs_in_the_span_it_was_given_though_another_is_current_10() {
    let all = records(|| {
        let given = span!("given");
        let _other = span!("other");
        let mut future = pin!(async { info!("inside") }.instrument(given));
        assert!(poll(&mut future).is_ready());
        info!("outside");
    });
    assert_eq!(event(&all, "inside").0, told_span(&all, "given").0);
    assert_eq!(event(&all, "outside").0, told_span(&all, "other").0);
}

struct Talks(&'static str);

impl Drop for Talks {
    fn drop(&mut self) {
        if self.0 == "held" { info!("held goes") } else { info!("other goes") }
    }
}

#[test]
fn what_a_cancelled_future_holds_is_dropped_in_its_span_13() {
    let all = records(|| {
        let work = async {
            let _held = Talks("held");
            let _inner = span!("inner");
            pause(1).await;
        };
        let mut future = Box::pin(work.instrument(span!("work")));
        assert!(poll(&mut future.as_mut()).is_pending());
        drop(future);
        info!("after");
    });
    let (work, inner) = (told_span(&all, "work"), told_span(&all, "inner"));
    assert_eq!(inner.1, work.0);
    assert_eq!(event(&all, "held goes"), (work.0, work.0), "{all:#?}");
    assert_eq!(event(&all, "after"), (0, 0));
    assert!(matches!(
        common::one(&all, "work"),
        common::Told::Span { status: throughline::Status::Cancelled, .. }
    ));
}

#[cfg(feature = "std")]
mod panics {
    use super::*;
    use common::{Told, one};
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use throughline::Status;

    fn status(all: &[Told], name: &str) -> (Status, Option<u64>) {
        match one(all, name) {
            Told::Span { status, busy, .. } => (*status, *busy),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_panic_that_leaves_a_span_is_its_error_37() {
        let all = records(|| {
            let result = catch_unwind(|| {
                let _outer = span!("outer");
                let _fields = span!("with fields", a = 1, b = 2, c = 3);
                let mut _said = span!("said");
                _said.set_status(Status::Ok);
                // Unwind with a value instead of a panic message, so that nothing is printed.
                resume_unwind(Box::new("left"));
            });
            assert!(result.is_err());
            drop(span!("after"));
        });
        for (name, is) in [
            ("outer", Status::Error),
            ("with fields", Status::Error),
            ("said", Status::Ok),
            ("after", Status::Unset),
        ] {
            assert_eq!(status(&all, name).0, is, "{name}");
        }
    }

    #[test]
    fn a_future_that_panics_has_failed_and_was_busy_meanwhile_37() {
        let all = records(|| {
            let work = async {
                pause(1).await;
                let until = std::time::Instant::now() + std::time::Duration::from_millis(2);
                while std::time::Instant::now() < until {}
                resume_unwind(Box::new("left"));
            };
            let mut future = Box::pin(work.instrument(span!("work")));
            assert!(poll(&mut future.as_mut()).is_pending());
            assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut future.as_mut()))).is_err());
            info!("between");
            drop(future);
        });
        let (status, busy) = status(&all, "work");
        assert_eq!(status, Status::Error);
        // Two milliseconds, on the slowest processor clock.
        assert!(
            busy.unwrap() > 2_000 || cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))),
            "{busy:?}"
        );
        assert_eq!(event(&all, "between"), (0, 0));
    }

    #[test]
    fn a_future_that_a_panic_takes_down_was_not_cancelled_37() {
        let all = records(|| {
            let result = catch_unwind(AssertUnwindSafe(|| {
                let mut future = Box::pin(pause(1).instrument(span!("work")));
                assert!(poll(&mut future.as_mut()).is_pending());
                resume_unwind(Box::new("left"));
            }));
            assert!(result.is_err());
        });
        assert_eq!(status(&all, "work").0, Status::Error);
    }
}
