//! Reads names: functions, aggregations, metrics and words of the rule.

use super::super::SyntaxError;
use super::super::aggregate::{Aggregator, Grouping};
use super::super::functions::{self, Function};
use super::super::over_time::OverTime;
use super::super::plan::{Node, NodeId};
use super::{Of, Parsed, Parser};
use crate::alert::matcher::Operator;
use std::sync::Arc;

impl Parser<'_> {
    /// A metric, a function, an aggregation or a word of the rule.
    pub(super) fn named(&mut self, name: &str, at: usize) -> Result<Parsed, SyntaxError> {
        let lower = name.to_ascii_lowercase();
        let is_call = self.is_sign("(");
        let is_grouped = matches!(self.word(), Some("by" | "without"));
        if let Some(how) = Aggregator::of(&lower).filter(|_| is_call || is_grouped) {
            return self.aggregation(how, at);
        }
        if is_call {
            return self.call(name, at);
        }
        if !self.is_sign("{") && !self.is_sign("[") {
            if let Some(threshold) = self.context.threshold.filter(|_| name == "threshold") {
                return Ok(self.constant(threshold, at));
            }
            if let Some(node) = self.context.recorded.get(name) {
                return Ok(Parsed { of: Of::Series(*node), at });
            }
            if name == "threshold" {
                let text = "the rule has no threshold; write threshold: and a number, or threshold{} for a metric of this name";
                return Err(SyntaxError::new(at, text));
            }
        } else if self.context.recorded.contains_key(name) {
            let text = format!(
                "`{name}` is the result of a recording rule, which takes no braces and no range here"
            );
            return Err(SyntaxError::new(at, text));
        }
        self.selector(Some(name), at)
    }

    fn aggregation(&mut self, how: Aggregator, at: usize) -> Result<Parsed, SyntaxError> {
        let before = self.grouping()?;
        self.expect("(", "begins what is aggregated")?;
        let parameter = match how.parameter() {
            None => None,
            Some(name) => {
                let parameter = self.expression(0)?.number(name)?;
                self.expect(",", "comes after the parameter")?;
                Some(parameter)
            }
        };
        let of = self.expression(0)?.series(how.as_str())?;
        self.expect(")", "ends what is aggregated")?;
        let after = self.grouping()?;
        let grouping = before.or(after).unwrap_or_default();
        Ok(Parsed { of: Of::Series(self.plan.node(Node::Aggregate { how, grouping, parameter, of })), at })
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, SyntaxError> {
        let Some(word) = self.take_word(&["by", "without"]) else { return Ok(None) };
        Ok(Some(Grouping { is_without: word == "without", labels: self.label_names()? }))
    }

    fn call(&mut self, name: &str, at: usize) -> Result<Parsed, SyntaxError> {
        let begin = self.peek().1 + 1;
        self.expect("(", "begins the arguments")?;
        let mut arguments = Vec::new();
        let mut first_end = begin;
        while !self.take_sign(")") {
            arguments.push(self.expression(0)?);
            if arguments.len() == 1 {
                first_end = self.peek().1;
            }
            if !self.take_sign(",") && !self.is_sign(")") {
                self.expect(")", "ends the arguments")?;
            }
        }
        if let Some(what) = OverTime::of(name) {
            return self.over_time(what, &arguments, at);
        }
        let of = match (name, &arguments[..]) {
            ("time", []) => Of::Number(self.plan.node(Node::Time)),
            ("vector", [number]) => {
                let arguments = vec![number.number("vector")?];
                Of::Series(self.plan.node(Node::Call { function: Function::Vector, arguments }))
            }
            ("scalar", [series]) => {
                let arguments = vec![series.series("scalar")?];
                Of::Number(self.plan.node(Node::Call { function: Function::Scalar, arguments }))
            }
            ("absent", [series]) => {
                let of = series.series("absent")?;
                Of::Series(self.absent(of))
            }
            ("seasonal_anomaly_score", [series, rest @ ..]) if rest.len() < 2 => {
                let of = series.series(name)?;
                let least = rest.first().map(|least| least.number(name)).transpose()?;
                let words: Vec<&str> = self.text[begin..first_end].split_whitespace().collect();
                Of::Series(self.plan.node(Node::Seasonal { of, source: words.join(" ").into(), least }))
            }
            ("seasonal_anomaly_score", _) => {
                let text = "seasonal_anomaly_score takes series, and after them the least spread, if it is to be another one";
                return Err(SyntaxError::new(at, text));
            }
            ("histogram_quantile", [q, series]) => {
                let arguments = vec![q.number("histogram_quantile")?, series.series("histogram_quantile")?];
                Of::Series(self.plan.node(Node::Call { function: Function::HistogramQuantile, arguments }))
            }
            _ => {
                let Some((function, numbers)) = Function::of(name) else {
                    return Err(SyntaxError::new(at, functions::unknown(name)));
                };
                let given = arguments.len();
                if !(numbers.0 + 1..=numbers.1 + 1).contains(&given) {
                    let text = format!("{name} takes {}, and has {given}", functions::takes(numbers));
                    return Err(SyntaxError::new(at, text));
                }
                let mut ids = vec![arguments[0].series(name)?];
                for argument in &arguments[1..] {
                    ids.push(argument.number(name)?);
                }
                Of::Series(self.plan.node(Node::Call { function, arguments: ids }))
            }
        };
        Ok(Parsed { of, at })
    }

    fn over_time(&mut self, what: OverTime, arguments: &[Parsed], at: usize) -> Result<Parsed, SyntaxError> {
        let name = what.as_str();
        let (range, number) = match (what.argument(), arguments) {
            (None, [range]) => (range, None),
            (Some(false), [number, range]) | (Some(true), [range, number]) => (range, Some(number)),
            _ => {
                let text = match what.argument() {
                    None => {
                        format!("{name} takes one series with a range, such as {name}(requests_total[5m])")
                    }
                    Some(false) => format!("{name} takes a number and a series with a range"),
                    Some(true) => format!("{name} takes a series with a range and a number"),
                };
                return Err(SyntaxError::new(at, text));
            }
        };
        let Of::Range(series, range, offset) = range.of else {
            let text =
                format!("{name} takes a series with a range; write such as {name}(requests_total[5m])");
            return Err(SyntaxError::new(range.at, text));
        };
        let argument = number.map(|number| number.number(name)).transpose()?;
        let node = self.plan.node(Node::OverTime { what, series, range, offset, argument });
        let node = if what == OverTime::Absent { self.absent(node) } else { node };
        Ok(Parsed { of: Of::Series(node), at })
    }

    /// A node that has a sample if the other has none. Its labels are those that the selector asks for by `=`.
    fn absent(&mut self, of: NodeId) -> NodeId {
        let series = match &self.plan.nodes[of] {
            Node::Select { series, .. } | Node::OverTime { series, .. } => Some(*series),
            _ => None,
        };
        let matchers = series.map_or(&[][..], |series| &self.plan.selectors[series].matchers);
        let labels: Vec<(Arc<str>, Arc<str>)> = matchers
            .iter()
            .filter(|it| {
                it.operator() == Operator::Equal && !it.value().is_empty() && it.name() != "__name__"
            })
            .map(|it| (it.name().into(), it.value().into()))
            .collect();
        self.plan.node(Node::Absent { of, labels })
    }
}
