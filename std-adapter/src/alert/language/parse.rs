//! Reads expressions into nodes of the plan.

use super::super::matcher::{Matcher, Operator};
use super::aggregate::{Aggregator, Grouping};
use super::binary::{self, Matching, Operation};
use super::functions::{self, Function};
use super::lexer::{Token, tokens};
use super::over_time::OverTime;
use super::plan::{LOOKBACK, MetricName, Node, NodeId, Number, Plan, SelectorId};
use super::{SyntaxError, show_duration};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use throughline_export::prometheus::label_name;

/// Deepest nesting of an expression.
const DEEPEST: usize = 64;
/// Longest range: 31 days.
const LONGEST: i64 = 31 * 86_400_000;

/// What names mean in an expression beside metrics.
#[derive(Debug, Default)]
pub(in super::super) struct Context {
    /// The value of `threshold`.
    pub(in super::super) threshold: Option<f64>,
    /// The results of recording rules.
    pub(in super::super) recorded: HashMap<String, NodeId>,
    /// The dotted names that were used.
    pub(in super::super) dotted: Vec<String>,
}

/// Reads an expression whose result is series, as a condition's is. What it needs is added to the plan.
pub(in super::super) fn parse(
    text: &str,
    plan: &mut Plan,
    context: &mut Context,
) -> Result<NodeId, SyntaxError> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, plan, context, depth: 0 };
    let value = parser.expression(0)?;
    let (token, at) = parser.peek();
    if *token != Token::End {
        let text = format!(
            "{} comes after the end of the expression; is an operator missing before it?",
            shown(token)
        );
        return Err(SyntaxError::new(at, text));
    }
    match value {
        Parsed { of: Of::Series(node), .. } => Ok(node),
        Parsed { of: Of::Number(_), at } => Err(SyntaxError::new(
            at,
            "this is a number, and a condition compares metrics; write such as errors_total > 5",
        )),
        range => Err(range.is_range()),
    }
}

/// A part of an expression that has been read, and the byte at which it begins.
struct Parsed {
    of: Of,
    at: usize,
}

enum Of {
    Number(NodeId),
    Series(NodeId),
    /// A selector with a range and an offset in milliseconds.
    Range(SelectorId, i64, i64),
}

impl Parsed {
    fn is_range(&self) -> SyntaxError {
        SyntaxError::new(self.at, "this has a range, which only a function such as rate(…[5m]) can take")
    }

    /// The node of a number or of series.
    fn value(&self) -> Result<NodeId, SyntaxError> {
        match self.of {
            Of::Number(node) | Of::Series(node) => Ok(node),
            Of::Range(..) => Err(self.is_range()),
        }
    }

    fn series(&self, of: &str) -> Result<NodeId, SyntaxError> {
        match self.of {
            Of::Series(node) => Ok(node),
            Of::Number(_) => {
                Err(SyntaxError::new(self.at, format!("this is a number, and {of} takes series")))
            }
            Of::Range(..) => Err(self.is_range()),
        }
    }

    fn number(&self, of: &str) -> Result<NodeId, SyntaxError> {
        match self.of {
            Of::Number(node) => Ok(node),
            _ => Err(SyntaxError::new(self.at, format!("this must be a number for {of}"))),
        }
    }
}

struct Parser<'p> {
    tokens: Vec<(Token, usize)>,
    next: usize,
    plan: &'p mut Plan,
    context: &'p mut Context,
    depth: usize,
}

/// Describes a token in a message.
fn shown(token: &Token) -> String {
    match token {
        Token::Name(name) => format!("`{name}`"),
        Token::Number(number) => format!("`{number}`"),
        Token::Duration(ms) => format!("`{}`", show_duration(Duration::from_millis(ms.unsigned_abs()))),
        Token::Text(_) => "a text".into(),
        Token::Sign(sign) => format!("`{sign}`"),
        Token::End => "the end".into(),
    }
}

