//! Expressions, in the Common Expression Language.
//!
//! Why this language: it is made for conditions over one record, it is specified apart from its implementations, and operators know it from Kubernetes,
//! Envoy and the filters of clouds. An expression has no loops but its macros over lists, which are refused here, so that it ends after as many steps as
//! it is long. It was compared with others in `core/docs/adr/0017-the-language-of-conditions.md`.

mod trial;

use super::record::{Attributes, Got, NAMES, Record};
use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::common::traits::{Container, Indexer};
use cel::common::types::{CelBool, CelDouble, CelInt, CelString, MAP_TYPE, STRING_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::parser::PrattParser;
use cel::{Context, Env, ExecutionError, Value};
use regex::Regex;
use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

/// Longest expression.
const LONGEST: usize = 2048;
/// How deep brackets may be nested for the parser, and operators for the evaluation, which takes up to 64 KiB of stack for a level in a debug build.
const DEEPEST_BRACKETS: u16 = 40;
const DEEPEST: usize = 24;

/// Number of regular expressions that a thread remembers, and the most memory that one may take.
const REMEMBERED: usize = 64;
const REGEX_BYTES: usize = 256 * 1024;

/// An expression that is prepared.
#[derive(Debug)]
pub(super) struct Expression {
    /// As it is written.
    pub(super) text: String,
    program: IdedExpr,
}

/// What an expression came to for a record.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Is(bool),
    /// It looks at an attribute that the record does not have.
    Missing,
    /// It cannot be computed.
    Wrong(String),
}

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // Nothing else is declared by these names.
    let _ = env.add_overload("matches", "matches_string", vec![STRING_TYPE, STRING_TYPE], matches);
    let _ = env.add_member_overload("matches", "string_matches", STRING_TYPE, vec![STRING_TYPE], matches);
    Arc::new(env)
});

impl Expression {
    /// Prepares an expression. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Expression, String> {
        if text.trim().is_empty() {
            return Err("is empty; write a condition such as duration_ms > 500".into());
        }
        if text.len() > LONGEST {
            return Err(format!("is longer than {LONGEST} bytes; make two observers of it"));
        }
        // The crate's other parser has no limit of its own, and takes 100 KiB of stack for a bracket.
        let parser = PrattParser::new().max_recursion_depth(DEEPEST_BRACKETS);
        let program = parser.parse(text).map_err(|errors| {
            let text = errors.to_string();
            format!("is no expression: {}", text.lines().map(str::trim).collect::<Vec<_>>().join(" "))
        })?;
        check(&program, 0)?;
        let references = program.references();
        let unknown =
            references.variables().into_iter().find(|name| !NAMES.contains(name)).map(str::to_owned);
        if let Some(unknown) = unknown {
            return Err(format!(
                "has the name {unknown}, which no record has; an attribute is written attributes[\"{unknown}\"], and the other names are {}",
                NAMES.join(", ")
            ));
        }
        drop(references);
        trial::check(&program)?;
        Ok(Expression { text: text.into(), program })
    }

    /// Whether it holds for the record. It takes at most as many steps as the expression is long.
    pub(super) fn holds(&self, record: &Record<'_>) -> Outcome {
        let names = Names(record);
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(&names);
        match Value::resolve_val(&self.program, &context) {
            Ok(value) => match value.downcast_ref::<CelBool>() {
                Some(on) => Outcome::Is(*on.inner()),
                None => Outcome::Wrong(format!("it is a {}, not true or false", value.get_type().name())),
            },
            Err(ExecutionError::NoSuchKey(_)) => Outcome::Missing,
            Err(error) => Outcome::Wrong(error.to_string()),
        }
    }
}

/// Refuses what would make an evaluation take more steps than the expression is long, or go down too deep.
fn check(expression: &IdedExpr, depth: usize) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("is nested deeper than {DEEPEST}; make two observers of it, or use a list"));
    }
    if let Expr::Comprehension(_) = &expression.expr {
        return Err("has one of the macros all, exists, exists_one, map and filter, which are loops".into());
    }
    children(expression).into_iter().try_for_each(|it| check(it, depth + 1))
}

/// The expressions of which this one is made.
fn children(expression: &IdedExpr) -> Vec<&IdedExpr> {
    fn entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
        match entry {
            EntryExpr::StructField(field) => vec![&field.value],
            EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        }
    }
    match &expression.expr {
        Expr::Call(call) => call.target.iter().map(|target| &**target).chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&*select.operand],
        Expr::Map(map) => map.entries.iter().flat_map(|it| entry(&it.expr)).collect(),
        Expr::Struct(it) => it.entries.iter().flat_map(|it| entry(&it.expr)).collect(),
        Expr::Comprehension(_) | Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
    }
}

