//! The pump: one thread of ours that empties the rings, makes views of records and feeds the exporters.
//!
//! It polls: every millisecond while there are records, at once while a ring is more than half full, and ever more seldom up to the idle
//! interval when there is nothing. So recording never has to wake anybody.

mod assemble;
mod callsites;
mod drain;
mod late;
mod merged;
mod metrics;
mod remote;
mod sinks;
mod stage;
mod steps;

pub use stage::Stage;

pub(crate) use sinks::{OtlpSink, Sinks, TerminalSink};

use crate::clock::{REFINE_EVERY, Reading, WallClock};
use crate::wall_time::WallTime;
use assemble::Assembler;
pub(crate) use drain::Drain;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};
use steps::Steps;
use throughline::Clock;
use throughline::adapter::IdKey;
use throughline_export::ledger::Cells;
use throughline_export::otlp::Options;
use throughline_export::queue::Queue;
use throughline_export::terminal::LossNote;

/// Pause while there are records.
const BUSY: Duration = Duration::from_millis(1);

/// What the guard asks for.
#[derive(Debug)]
pub(crate) enum Control {
    /// Deliver what there is, then tell.
    Flush(SyncSender<()>),
    /// As a flush, and end.
    Shutdown(Farewell),
}

/// Whom to tell of the end.
#[derive(Debug)]
pub(crate) struct Farewell {
    /// The rings are empty and everything in them is counted.
    pub(crate) drained: SyncSender<()>,
    /// Everything has been delivered or given up.
    pub(crate) delivered: SyncSender<()>,
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
    pub(crate) idle: Duration,
    pub(crate) metrics_every: Duration,
    /// Whether what goes wrong is told on standard error.
    pub(crate) report: bool,
}

pub(crate) struct Pump {
    settings: Settings,
    /// When metrics began to count.
    start_unix_ns: u64,
    steps: Steps,
    drain: Drain,
    assembler: Assembler,
    sinks: Sinks,
    cells: Arc<Cells>,
    queue: Option<Arc<Queue>>,
    refined: Instant,
    metrics_at: Instant,
}

impl Pump {
    pub(crate) fn new(
        settings: Settings,
        sinks: Sinks,
        cells: Arc<Cells>,
        queue: Option<Arc<Queue>>,
    ) -> Pump {
        let now = Instant::now();
        Pump {
            start_unix_ns: settings.wall_time.unix_ns(settings.clock.ticks()),
            steps: Steps::default(),
            drain: Drain::default(),
            assembler: Assembler::new(
                settings.wall_time.clone(),
                settings.key,
                settings.options,
                settings.late_fields,
            ),
            sinks,
            cells,
            queue,
            refined: now,
            metrics_at: now + settings.metrics_every,
            settings,
        }
    }

    /// Pumps until told to shut down, or until nobody is left who could tell.
    pub(crate) fn run(mut self, controls: &Receiver<Control>) {
        let mut pause = BUSY;
        loop {
            let control = controls.recv_timeout(pause);
            let round = self.round();
            match control {
                Ok(Control::Flush(done)) => self.flush(done),
                Ok(Control::Shutdown(farewell)) => return self.finish(Some(farewell)),
                Err(RecvTimeoutError::Disconnected) => return self.finish(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
            pause = match (round.hurry, round.records) {
                (true, _) => Duration::ZERO,
                (_, 0) => (pause.max(BUSY) * 2).min(self.settings.idle),
                _ => BUSY,
            };
        }
    }

    fn round(&mut self) -> drain::Round {
        let now = Instant::now();
        if now.duration_since(self.refined) >= REFINE_EVERY {
            self.refined = now;
            self.refine(now);
        }
        let (assembler, sinks) = (&mut self.assembler, &mut self.sinks);
        let mut losses = Vec::new();
        let round = self.drain.round(
            &self.cells,
            |raw| assembler.record(raw, sinks),
            |loss| {
                losses.push(*loss);
            },
        );
        for loss in losses {
            let time_unix_ns = assembler.wall_time.unix_ns(loss.first);
            sinks.loss(LossNote {
                time_unix_ns,
                count: loss.count as u64,
                what: "a thread's ring was full".into(),
            });
        }
        assembler.end_round(&self.cells, sinks);
        sinks.end_round(now, assembler.wall_time.unix_ns(self.settings.clock.ticks()));
        if now >= self.metrics_at {
            self.metrics_at = now + self.settings.metrics_every;
            self.metrics(false);
        }
        round
    }

    /// Reads the clocks anew. When the wall clock was set meanwhile, metrics keep their beginning, unless it would lie in the future now: then it
    /// moves back with the clock.
    fn refine(&mut self, now: Instant) {
        let reading = Reading::now(&self.settings.clock, self.settings.wall_clock);
        let Some(step_ns) = self.assembler.wall_time.refine(reading) else { return };
        if self.now() < self.start_unix_ns {
            self.start_unix_ns = self.start_unix_ns.saturating_add_signed(step_ns);
        }
        self.sinks.clock_set(step_ns);
        self.steps.found(step_ns, now, self.settings.report);
    }

    fn flush(&mut self, done: SyncSender<()>) {
        // The round before may have kept records back for their remote parent, until this one has gone over all rings.
        self.round();
        self.sinks.flush();
        self.metrics(false);
        match &self.queue {
            Some(queue) => queue.mark(done),
            None => _ = done.try_send(()),
        }
    }

    fn finish(mut self, farewell: Option<Farewell>) {
        self.round();
        // What the round before kept back finds here what it waits for, as in a flush; the last of what is kept back goes on without.
        self.round();
        self.assembler.give_up(&self.cells, &mut self.sinks);
        self.sinks.flush();
        let times = (self.start_unix_ns, self.now());
        metrics::with_views(&metrics::snapshot(), times, |points| self.sinks.finish(points));
        self.metrics(true);
        crate::ended::leave(self.drain, self.cells);
        if let Some(Farewell { drained, delivered }) = farewell {
            // Nobody may be waiting any more.
            let _ = drained.try_send(());
            match &self.queue {
                Some(queue) => queue.mark(delivered),
                None => _ = delivered.try_send(()),
            }
        }
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }

    fn metrics(&mut self, last: bool) {
        if self.sinks.otlp.is_none() {
            return;
        }
        let mut points = metrics::snapshot();
        points.extend(metrics::of_ledger(&self.cells.read()));
        points.extend(self.steps.points().into_iter().flatten());
        if !points.is_empty() {
            metrics::with_views(&points, (self.start_unix_ns, self.now()), |points| {
                self.sinks.metrics(points, last)
            });
        }
    }

    fn now(&self) -> u64 {
        self.assembler.wall_time.unix_ns(self.settings.clock.ticks())
    }
}
