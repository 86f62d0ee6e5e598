//! Observable metrics: a callback returns a value that already exists when metrics are read. Nothing is
//! counted in between.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use throughline_std::observe;
//!
//! let jobs = Arc::new(Mutex::new(vec!["mail"]));
//! let depth = {
//!     let jobs = Arc::clone(&jobs);
//!     observe::gauge("queue.depth").unit("{item}").label("queue", "jobs").with(move || jobs.lock().map(|jobs| jobs.len()).ok())
//! };
//! // A metric of the whole process, read as long as it runs.
//! observe::counter("process.cpu.time").unit("s").with(|| 1.25).keep();
//! drop(depth); // its callback is not called any more
//! ```
//!
//! Callbacks run each time metrics are read, on a thread of their own, one at a time. A callback should be quick. It
//! has a quarter of a second; if it takes longer, its metric is left out until it returns, which is reported once on
//! standard error and counted in the metric `throughline.observe.left_out`, and everything else goes on. A scrape waits
//! a second for all callbacks together. A callback may return any number, or an `Option` of one; `None` means that there is no
//! value now. A callback that panics is not called again, which is reported once too.

mod asking;

pub(crate) use asking::{Asker, Asking};

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use throughline_export::diagnostics;

/// A gauge: its last value counts.
pub fn gauge(name: &'static str) -> Observable {
    Observable::new(name, Kind::Gauge)
}

/// A sum that only grows. The callback returns the total so far. If it returns less than before, the earlier
/// total is kept, so that the sum never goes down.
pub fn counter(name: &'static str) -> Observable {
    Observable::new(name, Kind::Counter)
}

/// A sum that may go down. The callback returns the total so far.
pub fn up_down_counter(name: &'static str) -> Observable {
    Observable::new(name, Kind::UpDown)
}

/// An observable metric without a callback; [`Observable::with`] adds the callback.
#[derive(Clone, Debug)]
#[must_use = "it is observed only when it has a callback: call `with`"]
pub struct Observable {
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    description: &'static str,
    labels: Vec<(&'static str, Cow<'static, str>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    UpDown,
    Gauge,
}

impl Observable {
    fn new(name: &'static str, kind: Kind) -> Observable {
        Observable { name, kind, unit: "", description: "", labels: Vec::new() }
    }

    /// Sets the unit in [UCUM](https://ucum.org), such as `By` or `{item}`.
    pub fn unit(self, unit: &'static str) -> Observable {
        Observable { unit, ..self }
    }

    /// Sets the description.
    pub fn description(self, description: &'static str) -> Observable {
        Observable { description, ..self }
    }

    /// Adds a label. A later label replaces an earlier one with the same key.
    pub fn label(mut self, key: &'static str, value: impl Into<Cow<'static, str>>) -> Observable {
        self.labels.retain(|(there, _)| *there != key);
        self.labels.push((key, value.into()));
        self
    }

    /// Calls `callback` for the value each time metrics are read, until the returned guard is dropped. If two
    /// gauges have the same name, unit and labels, the one made later counts; counters are added up.
    pub fn with<T: Observation>(self, callback: impl FnMut() -> T + Send + 'static) -> Observer {
        let mut callback = callback;
        let observed = Arc::new(Observed {
            metric: self,
            state: Mutex::new(State {
                callback: Some(Box::new(move || callback().observed())),
                greatest: Number::Int(0),
            }),
            told_overdue: AtomicBool::new(false),
            left_out: AtomicU64::new(0),
        });
        all().push(Arc::clone(&observed));
        Observer(observed)
    }
}

/// The guard of an observable metric. When it is dropped, the metric is no longer read; a callback that is
/// running at that moment finishes.
#[derive(Debug)]
#[must_use = "the metric is observed only as long as this guard lives: bind it to a name, or call `keep`"]
pub struct Observer(Arc<Observed>);

impl Observer {
    /// Keeps the metric as long as the program runs.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        all().retain(|observed| !Arc::ptr_eq(observed, &self.0));
    }
}

/// What a callback may return: a number, or an `Option` of one.
pub trait Observation: sealed::Sealed {}

pub(crate) use sealed::Number;

mod sealed {
    /// A whole number or a float.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub enum Number {
        Int(i64),
        Float(f64),
    }

    pub trait Sealed {
        fn observed(self) -> Option<Number>;
    }
}

impl<T: sealed::Sealed> Observation for T {}

macro_rules! observation {
    ($variant:ident: $($type:ty => $convert:expr),*) => {$(
        impl sealed::Sealed for $type {
            fn observed(self) -> Option<Number> {
                Some(Number::$variant($convert(self)))
            }
        }
    )*};
}
observation!(Int: i8 => i64::from, i16 => i64::from, i32 => i64::from, i64 => i64::from, u8 => i64::from, u16 => i64::from, u32 => i64::from,
    u64 => |n| i64::try_from(n).unwrap_or(i64::MAX), usize => |n| i64::try_from(n).unwrap_or(i64::MAX), isize => |n| n as i64);
