//! The pump: a thread of this library that empties the rings, makes views of records and passes them to the
//! exporters. Each stage is a module:
//!
//! 1. [`drain`] empties the rings and counts what they lost.
//! 2. [`assemble`] turns records into views: with whole ids, wall-clock times, and late fields added to their spans.
//! 3. [`sample`] decides which traces are kept, if that depends on how they end. Otherwise it is decided when they
//!    begin, before anything is recorded, and this stage is left out.
//! 4. [`fan_out`] passes views to the exporters, each of which has its own queue and thread.
//!
//! The pump polls, so that recording never has to wake it: every millisecond while there are records,
//! immediately while a ring is more than half full, and less and less often, up to the idle interval, while
//! there are none.

mod assemble;
mod callsites;
mod catalog;
mod distribution;
mod drain;
mod fan_out;
mod identity;
mod kept_exemplars;
mod late;
mod merged;
mod metrics;
mod overflow;
#[cfg(feature = "observers")]
mod own_logs;
mod readings;
mod remote;
mod resources;
mod rings;
mod sample;
mod stage;
mod steps;
mod throttle;

pub use stage::Stage;

pub(crate) use fan_out::FanOut;
#[cfg(feature = "observers")]
pub(crate) use own_logs::OwnLog;
pub(crate) use readings::Readings;
#[cfg(profiled)]
pub(crate) use resources::labels;
pub(crate) use resources::{Prices, RollUp, Wanted};
pub(crate) use rings::Rings;

use crate::clock::{REFINE_EVERY, Reading, WallClock};
use crate::config::reload::Watch;
use crate::observe::Answer;
use crate::propagation::correlation;
use crate::sampling;
use crate::wall_time::WallTime;
use assemble::{Assembler, Bounds};
pub(crate) use drain::Drain;
use overflow::Overflow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use steps::Steps;
use throughline::Clock;
use throughline::adapter::recorder::Refusal;
use throughline::adapter::{IdKey, LossReason};
use throughline_export::ledger::{Cells, DropReason};
use throughline_export::otlp::{Options, Signal};
use throughline_export::view::LossView;
use throughline_export::{Deadline, Done, Health, Redaction, Wants, diagnostics, panic_message};

/// Pause between rounds while there are records.
const BUSY: Duration = Duration::from_millis(1);
/// Pause while an exporter's queue is full; it ends early when the queue has room. A full ring drops records
/// at less cost than the pump does, but the pause must be short so that other exporters get their records and
/// losses are counted soon.
const STARVED: Duration = Duration::from_millis(10);
/// Longest wait for the callbacks of observers. Records are read meanwhile.
const ANSWERS: Duration = Duration::from_secs(5);

/// Requests of the guard and of the exporters. Dropping the senders inside answers the guard.
#[derive(Debug)]
pub(crate) enum Control {
    /// An exporter whose queue was full has room again.
    Room,
    /// Pass on log records that this library itself makes.
    #[cfg(feature = "observers")]
    Log(own_logs::OwnLog),
    /// Deliver everything recorded so far.
    Flush(Done),
    /// Deliver everything as for a flush, then end.
    Shutdown(Farewell),
}

/// Senders that are dropped to report the progress of a shutdown.
#[derive(Debug)]
pub(crate) struct Farewell {
    /// Dropped when the rings are empty and everything in them is counted.
    pub(crate) drained: Done,
    /// Dropped when everything has been delivered or given up.
    pub(crate) delivered: Done,
}

/// The parts and settings of a pump.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) watch: Option<Watch>,
    pub(crate) clock: Clock,
    /// The deadline of the shutdown, once there is one.
    pub(crate) deadline: Arc<Deadline>,
    pub(crate) wall_clock: WallClock,
    pub(crate) wall_time: WallTime,
    pub(crate) key: IdKey,
    pub(crate) options: Options,
    /// Which fields are secret.
    pub(crate) redaction: Arc<Redaction>,
    pub(crate) late_fields: usize,
    pub(crate) remote_parents: usize,
    pub(crate) logs_per_second: Option<u32>,
    pub(crate) idle: Duration,
    pub(crate) metrics_every: Duration,
    /// What spans are told about themselves.
    pub(crate) resources: Option<Wanted>,
    /// Whether samples get labels from spans.
    pub(crate) labels: bool,
    /// Whether failures are reported on standard error.
    pub(crate) report: bool,
}

