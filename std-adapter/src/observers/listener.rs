//! One observer: what it listens to, what it looks for, and what it does.

use super::action::{Action, Given};
use super::expression::Expression;
use super::{ObserverError, Observers};
use std::sync::Arc;
use std::time::Duration;
use throughline_export::otlp::Signal;

/// Most records that a window or a sequence may need.
pub(super) const MOST_COUNT: u32 = 1000;
pub(super) const MOST_STEPS: usize = 16;

/// The keys of a file that say what an observer looks for.
const WHEN: &str = "observers.when";
const SEQUENCE: &str = "observers.sequence";
const COUNT: &str = "observers.count";

/// An observer: which records it looks at, what must hold, and which actions run then.
///
/// ```
/// use std::time::Duration;
/// use throughline_std::observers::{Listener, LogLine, Match, Observers};
/// use throughline_std::Deadline;
/// let slow = Listener::spans("slow-checkout")
///     .matching("http.route", "/checkout*")
///     .when("duration_ms > 500")
///     .at_least(3, Duration::from_secs(60))
///     .cooldown(Duration::from_secs(600))
///     .action("log", LogLine::new("{count} slow checkouts within a minute, the last took {duration_ms:.0} ms"))
///     .action("page", |found: &Match, _: &Deadline| {
///         println!("{} in trace {}", found.observer, found.trace_id);
///         Ok(())
///     });
/// let config = throughline_std::Config::new("shop").observers(Observers::new().listen(slow));
/// ```
#[derive(Clone, Debug)]
pub struct Listener {
    pub(super) name: Arc<str>,
    pub(super) signals: Vec<Signal>,
    pub(super) matching: Vec<(String, String)>,
    pub(super) when: Option<String>,
    pub(super) steps: Vec<String>,
    pub(super) count: u32,
    pub(super) window: Option<Duration>,
    pub(super) by: Option<Vec<String>>,
    pub(super) cooldown: Duration,
    pub(super) patience: Duration,
    pub(super) queue: usize,
    pub(super) actions: Vec<(Arc<str>, Given)>,
    /// Where its condition is written, if that is a file.
    pub(super) place: Option<String>,
}

impl Listener {
    /// Listens to records of these signals: spans, events and series of metrics. Its name is a label of its metrics.
    pub fn new(name: &str, signals: &[Signal]) -> Listener {
        Listener {
            name: name.into(),
            signals: signals.to_vec(),
            matching: Vec::new(),
            when: None,
            steps: Vec::new(),
            count: 1,
            window: None,
            by: None,
            cooldown: Duration::ZERO,
            patience: Duration::from_secs(30),
            queue: 256,
            actions: Vec::new(),
            place: None,
        }
    }

    /// Says where its condition is written, for messages.
    pub(crate) fn written_at(self, place: impl std::fmt::Display) -> Listener {
        Listener { place: Some(place.to_string()), ..self }
    }

    /// Listens to spans that have ended.
    pub fn spans(name: &str) -> Listener {
        Listener::new(name, &[Signal::Traces])
    }

    /// Listens to events, which are log records.
    pub fn events(name: &str) -> Listener {
        Listener::new(name, &[Signal::Logs])
    }

    /// Listens to all series of metrics, each time that metrics are read for exporters. It finds a series when its condition begins to hold, and again only
    /// after it did not hold.
    pub fn metrics(name: &str) -> Listener {
        Listener::new(name, &[Signal::Metrics])
    }

    /// Looks only at records whose name or attribute of this name fits the pattern, in which each `*` stands for any characters. This costs less than a
    /// condition.
    #[must_use]
    pub fn matching(mut self, name: &str, pattern: &str) -> Listener {
        self.matching.push((name.into(), pattern.into()));
        self
    }

    /// Looks for records for which this expression holds; see the [module](super) for the language.
    #[must_use]
    pub fn when(self, expression: &str) -> Listener {
        Listener { when: Some(expression.into()), ..self }
    }

