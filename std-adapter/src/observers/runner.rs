//! Observers as an exporter: they get what all exporters get, on a thread of their own, behind a bounded queue.

use super::action::{Given, LogLine, Place};
use super::checkpoint::{self, Kept};
use super::engine::Engine;
use super::lane::{Acting, Lane};
use super::metrics::{OfAction, OfObserver, Series, batches};
use super::recent::Recent;
use super::record::Record;
use super::{ObserverError, Observers};
use crate::init::{Named, counts};
use crate::outgoing::{most_of, state_file};
use crate::pump::{Control, OwnLog};
use crate::{Config, InitError, LoadError};
use std::collections::{HashMap, HashSet};
use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};
use throughline_export::otlp::Signal;
use throughline_export::view::{LogView, PointView, SpanView};
use throughline_export::{Deadline, ExportError, Exporter, Health, Host, Wants, diagnostics};

/// The name of the exporter. The actions of an observer are `observers.NAME`.
const NAME: &str = "observers";

/// Observers that are configured, until they begin.
pub(crate) struct Prepared {
    pub(crate) exporter: Named,
    pub(crate) healths: Vec<Arc<Health>>,
}

impl Prepared {
    /// What the configuration asks for, with all that can be wrong with it. `pump` takes the log records that actions make.
    pub(crate) fn new(config: &Config, pump: &Sender<Control>) -> Result<Option<Prepared>, InitError> {
        let Some(options) = crate::config::exporters::observers(config).map_err(LoadError::of)? else {
            return Ok(None);
        };
        OwnLog::open();
        let runner = Runner::new(&options, config, pump)?;
        let healths = runner.all.iter().flat_map(One::healths).collect();
        Ok(Some(Prepared { exporter: (NAME.into(), Box::new(runner)), healths }))
    }
}

struct Runner {
    engines: Vec<Engine>,
    /// Of each engine.
    all: Vec<One>,
    /// The last values of the series of metrics, and their times.
    last: HashMap<u64, (f64, u64)>,
    /// Records since the last flush, and their sizes.
    taken: u64,
    batches: Series,
    recent: Arc<Recent>,
    pump: Sender<Control>,
    file: Option<State>,
}

/// What one observer has beside its engine.
struct One {
    lane: Arc<Lane>,
    metrics: Arc<OfObserver>,
    /// Until the thread begins.
    actions: Vec<Acting>,
}

impl One {
    /// That of its conditions and its queue, and those of its actions.
    fn healths(&self) -> impl Iterator<Item = Arc<Health>> {
        let of_actions = self.actions.iter().map(|acting| Arc::clone(&acting.health));
        std::iter::once(Arc::clone(self.lane.queue.health())).chain(of_actions)
    }
}

/// The state file.
struct State {
    path: PathBuf,
    /// Keeps other processes from it.
    lock: Option<File>,
    /// Whether another process has it.
    is_others: bool,
    every: Duration,
    next: Instant,
    /// Whether what observers know has changed since it was written.
    has_changed: bool,
    /// The number of changes of all queues when it was written.
    changes: u64,
    health: Arc<Health>,
}

impl Runner {
    fn new(options: &Observers, config: &Config, pump: &Sender<Control>) -> Result<Runner, ObserverError> {
        options.check()?;
        let (mut engines, mut all) = (Vec::new(), Vec::new());
        for listener in &options.listeners {
            let metrics = Arc::new(OfObserver::new(&listener.name));
            let name = format!("{NAME}.{}", listener.name);
            let health = Arc::new(Health::new(&name, config.report_errors));
            let acting = |(action, given): &(Arc<str>, Given)| {
                let health = Health::new(&format!("{name}.{action}"), config.report_errors);
                let metrics = OfAction::new(&listener.name, action);
                Some(Acting { action: given.take()?, metrics, health: Arc::new(health) })
            };
            let actions: Vec<Acting> = listener.actions.iter().filter_map(acting).collect();
            let lane = Lane::new(name, listener.queue, listener.patience, health, Arc::clone(&metrics));
            all.push(One { lane: Arc::new(lane), metrics, actions });
            engines.push(Engine::new(listener.clone(), listener.prepared()?));
        }
        let kept = all.iter().flat_map(|one| &one.actions).map(|acting| acting.action.keeps()).max();
        let file = options.state_file.clone().map(|path| State {
            path,
            lock: None,
            is_others: false,
            every: options.save_every,
            next: Instant::now(),
            has_changed: false,
            changes: 0,
            health: Arc::new(Health::new("observers.state", config.report_errors)),
        });
        Ok(Runner {
            engines,
            all,
            last: HashMap::new(),
            taken: 0,
            batches: batches(),
            recent: Arc::new(Recent::new(kept.unwrap_or_default())),
            pump: pump.clone(),
            file,
        })
    }

    fn look(&mut self, record: &Record<'_>) {
        for (engine, one) in self.engines.iter_mut().zip(&self.all) {
            let begun = Instant::now();
            let result = engine.look(record);
            if !result.is_heard {
                continue;
            }
            one.metrics.processed.add(1.0);
            one.metrics.duration.add(begun.elapsed().as_secs_f64() * 1e3);
            if result.matched {
                one.metrics.matches.add(1.0);
            }
            one.metrics.error("too_many_keys", result.forgotten);
            if let Some((condition, why)) = result.wrong {
                one.metrics.error("condition", 1);
                let place = engine.listener().place.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
                let why = format!("its condition `{condition}`{place} cannot be computed: {why}");
                one.lane.queue.health().warn(&why);
            }
            if let Some(state) = &mut self.file {
                state.has_changed |= result.has_changed;
            }
            if let Some(found) = result.found {
                let found = Arc::new(found);
                (0..engine.listener().actions.len())
                    .for_each(|action| one.lane.push((action, Arc::clone(&found))));
            }
        }
    }

