//! Everything together: rules, their alerts, silences, and what is told to whom.

use super::engine::{Engine, time, unix_ms};
use super::options::Evidence;
use super::patterns::Patterns;
use super::routing::Router;
use super::suppress::Decisions;
use super::{
    Alert, AlertOptions, AlertState, Inhibition, Matcher, Notice, Rules, Silence, SuppressionCounts,
    state_file,
};
use crate::config::reload::{Written, written};
use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use throughline_export::diagnostics;
use throughline_export::view::PointView;

/// The alerts of the process: what fires, and silences. Cloning it is cheap.
///
/// [`Guard::alerts`](crate::Guard::alerts) returns it, and evaluates the rules at its interval. A program that brings its own clock and metrics makes one
/// by itself and calls [`evaluate`](Alerts::evaluate):
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use throughline_std::alert::{AlertOptions, AlertState, Alerts, Rules};
/// use throughline_std::view::{PointData, PointView, Scope};
/// let rules = Rules::parse("alerts.yaml", "[{name: QueueGrows, condition: queue_depth > 100, duration: 1m}]")?;
/// let alerts = Alerts::new(&AlertOptions::new(rules))?;
/// let depth = PointView {
///     id: 0,
///     name: "queue.depth",
///     unit: "{job}",
///     description: "",
///     scope: Scope { name: "shop", version: "1.2.0" },
///     target: "shop",
///     start_unix_ns: 0,
///     time_unix_ns: 0,
///     labels: &[],
///     data: PointData::GaugeInt(250),
/// };
/// let now = SystemTime::now();
/// alerts.evaluate(now, &[depth.clone()]);
/// assert_eq!(alerts.list()[0].state, AlertState::Pending);
/// alerts.evaluate(now + Duration::from_secs(60), &[depth]);
/// assert_eq!(alerts.list()[0].state, AlertState::Firing);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Alerts(Arc<Shared>);

struct Shared {
    center: Mutex<Center>,
    figures: Mutex<Figures>,
}

/// What metrics show of the last evaluation. They may be read during the next one, which takes long with many series, and do not wait for it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) pending: usize,
    pub(super) firing: usize,
    pub(super) suppressions: SuppressionCounts,
    /// Series that have a baseline, and those that have none because there are too many.
    pub(super) baselines: (usize, usize),
    pub(super) failing: usize,
    /// Groups that wait because the queues of their receivers are full.
    pub(super) without_room: usize,
    pub(super) evaluation_seconds: f64,
}

/// Alerts cannot work like this.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AlertError {
    /// The rules are wrong.
    #[error(transparent)]
    Rules(#[from] super::RulesError),
    /// There are no rules.
    #[error("there are no alert rules; name a file with alerts.rules_file, or give rules to AlertOptions")]
    NoRules,
    /// The path of the page is none.
    #[error("`{path}` is no path for the page of alerts; give one that begins with a slash, such as /alerts")]
    Path {
        /// As given.
        path: String,
    },
    /// Two receivers have one name.
    #[error("there are two receivers `{name}`; give each its own name")]
    Twice {
        /// The name.
        name: String,
    },
}

throughline_export::__debug_as_display!(AlertError);

pub(super) struct Center {
    pub(super) engine: Engine,
    pub(super) silences: Vec<Silence>,
    /// Those of the file of rules, and what of it was read.
    pub(super) of_file: Vec<Silence>,
    source: Option<(PathBuf, Option<Written>)>,
    pub(super) inhibitions: Vec<Inhibition>,
    pub(super) patterns: Patterns,
    pub(super) routers: Vec<Router>,
    pub(super) decisions: Decisions,
    evidence: Option<Evidence>,
    /// How long alerts are expected after a restart, and after one with another version.
    graces: (Duration, Duration),
    pub(super) state_file: Option<PathBuf>,
    /// Keeps other processes from the state file.
    pub(super) lock: Option<File>,
    /// Whether another process has the state file.
    pub(super) is_others: bool,
    /// What the state file holds.
    pub(super) saved: Option<String>,
    /// Problems with the state file so far, and the last of them.
    pub(super) state_problems: (u64, Option<String>),
    has_begun: bool,
    /// Whether the process ends, so that nothing is judged any more.
    has_ended: bool,
    /// The time of the last evaluation.
    now: i64,
    /// How long the last evaluation took, in seconds.
    pub(super) evaluation_seconds: f64,
}

