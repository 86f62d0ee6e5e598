//! Running one subject's operation on one and on two threads, and having criterion judge the samples.
//!
//! Each sample is a number of operations. Where an operation leaves something behind, it is run in batches of
//! [`BATCH`] and drained between them with the clock stopped: nothing is lost, nothing piles up, and the figure is what
//! the observed code pays. With two threads both start each batch together and run flat out; the time is per operation
//! and thread.

use std::{
    hint::{self, black_box},
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use criterion::Criterion;
use throughline_benches::{Row, Unit, estimates};

/// Operations between two drains.
pub(crate) const BATCH: u64 = 512;

/// Spans of one trace: a root and its children.
pub(crate) const SPANS_PER_TRACE: u64 = 64;

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A second a figure.
    Full,
    /// A quarter of a second a figure.
    Quick,
    /// A few operations, nothing measured: does every subject still run?
    Smoke,
}

/// What a subject measures itself with.
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
        self.one_and_two(u64::MAX, make, op, |_| {});
    }

    /// Measures an operation that leaves a record; `drain` runs on the first thread after each batch, untimed.
    pub(crate) fn drained<L>(
        &mut self,
        make: impl Fn(usize) -> L + Sync,
        op: impl Fn(&mut L, u64) + Sync,
        drain: impl Fn(&mut L) + Sync,
    ) {
        self.one_and_two(BATCH, make, op, drain);
    }

    /// Measures on one thread only an operation that does `per_call` things at once; the figure is per thing.
    pub(crate) fn bulk<L>(&mut self, per_call: u32, make: impl Fn() -> L, op: impl Fn(&mut L)) {
        let mut local = make();
        self.measure(1, f64::from(per_call), |n| {
            let start = Instant::now();
            for _ in 0..n {
                op(&mut local);
            }
            start.elapsed()
        });
    }

    /// Notes a size, in bytes per operation.
    pub(crate) fn bytes(&mut self, bytes: f64) {
        self.rows.push(Row::new(self.path, self.subject, self.target, 1, Unit::Bytes, bytes, bytes));
    }

    fn one_and_two<L>(
        &mut self,
        batch: u64,
        make: impl Fn(usize) -> L + Sync,
        op: impl Fn(&mut L, u64) + Sync,
        drain: impl Fn(&mut L) + Sync,
    ) {
        let run = |local: &mut L, n: u64, thread: usize, meet: &Rendezvous| {
            let (mut left, mut total) = (n, Duration::ZERO);
            while left > 0 {
                let now = left.min(batch);
                meet.wait();
                let start = Instant::now();
                op(local, now);
                total += start.elapsed();
                meet.wait();
                if thread == 0 {
                    drain(local);
                }
                left -= now;
            }
            total
        };

        let alone = Rendezvous::new(1);
        let mut first = make(0);
        self.measure(1, 1.0, |n| run(&mut first, n, 0, &alone));

        let both = Rendezvous::new(2);
        thread::scope(|scope| {
            let (order, orders) = mpsc::channel();
            let (answer, answers) = mpsc::channel();
            let (make, run, both) = (&make, &run, &both);
            scope.spawn(move || {
                let mut second = make(1);
                for n in orders {
                    if answer.send(run(&mut second, n, 1, both)).is_err() {
                        return;
                    }
                }
            });
            self.measure(2, 1.0, |n| {
                order.send(n).expect("the second thread lives");
                let mine = run(&mut first, n, 0, both);
                (mine + answers.recv().expect("the second thread lives")) / 2
            });
        });
    }

    fn measure(&mut self, threads: u32, per_call: f64, mut run: impl FnMut(u64) -> Duration) {
        let id = format!("{}-{threads}", self.subject.replace([' ', '(', ')', '/', '+', ','], "_"));
        let (warm_up, measurement, samples) = match self.effort {
            Effort::Full => (300, 1_000, 40),
            Effort::Quick => (80, 200, 15),
            Effort::Smoke => {
                run(BATCH + SPANS_PER_TRACE + 1);
                return;
            }
        };
        let mut criterion = Criterion::default()
            .output_directory(&self.dir)
            .warm_up_time(Duration::from_millis(warm_up))
            .measurement_time(Duration::from_millis(measurement))
            .sample_size(samples)
            .nresamples(1_000)
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
}

/// Splits `n` spans into traces of [`SPANS_PER_TRACE`]: calls `trace(children)`, which makes a root and its children.
pub(crate) fn traces(n: u64, mut trace: impl FnMut(u64)) {
    let mut left = n;
    while left > 0 {
        let spans = left.min(SPANS_PER_TRACE);
        trace(spans - 1);
        left -= spans;
    }
}

/// A barrier that spins, so that the threads leave it within some tens of nanoseconds of each other.
struct Rendezvous {
    threads: usize,
    arrived: AtomicUsize,
}

impl Rendezvous {
    const fn new(threads: usize) -> Self {
        Self { threads, arrived: AtomicUsize::new(0) }
    }

    fn wait(&self) {
        if self.threads == 1 {
            return;
        }
        let mine = self.arrived.fetch_add(1, Ordering::AcqRel);
        let all = (mine / self.threads + 1) * self.threads;
        let mut spins = 0_u32;
        while self.arrived.load(Ordering::Acquire) < all {
            spins += 1;
            if spins.is_multiple_of(1_000) { thread::yield_now() } else { hint::spin_loop() }
        }
    }
}

/// Measures a queue of 32-byte records: on one thread a push and a pop, on two a push on one and a pop on the other.
///
/// `queue()` gives the two ends of a new queue of 1024 records; a push that finds it full returns false, a pop that finds
/// it empty `None`, and is tried again.
pub(crate) fn ring<P, C>(bench: &mut Bench<'_>, queue: impl Fn() -> (P, C))
where
    P: FnMut([u64; 4]) -> bool,
    C: FnMut() -> Option<[u64; 4]> + Send,
{
    let (mut push, mut pop) = queue();
    bench.measure(1, 1.0, |n| {
        let start = Instant::now();
        for i in 0..n {
            black_box(push([i, i, i, i]));
            black_box(pop());
        }
        start.elapsed()
    });

    let (mut push, mut pop) = queue();
    let both = &Rendezvous::new(2);
    thread::scope(|scope| {
        let (order, orders) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        scope.spawn(move || {
            for n in orders {
                both.wait();
                let start = Instant::now();
                for _ in 0..n {
                    while black_box(pop()).is_none() {
                        hint::spin_loop();
                    }
                }
                if answer.send(start.elapsed()).is_err() {
                    return;
                }
            }
        });
        bench.measure(2, 1.0, |n| {
            order.send(n).expect("the second thread lives");
            both.wait();
            let start = Instant::now();
            for i in 0..n {
                while !push([i, i, i, i]) {
                    hint::spin_loop();
                }
            }
            let mine = start.elapsed();
            (mine + answers.recv().expect("the second thread lives")) / 2
        });
    });
}
