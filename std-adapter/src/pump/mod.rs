//! The pump: one thread of ours that empties the rings, makes views of records and feeds the exporters. Its stages, each in a module of its own:
//!
//! 1. [`drain`] empties the rings, and counts what they lost.
//! 2. [`assemble`] makes views of records: ids whole, ticks times, late fields tied to their spans.
//! 3. Sampling is decided when a trace begins, before anything is recorded. What decides on a trace once it is known goes here, between 2 and 4.
//! 4. [`fan_out`] hands views to the exporters, each of which has a queue and a thread of its own.
//!
//! It polls: every millisecond while there are records, at once while a ring is more than half full, and ever more seldom up to the idle
//! interval when there is nothing. So recording never has to wake anybody.

mod assemble;
mod callsites;
mod drain;
mod fan_out;
mod late;
mod merged;
mod metrics;
mod remote;
mod stage;
mod steps;

pub use stage::Stage;

pub(crate) use fan_out::FanOut;

use crate::clock::{REFINE_EVERY, Reading, WallClock};
use crate::wall_time::WallTime;
use assemble::{Assembler, Bounds};
pub(crate) use drain::Drain;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use steps::Steps;
use throughline::Clock;
use throughline::adapter::{IdKey, LossReason};
use throughline_export::ledger::{Cells, DropReason};
use throughline_export::otlp::Options;
use throughline_export::view::LossView;
use throughline_export::{Done, Health, panic_message};

/// Pause while there are records.
const BUSY: Duration = Duration::from_millis(1);
/// Pause while an exporter's queue is full, unless it gets room first. Records that the pump would drop are cheaper to drop at a full ring, but the pause
/// must be short, for the sake of other exporters and so that losses are counted soon.
const STARVED: Duration = Duration::from_millis(10);

/// What the guard and the exporters ask for. The guard is answered by dropping the senders in it.
#[derive(Debug)]
pub(crate) enum Control {
    /// An exporter that had no room has room again.
    Room,
    /// Deliver what there is.
    Flush(Done),
    /// As a flush, and end.
    Shutdown(Farewell),
}

/// Whom to tell of the end.
#[derive(Debug)]
pub(crate) struct Farewell {
    /// Dropped when the rings are empty and everything in them is counted.
    pub(crate) drained: Done,
    /// Dropped when everything has been delivered or given up.
    pub(crate) delivered: Done,
}

/// What a pump is made of.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) clock: Clock,
    pub(crate) wall_clock: WallClock,
    pub(crate) wall_time: WallTime,
    pub(crate) key: IdKey,
    pub(crate) options: Options,
    pub(crate) late_fields: usize,
    pub(crate) remote_parents: usize,
    pub(crate) idle: Duration,
    pub(crate) metrics_every: Duration,
    /// Whether what goes wrong is told on standard error.
    pub(crate) report: bool,
}

/// What a round found.
#[derive(Clone, Copy, Debug)]
struct Round {
    records: u64,
    /// Whether a ring was more than half full.
    hurry: bool,
    /// Whether an exporter had no room.
    shedding: bool,
}

pub(crate) struct Pump {
    settings: Settings,
    /// When metrics began to count.
    start_unix_ns: u64,
    steps: Steps,
    drain: Drain,
    assembler: Assembler,
    fan_out: FanOut,
    cells: Arc<Cells>,
    health: Arc<Health>,
    refined: Instant,
    /// `None` when the time of the next snapshot is beyond the range of [`Instant`].
    metrics_at: Option<Instant>,
}

impl Pump {
    pub(crate) fn new(settings: Settings, fan_out: FanOut, cells: Arc<Cells>, health: Arc<Health>) -> Pump {
        let now = Instant::now();
        Pump {
            start_unix_ns: settings.wall_time.unix_ns(settings.clock.ticks()),
            steps: Steps::default(),
            drain: Drain::default(),
            assembler: Assembler::new(
                settings.wall_time.clone(),
                settings.key,
                settings.options,
                Bounds { late_fields: settings.late_fields, remote_parents: settings.remote_parents },
            ),
            fan_out,
            cells,
            health,
            refined: now,
            metrics_at: now.checked_add(settings.metrics_every),
            settings,
        }
    }

    /// Pumps until told to shut down, or until nobody is left who could tell. A panic, in the wall clock that the program brought for example, ends the pump:
    /// that is told, and what it had and what still comes is counted as lost.
    pub(crate) fn run(mut self, controls: &Receiver<Control>) {
        let farewell = catch_unwind(AssertUnwindSafe(|| self.pump(controls)));
        if let Err(panic) = &farewell {
            let why = panic_message(&**panic);
            let text = format!(
                "its thread panicked and is gone, what is recorded from here on is counted as lost: {why}"
            );
            self.count_as_lost();
            self.health.failing(1, &text);
        }
        let reason = if farewell.is_ok() { DropReason::Ended } else { DropReason::ThreadDied };
        crate::ended::leave(self.drain, self.cells, reason);
        // Dropped last: it tells the guard that everything has been counted.
        drop(farewell);
    }

