//! What is computed: the nodes of all expressions, each once.

use super::super::matcher::Matcher;
use super::aggregate::{Aggregator, Grouping};
use super::binary::{Matching, Operation};
use super::functions::Function;
use super::over_time::OverTime;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How old a value may be that is there at an offset, in milliseconds, as in Prometheus.
pub(super) const LOOKBACK: i64 = 300_000;

/// The number of a node. Nodes come after those that they need.
pub(in super::super) type NodeId = usize;
/// The number of a selector.
pub(in super::super) type SelectorId = usize;

/// The nodes and selectors of all rules.
#[derive(Debug, Default)]
pub(in super::super) struct Plan {
    pub(super) nodes: Vec<Node>,
    /// The longest range that each node looks at.
    ranges: Vec<i64>,
    /// Of each node, whether another one asks if its samples still have the same labels.
    shaped: Vec<bool>,
    ids: HashMap<Node, NodeId>,
    pub(in super::super) selectors: Vec<Selector>,
    selector_ids: HashMap<(MetricName, Vec<Matcher>), SelectorId>,
}

/// The name that a selector asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in super::super) enum MetricName {
    /// As on a page of metrics.
    Prometheus(Arc<str>),
    /// As in the program, with dots.
    Dotted(Arc<str>),
    /// Any that the matchers take, which may look at `__name__`.
    Any,
}

/// Which series are looked at, and for how long they are kept.
#[derive(Debug)]
pub(in super::super) struct Selector {
    pub(in super::super) name: MetricName,
    pub(in super::super) matchers: Vec<Matcher>,
    /// The longest range in milliseconds that an expression asks for; 0 if only the last value is looked at.
    pub(in super::super) range: i64,
}

/// An operation on the results of other nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    Number(Number),
    Time,
    /// The values at so many milliseconds before now.
    Select {
        series: SelectorId,
        offset: i64,
    },
    OverTime {
        what: OverTime,
        series: SelectorId,
        range: i64,
        offset: i64,
        argument: Option<NodeId>,
    },
    Call {
        function: Function,
        arguments: Vec<NodeId>,
    },
    /// How unusual values are for this time of the week.
    Seasonal {
        of: NodeId,
        /// The expression of `of`, by which its past is found again after a restart.
        source: Arc<str>,
        least: Option<NodeId>,
    },
    /// One sample with these labels if the other has none.
    Absent {
        of: NodeId,
        labels: Vec<(Arc<str>, Arc<str>)>,
    },
    Aggregate {
        how: Aggregator,
        grouping: Grouping,
        parameter: Option<NodeId>,
        of: NodeId,
    },
    Negate(NodeId),
    Binary {
        operation: Operation,
        left: NodeId,
        right: NodeId,
        matching: Matching,
    },
    /// What a recording rule makes of another node.
    Recorded {
        of: NodeId,
        name: Arc<str>,
        labels: Vec<(Arc<str>, Arc<str>)>,
    },
}

/// A number that is compared by its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Number(u64);

impl Number {
    pub(super) fn new(x: f64) -> Number {
        Number(x.to_bits())
    }