impl Parser<'_> {
    fn peek(&self) -> (&Token, usize) {
        let (token, at) = &self.tokens[self.next.min(self.tokens.len() - 1)];
        (token, *at)
    }

    fn take(&mut self) -> (Token, usize) {
        let (token, at) = self.peek();
        let taken = (token.clone(), at);
        self.next += 1;
        taken
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek().0, Token::Sign(there) if *there == sign)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let there = self.is_sign(sign);
        self.next += usize::from(there);
        there
    }

    fn expect(&mut self, sign: &str, why: &str) -> Result<(), SyntaxError> {
        if self.take_sign(sign) {
            return Ok(());
        }
        let (token, at) = self.peek();
        Err(SyntaxError::new(at, format!("{} is here, where `{sign}` {why}", shown(token))))
    }

    fn word(&self) -> Option<&str> {
        match self.peek().0 {
            Token::Name(name) => Some(name),
            _ => None,
        }
    }

    fn take_word(&mut self, words: &[&str]) -> Option<String> {
        let word = self.word().map(str::to_ascii_lowercase).filter(|word| words.contains(&&**word))?;
        self.next += 1;
        Some(word)
    }

    /// Reads operators that bind at least as strongly as `least`.
    fn expression(&mut self, least: u8) -> Result<Parsed, SyntaxError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let at = self.peek().1;
            return Err(SyntaxError::new(at, format!("this is nested more than {DEEPEST} levels deep")));
        }
        let mut left = self.unary()?;
        while let Some((operator, strength)) = self.operator() {
            if strength < least {
                break;
            }
            let at = self.take().1;
            let returns_bool = self.take_word(&["bool"]).is_some();
            let matching = self.matching()?;
            // Only powers are right-associative.
            let right = self.expression(if operator.is_power() { strength } else { strength + 1 })?;
            left = self.binary(left, right, Operation { operator, returns_bool }, matching, at)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<(binary::Operator, u8)> {
        match self.peek().0 {
            Token::Sign(sign) => binary::Operator::of(sign),
            Token::Name(name) => binary::Operator::of(&name.to_ascii_lowercase()),
            _ => None,
        }
    }

    fn binary(
        &mut self,
        left: Parsed,
        right: Parsed,
        operation: Operation,
        matching: Matching,
        at: usize,
    ) -> Result<Parsed, SyntaxError> {
        let (a, b) = (left.value()?, right.value()?);
        let (is_number, operator) =
            ((matches!(left.of, Of::Number(_)), matches!(right.of, Of::Number(_))), operation.operator);
        let wrong = |text: &str| Err(SyntaxError::new(at, format!("`{}` {text}", operator.as_str())));
        if operation.returns_bool && !operator.is_comparison() {
            return wrong("compares nothing, so it takes no bool");
        }
        if operator.is_set() && is_number != (false, false) {
            return wrong("stands between series, not numbers");
        }
        if !matching.is_default() && is_number != (false, false) {
            return wrong("has labels to match, and a number has none");
        }
        if operator.is_set() && matching.is_grouped() {
            return wrong("takes no group_left and no group_right");
        }
        if is_number == (true, true) && operator.is_comparison() && !operation.returns_bool {
            return wrong("compares two numbers, so it needs bool after it");
        }
        let node = self.plan.node(Node::Binary { operation, left: a, right: b, matching });
        let of = if is_number == (true, true) { Of::Number(node) } else { Of::Series(node) };
        Ok(Parsed { of, at: left.at })
    }

    /// Reads `on (…)` or `ignoring (…)`, with `group_left (…)` or `group_right (…)`.
    fn matching(&mut self) -> Result<Matching, SyntaxError> {
        let mut matching = Matching::default();
        let Some(word) = self.take_word(&["on", "ignoring"]) else { return Ok(matching) };
        matching.is_on = word == "on";
        matching.labels = self.label_names()?;
        if let Some(word) = self.take_word(&["group_left", "group_right"]) {
            let included = if self.is_sign("(") { self.label_names()? } else { Vec::new() };
            matching.many =
                Some((if word == "group_left" { binary::Side::Left } else { binary::Side::Right }, included));
        }
        Ok(matching)
    }

    /// Names of labels in parentheses.
    fn label_names(&mut self) -> Result<Vec<Arc<str>>, SyntaxError> {
        self.expect("(", "begins the names of labels")?;
        let mut names = Vec::new();
        while !self.take_sign(")") {
            match self.take() {
                (Token::Name(name), _) => names.push(Arc::from(&*label_name(&name))),
                (Token::Text(name), _) => names.push(Arc::from(&*label_name(&name))),
                (token, at) => {
                    return Err(SyntaxError::new(
                        at,
                        format!("{} is here, where a label is named", shown(&token)),
                    ));
                }
            }
            if !self.take_sign(",") && !self.is_sign(")") {
                return self.expect(")", "ends the names of labels").map(|()| names);
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn unary(&mut self) -> Result<Parsed, SyntaxError> {
        let at = self.peek().1;
        while self.take_sign("+") {}
        if !self.take_sign("-") {
            return self.primary();
        }
        // A power binds more strongly than a sign.
        let of = self.expression(binary::POWER)?;
        let inner = of.value()?;
        let node = match (&of.of, &self.plan.nodes[inner]) {
            (Of::Number(_), Node::Number(x)) => self.plan.node(Node::Number(Number::new(-x.get()))),
            _ => self.plan.node(Node::Negate(inner)),
        };
        Ok(Parsed {
            of: if matches!(of.of, Of::Number(_)) { Of::Number(node) } else { Of::Series(node) },
            at,
        })
    }

    fn primary(&mut self) -> Result<Parsed, SyntaxError> {
        let (token, at) = self.take();
        match token {
            Token::Number(x) => Ok(self.constant(x, at)),
            Token::Sign("(") => {
                let inner = self.expression(0)?;
                self.expect(")", "closes a parenthesis")?;
                if self.is_sign("[") {
                    let text = "a range stands after the name of a metric only, as in max_over_time(queue_depth[5m])";
                    return Err(SyntaxError::new(self.peek().1, text));
                }
                Ok(Parsed { at, ..inner })
            }
            Token::Sign("{") => {
                self.next -= 1;
                self.selector(None, at)
            }
            Token::Name(name) => self.named(&name, at),
            Token::Text(_) => {
                Err(SyntaxError::new(at, "this is a text, where a metric, a number or a function is needed"))
            }
            Token::Duration(_) => Err(SyntaxError::new(
                at,
                "this is a duration, where a metric, a number or a function is needed",
            )),
            token => {
                let text =
                    format!("{} is here, where a metric, a number or a function is needed", shown(&token));
                Err(SyntaxError::new(at, text))
            }
        }
    }

    fn constant(&mut self, x: f64, at: usize) -> Parsed {
        Parsed { of: Of::Number(self.plan.node(Node::Number(Number::new(x)))), at }
    }

    /// A metric, a function, an aggregation or a word of the rule.
    fn named(&mut self, name: &str, at: usize) -> Result<Parsed, SyntaxError> {
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
        self.expect("(", "begins the arguments")?;
        let mut arguments = Vec::new();
        while !self.take_sign(")") {
            arguments.push(self.expression(0)?);
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

    /// Reads what is after the name of a metric: matchers and a range.
    fn selector(&mut self, name: Option<&str>, at: usize) -> Result<Parsed, SyntaxError> {
        let mut name = name.map(str::to_owned);
        let matchers = if self.is_sign("{") { self.matchers(&mut name)? } else { Vec::new() };
        let metric = match name {
            Some(name) if name.contains('.') => {
                self.context.dotted.push(name.clone());
                MetricName::Dotted(name.into())
            }
            Some(name) => MetricName::Prometheus(name.into()),
            None if matchers.iter().all(|it| it.matches_value("")) => {
                let text = "this selects every series; name a metric, or give a matcher that an empty value does not fit";
                return Err(SyntaxError::new(at, text));
            }
            None => MetricName::Any,
        };
        let range = if self.take_sign("[") { Some(self.range()?) } else { None };
        let offset = if self.take_word(&["offset"]).is_some() { self.offset()? } else { 0 };
        if self.is_sign("@") {
            let text =
                "`@` asks for a fixed time, and only what was a short while ago is kept; write an offset";
            return Err(SyntaxError::new(self.peek().1, text));
        }
        let kept = match (range, offset) {
            (Some(range), offset) => range + offset,
            (None, 0) => 0,
            (None, offset) => offset + LOOKBACK,
        };
        let series = self.plan.selector(metric, matchers, kept);
        let of = match range {
            Some(range) => Of::Range(series, range, offset),
            None => Of::Series(self.plan.node(Node::Select { series, offset })),
        };
        Ok(Parsed { of, at })
    }

    fn matchers(&mut self, name: &mut Option<String>) -> Result<Vec<Matcher>, SyntaxError> {
        self.expect("{", "begins the matchers")?;
        let mut matchers = Vec::new();
        while !self.take_sign("}") {
            let (token, at) = self.take();
            let label = match token {
                Token::Name(label) => label,
                // `{"http.requests"}` is a name in quotes.
                Token::Text(text) if self.is_sign(",") || self.is_sign("}") => {
                    if name.is_some() {
                        return Err(SyntaxError::new(
                            at,
                            "this names the metric twice; remove one of the names",
                        ));
                    }
                    *name = Some(text);
                    self.take_sign(",");
                    continue;
                }
                Token::Text(text) => text,
                token => {
                    let text =
                        format!("{} is here, where a label is named, such as route=\"/cart\"", shown(&token));
                    return Err(SyntaxError::new(at, text));
                }
            };
            let (sign, sign_at) = self.take();
            let operator = Operator::ALL.into_iter().find(|(text, _)| sign == Token::Sign(text));
            let Some((_, operator)) = operator else {
                let text =
                    format!("{} is here, where `=`, `!=`, `=~` or `!~` comes after `{label}`", shown(&sign));
                return Err(SyntaxError::new(sign_at, text));
            };
            let (value, value_at) = self.take();
            let Token::Text(value) = value else {
                let text =
                    format!("{} is here, where the value of `{label}` is a text in quotes", shown(&value));
                return Err(SyntaxError::new(value_at, text));
            };
            if label == "__name__" && operator == Operator::Equal && name.is_none() {
                *name = Some(value);
            } else {
                let label = if label == "__name__" { label.into() } else { label_name(&label) };
                let matcher = Matcher::new(&label, operator, &value);
                matchers.push(matcher.map_err(|why| SyntaxError::new(value_at, why))?);
            }
            if !self.take_sign(",") && !self.is_sign("}") {
                self.expect("}", "ends the matchers")?;
            }
        }
        Ok(matchers)
    }

    fn offset(&mut self) -> Result<i64, SyntaxError> {
        match self.take() {
            (Token::Duration(offset), _) if (1..=LONGEST).contains(&offset) => Ok(offset),
            (Token::Duration(_), at) => Err(SyntaxError::new(at, "an offset is from 1ms to 31d")),
            (token, at) => {
                let text = format!(
                    "{} is here, where an offset is a duration before now, such as offset 1h",
                    shown(&token)
                );
                Err(SyntaxError::new(at, text))
            }
        }
    }

    fn range(&mut self) -> Result<i64, SyntaxError> {
        let (token, at) = self.take();
        let Token::Duration(range) = token else {
            let text = format!("{} is here, where a range is a duration, such as [5m]", shown(&token));
            return Err(SyntaxError::new(at, text));
        };
        if !(1..=LONGEST).contains(&range) {
            return Err(SyntaxError::new(at, "a range is from 1ms to 31d"));
        }
        if self.is_sign(":") {
            let text = "a range in a range (a subquery) is not computed here; write one range";
            return Err(SyntaxError::new(self.peek().1, text));
        }
        self.expect("]", "ends the range")?;
        Ok(range)
    }
}
