//! The children of each parent: how much of its time they take, and whether many equal ones run one after the other (N+1).
//!
//! Spans come in the order of their ends, so children come before their parent. What is known of a parent is kept until it ends.

use super::engine::Seen;
use super::evidence::Evidence;
use super::operations::{OTHERS, Operations};
use crate::keyed::Keyed;
use std::collections::HashMap;
use std::sync::Arc;
use throughline::{SpanId, SpanKind, TraceId};

/// How many equal children one after the other are a pattern.
const LEAST: u64 = 8;
/// Kinds of children that are told apart below one parent.
const GROUPS: usize = 8;
/// Patterns that are kept.
const PATTERNS: usize = 256;

/// What all parents and patterns are known by.
#[derive(Debug, Default)]
pub(super) struct Calls {
    parents: Keyed<(TraceId, SpanId), Children>,
    patterns: HashMap<PatternKey, Pattern>,
    /// Parents that were forgotten before they ended.
    pub(super) forgotten: u64,
    /// Patterns that found no room.
    pub(super) refused: u64,
}

/// The operation of the parent, if it has ended, that of the children, and their statement.
type PatternKey = (Option<u32>, u32, u64);

/// A statement of a database without its values.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) hash: u64,
    pub(super) text: Arc<str>,
}

/// The children of one parent.
#[derive(Debug, Default)]
pub(super) struct Children {
    /// Nanoseconds in which at least one of them ran. Of children that overlap in part it may be too little.
    pub(super) covered: u64,
    first: u64,
    until: u64,
    groups: Vec<Group>,
}

/// Equal children.
#[derive(Clone, Debug)]
struct Group {
    operation: u32,
    kind: SpanKind,
    statement: Option<Statement>,
    count: u64,
    failed: u64,
    /// How many began after the one before had ended.
    in_turn: u64,
    first: u64,
    until: u64,
    total_ns: u64,
}

/// Equal children of parents of one operation.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) parent: Option<Arc<str>>,
    pub(super) child: Arc<str>,
    pub(super) statement: Option<Arc<str>>,
    /// Whether the children leave the process.
    pub(super) is_call: bool,
    pub(super) parents: u64,
    pub(super) children: u64,
    pub(super) most: u64,
    pub(super) total_ns: u64,
    /// The time of the parents, as far as they have ended.
    pub(super) of_ns: u64,
    last: u64,
    pub(super) traces: Evidence,
}

impl Calls {
    /// Forgets all but what is counted.
    pub(super) fn clear(&mut self) {
        let Calls { forgotten, refused, .. } = *self;
        *self = Calls { forgotten, refused, ..Calls::default() };
    }

    /// Takes a span in, as a parent and as a child. Returns how much of its time its children took.
    pub(super) fn take(&mut self, span: &Seen, operations: &Operations, evidence: usize) -> u64 {
        let duration = span.end - span.start;
        let mut covered = 0;
        if let Some(children) = self.parents.remove(&(span.trace, span.id)) {
            covered = children.covered.min(duration);
            for group in children.groups {
                if group.is_repeated(Some(duration)) {
                    let parent = Some((span.operation, duration));
                    self.refused +=
                        note(&mut self.patterns, parent, &group, span.trace, operations, evidence);
                }
            }
        }
        if let Some(parent) = span.parent {
            let (children, forgotten) = self.parents.at(&(span.trace, parent), span.end);
            self.forgotten += forgotten;
            children.add(span);
        }
        covered
    }

    /// The patterns since this time, those of parents that have not ended too.
    pub(super) fn patterns(&mut self, since: u64, operations: &Operations, evidence: usize) -> Vec<Pattern> {
        self.patterns.retain(|_, pattern| pattern.last >= since);
        let mut all = self.patterns.clone();
        for ((trace, _), children) in self.parents.iter() {
            let repeated =
                children.groups.iter().filter(|group| group.until >= since && group.is_repeated(None));
            repeated.for_each(|group| _ = note(&mut all, None, group, *trace, operations, evidence));
        }
        all.into_values().collect()
    }

    /// How many parents and patterns are kept.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> [usize; 2] {
        [self.parents.iter().count(), self.patterns.len()]
    }
}

