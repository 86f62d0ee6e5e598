//! Random orders of begin, end, attach, detach, enter, leave, poll and drop across tasks and threads,
//! compared with a plain model. The model is a list of the guards that are alive, of which the last one is
//! current; each task has its own list.
#![cfg(not(loom))]

mod common;

use common::{Told, alone, drain, on_recorder, remote};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Task, Poll, Waker};
use throughline::adapter::record::Record;
use throughline::{AttachGuard, Context, ContextGuard, Instrument, Span, TraceContext, attach, info, span};

/// A step of a thread, or of a task during a poll.
#[derive(Clone, Debug)]
enum Op {
    Begin,
    BeginRoot,
    Attach,
    /// Enter the place of a span that is alive or has been.
    Enter(prop::sample::Index),
    /// Drop any guard of this thread or task.
    End(prop::sample::Index),
    Event,
    /// Start a task in its own span. Not inside a task.
    Spawn,
    /// Poll a task once: it does some steps and then waits. Not inside a task.
    Poll(prop::sample::Index, Vec<Op>),
    /// Drop a task before it completes. Not inside a task.
    Cancel(prop::sample::Index),
}

fn ops(depth: u32) -> BoxedStrategy<Op> {
    let index = any::<prop::sample::Index>;
    let plain = prop_oneof![
        4 => Just(Op::Begin),
        1 => Just(Op::BeginRoot),
        2 => Just(Op::Attach),
        2 => index().prop_map(Op::Enter),
        6 => index().prop_map(Op::End),
        3 => Just(Op::Event),
    ];
    if depth == 0 {
        return plain.boxed();
    }
    prop_oneof![
        8 => plain,
        1 => Just(Op::Spawn),
        3 => (index(), prop::collection::vec(ops(depth - 1), 0..8)).prop_map(|(i, ops)| Op::Poll(i, ops)),
        1 => index().prop_map(Op::Cancel),
    ]
    .boxed()
}

/// A place in the model: the local ids of the span and of its root; zeros outside any span.
type Place = (usize, usize);