    /// Counts the records that the pump had when it panicked.
    fn count_as_lost(&mut self) {
        self.assembler.publish(&self.cells);
        let ledger = self.cells.read();
        // A ring's records are counted after all of them have been taken, which the panic may have prevented.
        let uncounted = ledger.pump.input.saturating_sub(ledger.ring.output);
        self.cells.ring.input(uncounted);
        self.cells.ring.output(uncounted);
        self.cells.pump.dropped(DropReason::ThreadDied, ledger.pump.pending);
        self.fan_out.close();
    }

    /// Pumps until the end, and gives back whom to tell when the rings are left.
    fn pump(&mut self, controls: &Receiver<Control>) -> Option<Done> {
        let mut pause = BUSY;
        loop {
            let control = controls.recv_timeout(pause);
            let round = self.round();
            match control {
                Ok(Control::Flush(done)) => self.flush(done),
                Ok(Control::Shutdown(farewell)) => return self.finish(Some(farewell)),
                Err(RecvTimeoutError::Disconnected) => return self.finish(None),
                Ok(Control::Room) | Err(RecvTimeoutError::Timeout) => {}
            }
            pause = match (round.hurry, round.records) {
                _ if round.shedding => STARVED,
                (true, _) => Duration::ZERO,
                (_, 0) => pause.max(BUSY).saturating_mul(2).min(self.settings.idle),
                _ => BUSY,
            };
        }
    }

    fn round(&mut self) -> Round {
        let now = Instant::now();
        if now.duration_since(self.refined) >= REFINE_EVERY {
            self.refined = now;
            self.refine(now);
        }
        let (assembler, fan_out) = (&mut self.assembler, &mut self.fan_out);
        fan_out.begin_round();
        let mut losses = Vec::new();
        let drained = self.drain.round(
            &self.cells,
            |raw| assembler.record(raw, fan_out),
            |loss| {
                losses.push(*loss);
            },
        );
        for loss in losses {
            let time_unix_ns = assembler.wall_time.unix_ns(loss.first);
            let what = match loss.reason {
                LossReason::Reentrant => "a signal handler recorded amid a record of its thread",
                _ => "a thread's ring was full",
            };
            let count = loss.count as u64;
            fan_out.loss(&LossView { time_unix_ns, count, what });
        }
        assembler.end_round(&self.cells, fan_out);
        let shedding = fan_out.end_round(now);
        if self.metrics_at.is_some_and(|at| now >= at) {
            self.metrics_at = now.checked_add(self.settings.metrics_every);
            self.metrics(false);
        }
        Round { records: drained.records, hurry: drained.hurry, shedding }
    }

    /// Reads the clocks anew. When the wall clock was set meanwhile, metrics keep their beginning, unless it would lie in the future now: then it
    /// moves back with the clock.
    fn refine(&mut self, now: Instant) {
        let reading = Reading::now(&self.settings.clock, self.settings.wall_clock);
        let Some(step_ns) = self.assembler.wall_time.refine(reading) else { return };
        if self.now() < self.start_unix_ns {
            self.start_unix_ns = self.start_unix_ns.saturating_add_signed(step_ns);
        }
        self.steps.found(step_ns, now, self.settings.report);
    }

    fn flush(&mut self, done: Done) {
        // The round before may have kept records back for their remote parent, until this one has gone over all rings.
        self.round();
        self.metrics(false);
        self.fan_out.flush(done);
    }

    fn finish(&mut self, farewell: Option<Farewell>) -> Option<Done> {
        self.round();
        // What the round before kept back finds here what it waits for, as in a flush; the last of what is kept back goes on without.
        self.round();
        self.assembler.give_up(&self.cells, &mut self.fan_out);
        self.metrics(true);
        match farewell {
            Some(Farewell { drained, delivered }) => {
                self.fan_out.finish(delivered);
                Some(drained)
            }
            None => {
                self.fan_out.close();
                None
            }
        }
    }

    fn metrics(&mut self, last: bool) {
        if !self.fan_out.wants_points() {
            return;
        }
        let mut points = metrics::snapshot();
        points.extend(metrics::of_ledger(&self.cells.read()));
        if let Some(otlp) = &self.fan_out.otlp {
            points.extend(metrics::of_attributes(otlp.counts()));
        }
        points.extend(self.steps.points().into_iter().flatten());
        if !points.is_empty() {
            metrics::with_views(&points, (self.start_unix_ns, self.now()), |points| {
                self.fan_out.points(points, last)
            });
        }
    }

    fn now(&self) -> u64 {
        self.assembler.wall_time.unix_ns(self.settings.clock.ticks())
    }
}
