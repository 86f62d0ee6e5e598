//! Reads selectors: the name of a metric, matchers, a range and an offset.

use super::super::SyntaxError;
use super::super::lexer::Token;
use super::super::plan::{LOOKBACK, MetricName, Node};
use super::{Of, Parsed, Parser, shown};
use crate::alert::matcher::{Matcher, Operator};
use throughline_export::prometheus::label_name;

/// Longest range: 31 days.
const LONGEST: i64 = 31 * 86_400_000;

impl Parser<'_> {
    /// Reads what is after the name of a metric: matchers and a range.
    pub(super) fn selector(&mut self, name: Option<&str>, at: usize) -> Result<Parsed, SyntaxError> {
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
