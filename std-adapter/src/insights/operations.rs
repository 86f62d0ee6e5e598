//! What is known of each operation: the spans of one name and route, in windows of time.

use super::durations::Durations;
use super::ended::Ended;
use super::engine::Seen;
use super::evidence::Evidence;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use throughline::SpanKind;

/// The operation of spans whose own one finds no room.
pub(super) const OTHERS: u32 = 0;
/// How many ends are kept of an operation, to see which of its spans ran at the same time.
const ENDS: usize = 16;
/// Longest name that is kept, in bytes.
const LONGEST: usize = 160;

/// All operations.
#[derive(Debug)]
pub(super) struct Operations {
    most: usize,
    /// Windows that are kept of each.
    kept: usize,
    /// The number of each, and the last window in which it was asked for.
    numbers: HashMap<u64, (u32, u64)>,
    all: HashMap<u32, Operation>,
    next: u32,
    hasher: RandomState,
    /// The window in which it was last looked whether some are out of use.
    swept: u64,
    /// Spans whose operation found no room.
    pub(super) refused: u64,
    /// Spans that ended before the windows that are kept.
    pub(super) late: u64,
}

/// What is known of one.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) label: Arc<str>,
    pub(super) kind: SpanKind,
    /// In the order of time.
    pub(super) windows: VecDeque<Window>,
    ends: VecDeque<u64>,
}

/// The spans of an operation that ended in one window of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// Its number since 1970.
    pub(super) number: u64,
    pub(super) count: u64,
    pub(super) failed: u64,
    pub(super) durations: Durations,
    /// Their time that no child took.
    pub(super) own_ns: u64,
    pub(super) slowest: Evidence,
    /// The async ones, their time, and how much of it they waited without a child.
    pub(super) asynchronous: u64,
    pub(super) async_ns: u64,
    pub(super) wait_ns: u64,
    /// How many of the last spans of the operation each async one ran beside, in sum.
    pub(super) beside: u64,
    pub(super) waited: Evidence,
}

impl Operations {
    pub(super) fn new(most: usize, kept: usize) -> Operations {
        let others = Operation {
            label: "(others)".into(),
            kind: SpanKind::Internal,
            windows: VecDeque::new(),
            ends: VecDeque::new(),
        };
        Operations {
            most: most.max(1),
            kept: kept.max(2),
            numbers: HashMap::new(),
            all: HashMap::from([(OTHERS, others)]),
            next: OTHERS + 1,
            hasher: RandomState::new(),
            swept: 0,
            refused: 0,
            late: 0,
        }
    }

    /// Forgets all but what is counted.
    pub(super) fn clear(&mut self) {
        let Operations { most, kept, refused, late, .. } = *self;
        *self = Operations { refused, late, ..Operations::new(most, kept) };
    }

    /// The number of the operation of a span. `window` is the present one.
    pub(super) fn number(&mut self, ended: &Ended<'_>, window: u64) -> u32 {
        let key = self.hasher.hash_one((
            ended.service,
            ended.name,
            ended.route,
            std::mem::discriminant(&ended.kind),
        ));
        if let Some((number, used)) = self.numbers.get_mut(&key) {
            *used = window;
            return *number;
        }
        if self.numbers.len() >= self.most && self.swept != window {
            self.swept = window;
            self.sweep(window);
        }
        if self.numbers.len() >= self.most {
            self.refused += 1;
            return OTHERS;
        }
        let number = self.next;
        self.next = self.next.checked_add(1).unwrap_or(OTHERS + 1);
        let (windows, ends) = Default::default();
        self.all.insert(number, Operation { label: label(ended), kind: ended.kind, windows, ends });
        self.numbers.insert(key, (number, window));
        number
    }

    /// Forgets those without a span in the windows that are kept.
    fn sweep(&mut self, window: u64) {
        let (all, kept) = (&mut self.all, self.kept as u64);
        self.numbers.retain(|_, (number, used)| {
            let is_used = used.saturating_add(kept) > window;
            if !is_used {
                all.remove(number);
            }
            is_used
        });
    }

    pub(super) fn get(&self, number: u32) -> Option<&Operation> {
        self.all.get(&number)
    }

    pub(super) fn label(&self, number: u32) -> Arc<str> {
        self.get(number).map_or_else(|| "(others)".into(), |operation| Arc::clone(&operation.label))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// All of them, those without room too.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Operation)> {
        self.all.iter().map(|(number, operation)| (*number, operation))
    }

    /// Takes a span in, of whose time its children took `covered_ns`.
    pub(super) fn take(&mut self, span: &Seen, window: u64, covered_ns: u64, evidence: usize) {
        let Some(operation) = self.all.get_mut(&span.operation) else {
            self.late += 1;
            return;
        };
        let beside = operation.ends.iter().filter(|end| **end > span.start).count() as u64;
        if span.busy.is_some() {
            if operation.ends.len() == ENDS {
                operation.ends.pop_front();
            }
            operation.ends.push_back(span.end);
        }
        let Some(it) = operation.window(window, self.kept) else {
            self.late += 1;
            return;
        };
        let duration = span.end - span.start;
        it.count += 1;
        it.failed += u64::from(span.failed);
        it.durations.add(duration);
        it.own_ns = it.own_ns.saturating_add(duration.saturating_sub(covered_ns));
        it.slowest.add(duration, span.trace, evidence);
        if let Some(busy) = span.busy {
            let wait = duration.saturating_sub(busy).saturating_sub(covered_ns);
            it.asynchronous += 1;
            it.async_ns = it.async_ns.saturating_add(duration);
            it.wait_ns = it.wait_ns.saturating_add(wait);
            it.waited.add(wait, span.trace, evidence);
            it.beside += beside;
        }
    }
}

impl Operation {
    /// The window with this number; `None` if it is too old.
    fn window(&mut self, number: u64, kept: usize) -> Option<&mut Window> {
        let at = self.windows.partition_point(|window| window.number < number);
        let is_there = self.windows.get(at).is_some_and(|window| window.number == number);
        if !is_there {
            let newest = self.windows.back().map_or(number, |window| window.number.max(number));
            if number + kept as u64 <= newest {
                return None;
            }
            self.windows.insert(at, Window { number, ..Window::default() });
        }
        let newest = self.windows.back().map_or(number, |window| window.number);
        let old = self.windows.partition_point(|window| window.number + kept as u64 <= newest);
        self.windows.drain(..old);
        self.windows.get_mut(at - old)
    }

    /// The windows that are not older than this one, together.
    pub(super) fn since(&self, number: u64, evidence: usize) -> Window {
        let mut sum = Window::default();
        for window in self.windows.iter().filter(|window| window.number >= number) {
            sum.count += window.count;
            sum.failed += window.failed;
            sum.durations.merge(&window.durations);
            sum.own_ns = sum.own_ns.saturating_add(window.own_ns);
            sum.slowest.merge(&window.slowest, evidence);
        }
        sum
    }
}

/// What an operation is called: service, name, and the route if the name does not have it.
fn label(ended: &Ended<'_>) -> Arc<str> {
    let service = if ended.service.is_empty() { String::new() } else { format!("{}: ", ended.service) };
    let label = match ended.route {
        "" => format!("{service}{}", ended.name),
        route if ended.name.contains(route) => format!("{service}{}", ended.name),
        route => format!("{service}{} {route}", ended.name),
    };
    shortened(label)
}

/// At most so many bytes of a text.
pub(super) fn shortened(mut text: String) -> Arc<str> {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text.into()
}
