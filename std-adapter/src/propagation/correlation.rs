//! Correlation: names and values that everything has which is recorded within a scope, such as the id of a request.
//!
//! A set of fields lives in a table of the process under a number. Where the set of a thread changes, one short record in
//! its ring says so, and the pump adds the fields to the spans and log records that follow in that ring. So a record
//! costs what it did, and a program without correlation pays nothing.

use super::current::{self, AlongGuard, WithAlong};
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use throughline::{Instrument, Instrumented};

/// Most fields of a set.
pub(crate) const MOST_FIELDS: usize = 16;
/// Longest value, in bytes; longer ones are cut.
const LONGEST: usize = 256;
/// Most sets that exist at the same time.
const MOST_SETS: usize = 1 << 16;
/// How often a lock is tried. It is held for the time of an insertion, but in a forked process it may be held forever.
const TRIES: usize = 10_000;

/// The fields of a set.
pub(crate) type Fields = Arc<[(Box<str>, Box<str>)]>;

/// The fields that everything recorded by the running code has; see [`correlate`].
///
/// ```
/// use throughline_std::propagation::{Correlation, correlate};
/// let _request = correlate(&[("request_id", "r-7")]);
/// assert_eq!(Correlation::current().get("request_id"), Some("r-7"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Correlation(Option<Arc<Set>>);

/// A set in the table. It is taken out when the last that uses it is gone.
#[derive(Debug)]
struct Set {
    number: u64,
    fields: Fields,
}

#[derive(Debug)]
struct Table {
    sets: Option<HashMap<u64, Fields>>,
    /// Sets that nobody uses any more. The pump still reads records that were made within them.
    left: Vec<u64>,
    next: u64,
}

static TABLE: Mutex<Table> = Mutex::new(Table { sets: None, left: Vec::new(), next: 1 });
/// Whether there has been a set. Only then is anything looked up.
static IS_USED: AtomicBool = AtomicBool::new(false);
/// Whether a pump reads the records. If none does, a set is forgotten with its last user.
static IS_READ: AtomicBool = AtomicBool::new(false);
/// Fields that found no room.
static REFUSED: AtomicU64 = AtomicU64::new(0);