observation!(Float: f32 => f64::from, f64 => f64::from);

impl<T: sealed::Sealed> sealed::Sealed for Option<T> {
    fn observed(self) -> Option<Number> {
        self.and_then(T::observed)
    }
}

struct Observed {
    metric: Observable,
    /// Locked while the callback runs.
    state: Mutex<State>,
    told_overdue: AtomicBool,
    /// How often metrics were read without it, because its callback had not returned.
    left_out: AtomicU64,
}

struct State {
    /// `None` after the callback panicked.
    callback: Option<Box<dyn FnMut() -> Option<Number> + Send>>,
    /// For a counter: the greatest value so far.
    greatest: Number,
}

impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.metric.fmt(f)
    }
}

impl Observed {
    /// Calls the callback, unless it is still busy on another thread.
    fn ask(&self) -> Option<Number> {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        };
        let callback = state.callback.as_mut()?;
        let Ok(number) = catch_unwind(AssertUnwindSafe(callback)) else {
            // The callback's captures may be inconsistent after a panic, so they are not dropped either.
            std::mem::forget(state.callback.take());
            let name = self.metric.name;
            diagnostics::tell(format_args!(
                "the callback of the metric {name:?} panicked and is not called again"
            ));
            return None;
        };
        if self.metric.kind == Kind::Counter {
            state.greatest = greater(state.greatest, number?);
            return Some(state.greatest);
        }
        number
    }

    fn answer(&self) -> Option<Answer> {
        let number = self.ask()?;
        let Observable { name, kind, unit, description, labels } = self.metric.clone();
        Some(Answer { name, unit, description, labels, kind, number })
    }

    /// Counts that the callback takes too long, and reports it once.
    fn overdue(&self) {
        self.left_out.fetch_add(1, Ordering::Relaxed);
        if !self.told_overdue.swap(true, Ordering::Relaxed) {
            let (name, patience) = (self.metric.name, asking::PATIENCE);
            diagnostics::tell(format_args!(
                "the callback of the metric {name:?} has not returned for {patience:?}; its metric is left out until it does; a callback should return a value that is already there"
            ));
        }
    }
}

/// The greater of two numbers; NaN is never greater.
fn greater(a: Number, b: Number) -> Number {
    let float = |number| match number {
        Number::Int(n) => n as f64,
        Number::Float(x) => x,
    };
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Number::Int(a.max(b)),
        (a, b) if float(b) > float(a) => b,
        // Keep the type that the callback returns, even if its first value is 0.
        (Number::Int(0), Number::Float(_)) => Number::Float(0.0),
        (a, _) => a,
    }
}

static ALL: Mutex<Vec<Arc<Observed>>> = Mutex::new(Vec::new());

fn all() -> std::sync::MutexGuard<'static, Vec<Arc<Observed>>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The metrics that were left out because their callbacks had not returned, by name, and how often.
pub(crate) fn left_out() -> Vec<(&'static str, u64)> {
    let counts = |observed: &Arc<Observed>| (observed.metric.name, observed.left_out.load(Ordering::Relaxed));
    let mut all: Vec<(&str, u64)> = all().iter().map(counts).filter(|(_, n)| *n > 0).collect();
    all.sort_unstable();
    all.dedup_by(|(name, n), (kept, sum)| {
        let is_same = name == kept;
        *sum += if is_same { *n } else { 0 };
        is_same
    });
    all
}

/// The answer of one callback.
pub(crate) struct Answer {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
    pub(crate) labels: Vec<(&'static str, Cow<'static, str>)>,
    pub(crate) kind: Kind,
    pub(crate) number: Number,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_never_goes_down_18() {
        let mut totals = [0.0, 2.5, 1.0, f64::NAN, 3.0].into_iter();
        let observer = counter("total").with(move || totals.next());
        let seen: Vec<_> = (0..6).map(|_| observer.0.ask()).collect();
        let float = |x| Some(Number::Float(x));
        assert_eq!(seen, [float(0.0), float(2.5), float(2.5), float(2.5), float(3.0), None]);
        let observer = counter("total").with(|| -3);
        assert_eq!(observer.0.ask(), Some(Number::Int(0)));
        let observer = counter("total").with(|| u64::MAX);
        assert_eq!(observer.0.ask(), Some(Number::Int(i64::MAX)));
    }

    #[test]
    fn a_callback_may_drop_its_own_observer_and_panic() {
        let slot: Arc<Mutex<Option<Observer>>> = Arc::default();
        let own = Arc::clone(&slot);
        let observer = gauge("own").with(move || {
            drop(own.lock().unwrap().take());
            7
        });
        let observed = Arc::clone(&observer.0);
        *slot.lock().unwrap() = Some(observer);
        assert_eq!(observed.ask(), Some(Number::Int(7)));
        assert!(all().iter().all(|there| !Arc::ptr_eq(there, &observed)));
        let observer = gauge("broken").with(|| -> i64 { panic!("as the test wants it") });
        assert_eq!((observer.0.ask(), observer.0.ask()), (None, None));
    }
}
