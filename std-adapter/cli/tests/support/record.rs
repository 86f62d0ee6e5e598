//! Records as names and values, and the differences between expected and received records.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::ops::RangeInclusive;

/// A value of OTLP JSON, with its type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Any {
    Bool(bool),
    /// `intValue`, `asInt`, and the enumerations.
    Int(i64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// A time or a count, which are unsigned.
    Count(u64),
    Counts(Vec<u64>),
}

macro_rules! any_from {
    ($($t:ty => $variant:ident $(. $into:ident)?;)*) => {$(
        impl From<$t> for Any {
            fn from(value: $t) -> Any {
                Any::$variant(value$(.$into())?)
            }
        }
    )*};
}
any_from! {
    bool => Bool;
    i64 => Int;
    f64 => Double;
    &str => Text.into;
    String => Text;
    &[u8] => Bytes.into;
    u64 => Count;
    Vec<u64> => Counts;
}

/// What a value should be.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    Is(Any),
    /// An integer or a count in this range.
    Within(RangeInclusive<u64>),
    /// A double that is this number, or the `f32` with the same decimal form.
    Reads(f64),
}

impl Want {
    fn holds(&self, found: &Any) -> bool {
        match (self, found) {
            (Want::Is(wanted), found) => wanted == found,
            (Want::Within(range), Any::Count(n)) => range.contains(n),
            (Want::Within(range), Any::Int(n)) => u64::try_from(*n).is_ok_and(|n| range.contains(&n)),
            (Want::Reads(x), Any::Double(y)) => x == y || f64::from(*x as f32) == *y,
            _ => false,
        }
    }
}

/// A span, a log record or a metric point, as received.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// What identifies it, such as `span 00f067aa0ba902b7`.
    pub(crate) key: String,
    pub(crate) parts: BTreeMap<String, Any>,
}

impl Record {
    pub(crate) fn text(&self, part: &str) -> &str {
        match self.parts.get(part) {
            Some(Any::Text(text)) => text,
            None => "",
            other => panic!("{}: {part} is {other:?}, no text", self.key),
        }
    }

    pub(crate) fn count(&self, part: &str) -> u64 {
        match self.parts.get(part) {
            Some(Any::Count(n)) => *n,
            other => panic!("{}: {part} is {other:?}, no count", self.key),
        }
    }

    pub(crate) fn int(&self, part: &str) -> i64 {
        match self.parts.get(part) {
            Some(Any::Int(n)) => *n,
            other => panic!("{}: {part} is {other:?}, no integer", self.key),
        }
    }
}

/// An expected record: it has these parts and no others.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) key: String,
    parts: BTreeMap<String, Want>,
}

impl Expected {
    pub(crate) fn new(key: impl Into<String>) -> Expected {
        Expected { key: key.into(), parts: BTreeMap::new() }
    }

    pub(crate) fn want(&mut self, part: &str, want: Want) {
        assert!(self.parts.insert(part.to_owned(), want).is_none(), "{}: {part} is expected twice", self.key);
    }

    pub(crate) fn is(mut self, part: &str, value: impl Into<Any>) -> Expected {
        self.want(part, Want::Is(value.into()));
        self
    }

    pub(crate) fn within(mut self, part: &str, range: RangeInclusive<u64>) -> Expected {
        self.want(part, Want::Within(range));
        self
    }

    /// Expects each text that is not empty, because OTLP leaves empty ones out.
    pub(crate) fn texts<'a>(mut self, texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Expected {
        for (part, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            self.want(part, Want::Is(text.into()));
        }
        self
    }
}

/// Fails unless exactly the expected records were found, each as often as expected, and prints all
/// differences.
///
/// Records with the same key are matched by their order, so pass both lists in time order.
pub(crate) fn assert_same(what: &str, expected: &[Expected], found: &[Record]) {
    let differences = differences(expected, found);
    assert!(
        differences.is_empty(),
        "{what}: {} records expected, {} received\n{}",
        expected.len(),
        found.len(),
        differences.join("\n")
    );
}

