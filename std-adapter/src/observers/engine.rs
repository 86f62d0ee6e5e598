//! Finds what an observer looks for: one record, so many within a time, or one after the other.
//!
//! Time is that of the records, not of their arrival, so that a record that comes late, as one of another thread may, is in its place.

use super::Match;
use super::expression::{Expression, Outcome};
use super::listener::{Condition, Listener, MOST_STEPS};
use super::record::Record;
use crate::keyed::Keyed;
use throughline_export::otlp::Signal;
use throughline_export::text::fits_glob;

/// Most records of a key that are remembered for a sequence.
const MOST_SEEN: usize = 4 * MOST_STEPS;
/// Between the parts of a key.
const SEPARATOR: char = '\u{1f}';

/// What an observer is looking for, and what it knows.
#[derive(Debug)]
pub(super) struct Engine {
    listener: Listener,
    condition: Condition,
    pub(super) known: Known,
    /// Counts the records, so that two of the same time can be told apart.
    number: u64,
    /// The latest time of a record.
    latest: u64,
    swept: u64,
}

/// What is kept over a restart.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The times at which the condition held, in order.
    pub(super) windows: Keyed<String, Vec<u64>>,
    pub(super) sequences: Keyed<String, Vec<Seen>>,
    /// When the cooldown ends.
    pub(super) cooldowns: Keyed<String, u64>,
    /// Series for which the condition holds.
    pub(super) holding: Keyed<String, ()>,
}

/// A record that is one step of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) time: u64,
    /// The number of the record.
    pub(super) number: u64,
    pub(super) step: usize,
}

/// What came of a record.
#[derive(Debug, Default)]
pub(super) struct Finding {
    /// Whether the observer listens to such records.
    pub(super) is_heard: bool,
    /// Whether the condition held, or a step of the sequence did.
    pub(super) matched: bool,
    /// Something was found, and the actions are to run.
    pub(super) found: Option<Match>,
    /// Keys that were forgotten because there are too many.
    pub(super) forgotten: u64,
    /// A condition that could not be computed, and why.
    pub(super) wrong: Option<(String, String)>,
    /// Whether what is known has changed.
    pub(super) has_changed: bool,
}

impl Engine {
    pub(super) fn new(listener: Listener, condition: Condition) -> Engine {
        Engine { listener, condition, known: Known::default(), number: 0, latest: 0, swept: 0 }
    }

    pub(super) fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Gives records greater numbers than this one.
    pub(super) fn count_from(&mut self, number: u64) {
        self.number = self.number.max(number);
    }

    /// Looks at a record.
    pub(super) fn look(&mut self, record: &Record<'_>) -> Finding {
        let mut finding = Finding { is_heard: self.hears(record), ..Finding::default() };
        if !finding.is_heard {
            return finding;
        }
        self.number += 1;
        let time = record.time_unix_ns();
        self.latest = self.latest.max(time);
        self.sweep();
        let fits =
            self.listener.matching.iter().all(|(name, pattern)| fits_glob(pattern, &record.text(name)));
        let holds = fits && self.condition.when.as_ref().is_none_or(|when| finding.holds(when, record));
        if let Record::Metric { .. } = record
            && self.listener.count == 1
        {
            self.edge(record, holds, &mut finding);
        } else if holds && self.condition.steps.is_empty() {
            finding.matched = true;
            self.window(record, time, &mut finding);
        } else if holds {
            self.step(record, time, &mut finding);
        }
        finding
    }

    fn hears(&self, record: &Record<'_>) -> bool {
        let signal = match record {
            Record::Span(_) => Signal::Traces,
            Record::Event(..) => Signal::Logs,
            Record::Metric { .. } => Signal::Metrics,
        };
        self.listener.signals.contains(&signal)
    }

    /// A series whose condition may have begun to hold.
    fn edge(&mut self, record: &Record<'_>, holds: bool, finding: &mut Finding) {
        let series = series(record);
        if !holds {
            finding.has_changed |= self.known.holding.remove(&series).is_some();
            return;
        }
        finding.matched = true;
        let held = self.known.holding.get(&series).is_some();
        finding.forgotten += self.known.holding.at(&series, record.time_unix_ns()).1;
        if !held {
            finding.has_changed = true;
            self.find(record, 1, finding);
        }
    }