fn table() -> Option<MutexGuard<'static, Table>> {
    for _ in 0..TRIES {
        match TABLE.try_lock() {
            Ok(table) => return Some(table),
            Err(TryLockError::Poisoned(table)) => return Some(table.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    None
}

impl Correlation {
    /// The fields of the running code.
    pub fn current() -> Correlation {
        current::correlation()
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All names and values: those of the outermost scope first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|set| set.fields.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// These fields and those given, which replace fields of the same name.
    ///
    /// At most 16 fields are kept, and 256 bytes of each value. What is beyond is left out and counted by
    /// [`Correlation::refused`]; so is everything while 65,536 different sets are in use. Cost: a lock, and an allocation for each field.
    #[must_use]
    pub fn with(&self, fields: &[(&str, &str)]) -> Correlation {
        if fields.is_empty() {
            return self.clone();
        }
        let mut all: Vec<(Box<str>, Box<str>)> =
            self.0.as_ref().map_or_else(Vec::new, |set| set.fields.to_vec());
        for (name, value) in fields {
            let value = &value[..value.floor_char_boundary(LONGEST)];
            match all.iter().position(|(known, _)| **known == **name) {
                Some(at) => all[at].1 = value.into(),
                None if all.len() < MOST_FIELDS => all.push(((*name).into(), value.into())),
                None => _ = REFUSED.fetch_add(1, Ordering::Relaxed),
            }
        }
        insert(all.into()).map_or_else(
            || {
                REFUSED.fetch_add(fields.len() as u64, Ordering::Relaxed);
                self.clone()
            },
            |set| Correlation(Some(Arc::new(set))),
        )
    }

    /// The number of fields of this process that found no room.
    pub fn refused() -> u64 {
        REFUSED.load(Ordering::Relaxed)
    }

    /// The number of different sets of fields that code of this process runs with, and of those whose records have not been
    /// exported yet.
    pub fn in_use() -> usize {
        table().and_then(|table| table.sets.as_ref().map(HashMap::len)).unwrap_or_default()
    }

    pub(super) fn number(&self) -> u64 {
        self.0.as_ref().map_or(0, |set| set.number)
    }
}

fn insert(fields: Fields) -> Option<Set> {
    let mut table = table()?;
    let number = table.next;
    let sets = table.sets.get_or_insert_default();
    if sets.len() >= MOST_SETS {
        return None;
    }
    sets.insert(number, Arc::clone(&fields));
    table.next += 1;
    IS_USED.store(true, Ordering::Release);
    Some(Set { number, fields })
}

impl Drop for Set {
    fn drop(&mut self) {
        let Some(mut table) = table() else { return };
        if IS_READ.load(Ordering::Relaxed) {
            table.left.push(self.number);
        } else if let Some(sets) = &mut table.sets {
            sets.remove(&self.number);
        }
    }
}

/// Whether any code of this process has correlated anything. Everything recorded within a set that the caller may find
/// in a ring was recorded after this became true.
pub(crate) fn is_used() -> bool {
    IS_USED.load(Ordering::Acquire)
}

/// Says whether a pump reads the records.
pub(crate) fn set_read(is_read: bool) {
    IS_READ.store(is_read, Ordering::Relaxed);
}

/// The sets that nobody uses any more, for [`forget`]: no record that is made from now on is within them.
pub(crate) fn left() -> Vec<u64> {
    table().map_or_else(Vec::new, |mut table| std::mem::take(&mut table.left))
}

/// Takes sets out of the table.
pub(crate) fn forget(numbers: &[u64]) {
    if numbers.is_empty() {
        return;
    }
    if let Some(mut table) = table()
        && let Some(sets) = &mut table.sets
    {
        numbers.iter().for_each(|number| _ = sets.remove(number));
    }
}

/// The fields of a set that has not been forgotten.
pub(crate) fn fields(number: u64) -> Option<Fields> {
    table()?.sets.as_ref()?.get(&number).cloned()
}

/// Gives everything that the running code records the given fields, until the guard is dropped: spans that end within
/// the scope, log records, by whatever API they are made, exemplars of histograms, and through the spans the samples of profiles. The span that is current
/// gets them too. A name that is already there gets the new value within the scope. What a span or log record says itself under such a name goes first.
///
/// The fields come along wherever baggage does: over each `await` of a future under
/// [`correlated`](Correlate::correlated), into tasks spawned with
/// [`in_current_context`](super::Propagate::in_current_context), into closures under [`carrying`](super::carrying), for
/// threads, pools and `spawn_blocking`, and into streams under `instrument_stream`. They do not leave the process; baggage does.
///
/// ```
/// use throughline::{info, span};
/// use throughline_std::correlate;
///
/// let _request = span!("request");
/// let _scope = correlate(&[("request_id", "r-7"), ("user_id", "ada")]);
/// info!("charged"); // request_id=r-7 user_id=ada
/// ```
///
/// At most 16 fields, and 256 bytes of each value, are kept; [`Correlation::refused`] counts what is not. Do not hold the guard across an
/// `await`; the compiler refuses it in tasks that may move between threads. While the ring of a thread is full, what is recorded there gets no fields,
/// rather than wrong ones.
///
/// Cost: a lock, an allocation for each field, a record of 32 bytes at each end of the scope and at each poll of a future in it. What is
/// recorded costs the running code what it did; the thread that exports looks the fields up.
#[must_use = "dropping the guard ends the scope"]
pub fn correlate(fields: &[(&str, &str)]) -> CorrelationGuard {
    let span = throughline::Span::current();
    for (name, value) in fields {
        span.record(name, &value[..value.floor_char_boundary(LONGEST)]);
    }
    CorrelationGuard { _along: current::correlate(Correlation::current().with(fields)) }
}

/// Ends the scope of [`correlate`] when it is dropped. Guards may be dropped in any order.
#[derive(Debug)]
pub struct CorrelationGuard {
    _along: AlongGuard,
}

/// Futures with correlation fields.
pub trait Correlate: Future + Sized {
    /// Runs the future here, and gives everything that it records the given fields besides the current ones; see [`correlate`].
    ///
    /// ```
    /// use throughline::info;
    /// use throughline_std::Correlate;
    ///
    /// let task = async { info!("planned") }.correlated(&[("agent.name", "planner")]);
    /// # drop(task);
    /// ```
    fn correlated(self, fields: &[(&str, &str)]) -> WithAlong<Instrumented<Self>> {
        let correlation = Correlation::current().with(fields);
        WithAlong::new(
            current::with_correlation(correlation),
            self.instrument(throughline::Context::current()),
        )
    }
}

impl<F: Future> Correlate for F {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_bounded_and_what_is_left_out_is_counted() {
        set_read(true);
        let names: Vec<String> = (0..20).map(|n| format!("f{n}")).collect();
        let long = "ü".repeat(LONGEST);
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
        let before = Correlation::refused();
        let correlation = Correlation::default().with(&pairs);
        assert_eq!(correlation.iter().count(), MOST_FIELDS);
        assert_eq!(Correlation::refused() - before, 4);
        assert_eq!(correlation.get("f3").map(str::len), Some(LONGEST));
        let inner = correlation.with(&[("f3", "new")]);
        assert_eq!((inner.get("f3"), inner.iter().count()), (Some("new"), MOST_FIELDS));
    }

    #[test]
    fn a_set_is_kept_until_the_pump_has_read_what_was_within_it() {
        set_read(true);
        let correlation = Correlation::default().with(&[("request_id", "r-7")]);
        let (number, other) = (correlation.number(), correlation.clone());
        drop(correlation);
        assert!(fields(number).is_some() && !left().contains(&number));
        drop(other);
        let left = left();
        assert!(left.contains(&number) && fields(number).is_some());
        forget(&left);
        assert!(fields(number).is_none());
    }
}