/// The regular expression of a pattern, which takes a bounded amount of memory.
fn regex(pattern: &str) -> Result<Regex, regex::Error> {
    regex::RegexBuilder::new(pattern).size_limit(REGEX_BYTES).build()
}

/// `text.matches(pattern)`, with a memory for patterns.
fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    thread_local! {
        static KNOWN: RefCell<Vec<Regex>> = const { RefCell::new(Vec::new()) };
    }
    let text = |at: usize| arguments.get(at).and_then(|value| value.downcast_ref::<CelString<'_>>());
    let (Some(text), Some(pattern)) = (text(0), text(1)) else {
        return Err(ExecutionError::MissingArgumentOrTarget);
    };
    KNOWN.with_borrow_mut(|known| {
        let at = match known.iter().position(|regex| regex.as_str() == pattern.inner()) {
            Some(at) => at,
            None => {
                let regex = regex(pattern.inner()).map_err(|error| ExecutionError::FunctionError {
                    function: "matches".into(),
                    message: error.to_string(),
                })?;
                if known.len() >= REMEMBERED {
                    known.swap_remove(0);
                }
                known.push(regex);
                known.len() - 1
            }
        };
        Ok(CowVal::owned(CelBool::from(known[at].is_match(text.inner()))))
    })
}

/// The names that an expression may use, looked up when they are.
struct Names<'r, 'a>(&'r Record<'a>);

impl VariableResolver for Names<'_, '_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if name == "attributes" {
            return Some(CowVal::owned(Map(self.0.fields())));
        }
        self.0.get(name).map(value)
    }
}

fn value<'b, 'v>(got: Got<'v>) -> CowVal<'b, 'v> {
    match got {
        Got::Bool(on) => CowVal::owned(CelBool::from(on)),
        Got::Int(n) => CowVal::owned(CelInt::from(n)),
        Got::Float(x) => CowVal::owned(CelDouble::from(x)),
        Got::Text(std::borrow::Cow::Borrowed(text)) => CowVal::owned(CelString::from(text)),
        Got::Text(std::borrow::Cow::Owned(text)) => CowVal::owned(CelString::from(text)),
    }
}

/// The attributes as a map of the language. Nothing is copied that is not asked for.
#[derive(Clone, Debug)]
struct Map<'a>(Attributes<'a>);

impl Map<'_> {
    fn key(key: &dyn Val) -> Result<&str, ExecutionError> {
        let text = key.downcast_ref::<CelString<'_>>().map(CelString::inner);
        text.ok_or_else(|| ExecutionError::UnexpectedType {
            got: key.get_type().name().to_owned(),
            want: "string".into(),
        })
    }
}

impl Val for Map<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn into_indexer<'v>(self: Box<Self>) -> Option<Box<dyn Indexer + 'v>>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Container for Map<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.0.get(Map::key(key)?).is_some())
    }
}

