//! Random schedules of writers, readers and a clock that wraps, from macro to decoder: every record's time is
//! decoded with all its bits.
//!
//! On a 64-bit host the clock never wraps, and this checks only the time deltas of the wire format. It is
//! meant for a target with 32-bit words, where a record holds the low half of its time: `cargo xtask test
//! --only unit-32`.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use throughline::adapter::ring::{Head, Mode, RecordKind, Word};
use throughline::{Clock, Instrument, Recorder, Slots, Span, clock::mock, info, span};
use throughline_decode::{Decoder, Item, OwnedValue};
use throughline_embedded::{Config, Flusher, init};

/// Serialises the tests, because a process has only one clock and one recorder that the macros use.
static ALONE: Mutex<()> = Mutex::new(());

/// The longest time in ticks between two calls of `mark_clock` that its documentation allows.
const MARK_WITHIN: u64 = (1 << 31) - (1 << 16);

/// How many ticks a record's time may be before that of a record reserved earlier.
const BACK: u64 = 1 << 29;

#[derive(Clone, Debug)]
enum Step {
    /// Time passes, in ticks.
    Wait(u64),
    /// This many events are recorded.
    Events(usize),
    /// An event whose context read the clock and was then interrupted for this long.
    Late(u64),
    Begin,
    End,
    /// A task begins.
    Spawn,
    /// The task is polled, which takes this many ticks; it is done after the fourth poll.
    Poll(u64),
    /// The link takes this many frames, or all of them.
    Flush(Option<usize>),
}