    /// Looks for records for which these expressions hold, one after the other in time, all within so much time, and of one trace unless
    /// [`by`](Listener::by) says something else. [`when`](Listener::when) must hold for each of them too.
    #[must_use]
    pub fn sequence<'e>(self, steps: impl IntoIterator<Item = &'e str>, within: Duration) -> Listener {
        let steps = steps.into_iter().map(str::to_owned).collect();
        Listener { steps, window: Some(within), ..self }
    }

    /// Finds something when the condition has held for so many records within so much time, and begins to count anew then. At most 1000.
    #[must_use]
    pub fn at_least(self, count: u32, within: Duration) -> Listener {
        Listener { count, window: Some(within), ..self }
    }

    /// Tells records apart by these names or attributes: each combination of values has a window, a sequence and a cooldown of its own. The 4096 that came
    /// last are kept. Without it, a sequence is of one trace, and everything else of all records.
    #[must_use]
    pub fn by<'n>(self, names: impl IntoIterator<Item = &'n str>) -> Listener {
        Listener { by: Some(names.into_iter().map(str::to_owned).collect()), ..self }
    }

    /// Runs no action for so long after it has found something, of the same key. What it finds meanwhile is counted as a match alone.
    #[must_use]
    pub fn cooldown(self, time: Duration) -> Listener {
        Listener { cooldown: time, ..self }
    }

    /// For how long an action is tried. The default is 30 s. It is dropped then, and the ledger counts it with the reason.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Listener {
        Listener { patience, ..self }
    }

    /// How many actions may wait. The default is 256. Further ones are dropped and counted.
    #[must_use]
    pub fn queue(self, actions: usize) -> Listener {
        Listener { queue: actions.max(1), ..self }
    }

    /// Runs this action when something is found. The name is a label of its metrics. All actions of an observer run one after the other on a thread of
    /// their own.
    #[must_use]
    pub fn action(mut self, name: &str, action: impl Action) -> Listener {
        self.actions.push((name.into(), Given::new(action)));
        self
    }

    /// What must hold, prepared.
    pub(super) fn prepared(&self) -> Result<Condition, ObserverError> {
        self.condition().map_err(|(_, error)| error)
    }

    /// The key that is wrong in a file, and how; `None` if the observer can work.
    pub(crate) fn fault(&self) -> Option<(&'static str, ObserverError)> {
        self.condition().err()
    }

    /// What must hold, prepared. The error has the key that is wrong in a file.
    fn condition(&self) -> Result<Condition, (&'static str, ObserverError)> {
        let wrong = |(key, why)| (key, ObserverError::Condition { observer: self.name.to_string(), why });
        self.read().map_err(wrong)
    }

    /// The same; the error says why alone.
    fn read(&self) -> Result<Condition, (&'static str, String)> {
        let parse =
            |key, text: &String| Expression::parse(text).map_err(|why| (key, format!("`{text}` {why}")));
        if self.signals.is_empty() {
            return Err(("observers.on", "listens to nothing; name span, event or metric".into()));
        }
        let when = self.when.as_ref().map(|text| parse(WHEN, text)).transpose()?;
        let steps = self.steps.iter().map(|text| parse(SEQUENCE, text)).collect::<Result<Vec<_>, _>>()?;
        if when.is_none() && steps.is_empty() && self.matching.is_empty() {
            let why = "has no condition; give it one such as when = \"duration_ms > 500\"";
            return Err((WHEN, why.into()));
        }
        if steps.len() == 1 || steps.len() > MOST_STEPS {
            let why = format!("has a sequence of {}; give 2 to {MOST_STEPS} expressions", steps.len());
            return Err((SEQUENCE, why));
        }
        if !steps.is_empty() && (self.count > 1 || self.signals.contains(&Signal::Metrics)) {
            let why = "has a sequence of metrics, or with a count; make two observers of it";
            return Err((SEQUENCE, why.into()));
        }
        if self.count == 0 || self.count > MOST_COUNT {
            return Err((COUNT, format!("has a count of {}; give 1 to {MOST_COUNT}", self.count)));
        }
        if (self.count > 1 || !steps.is_empty()) && self.window.is_none_or(|window| window.is_zero()) {
            let key = if steps.is_empty() { COUNT } else { SEQUENCE };
            return Err((key, "has no time within which its records must come".into()));
        }
        Ok(Condition { when, steps })
    }

    /// Changes when what was kept for the observer has no meaning any more.
    pub(super) fn fingerprint(&self) -> String {
        let Listener { signals, matching, when, steps, count, window, by, .. } = self;
        format!("{signals:?} {matching:?} {when:?} {steps:?} {count} {window:?} {by:?}")
    }
}

/// The expressions of an observer.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) when: Option<Expression>,
    pub(super) steps: Vec<Expression>,
}

impl crate::Config {
    /// Watches the records on their way to the exporters, and runs actions for what is found. [`init`](crate::init) fails when a condition is wrong.
    #[must_use]
    pub fn observers(mut self, observers: Observers) -> crate::Config {
        self.observers = Some(observers);
        self
    }
}