impl Indexer for Map<'_> {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let key = Map::key(key)?;
        let got = self.0.get(key).ok_or_else(|| ExecutionError::NoSuchKey(Arc::new(key.to_owned())))?;
        // The lifetime of the attributes is not `'v`, so a text is copied.
        Ok(match got {
            Got::Text(text) => value(Got::Text(std::borrow::Cow::Owned(text.into_owned()))),
            Got::Bool(on) => value(Got::Bool(on)),
            Got::Int(n) => value(Got::Int(n)),
            Got::Float(x) => value(Got::Float(x)),
        })
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observers::record::tests::with_span;

    fn holds(text: &str) -> Outcome {
        let expression = Expression::parse(text).unwrap_or_else(|why| panic!("{text} {why}"));
        with_span(|record| expression.holds(record))
    }

    #[test]
    fn conditions_are_about_names_and_attributes() {
        for text in [
            "name == 'checkout' && duration_ms > 500",
            "duration_ms >= 750.0 && duration_ms < 751",
            "kind == \"server\" && status == 'error'",
            "attributes['http.route'] == '/cart/{id}'",
            "attributes[\"http.route\"].startsWith(\"/cart\") && attributes['items'] >= 3",
            "attributes.items == 3",
            "'items' in attributes && !('none' in attributes)",
            "has(attributes.items) && !has(attributes.none)",
            "attributes['http.route'].matches('^/c[a-z]+/') || false",
            "matches(name, 'check.*')",
            "attributes.fast == false",
            "attributes['none'] == 1 || duration_ms > 1",
            "type == 'span' && size(trace_id) == 32 && parent_id == ''",
            "level in ['info', 'warn'] && attributes.ratio * 2.0 == 1.0",
            "value == 0.0 && count == 0 && message == ''",
            "attributes.items > 2 ? name == 'checkout' : attributes.none",
            "value / rate > 1.0 || duration_ms > 1",
            "100 / count > 1 || duration_ms > 1",
            "int(message) > 1 || duration_ms > 1",
        ] {
            assert_eq!(holds(text), Outcome::Is(true), "{text}");
        }
        assert_eq!(holds("attributes['none'] == 1"), Outcome::Missing);
        assert_eq!(holds("attributes['none'] == 1 || duration_ms < 1"), Outcome::Missing);
        assert!(matches!(holds("attributes.items > 'a'"), Outcome::Wrong(_)));
        assert!(matches!(holds("attributes.items"), Outcome::Wrong(_)));
        assert!(matches!(holds("name.matches(attributes['http.route'] + '(')"), Outcome::Wrong(_)));
        assert!(matches!(holds("1 / attributes.zero == 1"), Outcome::Wrong(_)));
    }

    #[test]
    fn wrong_expressions_say_what_is_wrong() {
        let why = |text: &str| Expression::parse(text).unwrap_err();
        assert!(why("").contains("is empty"));
        assert!(why("a b").contains("is no expression"), "{}", why("a b"));
        assert!(why("route == '/cart'").contains("attributes[\"route\"]"), "{}", why("route == '/cart'"));
        assert!(why("[1, 2].exists(x, x > 1)").contains("loops"));
        assert!(why("size([1, 2].map(x, [3].map(y, x))) > 1").contains("loops"));
        assert!(why(&"x".repeat(LONGEST + 1)).contains("longer"));
        assert!(why(&format!("{}1{}", "[".repeat(1000), "]".repeat(1000))).contains("recursion limit"));
        for (text, expected) in [
            ("1 + 1", "is a int, not true or false; compare it"),
            ("message", "is a string, not true or false"),
            ("name == 'b' && message", "is a string, not true or false"),
            ("name != 'b' && message", "cannot be computed for any record: "),
            ("!message", "cannot be computed for any record: "),
            ("attributes", "is a map, not true or false"),
            ("level > 3", "cannot be computed for any record: found no matching overload"),
            ("duration_ms > 1 || level > 3", "cannot be computed for any record"),
            ("attributes.x == (level > 3)", "cannot be computed for any record"),
            ("attributes.x.foo()", "calls foo, and there is no such method; there are such as contains"),
            ("attributes.none == 1 && foo(name)", "calls foo, and there is no such function"),
            ("message.matches('[')", "has the pattern `[`, which is no regular expression: "),
            ("attributes.x.matches('a' + '(')", "has the pattern `a(`, which is no regular expression: "),
            ("matches(name, '*')", "has the pattern `*`"),
            ("1 / 0 == 1", "cannot be computed: "),
            ("name.contains()", "cannot be computed for any record: "),
        ] {
            assert!(why(text).contains(expected), "{text}: {}", why(text));
        }
        assert!(why(&("1 + ".repeat(100) + "1 == 101")).contains("nested deeper"));
        // What passes the limits is parsed and evaluated on the stack that a thread has.
        let of = |before: &str, n: usize, after: &str| before.repeat(n) + "true" + &after.repeat(n);
        let texts = [
            of("!", 1000, ""),
            of("-", 1000, ""),
            of("(", 1000, ")"),
            of("[", DEEPEST / 2, "][0]"),
            of("true ? (", DEEPEST - 1, ") : false"),
            of("false || ", 200, ""),
            of("true == ", DEEPEST - 1, ""),
            "1 + ".repeat(DEEPEST - 2) + "1 == 0",
            format!("name{}", ".b".repeat(1000)),
        ];
        for text in texts {
            let run = move || match Expression::parse(&text) {
                Ok(expression) => with_span(|record| expression.holds(record) != Outcome::Missing),
                Err(why) => ["nested deeper", "recursion limit", "cannot be computed", "not true or false"]
                    .iter()
                    .any(|it| why.contains(it)),
            };
            let run = std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap();
            assert!(run.join().unwrap());
        }
    }
}
