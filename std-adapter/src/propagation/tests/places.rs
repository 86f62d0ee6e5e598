//! The current baggage: in guards that go in any order, in futures, tasks and threads.

use super::super::{Baggage, Carried, FullContext, Propagate};
use proptest::prelude::*;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

fn with(name: &str) -> FullContext {
    let mut baggage = Baggage::default();
    baggage.set(name, "1");
    FullContext::current().with_baggage(baggage)
}

fn now() -> String {
    FullContext::current().baggage().to_string()
}

/// Is ready the second time that it is polled.
#[derive(Default)]
struct Once(bool);

impl Future for Once {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn poll(future: Pin<&mut impl Future>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn the_innermost_guard_alive_counts_in_whatever_order_guards_go() {
    let (a, b) = (with("a"), with("b"));
    let first = a.enter();
    let second = b.enter();
    assert_eq!(now(), "b=1");
    drop(first);
    assert_eq!(now(), "b=1");
    let third = a.enter();
    drop(second);
    assert_eq!(now(), "a=1");
    drop(third);
    assert_eq!(now(), "");
}

#[test]
fn a_future_has_its_own_baggage_and_what_it_holds_is_not_current_between_polls() {
    let work = async {
        assert_eq!(now(), "outer=1");
        let inner = with("inner");
        let guard = inner.enter();
        Once::default().await;
        assert_eq!(now(), "inner=1", "held across the await");
        drop(guard);
        assert_eq!(now(), "outer=1");
        Once::default().await;
    };
    let mut work = pin!(work.in_context(with("outer")));
    let here = with("here");
    let _here = here.enter();
    for _ in 0..2 {
        assert!(!poll(work.as_mut()));
        assert_eq!(now(), "here=1");
    }
    assert!(poll(work.as_mut()));
    assert_eq!(now(), "here=1");
}

#[test]
fn a_spawned_task_and_a_thread_take_it_along() {
    let here = with("here");
    let guard = here.enter();
    let task = async { now() }.in_current_context();
    let there = FullContext::current();
    drop(guard);
    let result = std::thread::spawn(move || {
        let mut task = pin!(task);
        let Poll::Ready(of_task) = task.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("it waits for nothing")
        };
        let _there = there.enter();
        (of_task, now())
    });
    assert_eq!(result.join().unwrap(), ("here=1".to_owned(), "here=1".to_owned()));
    assert_eq!(now(), "");
}

#[test]
fn a_panic_in_a_poll_leaves_nothing_behind() {
    let mut work = Box::pin(
        async {
            let inner = with("inner");
            let _guard = inner.enter();
            panic!("as expected");
        }
        .in_context(with("outer")),
    );
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(work.as_mut())));
    assert!(panicked.is_err());
    assert_eq!(now(), "");
}

#[test]
fn without_a_recorder_baggage_still_travels() {
    let carried = Carried { baggage: Baggage::parse("a=1"), ..Carried::default() };
    let _guard = carried.enter();
    assert_eq!(Carried::current(), carried);
}

/// What a task does between two polls of others.
#[derive(Clone, Debug)]
enum Op {
    Enter(u8),
    /// Drops one of the guards that are alive.
    Leave(prop::sample::Index),
    Wait,
    /// Runs a task of its own to its end, with the context of the place.
    Inner(Vec<Op>),
}

fn op() -> impl Strategy<Value = Op> {
    let simple = prop_oneof![
        any::<u8>().prop_map(Op::Enter),
        any::<prop::sample::Index>().prop_map(Op::Leave),
        Just(Op::Wait),
    ];
    simple.prop_recursive(
        3,
        24,
        6,
        |op| prop_oneof![3 => op.clone(), 1 => prop::collection::vec(op, 0..6).prop_map(Op::Inner)],
    )
}

/// Runs the operations and compares what is current with a list of the guards that are alive.
fn run(ops: Vec<Op>, outer: String) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        let mut alive = Vec::new();
        for op in ops {
            match op {
                Op::Enter(n) => {
                    let name = format!("k{n}");
                    alive.push((with(&name).enter(), format!("{name}=1")));
                }
                Op::Leave(_) if alive.is_empty() => {}
                Op::Leave(which) => drop(alive.remove(which.index(alive.len()))),
                Op::Wait => Once::default().await,
                Op::Inner(ops) => {
                    let here = now();
                    run(ops, here).in_current_context().await;
                }
            }
            let expected = alive.last().map_or(&outer, |(_, baggage)| baggage);
            assert_eq!(&now(), expected);
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn tasks_that_take_turns_see_their_own_baggage_only(
        tasks in prop::collection::vec(prop::collection::vec(op(), 0..20), 1..6),
        turns in prop::collection::vec(any::<prop::sample::Index>(), 0..200),
    ) {
        let spawn = |(i, ops)| {
            let name = format!("task{i}");
            Some(Box::pin(run(ops, format!("{name}=1")).in_context(with(&name))))
        };
        let mut tasks: Vec<_> = tasks.into_iter().enumerate().map(spawn).collect();
        let all = tasks.len();
        for at in turns.iter().map(|turn| turn.index(all)).chain((0..all).cycle().take(all * 300)) {
            if let Some(task) = &mut tasks[at] && poll(task.as_mut()) {
                tasks[at] = None;
            }
            prop_assert_eq!(now(), "");
        }
        prop_assert!(tasks.iter().all(Option::is_none));
    }
}