impl Alerts {
    /// The alerts of these options, of which none is active yet. The state file is read by the first evaluation.
    ///
    /// # Errors
    ///
    /// The rules cannot be read, or there are none.
    pub fn new(options: &AlertOptions) -> Result<Alerts, AlertError> {
        let rules = options.loaded()?;
        let mut routers: Vec<Router> = Vec::new();
        for receiver in &options.receivers {
            if routers.iter().any(|router| router.name == receiver.name) {
                return Err(AlertError::Twice { name: receiver.name.to_string() });
            }
            let routing = receiver.routing.clone().unwrap_or_else(|| options.routing.clone());
            routers.push(Router::new(Arc::clone(&receiver.name), routing, receiver.notifier.is_some()));
        }
        let inhibitions = rules.inhibitions.iter().chain(&options.inhibitions).cloned().collect();
        let (of_file, source) = (rules.silences.clone(), rules.source.clone());
        let center = Center {
            of_file,
            source,
            engine: Engine::new(
                rules,
                options.page.clone().unwrap_or_default(),
                options.with_process,
                options.flapping,
            ),
            silences: Vec::new(),
            inhibitions,
            patterns: Patterns::new(options.version.clone()),
            routers,
            decisions: Decisions::default(),
            evidence: options.evidence.clone(),
            graces: (options.restart_grace, options.deploy_grace),
            state_file: options.state_file.clone(),
            is_others: false,
            lock: None,
            saved: None,
            state_problems: (0, None),
            has_begun: false,
            has_ended: false,
            now: 0,
            evaluation_seconds: 0.0,
        };
        Ok(Alerts(Arc::new(Shared { center: Mutex::new(center), figures: Mutex::default() })))
    }