    /// Takes over what the state file keeps, unless another process has it.
    fn load(&mut self) {
        let Some(state) = &mut self.file else { return };
        let path = state.path.display().to_string();
        let tell = |text: &str| {
            let text = format!("the state of observers, {path}, {text}");
            diagnostics::tell(throughline_export::text::Escaped(&text));
        };
        let loaded = match state_file::lock(&state.path) {
            Err(TryLockError::WouldBlock) => {
                if std::mem::replace(&mut state.is_others, true) {
                    return;
                }
                Err(format!("{}; a restart forgets what observers know", state_file::TAKEN))
            }
            locked => {
                // What else keeps it from being locked keeps it from being written, or it is on a file system without locks.
                state.lock = locked.ok();
                if std::mem::take(&mut state.is_others) {
                    tell(state_file::FREE);
                }
                checkpoint::load(&state.path, &mut self.engines)
                    .map_err(|why| format!("{why}; they begin anew"))
            }
        };
        match loaded {
            Ok(jobs) => jobs.into_iter().for_each(|(at, job)| self.all[at].lane.push(job)),
            Err(why) => {
                tell(&why);
                self.all.iter().for_each(|one| one.metrics.error("checkpoint", 1));
            }
        }
    }

    /// Writes the state file if something has changed and it is time, or if this is the `last` time.
    fn save(&mut self, last: Option<&[Vec<super::lane::Job>]>) -> bool {
        if let Some(state) = &mut self.file
            && state.is_others
            && last.is_none()
            && Instant::now() >= state.next
        {
            state.next = Instant::now() + state.every;
            self.load();
        }
        let Some(state) = self.file.as_mut().filter(|state| !state.is_others) else { return false };
        let changes = self.all.iter().map(|one| one.lane.queue.changes()).sum();
        let now = Instant::now();
        let is_due = now >= state.next && (state.has_changed || changes != state.changes);
        if !is_due && last.is_none() {
            return false;
        }
        let kept = self.engines.iter().zip(&self.all).enumerate();
        let kept: Vec<Kept<'_>> = kept
            .map(|(at, (engine, one))| Kept {
                engine,
                jobs: last
                    .and_then(|last| last.get(at))
                    .cloned()
                    .unwrap_or_else(|| one.lane.queue.waiting().0),
            })
            .collect();
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let saved = checkpoint::save(
            &state.path,
            &checkpoint::body(&kept),
            i64::try_from(unix.as_millis()).unwrap_or(i64::MAX),
        );
        state.next = now + state.every;
        match &saved {
            Ok(()) => {
                (state.has_changed, state.changes) = (false, changes);
                state.health.recovered();
            }
            Err(error) => {
                let path = state.path.display();
                let why = format!("{path} cannot be written: {error}; a restart forgets what observers know");
                state.health.failing(1, &why);
                self.all.iter().for_each(|one| one.metrics.error("checkpoint", 1));
            }
        }
        saved.is_ok()
    }
}

impl Exporter for Runner {
    fn begin(&mut self, host: &Host<'_>) -> io::Result<()> {
        let place = Place {
            resource: host.resource.clone(),
            recent: Arc::clone(&self.recent),
            pump: self.pump.clone(),
        };
        for one in &mut self.all {
            one.lane.queue.count(counts().map(|counts| counts.exporter(one.lane.queue.name())));
            let mut actions = std::mem::take(&mut one.actions);
            actions.iter_mut().for_each(|acting| acting.action.begin(&place));
            let lane = Arc::clone(&one.lane);
            (host.spawn)(one.lane.queue.name(), Box::new(move || lane.run(actions)))?;
        }
        self.load();
        Ok(())
    }

    fn wants(&self) -> Wants {
        let hears = |signal| self.engines.iter().any(|engine| engine.listener().signals.contains(&signal));
        let keeps = self.recent.keeps();
        Wants {
            spans: keeps || hears(Signal::Traces),
            logs: keeps || hears(Signal::Logs),
            points: hears(Signal::Metrics),
            losses: false,
        }
    }

    fn span(&mut self, span: &SpanView<'_>) {
        self.taken += 1;
        self.recent.span(span);
        self.look(&Record::Span(span));
    }

    fn log(&mut self, log: &LogView<'_>) {
        self.taken += 1;
        self.recent.log(log);
        if log.target != LogLine::TARGET {
            self.look(&Record::event(log));
        }
    }

    fn points(&mut self, points: &[PointView<'_>]) {
        self.taken += points.len() as u64;
        for point in points {
            let before = self.last.get(&point.id).copied().filter(|_| point.id != 0);
            let record = Record::metric(point, before);
            self.look(&record);
            if let Record::Metric { value, .. } = record
                && point.id != 0
            {
                self.last.insert(point.id, (value, point.time_unix_ns));
            }
        }
        // Series that are gone.
        if self.last.len() > 2 * points.len() + 1024 {
            let there: HashSet<u64> = points.iter().map(|point| point.id).collect();
            self.last.retain(|id, _| there.contains(id));
        }
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        if self.taken > 0 {
            self.batches.add(std::mem::take(&mut self.taken) as f64);
        }
        self.save(None);
        Ok(())
    }

    fn finish(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        let _ = self.flush(deadline);
        let deadline = &most_of(deadline);
        self.all.iter().for_each(|one| one.lane.queue.close(deadline));
        let left: Vec<_> = self.all.iter().map(|one| one.lane.queue.wait(deadline)).collect();
        let is_kept = self.save(Some(&left));
        for (one, left) in self.all.iter().zip(&left) {
            one.lane.left(left.len() as u64, is_kept);
        }
        Ok(())
    }
}