    pub(super) fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl Plan {
    /// The number of a node, which is added unless it is there.
    pub(super) fn node(&mut self, node: Node) -> NodeId {
        if let Some(known) = self.ids.get(&node) {
            return *known;
        }
        self.ranges.push(self.range(&node));
        self.shaped.push(matches!(node, Node::Select { .. } | Node::OverTime { .. }));
        match &node {
            Node::Aggregate { of, .. } => self.shaped[*of] = true,
            Node::Binary { left, right, .. } => (self.shaped[*left], self.shaped[*right]) = (true, true),
            _ => {}
        }
        self.nodes.push(node.clone());
        self.ids.insert(node, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// Calls `visit` with a node and all that it needs.
    fn walk<'p>(&'p self, node: NodeId, visit: &mut impl FnMut(&'p Node)) {
        let node = &self.nodes[node];
        visit(node);
        match node {
            Node::Number(_) | Node::Time | Node::Select { .. } => {}
            Node::OverTime { argument, .. } => argument.iter().for_each(|of| self.walk(*of, visit)),
            Node::Call { arguments, .. } => arguments.iter().for_each(|of| self.walk(*of, visit)),
            Node::Absent { of, .. } | Node::Negate(of) | Node::Recorded { of, .. } => self.walk(*of, visit),
            Node::Seasonal { of, least: other, .. } | Node::Aggregate { of, parameter: other, .. } => {
                [*of].into_iter().chain(*other).for_each(|of| self.walk(of, visit));
            }
            Node::Binary { left, right, .. } => {
                [*left, *right].into_iter().for_each(|of| self.walk(of, visit))
            }
        }
    }

    /// The selectors that a node looks at.
    pub(in super::super) fn selectors_of(&self, node: NodeId) -> Vec<SelectorId> {
        let mut out = Vec::new();
        self.walk(node, &mut |node| match node {
            Node::Select { series, .. } | Node::OverTime { series, .. } => out.push(*series),
            _ => {}
        });
        out
    }

    /// The expressions whose season a node asks for.
    pub(in super::super) fn seasonal_of(&self, node: NodeId) -> Vec<&Arc<str>> {
        let mut out = Vec::new();
        self.walk(node, &mut |node| {
            if let Node::Seasonal { source, .. } = node {
                out.push(source);
            }
        });
        out
    }

    /// Whether the season of an expression is asked for.
    pub(in super::super) fn asks_for_season_of(&self, expression: &str) -> bool {
        self.nodes.iter().any(|node| matches!(node, Node::Seasonal { source, .. } if **source == *expression))
    }

    /// Whether the samples of a node are kept for the next evaluation.
    pub(super) fn is_shaped(&self, node: NodeId) -> bool {
        self.shaped[node]
    }

    /// The shortest range over which a node computes something; `None` if there is none.
    pub(in super::super) fn shortest_range_of(&self, node: NodeId) -> Option<Duration> {
        let mut shortest = None;
        self.walk(node, &mut |node| {
            if let Node::OverTime { range, .. } = node {
                shortest = Some(shortest.map_or(*range, |shortest: i64| shortest.min(*range)));
            }
        });
        shortest.map(|range| Duration::from_millis(range.unsigned_abs()))
    }

    /// The longest range that a node looks at, in milliseconds.
    pub(in super::super) fn range_of(&self, node: NodeId) -> i64 {
        self.ranges[node]
    }

    fn range(&self, node: &Node) -> i64 {
        let longest =
            |nodes: &mut dyn Iterator<Item = NodeId>| nodes.map(|node| self.ranges[node]).max().unwrap_or(0);
        match node {
            Node::Number(_) | Node::Time => 0,
            Node::Select { offset, .. } => *offset,
            Node::OverTime { range, offset, .. } => range + offset,
            Node::Call { arguments, .. } => longest(&mut arguments.iter().copied()),
            Node::Absent { of, .. }
            | Node::Negate(of)
            | Node::Recorded { of, .. }
            | Node::Seasonal { of, .. } => self.ranges[*of],
            Node::Aggregate { of, parameter, .. } => longest(&mut [*of].into_iter().chain(*parameter)),
            Node::Binary { left, right, .. } => longest(&mut [*left, *right].into_iter()),
        }
    }

    /// The number of the result of a recording rule.
    pub(in super::super) fn recorded(
        &mut self,
        of: NodeId,
        name: Arc<str>,
        labels: Vec<(Arc<str>, Arc<str>)>,
    ) -> NodeId {
        self.node(Node::Recorded { of, name, labels })
    }

    /// The number of a selector, whose series are kept for `range` milliseconds at least.
    pub(super) fn selector(&mut self, name: MetricName, matchers: Vec<Matcher>, range: i64) -> SelectorId {
        let key = (name, matchers);
        let id = *self.selector_ids.entry(key).or_insert_with_key(|(name, matchers)| {
            self.selectors.push(Selector { name: name.clone(), matchers: matchers.clone(), range: 0 });
            self.selectors.len() - 1
        });
        let selector = &mut self.selectors[id];
        selector.range = selector.range.max(range);
        id
    }
}
