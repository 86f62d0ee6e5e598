//! Runs one subject's operation on one and on two threads, and has criterion evaluate the samples.
//!
//! Each sample is a number of operations. If an operation leaves something behind, it runs in batches of
//! [`BATCH`], and the records are drained between batches with the clock stopped: nothing is lost, no queue
//! grows, and the figure is the cost for the observed code. Two threads begin each batch together and run at
//! full speed; the time is per operation and thread. Batches that the rest of the machine disturbed are run
//! again.

// Without the features `peers` and `criterion` some ways of measuring are unused.
#![cfg_attr(not(all(feature = "peers", feature = "criterion")), allow(dead_code))]

#[cfg(feature = "criterion")]
use std::path::Path;
use std::{
    hint::{self, black_box},
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

#[cfg(feature = "criterion")]
use criterion::Criterion;
#[cfg(feature = "criterion")]
use throughline_benches::estimates;
use throughline_benches::{Row, Unit};

use crate::{
    count,
    system::{self, preemptions},
};

/// Operations between two drains.
pub(crate) const BATCH: u64 = 512;

/// Spans of one trace: a root and its children.
pub(crate) const SPANS_PER_TRACE: u64 = 64;

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// One second per figure.
    Full,
    /// A quarter of a second per figure.
    Quick,
    /// A few operations without measuring, to check that every subject still runs.
    Smoke,
    /// For callgrind: see [`count`].
    Count,
}

/// The tools with which a subject measures itself.
pub(crate) struct Bench<'a> {
    pub(crate) path: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) target: &'a str,
    pub(crate) effort: Effort,
    /// Where criterion keeps its files.
    pub(crate) dir: PathBuf,
    /// What has been measured so far.
    pub(crate) rows: Vec<Row>,
}