/// The result of a round.
#[derive(Clone, Copy, Debug)]
struct Round {
    records: u64,
    /// Whether a ring was more than half full.
    hurry: bool,
    /// Whether an exporter had no room.
    shedding: bool,
}

/// The rings were taken from the pump, because it did not come back in time. It has nothing more to do.
struct Seized;

pub(crate) struct Pump {
    settings: Settings,
    readings: Arc<Readings>,
    steps: Steps,
    rings: Arc<Rings>,
    /// Which refusals were reported.
    told: [bool; Refusal::ALL.len()],
    /// The greatest share of a ring that was full since the last metrics.
    ring_fill: f64,
    assembler: Assembler,
    fan_out: FanOut,
    cells: Arc<Cells>,
    health: Arc<Health>,
    overflow: Overflow,
    refined: Instant,
    /// Whether spans wait for the end of their traces.
    waits: bool,
    /// `None` when the time of the next snapshot is beyond the range of [`Instant`].
    metrics_at: Option<Instant>,
}

impl Pump {
    pub(crate) fn new(
        settings: Settings,
        fan_out: FanOut,
        cells: Arc<Cells>,
        rings: Arc<Rings>,
        readings: Arc<Readings>,
        health: Arc<Health>,
    ) -> Pump {
        let now = Instant::now();
        // The program may record before the thread runs.
        correlation::set_read(true);
        Pump {
            steps: Steps::default(),
            rings,
            told: [false; Refusal::ALL.len()],
            ring_fill: 0.0,
            assembler: Assembler::new(
                settings.wall_time.clone(),
                settings.key,
                settings.options,
                Arc::clone(&settings.redaction),
                Bounds {
                    late_fields: settings.late_fields,
                    remote_parents: settings.remote_parents,
                    logs_per_second: settings.logs_per_second,
                },
                Wants {
                    spans: fan_out.wants(Signal::Traces, |wants| wants.spans),
                    logs: fan_out.wants(Signal::Logs, |wants| wants.logs),
                    ..Wants::NOTHING
                },
            )
            .with_resources(settings.resources, settings.labels, readings.roll_up()),
            readings,
            fan_out,
            cells,
            overflow: Overflow::new(Arc::clone(&health)),
            health,
            refined: now,
            waits: false,
            metrics_at: now.checked_add(settings.metrics_every),
            settings,
        }
    }

    /// Pumps until it is told to shut down, or until nothing is left that could tell it. A panic ends the
    /// pump, for example one in the program's own wall clock. It is reported, and the records that the pump
    /// held or that still come are counted as lost.
    pub(crate) fn run(mut self, controls: &Receiver<Control>) {
        let farewell = catch_unwind(AssertUnwindSafe(|| self.pump(controls).unwrap_or_else(|Seized| None)));
        correlation::set_read(false);
        correlation::forget(&correlation::left());
        if let Err(panic) = &farewell {
            let why = panic_message(&**panic);
            let text = format!(
                "its thread panicked and has ended; records made from now on are counted as lost: {why}"
            );
            self.count_as_lost();
            self.health.died(&text);
        }
        let reason = if farewell.is_ok() { DropReason::Ended } else { DropReason::ThreadDied };
        self.rings.leave(self.cells, reason);
        // This must be dropped last, because it tells the guard that everything has been counted.
        drop(farewell);
    }

    /// Counts the records that the pump held when it panicked.
    fn count_as_lost(&mut self) {
        let rings = Arc::clone(&self.rings);
        let held = rings.hold();
        if held.is_none() {
            return;
        }
        self.assembler.publish(&self.cells);
        self.fan_out.publish_sampling(&self.cells);
        let ledger = self.cells.read();
        // A ring's records are counted only after all of them are taken, which the panic may have prevented.
        let uncounted = ledger.pump.input.saturating_sub(ledger.ring.output);
        self.cells.ring.input(uncounted);
        self.cells.ring.output(uncounted);
        self.cells.pump.dropped(DropReason::ThreadDied, ledger.pump.pending);
        self.cells.tail_sampler.dropped(DropReason::ThreadDied, ledger.tail_sampler.pending);
        self.fan_out.close();
    }