/// Adds equal children to their pattern. Returns 1 if it finds no room.
fn note(
    patterns: &mut HashMap<PatternKey, Pattern>,
    parent: Option<(u32, u64)>,
    group: &Group,
    trace: TraceId,
    operations: &Operations,
    evidence: usize,
) -> u64 {
    let statement = group.statement.as_ref().map_or(0, |statement| statement.hash);
    let key = (parent.map(|(operation, _)| operation), group.operation, statement);
    if patterns.len() >= PATTERNS && !patterns.contains_key(&key) {
        return 1;
    }
    let pattern = patterns.entry(key).or_insert_with(|| Pattern {
        parent: parent.map(|(operation, _)| operations.label(operation)),
        child: operations.label(group.operation),
        statement: group.statement.as_ref().map(|statement| Arc::clone(&statement.text)),
        is_call: group.is_call(),
        parents: 0,
        children: 0,
        most: 0,
        total_ns: 0,
        of_ns: 0,
        last: 0,
        traces: Evidence::default(),
    });
    pattern.parents += 1;
    pattern.children += group.count;
    pattern.most = pattern.most.max(group.count);
    pattern.total_ns = pattern.total_ns.saturating_add(group.total_ns);
    pattern.of_ns = pattern.of_ns.saturating_add(parent.map_or(group.total_ns, |(_, duration)| duration));
    pattern.last = pattern.last.max(group.until);
    pattern.traces.add(group.count, trace, evidence);
    0
}

impl Children {
    fn add(&mut self, span: &Seen) {
        if self.until == 0 || span.start <= self.first {
            // It holds all others, which ended before it.
            self.covered = span.end - span.start;
            self.first = span.start;
        } else {
            self.covered += span.end.saturating_sub(span.start.max(self.until));
        }
        self.until = self.until.max(span.end);
        if let Some(group) = self.groups.iter_mut().find(|group| group.is_of(span)) {
            return group.add(span);
        }
        if span.operation == OTHERS {
            return;
        }
        let group = Group::new(span);
        if self.groups.len() < GROUPS {
            return self.groups.push(group);
        }
        // A single child makes room for one that may be the first of many.
        let singles = self.groups.iter_mut().filter(|group| group.count == 1);
        if let Some(oldest) = singles.min_by_key(|group| group.until) {
            *oldest = group;
        }
    }
}

impl Group {
    fn new(span: &Seen) -> Group {
        Group {
            operation: span.operation,
            kind: span.kind,
            statement: span.statement.clone(),
            count: 1,
            failed: u64::from(span.failed),
            in_turn: 0,
            first: span.start,
            until: span.end,
            total_ns: span.end - span.start,
        }
    }

    fn is_of(&self, span: &Seen) -> bool {
        let hash = |of: &Option<Statement>| of.as_ref().map(|statement| statement.hash);
        self.operation == span.operation && hash(&self.statement) == hash(&span.statement)
    }

    fn add(&mut self, span: &Seen) {
        self.count += 1;
        self.failed += u64::from(span.failed);
        self.in_turn += u64::from(span.start >= self.until);
        self.first = self.first.min(span.start);
        self.until = self.until.max(span.end);
        self.total_ns = self.total_ns.saturating_add(span.end - span.start);
    }

    /// Whether it leaves the process.
    fn is_call(&self) -> bool {
        matches!(self.kind, SpanKind::Client | SpanKind::Producer) || self.statement.is_some()
    }

    /// Whether these are calls of one loop: many, one after the other, close together, and not because they failed. What stays in the process must take half of
    /// its parent's time, which is known when that has ended.
    fn is_repeated(&self, parent_ns: Option<u64>) -> bool {
        let is_loop = self.count >= LEAST
            && self.in_turn * 5 >= (self.count - 1) * 4
            && self.failed * 2 < self.count
            && self.total_ns >= (self.until - self.first) / 10;
        let is_most = || parent_ns.is_some_and(|parent| self.total_ns >= parent / 2);
        let is_begun_elsewhere = matches!(self.kind, SpanKind::Server | SpanKind::Consumer);
        is_loop && !is_begun_elsewhere && (self.is_call() || is_most())
    }
}