enum Guard {
    Span(#[allow(dead_code)] Span),
    Attach(#[allow(dead_code)] AttachGuard),
    Context(#[allow(dead_code)] ContextGuard),
}

/// The guards of a thread or a task in the order in which they were made, each with the place that it makes
/// current.
#[derive(Default)]
struct Line {
    /// The place without any guard: outside, or the task's span.
    base: Place,
    guards: Vec<(Guard, Place)>,
}

impl Line {
    fn current(&self) -> Place {
        self.guards.last().map_or(self.base, |(_, place)| *place)
    }
}

/// What the records must contain.
#[derive(Debug, PartialEq)]
enum Said {
    /// The id of the parent, and that of the root.
    Span(usize, Place),
    Event(Place),
}

struct World {
    said: Vec<Said>,
    /// Places that have been current.
    places: Vec<(Context, Place)>,
    /// Spans that are entered.
    entered: Vec<usize>,
    next: usize,
}

impl World {
    /// The id that the next span or remote parent gets.
    fn id(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// The id that a span gets here. Without a recorder per thread, a 32-bit machine skips an id directly
    /// below a remote span.
    fn span_id(&mut self, now: Place, apart: bool) -> usize {
        if cfg!(not(feature = "std")) && usize::BITS == 32 && now.0 & REMOTE != 0 && !apart {
            self.id();
        }
        self.id()
    }

    fn step(&mut self, line: &mut Line, op: &Op) {
        let now = line.current();
        match op {
            Op::Begin | Op::BeginRoot => {
                let apart = matches!(op, Op::BeginRoot);
                let span = if apart { span!(root: true, "apart") } else { span!("span") };
                let id = self.span_id(now, apart);
                let place = if apart || now.0 == 0 { (id, id) } else { (id, now.1) };
                self.said.push(Said::Span(id, if place.1 == id { (0, id) } else { (now.0, now.1) }));
                self.places.push((span.context(), place));
                line.guards.push((Guard::Span(span), place));
            }
            Op::Attach => {
                let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
                let guard = attach(TraceContext::parse(header).unwrap());
                let id = REMOTE | self.id();
                line.guards.push((Guard::Attach(guard), (id, id)));
                self.places.push((Context::current(), (id, id)));
            }
            Op::Enter(index) if !self.places.is_empty() => {
                let (context, place) = *index.get(&self.places);
                // A 32-bit machine cannot distinguish two entries of one place.
                if usize::BITS == 32 && self.entered.contains(&place.0) {
                    return;
                }
                self.entered.push(place.0);
                line.guards.push((Guard::Context(context.enter()), place));
            }
            Op::End(index) if !line.guards.is_empty() => {
                let (guard, place) = line.guards.remove(index.index(line.guards.len()));
                if let Guard::Context(_) = guard {
                    self.entered.retain(|span| *span != place.0);
                }
                drop(guard);
            }
            Op::Event => {
                info!("event");
                self.said.push(Said::Event(now));
            }
            _ => {}
        }
        #[cfg(feature = "thread-context")]
        assert_eq!(common::seen_outside(), throughline::current());
        info!("check");
        self.said.push(Said::Event(line.current()));
    }
}

const REMOTE: usize = if usize::BITS == 64 { 1 << (usize::BITS - 2) } else { 1 << (usize::BITS - 1) };

/// The steps of a task's next poll, and its guards, which live in the future.
#[derive(Default)]
struct Plan {
    ops: Vec<Op>,
    done: bool,
}

struct Work {
    plan: Rc<RefCell<Plan>>,
    world: Rc<RefCell<World>>,
    line: Line,
}

impl Future for Work {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<()> {
        let this = &mut *self;
        let plan = this.plan.borrow();
        let mut world = this.world.borrow_mut();
        plan.ops.iter().for_each(|op| world.step(&mut this.line, op));
        if plan.done {
            // Drop the guards from the front, which a stack never does.
            this.line.guards.drain(..).for_each(drop);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

type Running = (Pin<Box<dyn Future<Output = ()>>>, Rc<RefCell<Plan>>);

/// Runs the steps and compares every record with the model.
fn run(ops: &[Op], first: usize) -> Vec<Said> {
    let world = World { said: vec![], places: vec![], entered: vec![], next: first };
    let world = Rc::new(RefCell::new(world));
    let mut line = Line::default();
    let mut tasks: Vec<Running> = vec![];
    for op in ops {
        match op {
            Op::Spawn => {
                let mut world_ = world.borrow_mut();
                let now = line.current();
                let span = span!("task");
                let id = world_.span_id(now, false);
                let root = if now.0 == 0 { id } else { now.1 };
                let base = (id, root);
                world_.entered.push(id);
                world_.said.push(Said::Span(id, if now.0 == 0 { (0, id) } else { (now.0, root) }));
                let plan = Rc::new(RefCell::new(Plan::default()));
                let line = Line { base, guards: vec![] };
                let work = Work { plan: Rc::clone(&plan), world: Rc::clone(&world), line };
                tasks.push((Box::pin(work.instrument(span)), plan));
            }
            Op::Poll(index, ops) if !tasks.is_empty() => {
                let at = index.index(tasks.len());
                let (task, plan) = &mut tasks[at];
                *plan.borrow_mut() = Plan { ops: ops.clone(), done: ops.len() % 4 == 3 };
                if task.as_mut().poll(&mut Task::from_waker(Waker::noop())).is_ready() {
                    drop(tasks.remove(at));
                }
            }
            Op::Cancel(index) if !tasks.is_empty() => drop(tasks.remove(index.index(tasks.len()))),
            Op::Poll(..) | Op::Cancel(_) => {}
            plain => world.borrow_mut().step(&mut line, plain),
        }
        // Whatever a task did, the thread is back at its place.
        world.borrow_mut().step(&mut line, &Op::Event);
    }
    drop(tasks);
    line.guards.drain(..).for_each(|(guard, _)| drop(guard));
    world.borrow_mut().step(&mut line, &Op::Event);
    std::mem::take(&mut world.borrow_mut().said)
}

/// The records in the form of the model: spans by id, events in order.
fn as_said(all: Vec<Told>) -> (Vec<(usize, Place)>, Vec<Place>) {
    let (mut spans, mut events) = (vec![], vec![]);
    for told in all {
        match told {
            Told::Span { id, parent, root, .. } => spans.push((id, (parent, root))),
            Told::Event { span, root, .. } => events.push((span, root)),
            _ => {}
        }
    }
    spans.sort();
    (spans, events)
}

/// The id that the next span of this recorder gets: a remote parent takes the id before it.
fn next_id(recorder: &'static throughline::Recorder) -> usize {
    drop(attach(TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap()));
    let mut next = 0;
    recorder.ring().reader().unwrap().drain(|raw| {
        if let Some(Record::Attach { id, .. }) = Record::parse(raw) {
            assert!(remote(id));
            next = (id & !REMOTE) + 1;
        }
    });
    next
}

/// Runs several lists of steps one after the other on a new recorder.
fn check(runs: Vec<Vec<Op>>) -> Result<(), TestCaseError> {
    on_recorder(move |recorder| runs.iter().try_for_each(|ops| check_run(recorder, ops)))
}

fn check_run(recorder: &'static throughline::Recorder, ops: &[Op]) -> Result<(), TestCaseError> {
    let first = next_id(recorder);
    let before = recorder.forgotten();
    let said = run(ops, first);
    let (told, forgotten) = (drain(recorder), recorder.forgotten() != before);
    let shown = ops;
    let (spans, events) = as_said(told);
    let (mut expected_spans, mut expected_events) = (vec![], vec![]);
    for said in said {
        match said {
            Said::Span(id, place) => expected_spans.push((id, place)),
            Said::Event(place) => expected_events.push(place),
        }
    }
    expected_spans.sort();
    prop_assert_eq!(events.last(), Some(&(0, 0)), "nothing is current at the end: {:?}", shown);
    if !forgotten {
        prop_assert_eq!(spans, expected_spans, "{:?}", shown);
        prop_assert_eq!(events, expected_events, "{:?}", shown);
    } else {
        // If the place could not be remembered, nothing is current; another trace never is.
        prop_assert_eq!(spans.len(), expected_spans.len());
        for (event, expected) in events.iter().zip(&expected_events) {
            // Ids may differ by then, so nothing more can be checked in a remote trace.
            let other =
                remote(event.1) || spans.iter().any(|(id, (parent, _))| *parent == 0 && *id == event.1);
            let fine = event.1 == expected.1 || *event == (0, 0) || other;
            prop_assert!(fine, "{:?} for {:?} of {:?}: {:?}", event, expected, spans, shown);
        }
    }
    Ok(())
}

#[test]
fn what_is_current_is_what_a_plain_model_says_03() {
    let _alone = alone();
    let cases = if cfg!(miri) { 2 } else { 500 };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let (most_ops, most_runs) = if cfg!(miri) { (20, 3) } else { (40, 6) };
    let runs = prop::collection::vec(prop::collection::vec(ops(1), 0..most_ops), 1..most_runs);
    TestRunner::new(config).run(&runs, check).unwrap_or_else(|e| panic!("{e}"));
}