impl Bench<'_> {
    /// Measures an operation that leaves nothing to drain, on one and two threads.
    ///
    /// `make(thread)` runs once on each thread; `op(local, n)` does the operation `n` times.
    pub(crate) fn steady<L>(&mut self, make: impl Fn(usize) -> L + Sync, op: impl Fn(&mut L, u64) + Sync) {
        self.one_and_two(None, make, op, |_| {});
    }

    /// Measures an operation that leaves a record. `drain` runs on the first thread after each batch, untimed.
    pub(crate) fn drained<L>(
        &mut self,
        make: impl Fn(usize) -> L + Sync,
        op: impl Fn(&mut L, u64) + Sync,
        drain: impl Fn(&mut L),
    ) {
        self.one_and_two(Some(BATCH), make, op, drain);
    }

    /// Measures an operation that does `per_call` things at once, on one thread only; the figure is per
    /// thing.
    pub(crate) fn bulk<L>(&mut self, per_call: u32, make: impl Fn() -> L, op: impl Fn(&mut L)) {
        if self.effort == Effort::Count {
            return count::bulk(per_call.into(), &mut make(), op, |_| ());
        }
        let op = |local: &mut L, n| {
            for _ in 0..n {
                op(local);
            }
        };
        self.alone(None, f64::from(per_call), &mut make(), op, |_| ());
    }

    /// Like [`bulk`](Self::bulk), for an operation that uses something up; `refill` restores it after each
    /// call, untimed.
    pub(crate) fn refilled<L>(
        &mut self,
        per_call: u32,
        make: impl Fn() -> L,
        op: impl Fn(&mut L),
        refill: impl Fn(&mut L),
    ) {
        if self.effort == Effort::Count {
            return count::bulk(per_call.into(), &mut make(), op, refill);
        }
        self.alone(Some(1), f64::from(per_call), &mut make(), |local, _| op(local), refill);
    }

    /// Notes a size, in bytes per operation.
    pub(crate) fn bytes(&mut self, bytes: f64) {
        self.rows.push(Row::new(self.path, self.subject, self.target, 1, Unit::Bytes, bytes, bytes));
    }

    fn one_and_two<L>(
        &mut self,
        batch: Option<u64>,
        make: impl Fn(usize) -> L + Sync,
        op: impl Fn(&mut L, u64) + Sync,
        drain: impl Fn(&mut L),
    ) {
        // Call the operation through an opaque pointer, so that one copy of the loop serves all subjects.
        // Copies would differ in their placement, which matters if an operation takes a single cycle.
        let op: &(dyn Fn(&mut L, u64) + Sync) = black_box(&op);
        let mut first = make(0);
        self.alone(batch, 1.0, &mut first, op, &drain);
        self.together(batch, &mut first, op, &drain, || {
            let mut second = make(1);
            move |n| op(&mut second, n)
        });
    }

    fn alone<L>(
        &mut self,
        batch: Option<u64>,
        per_call: f64,
        local: &mut L,
        op: impl Fn(&mut L, u64),
        drain: impl Fn(&mut L),
    ) {
        if self.effort == Effort::Count {
            return count::operations(local, op, drain);
        }
        let mut windows = Windows::new(batch);
        self.measure(1, per_call, |n| {
            windows.run(n, |n| {
                let window = timed(|| op(local, n));
                drain(local);
                Some(window.elapsed).filter(|_| !window.preempted).ok_or(window.elapsed)
            })
        });
        self.complain(&windows, 1);
    }

    /// Measures `op` on this thread while another thread runs what `second` makes.
    fn together<L, S: FnMut(u64)>(
        &mut self,
        batch: Option<u64>,
        local: &mut L,
        op: impl Fn(&mut L, u64),
        drain: impl Fn(&mut L),
        second: impl FnOnce() -> S + Send,
    ) {
        if self.effort == Effort::Count {
            return;
        }
        let mut windows = Windows::new(batch);
        let (meet, size, theirs) = (&Rendezvous::default(), &AtomicU64::new(0), &Mutex::new(None));
        thread::scope(|scope| {
            scope.spawn(move || {
                system::pin(1);
                let mut op = second();
                loop {
                    meet.wait();
                    let n = size.load(Ordering::Acquire);
                    if n == 0 {
                        return;
                    }
                    let window = timed(|| op(n));
                    *theirs.lock().expect("no panic goes on") = Some(window);
                    meet.wait();
                }
            });
            system::pin(0);
            self.measure(2, 1.0, |n| {
                windows.run(n, |n| {
                    size.store(n, Ordering::Release);
                    meet.wait();
                    let mine = timed(|| op(local, n));
                    meet.wait();
                    drain(local);
                    let theirs = theirs.lock().expect("no panic goes on").take().expect("both ran");
                    let mean = (mine.elapsed + theirs.elapsed) / 2;
                    let apart = mine.start.max(theirs.start) - mine.start.min(theirs.start);
                    let beside = apart <= Duration::from_micros(1) + mine.elapsed.min(theirs.elapsed) / 20;
                    if beside && !mine.preempted && !theirs.preempted { Ok(mean) } else { Err(mean) }
                })
            });
            size.store(0, Ordering::Release);
            meet.wait();
        });
        self.complain(&windows, 2);
    }

    fn complain(&self, windows: &Windows, threads: u32) {
        let Windows { run, disturbed, believed, .. } = windows;
        if self.effort != Effort::Smoke && (*disturbed > run / 10 || *believed > 0) {
            eprintln!(
                "{}/{}, {threads} threads: the machine is busy; {disturbed} of {run} windows were disturbed and run again, \
                 {believed} taken all the same",
                self.path, self.subject
            );
        }
    }

    fn measure(&mut self, threads: u32, per_call: f64, mut run: impl FnMut(u64) -> Duration) {
        match self.effort {
            Effort::Full => self.evaluate(threads, per_call, run, (300, 1_000, 40)),
            Effort::Quick => self.evaluate(threads, per_call, run, (80, 200, 15)),
            Effort::Smoke | Effort::Count => {
                run(BATCH + SPANS_PER_TRACE + 1);
            }
        }
    }

    /// Has criterion warm up and measure for so many milliseconds, and take so many samples.
    #[cfg(feature = "criterion")]
    fn evaluate(
        &mut self,
        threads: u32,
        per_call: f64,
        mut run: impl FnMut(u64) -> Duration,
        (warm_up, measurement, samples): (u64, u64, usize),
    ) {
        let id = format!("{}-{threads}", self.subject.replace([' ', '(', ')', '/', '+', ','], "_"));
        let mut criterion = Criterion::default()
            .output_directory(&self.dir)
            .warm_up_time(Duration::from_millis(warm_up))
            .measurement_time(Duration::from_millis(measurement))
            .sample_size(samples)
            .nresamples(2_000)
            .without_plots();
        let mut group = criterion.benchmark_group(self.path);
        group.bench_function(&id, |bencher| bencher.iter_custom(&mut run));
        group.finish();
        match estimates::read(&Path::new(&self.dir).join(self.path).join(&id)) {
            Ok(found) => self.rows.push(Row::new(
                self.path,
                self.subject,
                self.target,
                threads,
                Unit::Ns,
                found.median / per_call,
                found.min / per_call,
            )),
            Err(error) => eprintln!("{}/{id}: {error}", self.path),
        }
    }

    #[cfg(not(feature = "criterion"))]
    fn evaluate(&self, _: u32, _: f64, _: impl FnMut(u64) -> Duration, _: (u64, u64, usize)) {
        unreachable!("no effort that measures times is taken without the feature");
    }
}

