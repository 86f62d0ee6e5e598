//! The pump's handle of an exporter that runs on its own thread.

use crate::lane::{Feed, Lane, Outcome, Wake, When};
use crate::ledger::{Cells, DropReason};
use crate::log::Filter;
use crate::view::{Fields, LogView, LossView, PointView, SpanView};
use crate::{AnyLane, Deadline, Done, ExportError, Exporter, Health, OwnedRecords, Wants};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Limits of an exporter's batches and queue.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A batch is complete at this many bytes of records.
    pub batch_bytes: usize,
    /// A batch is complete when its first record has this age.
    pub interval: Duration,
    /// Number of batches that may wait in the queue.
    pub queue: usize,
}

/// What exporters need to start.
pub struct Launch<'l> {
    /// Ledger cells for their counts.
    pub cells: &'l Cells,
    /// The deadline of the shutdown, once there is one.
    pub deadline: &'l Arc<Deadline>,
    /// Whether failures are reported on standard error.
    pub report: bool,
    /// Starts a thread with a given name.
    pub spawn: &'l Spawn,
    /// Called when an exporter whose queue was full has room again.
    pub wake: Wake,
}

/// A function that starts a thread with this name.
pub type Spawn = dyn Fn(&str, Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// An [`Exporter`] that runs on its own thread, and the batch that is being filled for it. None of its
/// methods blocks.
#[derive(Debug)]
pub struct Attached {
    feed: Feed<OwnedRecords>,
    batch: OwnedRecords,
    wants: Wants,
    filter: Filter,
    limits: Limits,
    health: Arc<Health>,
}

impl Attached {
    /// Starts the exporter's thread.
    ///
    /// # Errors
    ///
    /// Returns the error of starting the thread.
    pub fn start(
        name: &str,
        mut exporter: Box<dyn Exporter>,
        limits: Limits,
        launch: &Launch<'_>,
    ) -> io::Result<Attached> {
        let health = Arc::new(Health::new(name, launch.report));
        let counts = launch.cells.exporter(name);
        let deadline = Arc::clone(launch.deadline);
        let wake = Arc::clone(&launch.wake);
        let lane = Lane::new(name, limits.queue, 0, counts, Arc::clone(&health), deadline, wake);
        let lane = Arc::new(lane.metered_by(launch.cells.meter(name)));
        let (wants, filter) = (exporter.wants(), exporter.log_filter());
        let for_thread = Arc::clone(&lane);
        let on_disk = exporter.on_disk();
        lane.found(on_disk);
        let books = Arc::new(Mutex::new(Books { taken: on_disk, on_disk, is_closed: false }));
        if exporter.takes_spool() {
            lane.takes_spool();
        }
        if let Some(stand_in) = exporter.stand_in() {
            let (books, stand_in) = (Arc::clone(&books), Mutex::new(stand_in));
            lane.rescued_by(Box::new(move |waiting| {
                let mut stand_in = stand_in.lock().unwrap_or_else(PoisonError::into_inner);
                lock(&books).rescue(&mut **stand_in, waiting)
            }));
        }
        let worker = Worker { exporter, books };
        (launch.spawn)(name, Box::new(move || work(&for_thread, worker)))?;
        Ok(Attached { feed: Feed::new(lane), batch: OwnedRecords::default(), wants, filter, limits, health })
    }

    /// Its health: the state of its deliveries.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Its lane.
    pub fn lane(&self) -> Arc<dyn AnyLane> {
        Arc::clone(&self.feed.lane) as _
    }

    /// What is wanted.
    pub fn wants(&self) -> Wants {
        self.wants
    }

    /// Takes a span. Costs about 60 ns.
    pub fn span<'a, F: Fields<'a>>(&mut self, view: &SpanView<'a, F>) {
        if self.wants.spans && self.feed.admits() {
            self.batch.span(view);
            self.submit_full();
        }
    }

    /// Takes a log record. Costs about 60 ns.
    pub fn log<'a, F: Fields<'a>>(&mut self, view: &LogView<'a, F>) {
        if self.wants.logs && self.filter.takes(view.target, view.level) && self.feed.admits() {
            self.batch.log(view);
            self.submit_full();
        }
    }

    /// Takes a snapshot of all metrics and passes it on.
    pub fn points(&mut self, points: &[PointView<'_>]) {
        if self.wants.points {
            self.batch.points(points);
            self.submit(When::Due);
        }
    }

    /// Takes a report of a loss.
    pub fn loss(&mut self, loss: &LossView<'_>) {
        if self.wants.losses {
            self.batch.loss(loss);
        }
    }

    /// Begins a round: passes on a batch that found no room before, if there is room now.
    pub fn begin_round(&mut self) {
        if self.feed.begin_round() {
            self.submit_full();
        }
    }

    /// Ends a round: passes on a batch that is old enough. Returns whether records were dropped because the
    /// queue was full.
    pub fn end_round(&mut self, now: Instant) -> bool {
        let shedding = self.feed.is_shedding();
        if self.feed.end_round(now, self.limits.interval, !self.batch.is_empty()) {
            self.submit(When::Due);
        }
        shedding
    }

    /// Passes on everything taken so far. `done` is dropped when it has been delivered or given up.
    pub fn flush(&mut self, done: Done) {
        self.submit(When::Flush);
        self.feed.mark(done);
    }

    /// Passes on everything and ends the exporter. `done` is dropped when it has been delivered or given up.
    pub fn finish(&mut self, done: Done) {
        self.submit(When::Last);
        self.feed.close();
        self.feed.lane.mark(done);
    }

    fn submit_full(&mut self) {
        if self.batch.size() >= self.limits.batch_bytes {
            self.submit(When::Due);
        }
    }

    fn submit(&mut self, when: When) {
        if !self.batch.is_empty() && self.feed.has_room(when) {
            let spare = self.feed.spare().unwrap_or_default();
            let batch = std::mem::replace(&mut self.batch, spare);
            self.batch.clear();
            let (records, bytes) = (batch.len() as u64, batch.size());
            self.feed.push(batch, records, bytes);
        }
    }
}

/// The exporter, and the books about what it took.
struct Worker {
    exporter: Box<dyn Exporter>,
    books: Arc<Mutex<Books>>,
}

/// What the exporter has, as far as it is counted. Locked while something is given to the exporter, or counted.
struct Books {
    /// Number of records that it took and that are neither delivered nor lost.
    taken: u64,
    /// How many of them are on the disk.
    on_disk: u64,
    /// Whether everything is counted, as the exporter has ended or the shutdown does not wait for it, so that nothing more is.
    is_closed: bool,
}

/// The main function of an exporter's thread.
fn work(lane: &Lane<OwnedRecords>, mut worker: Worker) {
    lane.run(
        &mut worker,
        |worker, batch, records| {
            let Worker { exporter, books } = worker;
            if !lock(books).give(&mut **exporter, batch, records) {
                return Outcome::default();
            }
            let begun = Instant::now();
            let flushed = exporter.flush(lane.deadline());
            lane.meter().requests.add(begun.elapsed());
            if flushed.is_ok() {
                lane.meter().delivered(batch.size() as u64);
            }
            // A batch of metrics alone has no records.
            worker.settle(lane, flushed, records == 0, false)
        },
        |worker| {
            (worker.exporter.held() > 0).then(|| {
                let flushed = worker.exporter.flush(lane.deadline());
                worker.settle(lane, flushed, false, false)
            })
        },
        |worker| {
            let finished = worker.exporter.finish(lane.deadline());
            worker.settle(lane, finished, false, true)
        },
    );
}

impl Worker {
    /// Counts what became of records. `shows_it_works` is whether success without a delivered record shows that the exporter works. Otherwise it may
    /// just have had nothing to do. After the `last` time the exporter is not called again. Returns an outcome for the lane that has nothing left to count.
    fn settle(
        &mut self,
        lane: &Lane<OwnedRecords>,
        flushed: Result<(), ExportError>,
        shows_it_works: bool,
        last: bool,
    ) -> Outcome {
        for error in flushed.as_ref().err().into_iter().flat_map(ExportError::each) {
            lane.failing(error.reason, &error.message);
        }
        let mut books = lock(&self.books);
        if books.is_closed {
            return Outcome::default();
        }
        let is_ok = flushed.is_ok();
        let mut outcomes = books.settle(&*self.exporter, flushed);
        let delivered: u64 = outcomes.iter().map(|outcome| outcome.delivered).sum();
        if last {
            // Records that it still holds are lost, but those on the disk.
            let left = books.taken - books.on_disk;
            books.taken = books.on_disk;
            books.is_closed = true;
            let told = outcomes.first().and_then(|outcome| outcome.dropped);
            let reason = told.map_or(DropReason::Shutdown, |(reason, _)| reason);
            outcomes.push(Outcome { dropped: Some((reason, left)), ..Outcome::default() });
        }
        outcomes.into_iter().for_each(|outcome| lane.settle(outcome));
        drop(books);
        lane.at_risk(self.exporter.at_risk().as_deref());
        if is_ok && (delivered > 0 || shows_it_works) {
            lane.working();
        }
        Outcome::default()
    }
}

impl Books {
    /// Gives a batch to the exporter, unless everything is counted already. Returns whether it has it.
    fn give(&mut self, exporter: &mut dyn Exporter, batch: &OwnedRecords, records: u64) -> bool {
        if !self.is_closed {
            batch.replay(exporter);
            self.taken += records;
        }
        !self.is_closed
    }

    /// What became of the records since the last time: one outcome, and one more for each further reason of a loss.
    fn settle(&mut self, exporter: &dyn Exporter, flushed: Result<(), ExportError>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for error in flushed.as_ref().err().into_iter().flat_map(ExportError::each) {
            let lost = error.lost.min(self.taken);
            self.taken -= lost;
            outcomes.push(Outcome { dropped: Some((error.reason, lost)), ..Outcome::default() });
        }
        // In this order, because one that does not come back may deliver something just now.
        let on_disk = exporter.on_disk();
        let held = exporter.held().min(self.taken);
        let on_disk = on_disk.min(held);
        let delivered = std::mem::replace(&mut self.taken, held) - held;
        let before = std::mem::replace(&mut self.on_disk, on_disk);
        let (to_disk, from_disk) = (on_disk.saturating_sub(before), before.saturating_sub(on_disk));
        let dropped = outcomes.first().and_then(|first| first.dropped);
        let whole = Outcome { delivered, dropped, to_disk, from_disk };
        std::iter::once(whole).chain(outcomes.into_iter().skip(1)).collect()
    }

    /// Has the stand-in of an exporter that does not come back keep what waits, and closes the books.
    fn rescue(&mut self, stand_in: &mut dyn Exporter, waiting: Vec<(OwnedRecords, u64)>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        if self.is_closed {
            return outcomes;
        }
        let mut flush = |books: &mut Books, stand_in: &mut dyn Exporter| {
            let flushed = stand_in.flush(&Deadline::never());
            outcomes.extend(books.settle(stand_in, flushed));
        };
        flush(self, stand_in);
        for (batch, records) in waiting {
            self.give(stand_in, &batch, records);
            flush(self, stand_in);
        }
        self.is_closed = true;
        outcomes
    }
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}
