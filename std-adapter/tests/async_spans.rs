//! Spans of futures, and fields that come late: busy time, cancellation, futures that move between threads.

mod support;

use support::in_own_process;
use support::receiver::{Receiver, attribute, int, text};
use support::service::{LONG, config, find, start};
use throughline::{Context, info, record, span};
use throughline_std::DropReason;

#[test]
fn async_spans_have_busy_time_and_cancelled_ones_say_so() {
    use throughline::Instrument;
    in_own_process("async_spans_have_busy_time_and_cancelled_ones_say_so", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut done = Box::pin(async { info!("polled") }.instrument(span!("done")));
        assert!(std::future::Future::poll(done.as_mut(), &mut context).is_ready());
        let mut cancelled = Box::pin(std::future::pending::<()>().instrument(span!("cancelled")));
        assert!(std::future::Future::poll(cancelled.as_mut(), &mut context).is_pending());
        drop((done, cancelled));
        assert!(guard.shutdown(LONG).complete);
        receiver.with(|r| {
            let (done, cancelled) = (find(&r.spans, "done"), find(&r.spans, "cancelled"));
            let took = (done.end_time_unix_nano - done.start_time_unix_nano) as i64;
            let (busy, idle) =
                (int(&done.attributes, "busy_ns").unwrap(), int(&done.attributes, "idle_ns").unwrap());
            assert_eq!(busy + idle, took);
            assert_eq!(r.logs[0].span_id, done.span_id);
            assert!(attribute(&cancelled.attributes, "throughline.cancelled").is_some());
            assert!(cancelled.status.is_none());
        });
    });
}

/// A future that is ready at its second poll.
struct Twice(bool);

impl Future for Twice {
    type Output = ();
    fn poll(mut self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    }
}

#[test]
fn a_future_that_moves_between_threads_keeps_its_fields() {
    use throughline::Instrument;
    const TASKS: u64 = 20_000;
    in_own_process("a_future_that_moves_between_threads_keeps_its_fields", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).ring_slots(1 << 16));
        let (to_other, from_here) = std::sync::mpsc::sync_channel::<Box<dyn FnOnce() + Send>>(1);
        let other = std::thread::spawn(move || from_here.into_iter().for_each(|task| task()));
        for n in 0..TASKS {
            let mut task = Box::pin(Twice(false).instrument(span!("job", user = "ann", n)));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(task.as_mut().poll(&mut context).is_pending());
            let finish = move || {
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(task.as_mut().poll(&mut context).is_ready());
            };
            to_other.send(Box::new(finish)).unwrap();
        }
        drop(to_other);
        other.join().unwrap();
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{report:?}");
        assert_eq!(report.ledger.pump.dropped_total(), 0, "{}", report.ledger);
        receiver.with(|r| {
            assert_eq!(r.spans.len() as u64, TASKS - report.ledger.ring.dropped_total());
            let with_user = r.spans.iter().filter(|s| text(&s.attributes, "user").is_some()).count();
            assert_eq!(with_user, r.spans.len());
        });
    });
}

/// The rings of threads are not read in the order in which a future was on them.
#[test]
fn the_last_value_of_a_field_is_that_of_the_last_poll_on_whatever_thread() {
    use std::sync::mpsc::{Sender, channel};
    use throughline::Instrument;
    type Task = Box<dyn FnOnce() + Send>;
    type Job = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
    fn polled(mut job: Job) -> Job {
        let _ = job.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        job
    }
    in_own_process("the_last_value_of_a_field_is_that_of_the_last_poll_on_whatever_thread", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver));
        let threads: [_; 2] = std::array::from_fn(|_| {
            let (give, tasks) = channel::<Task>();
            (give, std::thread::spawn(move || tasks.into_iter().for_each(|task| task())))
        });
        for n in 0..100_usize {
            let mut polls = 0_u64;
            let job = std::future::poll_fn(move |_| {
                polls += 1;
                record!(current, attempts = polls);
                if polls == 3 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            });
            let mut job: Job = Box::pin(job.instrument(span!("job", n)));
            // On one, on the other, and on the first one again.
            for turn in 0..3 {
                let (done, wait) = channel();
                let on: &Sender<Task> = &threads[(n + turn) % 2].0;
                on.send(Box::new(move || done.send(polled(job)).unwrap())).unwrap();
                job = wait.recv().unwrap();
            }
        }
        for (give, thread) in threads {
            drop(give);
            thread.join().unwrap();
        }
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{report:?}");
        receiver.with(|r| {
            let attempts: Vec<_> = r.spans.iter().map(|span| int(&span.attributes, "attempts")).collect();
            assert_eq!(attempts, [Some(3); 100]);
        });
    });
}

#[test]
fn fields_for_a_span_that_has_ended_are_counted() {
    in_own_process("fields_for_a_span_that_has_ended_are_counted", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver));
        let span = span!("short");
        let here = Context::current();
        drop(span);
        {
            let _there = here.enter();
            record!(current, late = true);
        }
        let report = guard.shutdown(LONG);
        assert!(report.in_time, "{report:?}");
        assert_eq!(report.ledger.pump.dropped_for(DropReason::Unclaimed), 1, "{}", report.ledger);
        receiver.with(|r| assert!(attribute(&r.spans[0].attributes, "late").is_none()));
    });
}