fn differences(expected: &[Expected], found: &[Record]) -> Vec<String> {
    let mut by_key: BTreeMap<&str, (Vec<&Expected>, Vec<&Record>)> = BTreeMap::new();
    expected.iter().for_each(|e| by_key.entry(&e.key).or_default().0.push(e));
    found.iter().for_each(|r| by_key.entry(&r.key).or_default().1.push(r));
    let mut differences = Vec::new();
    for (key, (expected, found)) in by_key {
        if expected.len() != found.len() {
            let times = match (expected.len(), found.len()) {
                (n, 0) => format!("missing, expected {n} time(s): {:?}", expected[0].parts),
                (0, m) => format!("not expected, received {m} time(s): {:?}", found[0].parts),
                (n, m) => format!("expected {n} time(s), received {m} time(s)"),
            };
            differences.push(format!("  {key}: {times}"));
            continue;
        }
        for (expected, found) in expected.iter().zip(found) {
            let mut line = String::new();
            parts(&mut line, &expected.parts, &found.parts).unwrap();
            if !line.is_empty() {
                // An id alone tells the reader nothing.
                let name = found.parts.get("name").filter(|_| key.starts_with("span "));
                let name = name.map_or(String::new(), |name| format!(", name {name:?}"));
                differences.push(format!("  {key}{name}{line}"));
            }
        }
    }
    differences
}

fn parts(out: &mut String, expected: &BTreeMap<String, Want>, found: &BTreeMap<String, Any>) -> fmt::Result {
    for (part, want) in expected {
        match found.get(part) {
            Some(value) if want.holds(value) => {}
            Some(value) => write!(out, "\n    {part}: expected {want:?}, received {value:?}")?,
            None => write!(out, "\n    {part}: expected {want:?}, received none")?,
        }
    }
    for (part, value) in found.iter().filter(|(part, _)| !expected.contains_key(*part)) {
        write!(out, "\n    {part}: not expected, received {value:?}")?;
    }
    Ok(())
}

#[test]
fn every_kind_of_difference_is_told() {
    let record = |key: &str, n: i64| Record { key: key.into(), parts: [("n".into(), Any::Int(n))].into() };
    let expected = |key: &str| Expected::new(key).is("n", 1_i64);
    let told = |expected: &[Expected], found: &[Record]| differences(expected, found).join("\n");
    assert_eq!(told(&[expected("a")], &[record("a", 1)]), "");
    assert_eq!(told(&[expected("a")], &[record("a", 2)]), "  a\n    n: expected Is(Int(1)), received Int(2)");
    assert_eq!(
        told(&[expected("a")], &[record("a", 1), record("a", 1)]),
        "  a: expected 1 time(s), received 2 time(s)"
    );
    assert!(told(&[expected("a")], &[]).starts_with("  a: missing, expected 1 time(s)"));
    assert!(told(&[], &[record("b", 1)]).starts_with("  b: not expected, received 1 time(s)"));
    let more = expected("a").within("m", 3..=4);
    assert!(told(&[more], &[record("a", 1)]).ends_with("m: expected Within(3..=4), received none"));
    assert!(told(&[Expected::new("a")], &[record("a", 1)]).ends_with("n: not expected, received Int(1)"));
}

#[test]
fn what_holds() {
    assert!(Want::Within(3..=4).holds(&Any::Count(4)) && Want::Within(3..=4).holds(&Any::Int(3)));
    assert!(!Want::Within(3..=4).holds(&Any::Count(5)) && !Want::Within(0..=4).holds(&Any::Int(-1)));
    assert!(
        Want::Reads(0.1).holds(&Any::Double(f64::from(0.1_f32))) && Want::Reads(0.1).holds(&Any::Double(0.1))
    );
    assert!(!Want::Reads(0.1).holds(&Any::Double(0.100_001)) && !Want::Reads(1.0).holds(&Any::Int(1)));
    assert!(!Want::Is(Any::Int(1)).holds(&Any::Double(1.0)), "types count");
}