fn ticks() -> impl Strategy<Value = u64> {
    prop_oneof![
        // From a tick to 2^36 ticks, with the same probability for each magnitude.
        4 => (0_u32..36, any::<u64>()).prop_map(|(bits, low)| 1 << bits | low & ((1 << bits) - 1)),
        // Close to multiples of every interval at which a decision changes.
        1 => (1_u64..40, 0_u64..5).prop_map(|(n, more)| (n << 29) + more - 2),
        1 => (1_u64..4, 0_u64..5).prop_map(|(n, more)| n * MARK_WITHIN + more - 2),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => ticks().prop_map(Step::Wait),
        6 => (1_usize..12).prop_map(Step::Events),
        1 => Just(Step::Events(80)),
        2 => (0..BACK).prop_map(Step::Late),
        4 => Just(Step::Begin),
        4 => Just(Step::End),
        1 => Just(Step::Spawn),
        3 => (0_u64..1 << 32).prop_map(Step::Poll),
        3 => Just(Step::Flush(None)),
        3 => (1_usize..4).prop_map(|n| Step::Flush(Some(n))),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What a decoded record must say: an event's time, or a span's start, duration and busy time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    Event(u64),
    Span(u64, u64, Option<u64>),
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    number: usize,
    begun: u64,
    busy: u64,
    polls: usize,
}

struct Device {
    recorder: &'static Recorder,
    flusher: Flusher,
    now: Rc<Now>,
    numbers: usize,
    truth: HashMap<usize, Truth>,
    spans: Vec<(Span, usize, u64)>,
    task: Option<Task>,
    sent: Vec<u8>,
    /// When the link last took everything.
    emptied: u64,
}

/// All 64 bits of the time, of which the device's clock shows the low word.
struct Now {
    recorder: &'static Recorder,
    ticks: Cell<u64>,
    marked: Cell<u64>,
}

impl Now {
    /// Lets time pass, and marks the clock as often as its documentation demands.
    fn wait(&self, ticks: u64) {
        let until = self.ticks.get() + ticks;
        while until - self.marked.get() > MARK_WITHIN {
            self.set(self.marked.get() + MARK_WITHIN);
            self.mark();
        }
        self.set(until);
    }

    fn set(&self, ticks: u64) {
        self.ticks.set(ticks);
        mock::set(ticks as Word);
    }

    fn mark(&self) {
        assert_eq!(self.recorder.mark_clock(), self.ticks.get());
        self.marked.set(self.ticks.get());
    }
}

impl Device {
    fn new(recorder: &'static Recorder, start: u32) -> Device {
        mock::set(start as Word);
        let now = u64::from(start);
        Device {
            recorder,
            flusher: init(recorder, Config { name: "clock", ..Config::DEFAULT }),
            now: Rc::new(Now { recorder, ticks: Cell::new(now), marked: Cell::new(now) }),
            numbers: 0,
            truth: HashMap::new(),
            spans: vec![],
            task: None,
            sent: vec![],
            emptied: now,
        }
    }

    fn number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers
    }

    fn event(&mut self) {
        let n = self.number();
        info!("event", n);
        self.truth.insert(n, Truth::Event(self.now.ticks.get()));
    }

    /// Reserves and writes an event now, for a context that read the clock `by` ticks ago.
    fn late(&mut self, by: u64) {
        const U32: u32 = 2;
        let n = self.number();
        let time = self.now.ticks.get().saturating_sub(by);
        let head = Head::new(RecordKind::Event, 7, 0, U32);
        self.recorder.ring().push(head, &[time as Word, 0, 0, n], time as Word);
        self.truth.insert(n, Truth::Event(time));
    }

    fn end_span(&mut self) {
        if let Some((span, n, begun)) = self.spans.pop() {
            drop(span);
            self.truth.insert(n, Truth::Span(begun, self.now.ticks.get() - begun, None));
        }
    }

    fn spawn(&mut self) {
        if self.task.is_some() {
            return;
        }
        let number = self.number();
        let now = self.now.clone();
        let work = poll_fn(move |_| {
            let (ticks, done) = POLL.get();
            now.wait(ticks);
            if done { Poll::Ready(()) } else { Poll::Pending }
        });
        let future = Box::pin(work.instrument(span!("task", n = number)));
        self.task = Some(Task { future, number, begun: self.now.ticks.get(), busy: 0, polls: 0 });
    }

    fn poll(&mut self, ticks: u64) {
        let Some(task) = &mut self.task else { return };
        task.polls += 1;
        task.busy += ticks;
        POLL.set((ticks, task.polls == 4));
        if task.future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            let took = self.now.ticks.get() - task.begun;
            self.truth.insert(task.number, Truth::Span(task.begun, took, Some(task.busy)));
            self.task = None;
        }
    }

    fn flush(&mut self, frames: Option<usize>) {
        // A device does not tell apart two standstills of more than 7 · 2^29 ticks in one ring; see
        // `timeline`.
        let all = frames.is_none() || self.now.ticks.get() - self.emptied > 1 << 31;
        self.now.mark();
        for _ in 0..if all { usize::MAX } else { frames.unwrap_or(0) } {
            let Some(frame) = self.flusher.frame(192) else {
                self.emptied = self.now.ticks.get();
                break;
            };
            self.sent.extend_from_slice(frame);
            self.flusher.sent();
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait(ticks) => self.now.wait(ticks),
            Step::Events(n) => (0..n).for_each(|_| self.event()),
            Step::Late(by) => self.late(by),
            Step::Begin => {
                let n = self.number();
                self.spans.push((span!("span", n), n, self.now.ticks.get()));
            }
            Step::End => self.end_span(),
            Step::Spawn => self.spawn(),
            Step::Poll(ticks) => self.poll(ticks),
            Step::Flush(frames) => self.flush(frames),
        }
    }
}

thread_local! {
    /// How many ticks the next poll takes, and whether it is the last.
    static POLL: Cell<(u64, bool)> = const { Cell::new((0, false)) };
}