    /// Evaluates all rules over these metrics at this time, and returns what is to be told. The times of calls must not go back; after the clock was
    /// set, [`Alerts::shift`] moves what is known. Cost: about 1 µs for each series that a rule looks at, and a write of the state file when something has
    /// changed.
    pub fn evaluate(&self, now: SystemTime, points: &[PointView<'_>]) -> Vec<Notice> {
        self.begin(now);
        self.read_silences();
        self.update(now, points);
        let notices = self.judge(now);
        self.take_waiting();
        notices
    }

    /// Reads the state file, once.
    pub(super) fn begin(&self, now: SystemTime) {
        let mut center = self.lock();
        if std::mem::replace(&mut center.has_begun, true) {
            return;
        }
        center.now = unix_ms(now);
        let before = state_file::load(&mut center, unix_ms(now));
        let (restart, deploy) = center.graces;
        center.patterns.begin(unix_ms(now), before.as_deref(), restart, deploy);
    }

    /// Judges nothing from now on.
    pub(super) fn close(&self) {
        self.lock().has_ended = true;
    }

    /// Writes down what was delivered at the end, and leaves the state file to another process.
    pub(super) fn end(&self) {
        let mut center = self.lock();
        let now = center.now;
        state_file::save(&mut center, now);
        (center.state_file, center.lock) = (None, None);
    }

    /// Takes over the silences of the file of rules if it has changed, and says so. With mistakes in it those before stay.
    pub(super) fn read_silences(&self) {
        let Some((path, seen)) = self.lock().source.clone() else { return };
        let now = written(&path);
        // While it is away, as an editor may leave it for a moment, nothing changes.
        if now.is_none() || now == seen {
            return;
        }
        let (read, shown) = (Rules::load(&path), path.display().to_string());
        let mut center = self.lock();
        center.source = Some((path, now));
        let tell = |text: String| diagnostics::tell(throughline_export::text::Escaped(&text));
        match read {
            Ok(rules) => {
                center.of_file = rules.silences;
                let number = center.of_file.len();
                let s = if number == 1 { "" } else { "s" };
                tell(format!(
                    "{shown} was read again; it has {number} silence{s}, which hold from now on; other changes need a restart"
                ));
            }
            Err(error) => {
                error.errors().iter().for_each(|error| tell(format!("{error}; the silences before stay")))
            }
        }
    }

    /// Takes a snapshot of all metrics.
    pub(super) fn update(&self, now: SystemTime, points: &[PointView<'_>]) {
        self.lock().engine.update(unix_ms(now), points);
    }

    /// Evaluates all rules over the last snapshot.
    pub(super) fn judge(&self, now: SystemTime) -> Vec<Notice> {
        let mut center = self.lock();
        if center.has_ended {
            return Vec::new();
        }
        center.now = unix_ms(now);
        let begun = std::time::Instant::now();
        let notices = center.judge(unix_ms(now));
        center.evaluation_seconds = begun.elapsed().as_secs_f64();
        state_file::save(&mut center, unix_ms(now));
        self.show(&center);
        notices
    }

    /// All alerts that are pending, fire, or were resolved in the last quarter of an hour, in the order of the rules.
    pub fn list(&self) -> Vec<Alert> {
        self.lock().engine.alerts()
    }

    /// Rules whose last evaluation failed, with the reason.
    pub fn failing(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let center = self.lock();
        let rules = center.engine.rules.rules.iter().zip(&center.engine.states);
        rules.filter_map(|(rule, state)| Some((Arc::clone(&rule.name), state.error.clone()?))).collect()
    }

    /// Adds a silence, and returns its id. It is in the state file when this returns, if there is one and the rules have begun to be looked at.
    ///
    /// An operator writes silences into the file of rules, under `silences`, without a restart.
    pub fn silence(&self, silence: Silence) -> Arc<str> {
        let id = Arc::clone(&silence.id);
        let mut center = self.lock();
        center.silences.retain(|known| known.id != id);
        center.silences.push(silence);
        center.save();
        id
    }

    /// Ends a silence. Returns false if there is none with this id. One of the file of rules is ended there.
    pub fn end_silence(&self, id: &str) -> bool {
        let mut center = self.lock();
        let before = center.silences.len();
        center.silences.retain(|silence| &*silence.id != id);
        let is_ended = center.silences.len() < before;
        if is_ended {
            center.save();
        }
        is_ended
    }

    /// Says that a deploy begins and takes this long. Nobody is told of alerts that begin in the meantime, except those of rules that are `urgent`; those
    /// that still fire at the end are told then. It counts from the next evaluation on.
    pub fn deploying(&self, duration: Duration) {
        self.lock().patterns.deploying(duration);
    }

    /// Says that someone takes care of the alerts that fire and that all matchers take, so that receivers with
    /// [`Routing::escalate_after`](super::Routing::escalate_after) are not told of them. Returns how many they are. It is forgotten when the alert is over.
    pub fn acknowledge(&self, matchers: &[Matcher], by: impl Into<Arc<str>>) -> usize {
        let (mut center, by) = (self.lock(), by.into());
        let states = &mut center.engine.states;
        let firing = states.iter_mut().flat_map(|state| state.active.values_mut()).filter(|it| {
            it.state == AlertState::Firing && matchers.iter().all(|matcher| matcher.matches(&it.labels))
        });
        let mut number = 0;
        for alert in firing {
            alert.acknowledged_by = Some(Arc::clone(&by));
            number += 1;
        }
        center.save();
        number
    }

    /// The silences that have not ended, with those of the file of rules.
    pub fn silences(&self) -> Vec<Silence> {
        self.lock().all_silences().cloned().collect()
    }

    /// How long the last evaluation of all rules took, in seconds, without the snapshot.
    pub fn evaluation_seconds(&self) -> f64 {
        self.lock().evaluation_seconds
    }

    /// How often nobody was told of an alert that fires.
    pub fn suppressions(&self) -> SuppressionCounts {
        self.lock().decisions.counts
    }

    /// How often the state file could not be read or written, and the last problem.
    pub fn state_problems(&self) -> (u64, Option<String>) {
        self.lock().state_problems.clone()
    }

    /// Says whether a notice was delivered. One that was not is made again after the interval of its group. The notifiers of
    /// the options are asked by [`Guard`](crate::Guard) itself; for other receivers a notice of which nothing is said counts as delivered.
    pub fn delivered(&self, notice: &Notice, is_delivered: bool) {
        let mut center = self.lock();
        let mut routers = center.routers.iter_mut();
        if let Some(router) = routers.find(|router| router.name == notice.receiver) {
            router.delivered(&notice.group, is_delivered);
        }
    }

    /// How many notices had to wait since the last call, for each receiver that has some.
    pub(super) fn take_waiting(&self) -> Vec<(Arc<str>, u64)> {
        let mut center = self.lock();
        let mut out = Vec::new();
        for router in center.routers.iter_mut().filter(|router| router.uncounted > 0) {
            out.push((Arc::clone(&router.name), std::mem::take(&mut router.uncounted)));
        }
        center.decisions.counts.rate_limited += out.iter().map(|(_, number)| number).sum::<u64>();
        self.show(&center);
        out
    }

    /// How many more notices the queue of a receiver takes at the next evaluation.
    pub(super) fn set_room(&self, receiver: &str, room: usize) {
        let mut center = self.lock();
        center.routers.iter_mut().filter(|it| &*it.name == receiver).for_each(|it| it.room = Some(room));
    }

    /// How many groups of a receiver were not told at the last evaluation because its queue had no room.
    pub(super) fn without_room(&self, receiver: &str) -> usize {
        let center = self.lock();
        center.routers.iter().find(|it| &*it.name == receiver).map_or(0, |it| it.without_room)
    }

    /// Moves everything that is known by so many milliseconds, after the wall clock was set. The ends of silences stay.
    pub fn shift(&self, milliseconds: i64) {
        let mut center = self.lock();
        center.engine.shift(milliseconds);
        center.patterns.shift(milliseconds);
        center.routers.iter_mut().for_each(|router| router.shift(milliseconds));
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Center> {
        self.0.center.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows metrics what is so now.
    fn show(&self, center: &Center) {
        let engine = &center.engine;
        let figures = Figures {
            pending: engine.count(AlertState::Pending),
            firing: engine.count(AlertState::Firing),
            suppressions: center.decisions.counts,
            baselines: engine.baselines_kept(),
            failing: engine.states.iter().filter(|state| state.error.is_some()).count(),
            without_room: center.routers.iter().map(|router| router.without_room).sum(),
            evaluation_seconds: center.evaluation_seconds,
        };
        *self.0.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    pub(super) fn figures(&self) -> Figures {
        *self.0.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts").finish_non_exhaustive()
    }
}

impl Center {
    fn judge(&mut self, now: i64) -> Vec<Notice> {
        self.patterns.step(now);
        self.engine.evaluate(now);
        self.end_silences(now);
        self.suppress(now);
        if let Some(evidence) = self.evidence.clone() {
            self.engine.find_evidence(now, |alert| evidence.of(alert));
        }
        let alerts = self.engine.alerts();
        let notices =
            self.routers.iter_mut().flat_map(|router| router.step(now, time(now), &alerts)).collect();
        self.decisions.tell(&alerts);
        notices
    }

    /// The silences, those of the file of rules too.
    pub(super) fn all_silences(&self) -> impl Iterator<Item = &Silence> {
        let of_file = self.of_file.iter().filter(|silence| unix_ms(silence.ends_at) > self.now);
        self.silences.iter().chain(of_file)
    }

    /// Writes down at once what someone has asked for, so that no crash loses it.
    fn save(&mut self) {
        if self.has_begun {
            state_file::save(self, self.now);
        }
    }

    pub(super) fn rules(&self) -> &Arc<Rules> {
        &self.engine.rules
    }
}
