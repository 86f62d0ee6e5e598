//! Tries an expression out before there are records, so that one that can hold for none is an error at the start.
//!
//! Each part is computed for a sample, in which every name has the type that it has in all records. Attributes may be of any type, so the sample has none,
//! and what depends on one stays open.

use super::super::record::{Attributes, Got};
use super::{ENV, Map, NAMES, children, regex, value};
use cel::common::ast::{Expr, IdedExpr, operators};
use cel::common::types::{CelBool, CelString};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::parser::PrattParser;
use cel::{Context, ExecutionError, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// What every record has. The numbers are not 0, so that quotients are numbers too.
struct Sample;

impl VariableResolver for Sample {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        Some(match name {
            "attributes" => CowVal::owned(Map(Attributes::Labels(&[]))),
            "duration_ms" => value(Got::Float(2.5)),
            "value" => value(Got::Float(3.5)),
            "rate" => value(Got::Float(4.5)),
            "count" => value(Got::Int(2)),
            name if NAMES.contains(&name) => value(Got::Text(Cow::Borrowed("a"))),
            _ => return None,
        })
    }
}

/// Finds out whether an expression may hold. The error says why it cannot.
pub(super) fn check(expression: &IdedExpr) -> Result<(), String> {
    parts(expression)?;
    conditions(expression)
}

fn computed(expression: &IdedExpr, use_it: impl FnOnce(Result<CowVal<'_, '_>, ExecutionError>)) {
    let mut context = Context::with_env(Arc::clone(&ENV));
    context.set_variable_resolver(&Sample);
    use_it(Value::resolve_val(expression, &context));
}

/// Checks all parts, the inner ones first.
fn parts(expression: &IdedExpr) -> Result<(), String> {
    children(expression).into_iter().try_for_each(parts)?;
    if let Expr::Call(call) = &expression.expr {
        let is_method = call.target.is_some();
        if !is_function(&call.func_name, is_method) {
            let what = if is_method { "method" } else { "function" };
            return Err(format!(
                "calls {}, and there is no such {what}; there are such as contains, startsWith, endsWith, matches and size",
                call.func_name
            ));
        }
        if call.func_name == "matches"
            && let Some(pattern) = call.args.get(usize::from(!is_method)).and_then(text)
            && let Err(why) = regex(&pattern)
        {
            let why = why.to_string();
            let why = why.lines().last().unwrap_or_default().trim();
            return Err(format!("has the pattern `{pattern}`, which is no regular expression: {why}"));
        }
    }
    let is_constant = expression.references().variables().is_empty();
    let mut result = Ok(());
    computed(expression, |computed| match computed {
        Err(error) if is_constant => result = Err(format!("cannot be computed: {error}")),
        Err(error) if is_about_types(&error) => {
            result = Err(format!(
                "cannot be computed for any record: {error}; duration_ms, value, rate and count are numbers, and all other names but attributes are texts"
            ));
        }
        _ => {}
    });
    result
}

/// Checks that what is to be true or false may be.
fn conditions(expression: &IdedExpr) -> Result<(), String> {
    if let Expr::Call(call) = &expression.expr {
        let from = match &*call.func_name {
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT => Some(0),
            // The condition was computed as a part, and is no result.
            operators::CONDITIONAL => Some(1),
            _ => None,
        };
        if let Some(from) = from {
            return call.args[from..].iter().try_for_each(conditions);
        }
    }
    let mut result = Ok(());
    computed(expression, |computed| {
        if let Ok(value) = computed
            && value.downcast_ref::<CelBool>().is_none()
        {
            let kind = value.get_type().name();
            result = Err(format!(
                "is a {kind}, not true or false; compare it with something, as in duration_ms > 500"
            ));
        }
    });
    result
}

/// The text that an expression always is.
fn text(expression: &IdedExpr) -> Option<String> {
    let mut text = None;
    if expression.references().variables().is_empty() {
        computed(expression, |value| {
            text = value.ok().and_then(|it| Some(it.downcast_ref::<CelString<'_>>()?.inner().to_owned()));
        });
    }
    text
}

/// Whether there is such a function. It is called without arguments, and what is there complains about that alone.
fn is_function(name: &str, is_method: bool) -> bool {
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    // Operators have other names.
    if !is_name {
        return true;
    }
    let call = if is_method { format!("''.{name}()") } else { format!("{name}()") };
    let Ok(call) = PrattParser::new().parse(&call) else { return true };
    let mut is_there = true;
    computed(&call, |result| {
        is_there = !matches!(result, Err(ExecutionError::UndeclaredReference(_)));
    });
    is_there
}

/// Whether the types are why it cannot be computed, and not the values, which are others in other records.
fn is_about_types(error: &ExecutionError) -> bool {
    match error {
        // Two numbers can be compared unless one of them is none.
        ExecutionError::NoSuchOverload(error) => {
            !error.argument_types().iter().all(|kind| matches!(&**kind, "int" | "uint" | "double"))
        }
        ExecutionError::UndeclaredReference(_)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::UnsupportedTargetType { .. }
        | ExecutionError::NotSupportedAsMethod { .. }
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::UnsupportedKeyType(_)
        | ExecutionError::UnsupportedIndex(..)
        | ExecutionError::InvalidArgumentCount { .. }
        | ExecutionError::MissingArgumentOrTarget => true,
        _ => false,
    }
}