fn run(recorder: &'static Recorder, start: u32, steps: Vec<Step>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut device = Device::new(recorder, start);
    for step in steps {
        device.step(step);
    }
    device.flush(None);
    while !device.spans.is_empty() {
        device.end_span();
        device.flush(None);
    }
    // One more record carries the count of losses after the last one. The task is cancelled; its time is not
    // checked.
    let cancelled = u64::from(device.task.take().is_some());
    device.event();
    device.flush(None);

    let mut seen = HashMap::new();
    let mut see = |item: Item<'_, '_>| {
        let number = |values: Vec<OwnedValue>| match values[..] {
            [OwnedValue::U64(n)] => n as usize,
            ref other => panic!("{other:?}"),
        };
        let (fields, truth) = match item {
            Item::Event(event) => (event.fields, Truth::Event(event.time)),
            Item::Span(span) => (span.fields, Truth::Span(span.start, span.duration, span.busy)),
            _ => return,
        };
        let n = number(fields.map(|(_, value)| value.into()).collect());
        assert_eq!(seen.insert(n, truth), None, "record {n} came twice");
    };
    let mut decoder = Decoder::new(None, Default::default());
    decoder.push(&device.sent, None, &mut |_, item| see(item));
    decoder.finish(&mut |_, item| see(item));
    let balance = decoder.balance();
    assert!(balance.balances() && balance.undecoded == 0, "{balance:?}");
    assert_eq!(balance.decoded, seen.len() as u64);
    for (n, said) in &seen {
        // A cancelled task has no entry in `truth`.
        if let Some(truth) = device.truth.get(n) {
            assert_eq!(said, truth, "record {n} of {}", device.numbers);
        }
    }
    let missing = device.truth.keys().filter(|n| !seen.contains_key(n)).count() as u64;
    assert!(missing <= balance.device, "{missing} are missing, {} counted as lost", balance.device);
    if recorder.ring().mode() == Mode::SharedOldest {
        // Nothing else is lost, because a clock record that finds no room is not counted as a loss.
        assert!(balance.device - missing <= cancelled, "{} of {missing}", balance.device);
    }
}

/// A recorder for one run, never freed: a few hundred runs leak a few kilobytes each.
fn leaked(make: fn(&'static Slots<64>, Clock) -> Recorder) -> &'static Recorder {
    Box::leak(Box::new(make(Box::leak(Box::new(Slots::new())), Clock::mock())))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_time_comes_out_whole(start in any::<u32>(), steps in steps()) {
        run(leaked(Recorder::new), start, steps);
    }

    #[test]
    fn every_time_that_a_flight_recorder_keeps_comes_out_whole(start in any::<u32>(), steps in steps()) {
        run(leaked(Recorder::keep_newest), start, steps);
    }
}

/// The second of two frames begins while the ring is full, so no clock record fits. It takes the first record
/// after the frame before it, whose anchor dates from that frame's beginning. The record that is then
/// reserved in the freed room is known only by the second frame's anchor to be later than it.
#[test]
fn what_follows_two_standstills_comes_out_whole() {
    let steps = [
        // The first flush puts in a clock record; the others find no room for one.
        Step::Wait(1 << 30),
        Step::Flush(None),
        Step::Events(80),
        Step::Wait(MARK_WITHIN),
        Step::Flush(Some(1)),
        Step::Wait(MARK_WITHIN),
        Step::Events(1),
    ];
    run(leaked(Recorder::new), 0, steps.to_vec());
}

/// A clock record that found no room is still due one whole wrap later, when the clock shows the same low
/// word again.
#[test]
fn a_clock_record_stays_due_for_longer_than_a_wrap() {
    let steps = [
        // The clock is read and recorded after `MARK_WITHIN`.
        Step::Wait((1 << 32) - MARK_WITHIN),
        Step::Flush(None),
        Step::Events(80),
        Step::Wait(MARK_WITHIN),
        Step::Flush(Some(1)),
        // The clock is read again one wrap later.
        Step::Wait(2 * MARK_WITHIN - 2),
        Step::Events(1),
    ];
    run(leaked(Recorder::new), 0, steps.to_vec());
}
