//! The threads of alerts: one that evaluates the rules at their interval, and one for each receiver.

use super::alerts::Figures;
use super::lane::Lane;
use super::options::Receiver;
use super::{AlertState, Alerts, Suppression, page};
use crate::admin::Pages;
use crate::config::exporters as configured;
use crate::init::{Named, counts};
use crate::observe::{self, Observer};
use crate::outgoing::most_of;
use crate::spawn::spawn_recording;
use crate::stop::Stop;
use crate::{Config, InitError, LoadError};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use throughline_export::{Deadline, ExportError, Exporter, Health, Host, ReadMetrics, Wants};

/// What decisions about alerts are called in the ledger.
const DECISIONS: &str = "alerts.rules";
/// A smaller step of the wall clock is a drift.
const STEP: i64 = 1000;

/// Alerts that are configured, until they begin.
pub(crate) struct Prepared {
    pub(crate) alerts: Alerts,
    pub(crate) exporter: Named,
    pub(crate) healths: Vec<Arc<Health>>,
}

impl Prepared {
    /// What the configuration asks for, with all that can be wrong with it.
    pub(crate) fn new(config: &Config, pages: &mut Pages) -> Result<Option<Prepared>, InitError> {
        let Some(options) = configured::alerts(config).map_err(LoadError::of)? else { return Ok(None) };
        #[cfg(profiled)]
        let options = options.with_profiles();
        let alerts = Alerts::new(&options)?;
        let route = page::route(&options, alerts.clone())?;
        pages.default_place()?.route(route);
        let lane = |receiver: &Receiver| {
            let notifier = receiver.notifier.as_ref()?.take()?;
            let name = format!("alerts.{}", receiver.name);
            let health = Arc::new(Health::new(&name, config.report_errors));
            Some((Arc::new(Lane::new(name, Arc::clone(&receiver.name), health, options.patience)), notifier))
        };
        let (lanes, mut waiting) = (options.receivers.iter().filter_map(lane), Vec::new());
        let lanes: Vec<Arc<Lane>> = lanes
            .map(|(lane, notifier)| {
                waiting.push((Arc::clone(&lane), notifier));
                lane
            })
            .collect();
        let healths = lanes.iter().map(|lane| Arc::clone(lane.health())).collect();
        let stop = Arc::<Stop>::default();
        let exporter = Evaluator {
            alerts: alerts.clone(),
            interval: options.interval,
            lanes,
            waiting,
            stop,
            turn: Arc::default(),
            observers: Vec::new(),
        };
        Ok(Some(Prepared { alerts, exporter: ("alerts".into(), Box::new(exporter)), healths }))
    }
}

/// Begins with the exporters and ends with them, within the same deadline. It takes no records: it reads metrics by itself.
struct Evaluator {
    alerts: Alerts,
    interval: Duration,
    lanes: Vec<Arc<Lane>>,
    /// Receivers whose threads have not begun.
    waiting: Vec<(Arc<Lane>, Box<dyn super::Notifier>)>,
    stop: Arc<Stop>,
    /// Held while notices are made and put into the queues, so that none is on its way between them at the end.
    turn: Arc<Mutex<()>>,
    observers: Vec<Observer>,
}

impl Exporter for Evaluator {
    fn begin(&mut self, host: &Host<'_>) -> io::Result<()> {
        let Some(metrics) = host.metrics.cloned() else {
            return Err(io::Error::other("metrics cannot be read here"));
        };
        for (lane, notifier) in self.waiting.drain(..) {
            lane.count(counts().map(|counts| counts.exporter(lane.name())));
            let (for_thread, alerts) = (Arc::clone(&lane), self.alerts.clone());
            (host.spawn)(lane.name(), Box::new(move || for_thread.run(notifier, &alerts)))?;
        }
        let hop = counts().map(|counts| counts.exporter(DECISIONS));
        self.alerts.lock().decisions.count_in(hop);
        self.observers = observed(&self.alerts);
        // A problem with the state file is told now, not when the rules are looked at for the first time.
        self.alerts.begin(SystemTime::now());
        let (alerts, interval) = (self.alerts.clone(), self.interval);
        let (stop, turn, lanes) = (Arc::clone(&self.stop), Arc::clone(&self.turn), self.lanes.clone());
        // What is decided about alerts is recorded as events of the program.
        spawn_recording("rules", Box::new(move || run(&alerts, &metrics, interval, &stop, &turn, &lanes)))
    }

    fn wants(&self) -> Wants {
        Wants::NOTHING
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }

