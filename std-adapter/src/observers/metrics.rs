//! The metrics of observers, which are read when metrics are, and never pass through a ring: observers run on threads that record nothing.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use throughline_export::Times;

/// Most series of one metric that an action makes; the values of others are counted together.
pub(super) const MOST_SERIES: usize = 1000;

static ALL: Mutex<Vec<Arc<Cell>>> = Mutex::new(Vec::new());

fn all() -> MutexGuard<'static, Vec<Arc<Cell>>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One series.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Counter(AtomicU64),
    Histogram(Times),
}

impl Cell {
    /// Counts one value: adds it to a sum, or puts it into a distribution.
    pub(super) fn add(&self, value: f64) {
        match &self.value {
            Value::Counter(sum) => _ = sum.fetch_add(value.max(0.0) as u64, Ordering::Relaxed),
            Value::Histogram(times) => times.add_number(value),
        }
    }
}

/// A series as long as whoever counts there has this.
#[derive(Debug)]
pub(super) struct Series(Arc<Cell>);

impl Series {
    /// Adds a series.
    pub(super) fn new(
        (name, unit, description): (&'static str, &'static str, &'static str),
        labels: Vec<(&'static str, String)>,
        is_histogram: bool,
    ) -> Series {
        let value = match is_histogram {
            true => Value::Histogram(Times::default()),
            false => Value::Counter(AtomicU64::new(0)),
        };
        let cell = Arc::new(Cell { name, unit, description, labels, value });
        all().push(Arc::clone(&cell));
        Series(cell)
    }
}

impl Deref for Series {
    type Target = Cell;

    fn deref(&self) -> &Cell {
        &self.0
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        all().retain(|known| !Arc::ptr_eq(known, &self.0));
    }
}

/// Calls `look` with all series, those of one metric together.
pub(crate) fn each(mut look: impl FnMut(&Cell)) {
    let mut cells = all().clone();
    cells.sort_by(|a, b| (a.name, &a.labels).cmp(&(b.name, &b.labels)));
    cells.iter().for_each(|cell| look(cell));
}

type Named = (&'static str, &'static str, &'static str);

const PROCESSED: Named =
    ("observer_events_processed_total", "{record}", "Records that observers have looked at");
const DURATION: Named = ("observer_event_duration_ms", "ms", "How long an observer looked at a record");
const MATCHES: Named =
    ("observer_condition_matches_total", "{match}", "Records for which an observer's condition held");
const EXECUTED: Named = ("observer_actions_executed_total", "{action}", "Actions that were run, by outcome");
const ACTION: Named = ("observer_action_duration_ms", "ms", "How long an action took, all attempts together");
const ERRORS: Named = (
    "observer_errors_total",
    "{error}",
    "What went wrong in observers: conditions that cannot be computed, and actions that were not run or failed, by type",
);
const BATCH: Named = ("observer_batch_size", "{record}", "Records that observers were given at once");

/// The series of an observer.
#[derive(Debug)]
pub(super) struct OfObserver {
    name: String,
    pub(super) processed: Series,
    pub(super) duration: Series,
    pub(super) matches: Series,
    errors: Mutex<Vec<(&'static str, Series)>>,
}

impl OfObserver {
    pub(super) fn new(name: &str) -> OfObserver {
        let labels = || vec![("observer", name.to_owned())];
        OfObserver {
            name: name.to_owned(),
            processed: Series::new(PROCESSED, labels(), false),
            duration: Series::new(DURATION, labels(), true),
            matches: Series::new(MATCHES, labels(), false),
            errors: Mutex::default(),
        }
    }

    /// Counts errors of this type.
    pub(super) fn error(&self, kind: &'static str, n: u64) {
        if n == 0 {
            return;
        }
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if !errors.iter().any(|(known, _)| *known == kind) {
            let labels = vec![("error_type", kind.to_owned()), ("observer", self.name.clone())];
            errors.push((kind, Series::new(ERRORS, labels, false)));
        }
        errors.iter().filter(|(known, _)| *known == kind).for_each(|(_, cell)| cell.add(n as f64));
    }
}

/// The series of one action of an observer.
#[derive(Debug)]
pub(super) struct OfAction {
    pub(super) done: Series,
    pub(super) failed: Series,
    pub(super) duration: Series,
}

impl OfAction {
    pub(super) fn new(observer: &str, action: &str) -> OfAction {
        let labels = || vec![("action", action.to_owned()), ("observer", observer.to_owned())];
        let of = |outcome: &str| {
            let mut labels = labels();
            labels.insert(1, ("outcome", outcome.to_owned()));
            Series::new(EXECUTED, labels, false)
        };
        OfAction { done: of("success"), failed: of("failure"), duration: Series::new(ACTION, labels(), true) }
    }
}

/// The sizes of batches, of all observers together.
pub(super) fn batches() -> Series {
    Series::new(BATCH, Vec::new(), true)
}
