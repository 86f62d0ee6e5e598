//! A series that selectors take, with its values.

use crate::alert::histogram::Histogram;
use crate::alert::labels::Labels;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;
use throughline::{SpanId, TraceId};

/// The value of a series at one time.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Value {
    fn add(&mut self, other: Value) {
        match (self, other) {
            (Value::Float(x), Value::Float(y)) => *x += y,
            (Value::Histogram(sum), Value::Histogram(other)) => Arc::make_mut(sum).add(&other, 1.0),
            (this, other) => *this = other,
        }
    }
}

/// A value with the labels of its series, and the name while it has one.
#[derive(Clone, Debug)]
pub(in super::super) struct Sample {
    pub(in super::super) name: Option<Arc<str>>,
    pub(in super::super) labels: Labels,
    pub(in super::super) value: Value,
}

/// A trace of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Exemplar {
    /// The trace in which the value was recorded.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The value.
    pub value: f64,
    /// When it was recorded.
    pub time: SystemTime,
}

/// Which part of a point is the value of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Part {
    Number,
    Histogram,
    /// The histogram too, which is shown as its classic buckets.
    Buckets,
    Count,
    Sum,
    Quantile(usize),
}

impl Part {
    pub(in super::super) fn is_histogram(self) -> bool {
        matches!(self, Part::Histogram | Part::Buckets)
    }
}

/// A value that is kept for ranges.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) at: i64,
    pub(super) value: Value,
    /// By how much a counter had grown before it began anew, all times together.
    pub(super) before: f64,
}

/// A number at one time.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Point {
    pub(in super::super) at: i64,
    pub(in super::super) x: f64,
    /// By how much a counter had grown before it began anew, all times together.
    pub(in super::super) before: f64,
}

impl Kept {
    fn point(&self) -> Option<Point> {
        match self.value {
            Value::Float(x) => Some(Point { at: self.at, x, before: self.before }),
            Value::Histogram(_) => None,
        }
    }
}

/// A series that a selector takes.
#[derive(Debug)]
pub(in super::super) struct Series {
    pub(in super::super) name: Arc<str>,
    pub(in super::super) labels: Labels,
    pub(in super::super) part: Part,
    /// Whether the last of several values counts, and not their sum.
    pub(super) is_last: bool,
    pub(super) value: Value,
    /// The snapshot that `value` is of.
    pub(super) tick: u64,
    /// Milliseconds for which values are kept.
    pub(super) range: i64,
    pub(super) kept: VecDeque<Kept>,
    /// The first and the last of these, if they are numbers: rates need no others, and each look at what is kept is a look at cold memory.
    pub(super) outermost: Option<(Point, Point)>,
}

impl Series {
    /// The value, if the series was in this snapshot.
    pub(in super::super) fn present(&self, tick: u64) -> Option<&Value> {
        (self.tick == tick).then_some(&self.value)
    }

    /// The places of the values after one time and up to another.
    fn places(&self, after: i64, until: i64) -> Range<usize> {
        // Usually everything is within.
        let first = match self.kept.front() {
            Some(first) if first.at > after => 0,
            _ => self.kept.partition_point(|kept| kept.at <= after),
        };
        let end = match self.kept.back() {
            Some(last) if last.at <= until => self.kept.len(),
            _ => self.kept.partition_point(|kept| kept.at <= until),
        };
        first..end.max(first)
    }

    /// The values after one time and up to another.
    pub(in super::super) fn between(&self, after: i64, until: i64) -> impl Iterator<Item = (i64, &Value)> {
        self.kept.range(self.places(after, until)).map(|kept| (kept.at, &kept.value))
    }

    /// The first and the last number of these, and how many there are.
    pub(in super::super) fn ends(&self, after: i64, until: i64) -> Option<(Point, Point, usize)> {
        match self.outermost {
            // Usually everything is within.
            Some((first, last)) if first.at > after && last.at <= until => {
                Some((first, last, self.kept.len()))
            }
            _ => {
                let places = self.places(after, until);
                let (first, last) =
                    (self.kept.get(places.start)?, self.kept.get(places.end.checked_sub(1)?)?);
                (!places.is_empty()).then_some((first.point()?, last.point()?, places.len()))
            }
        }
    }

    pub(super) fn find_outermost(&mut self) {
        let ends = self.kept.front().zip(self.kept.back());
        self.outermost = ends.and_then(|(first, last)| Some((first.point()?, last.point()?)));
    }

    pub(super) fn put(&mut self, tick: u64, now: i64, value: Value) {
        if self.tick == tick {
            // Several points are one series.
            if self.is_last {
                self.value = value
            } else {
                self.value.add(value)
            }
            if let Some(last) = self.kept.back_mut() {
                last.value = self.value.clone();
                self.find_outermost();
            }
            return;
        }
        (self.tick, self.value) = (tick, value);
        if self.range > 0 {
            while self.kept.front().is_some_and(|kept| kept.at <= now - self.range) {
                self.kept.pop_front();
            }
            let before = self.kept.back().map_or(0.0, |last| match (&last.value, &self.value) {
                (Value::Float(x), Value::Float(y)) if y < x => last.before + x,
                _ => last.before,
            });
            self.kept.push_back(Kept { at: now, value: self.value.clone(), before });
            self.find_outermost();
        }
    }
}