    fn finish(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.observers.clear();
        self.stop.stop();
        self.alerts.close();
        drop(self.turn.lock().unwrap_or_else(PoisonError::into_inner));
        let deadline = &most_of(deadline);
        self.lanes.iter().for_each(|lane| lane.close(deadline));
        self.lanes.iter().for_each(|lane| lane.wait(deadline, self.alerts.without_room(lane.receiver())));
        self.alerts.end();
        Ok(())
    }
}

/// Metrics of alerts themselves, as of the last evaluation.
fn observed(alerts: &Alerts) -> Vec<Observer> {
    let of = |read: fn(Figures) -> usize| {
        let alerts = alerts.clone();
        move || read(alerts.figures())
    };
    let in_state = |state: AlertState, read| {
        observe::gauge("alerts.active")
            .unit("{alert}")
            .description("Alerts that are pending or firing")
            .label("state", state.as_str())
            .with(of(read))
    };
    let suppressed = |reason: Suppression| {
        let alerts = alerts.clone();
        observe::counter("alerts.suppressed")
            .unit("{alert}")
            .description("Alerts that fire and of which nobody was told, by reason")
            .label("reason", reason.as_str())
            .with(move || alerts.figures().suppressions.of(reason))
    };
    let baselines = |state: &'static str, read| {
        observe::gauge("alerts.baselines")
            .unit("{series}")
            .description("Series whose season is learnt, and those that are too many")
            .label("state", state)
            .with(of(read))
    };
    let (slow, waiting) = (alerts.clone(), alerts.clone());
    let mut observers: Vec<Observer> = Suppression::ALL.map(suppressed).into();
    observers.extend([
        in_state(AlertState::Pending, |it| it.pending),
        in_state(AlertState::Firing, |it| it.firing),
        baselines("kept", |it| it.baselines.0),
        baselines("refused", |it| it.baselines.1),
        observe::counter("alerts.notices.waiting")
            .unit("{notice}")
            .description("Notices that had to wait because of the limit of their receiver")
            .with(move || waiting.figures().suppressions.rate_limited),
        observe::gauge("alerts.groups.waiting")
            .unit("{group}")
            .description("Groups of alerts that are not told yet because the queue of their receiver is full")
            .with(of(|it| it.without_room)),
        observe::gauge("alerts.rules.failing")
            .unit("{rule}")
            .description("Rules whose last evaluation failed")
            .with(of(|it| it.failing)),
        observe::gauge("alerts.evaluation.duration")
            .unit("s")
            .description("How long the last evaluation of all rules took")
            .with(move || slow.figures().evaluation_seconds),
    ]);
    observers
}

/// The main function of the thread that evaluates.
fn run(
    alerts: &Alerts,
    metrics: &ReadMetrics,
    interval: Duration,
    stop: &Stop,
    turn: &Mutex<()>,
    lanes: &[Arc<Lane>],
) {
    let mut clock = Clock::new();
    let mut next = Instant::now() + interval;
    while stop.wait(next) {
        let now = clock.now(|by| alerts.shift(by));
        alerts.read_silences();
        metrics.read(|points| alerts.update(now, points));
        let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().for_each(|lane| alerts.set_room(lane.receiver(), lane.room()));
        let notices = alerts.judge(now);
        for (receiver, number) in alerts.take_waiting() {
            lanes.iter().filter(|lane| lane.receiver() == &*receiver).for_each(|lane| lane.waiting(number));
        }
        for notice in notices {
            if let Some(lane) = lanes.iter().find(|lane| lane.receiver() == &*notice.receiver) {
                lane.push(notice, alerts);
            }
        }
        lanes.iter().for_each(|lane| lane.crowded(alerts.without_room(lane.receiver())));
        drop(turn);
        // Evaluations that are missed, because the machine slept say, are not made up for.
        next = (next + interval).max(Instant::now());
    }
}

/// The wall clock, whose steps are told apart from time that goes by.
struct Clock {
    begun: Instant,
    /// The time at `begun`.
    unix_ms: i64,
}

impl Clock {
    fn new() -> Clock {
        Clock { begun: Instant::now(), unix_ms: super::engine::unix_ms(SystemTime::now()) }
    }

    /// The time. If the clock was set, `step` is called with the milliseconds first.
    fn now(&mut self, step: impl FnOnce(i64)) -> SystemTime {
        let wall = super::engine::unix_ms(SystemTime::now());
        let expected = self.unix_ms + super::engine::ms(self.begun.elapsed());
        let by = wall - expected;
        if by.abs() > STEP {
            self.unix_ms += by;
            step(by);
            return super::engine::time(expected + by);
        }
        super::engine::time(expected)
    }
}