    /// Pumps until the end. Returns the sender to drop once the rings are left.
    fn pump(&mut self, controls: &Receiver<Control>) -> Result<Option<Done>, Seized> {
        let mut pause = BUSY;
        loop {
            let control = controls.recv_timeout(pause);
            let round = self.round()?;
            match control {
                Ok(Control::Flush(done)) => self.flush(done)?,
                #[cfg(feature = "observers")]
                Ok(Control::Log(log)) => log.pass_on(&mut self.fan_out, &self.cells),
                Ok(Control::Shutdown(farewell)) => {
                    #[cfg(feature = "observers")]
                    own_logs::pass_on_last(controls, &mut self.fan_out, &self.cells);
                    return self.finish(Some(farewell));
                }
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

    fn round(&mut self) -> Result<Round, Seized> {
        let now = Instant::now();
        if let Some(watch) = &mut self.settings.watch {
            // It has told how it went.
            _ = watch.poll(now);
        }
        sampling::lower(now);
        if now.duration_since(self.refined) >= REFINE_EVERY {
            self.refined = now;
            self.refine(now);
        }
        let round = self.gather(now)?;
        if self.metrics_at.is_some_and(|at| now >= at) {
            self.metrics_at = now.checked_add(self.settings.metrics_every);
            self.metrics()?;
        }
        Ok(round)
    }

    /// Passes everything in the rings on to the exporters.
    fn gather(&mut self, now: Instant) -> Result<Round, Seized> {
        let begun = Instant::now();
        let rings = Arc::clone(&self.rings);
        let mut held = rings.hold();
        let drain = held.as_mut().ok_or(Seized)?;
        let (assembler, fan_out) = (&mut self.assembler, &mut self.fan_out);
        // Sets of fields that nobody uses any more are noted before the heads of the rings.
        let left = if correlation::is_used() { correlation::left() } else { Vec::new() };
        drain.mark();
        if assembler.has_resources() {
            // What a span has used is read after the position of its record, so it is complete.
            assembler.read_resources(&self.settings.clock);
        }
        // Noted after the heads: a record within a scope that comes in this round was made after the flag was set.
        let is_correlated = correlation::is_used() && assembler.begin_correlating(left, drain.lossy());
        fan_out.begin_round();
        fan_out.follow_plan(&self.cells);
        let mut losses = Vec::new();
        let drained = drain.round(
            &self.cells,
            |raw, recorder| {
                if is_correlated {
                    assembler.correlate(raw, recorder);
                }
                assembler.follow(raw, recorder);
                assembler.record(raw, fan_out);
            },
            |loss| {
                losses.push(*loss);
            },
        );
        if !losses.is_empty() {
            assembler.lost();
        }
        let overflown = losses.iter().filter(|loss| loss.reason != LossReason::Reentrant);
        self.overflow.round(overflown.map(|loss| loss.count as u64).sum(), now);
        for loss in losses {
            let time_unix_ns = assembler.wall_time.unix_ns(loss.first);
            let what = match loss.reason {
                LossReason::Reentrant => "a signal handler recorded while its thread was writing a record",
                _ => "a thread's ring was full",
            };
            let count = loss.count as u64;
            fan_out.loss(&LossView { time_unix_ns, count, what });
        }
        if is_correlated {
            // The end of the round forgets fields that nobody uses any more.
            self.readings.take_exemplars();
        }
        assembler.end_round(&self.cells, fan_out);
        assembler.tell_held(self.settings.clock.ticks(), false, &self.cells, fan_out);
        self.waits = fan_out.end_round_of_sampling(now, &self.cells);
        let shedding = fan_out.end_round(now);
        drop(held);
        for why in drained.refused {
            if self.settings.report && !std::mem::replace(&mut self.told[why as usize], true) {
                diagnostics::tell(explain(why));
            }
        }
        if drained.records > 0 {
            self.cells.drains.add(begun.elapsed());
        }
        self.ring_fill = self.ring_fill.max(drained.fill);
        Ok(Round { records: drained.records, hurry: drained.fill > 0.5, shedding })
    }

    /// Reads the clocks again. If the wall clock was set, metrics keep their start time, unless it would now
    /// be in the future; then it moves with the clock.
    fn refine(&mut self, now: Instant) {
        let reading = Reading::now(&self.settings.clock, self.settings.wall_clock);
        let step = self.assembler.wall_time.refine(reading);
        if let Some(step_ns) = step {
            self.steps.found(step_ns, now, self.settings.report);
        }
        let (wall_time, ticks) = (&self.assembler.wall_time, self.settings.clock.ticks());
        self.readings.update(|known| {
            known.wall_time.clone_from(wall_time);
            if let Some(step_ns) = step {
                if wall_time.unix_ns(ticks) < known.start_unix_ns {
                    known.start_unix_ns = known.start_unix_ns.saturating_add_signed(step_ns);
                }
                known.steps = self.steps.points();
            }
        });
    }

    fn flush(&mut self, done: Done) -> Result<(), Seized> {
        // The round before may have kept records back that need a remote parent; this round has read all
        // rings since, so it passes them on.
        self.round()?;
        if self.waits {
            // Traces that have ended by now are decided one round later.
            self.round()?;
        }
        self.metrics()?;
        self.fan_out.flush(done);
        Ok(())
    }

    fn finish(&mut self, farewell: Option<Farewell>) -> Result<Option<Done>, Seized> {
        // The last metrics have the final counts, so the observers are asked before.
        let answers = self.answers()?;
        self.round()?;
        // As in a flush, this second round passes on what the first kept back. Records that it keeps back
        // itself go on without what they wait for.
        self.round()?;
        let rings = Arc::clone(&self.rings);
        let held = rings.hold();
        if held.is_none() {
            return Err(Seized);
        }
        self.assembler.give_up(&self.cells, &mut self.fan_out);
        self.fan_out.end_sampling(&self.cells);
        self.assembler.tell_held(self.settings.clock.ticks(), true, &self.cells, &mut self.fan_out);
        drop(held);
        self.points(answers, true);
        match farewell {
            Some(Farewell { drained, delivered }) => {
                self.fan_out.finish(delivered);
                Ok(Some(drained))
            }
            None => {
                self.fan_out.close();
                Ok(None)
            }
        }
    }

    fn metrics(&mut self) -> Result<(), Seized> {
        let answers = self.answers()?;
        self.points(answers, false);
        Ok(())
    }

    fn points(&mut self, answers: Vec<Answer>, last: bool) {
        let ring_fill = std::mem::take(&mut self.ring_fill);
        self.readings.update(|known| known.ring_fill = ring_fill);
        if !self.fan_out.wants_points() {
            return;
        }
        if let Some(otlp) = &self.fan_out.otlp {
            self.readings.update(|known| known.attributes = otlp.counts());
        }
        let fan_out = &mut self.fan_out;
        self.readings.read_with(answers, |points| {
            if !points.is_empty() {
                fan_out.points(points, last);
            }
        });
    }

    /// Asks the observers. While their callbacks run, the rings are emptied. A shutdown waits for them for half of
    /// its time.
    fn answers(&mut self) -> Result<Vec<Answer>, Seized> {
        if !self.fan_out.wants_points() {
            return Ok(Vec::new());
        }
        let mut asking = self.readings.ask();
        let begun = Instant::now();
        let mut ends = None;
        while !asking.wait(BUSY) {
            let now = Instant::now();
            let left = self.settings.deadline.at().map(|at| at.saturating_duration_since(now));
            let most = left.map(|left| *ends.get_or_insert(now + left / 2));
            if now.duration_since(begun) >= ANSWERS || most.is_some_and(|most| now >= most) {
                break;
            }
            self.gather(now)?;
        }
        Ok(asking.answers())
    }
}

/// Why a thread had no ring, and what to do.
fn explain(why: Refusal) -> &'static str {
    match why {
        Refusal::Ending => {
            "a thread recorded while it was being torn down, which is lost and counted as no_recorder; end spans before their thread ends, and record nothing in the destructors of thread-locals"
        }
        Refusal::TooMany => {
            "a thread has no ring, because as many threads record as may; what it records is lost and counted as too_many_threads; raise recording.max_threads (Config::max_threads)"
        }
        Refusal::NoMemory => {
            "a thread has no ring, because the system gives no memory for it; what it records is lost and counted as no_memory; make rings smaller with recording.ring_slots (Config::ring_slots), or raise the limit of memory"
        }
    }
}
