//! Reads expressions into nodes of the plan.

mod call;
mod selector;

use super::binary::{self, Matching, Operation};
use super::lexer::{Token, tokens};
use super::plan::{Node, NodeId, Number, Plan, SelectorId};
use super::{SyntaxError, show_duration};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use throughline_export::prometheus::label_name;

/// Deepest nesting of an expression.
const DEEPEST: usize = 64;

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
    let mut parser = Parser { text, tokens: tokens(text)?, next: 0, plan, context, depth: 0 };
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
    text: &'p str,
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
}