    /// A record for which the condition holds.
    fn window(&mut self, record: &Record<'_>, time: u64, finding: &mut Finding) {
        let count = self.listener.count as usize;
        if count == 1 {
            return self.find(record, 1, finding);
        }
        let window = self.window_ns();
        let (times, forgotten) = self.known.windows.at(&self.listener.key(record), time);
        finding.forgotten += forgotten;
        finding.has_changed = true;
        let at = times.partition_point(|known| *known <= time);
        times.insert(at, time);
        // Only the last ones can still be part of it.
        let surplus = times.len().saturating_sub(count);
        times.drain(..surplus);
        let spans = |times: &[u64]| times.last().zip(times.first()).is_some_and(|(b, a)| b - a <= window);
        if times.len() == count && spans(times) {
            times.clear();
            self.find(record, count as u64, finding);
        }
    }

    /// A record that may be a step of the sequence.
    fn step(&mut self, record: &Record<'_>, time: u64, finding: &mut Finding) {
        let steps: Vec<usize> = (0..self.condition.steps.len())
            .filter(|step| finding.holds(&self.condition.steps[*step], record))
            .collect();
        if steps.is_empty() {
            return;
        }
        let window = self.window_ns();
        let (seen, forgotten) = self.known.sequences.at(&self.listener.key(record), time);
        finding.matched = true;
        finding.forgotten += forgotten;
        finding.has_changed = true;
        for step in steps {
            let new = Seen { time, number: self.number, step };
            let at = seen.partition_point(|known| *known <= new);
            seen.insert(at, new);
        }
        let surplus = seen.len().saturating_sub(MOST_SEEN);
        seen.drain(..surplus);
        if is_complete(seen, self.condition.steps.len(), window) {
            let number = self.condition.steps.len() as u64;
            seen.clear();
            self.find(record, number, finding);
        }
    }

    fn find(&mut self, record: &Record<'_>, count: u64, finding: &mut Finding) {
        let time = record.time_unix_ns();
        let cooldown = ns(self.listener.cooldown);
        if cooldown > 0 {
            let (until, forgotten) = self.known.cooldowns.at(&self.listener.key(record), time);
            finding.forgotten += forgotten;
            if time < *until {
                return;
            }
            *until = time.saturating_add(cooldown);
            finding.has_changed = true;
        }
        let mut found = record.matched(&self.listener.name);
        found.count = count;
        let names = self.listener.by.iter().flatten();
        found.key = names.map(|name| (name.clone(), record.text(name).into_owned())).collect();
        finding.found = Some(found);
    }

    fn window_ns(&self) -> u64 {
        ns(self.listener.window.unwrap_or_default())
    }

    /// Forgets what is over, now and then.
    fn sweep(&mut self) {
        let longest = self.window_ns().max(ns(self.listener.cooldown)).max(1_000_000_000);
        if self.latest - self.swept > longest {
            self.swept = self.latest;
            let begin = self.latest - longest;
            self.known.windows.forget_before(begin);
            self.known.sequences.forget_before(begin);
            self.known.cooldowns.forget_before(begin);
        }
    }
}

impl Finding {
    /// Whether the expression holds. What is wrong with it is kept.
    fn holds(&mut self, expression: &Expression, record: &Record<'_>) -> bool {
        match expression.holds(record) {
            Outcome::Is(holds) => holds,
            Outcome::Missing => false,
            Outcome::Wrong(why) => {
                self.wrong = Some((expression.text.clone(), why));
                false
            }
        }
    }
}

impl Listener {
    /// What records are told apart by.
    fn key(&self, record: &Record<'_>) -> String {
        let mut key = String::new();
        match (&self.by, record) {
            (Some(names), _) => {
                for name in names {
                    key.push_str(&record.text(name));
                    key.push(SEPARATOR);
                }
            }
            (None, Record::Metric { .. }) => key = series(record),
            (None, _) if !self.steps.is_empty() => key.push_str(&record.text("trace_id")),
            (None, _) => {}
        }
        key
    }
}

/// The name and the labels of a series.
fn series(record: &Record<'_>) -> String {
    let Record::Metric { point, .. } = record else { return String::new() };
    let mut key = point.name.to_owned();
    for (name, value) in point.labels {
        key.extend([SEPARATOR]);
        key.push_str(name);
        key.push('=');
        key.push_str(value);
    }
    key
}

fn ns(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Whether there are records, one for each step, one after the other within the window. They are in the order of time.
fn is_complete(seen: &[Seen], steps: usize, window: u64) -> bool {
    let firsts = seen.iter().filter(|seen| seen.step == 0);
    // The earliest record for each further step is the best one.
    firsts.into_iter().any(|first| {
        let mut last = *first;
        let followed = (1..steps).all(|step| {
            let next =
                seen.iter().find(|it| it.step == step && (it.time, it.number) > (last.time, last.number));
            next.is_some_and(|next| {
                last = *next;
                true
            })
        });
        followed && last.time - first.time <= window
    })
}