/// Splits `n` spans into traces of [`SPANS_PER_TRACE`]. Calls `trace(children)` for each, which makes a root
/// and its children.
pub(crate) fn traces(n: u64, mut trace: impl FnMut(u64)) {
    let mut left = n;
    while left > 0 {
        let spans = left.min(SPANS_PER_TRACE);
        trace(spans - 1);
        left -= spans;
    }
}

/// The windows in which a sample is timed: long enough to time, and short enough to fall between two
/// preemptions.
///
/// A window is run again if the system took the CPU away from a thread, or if two threads did not begin it
/// together. The figure should be the cost of the code and not of other work on the machine, and two threads
/// that take turns on one CPU would show no contention at all.
struct Windows {
    /// The number of operations in a window; `None` adapts it to take about 100 µs.
    batch: Option<u64>,
    size: u64,
    run: u64,
    disturbed: u64,
    believed: u64,
}

impl Windows {
    /// How often a window is run again before it is accepted as it is.
    const TRIES: u32 = 100;
    /// A window that takes less time is doubled and not counted.
    const SHORT: Duration = Duration::from_micros(50);
    /// A window that takes more time is halved.
    const LONG: Duration = Duration::from_micros(400);
    /// A number of operations that is enough, whatever time they take.
    const MOST: u64 = 1 << 22;

    fn new(batch: Option<u64>) -> Self {
        Self { batch, size: batch.unwrap_or(1), run: 0, disturbed: 0, believed: 0 }
    }

    /// The time of `n` operations, measured by calling `window(operations)`, whose `Err` is the time of a
    /// disturbed window.
    ///
    /// Windows are always complete, and operations beyond `n` are subtracted in proportion. On a busy machine
    /// criterion asks for few operations at a time, because it includes the time of windows that were run
    /// again, and a few operations cannot be timed.
    fn run(&mut self, n: u64, mut window: impl FnMut(u64) -> Result<Duration, Duration>) -> Duration {
        let (mut done, mut total, mut tries) = (0, Duration::ZERO, 0);
        while done < n {
            self.run += 1;
            let elapsed = match window(self.size) {
                Ok(elapsed) => elapsed,
                Err(_) if tries < Self::TRIES => {
                    tries += 1;
                    self.disturbed += 1;
                    continue;
                }
                Err(elapsed) => {
                    self.believed += 1;
                    elapsed
                }
            };
            tries = 0;
            if self.batch.is_none() && elapsed < Self::SHORT && self.size < Self::MOST {
                self.size *= 2;
                continue;
            }
            done += self.size;
            total += elapsed;
            if self.batch.is_none() && elapsed > Self::LONG {
                self.size = (self.size / 2).max(1);
            }
        }
        total.mul_f64(n as f64 / done as f64)
    }
}

/// One window of one thread.
struct Window {
    start: Instant,
    elapsed: Duration,
    /// Whether the system took the CPU away during the window.
    preempted: bool,
}

fn timed(op: impl FnOnce()) -> Window {
    let switches = preemptions();
    let start = Instant::now();
    op();
    let elapsed = start.elapsed();
    Window { start, elapsed, preempted: preemptions() != switches }
}

/// A spinning barrier for two threads, so that they leave it within some tens of nanoseconds of each other.
#[derive(Default)]
struct Rendezvous {
    arrived: AtomicU64,
}

impl Rendezvous {
    fn wait(&self) {
        let both = self.arrived.fetch_add(1, Ordering::AcqRel) / 2 * 2 + 2;
        let mut spins = 0_u32;
        while self.arrived.load(Ordering::Acquire) < both {
            spins += 1;
            if spins.is_multiple_of(100_000) { thread::yield_now() } else { hint::spin_loop() }
        }
    }
}

/// Measures a queue of 32-byte records: on one thread a push and a pop, on two threads a push on one and a
/// pop on the other.
///
/// `queue()` makes the two ends of a new queue of 1024 records. A push into a full queue returns false, a pop
/// from an empty queue returns `None`; both are then tried again.
pub(crate) fn ring<P, C>(bench: &mut Bench<'_>, queue: impl Fn() -> (P, C))
where
    P: FnMut([u64; 4]) -> bool,
    C: FnMut() -> Option<[u64; 4]> + Send,
{
    bench.alone(
        None,
        1.0,
        &mut queue(),
        |(push, pop), n| {
            for i in 0..n {
                black_box(push([i, i, i, i]));
                black_box(pop());
            }
        },
        |_| (),
    );
    let (mut push, mut pop) = queue();
    let pop_all = move |n| {
        for _ in 0..n {
            while black_box(pop()).is_none() {
                hint::spin_loop();
            }
        }
    };
    let push_all = |push: &mut P, n| {
        for i in 0..n {
            while !push([i, i, i, i]) {
                hint::spin_loop();
            }
        }
    };
    bench.together(None, &mut push, push_all, |_| (), || pop_all);
}
