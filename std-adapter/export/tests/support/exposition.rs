//! A strict parser of Prometheus's text format 0.0.4 and of OpenMetrics 1.0.0: what a lenient scraper would let pass, it refuses.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Family {
    pub help: Option<String>,
    pub kind: Option<String>,
    pub unit: Option<String>,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
    /// Labels, value, time in seconds.
    pub exemplar: Option<(BTreeMap<String, String>, f64, f64)>,
}

/// The families of a page by name: with `_total`, as the text format has it, or without, as OpenMetrics does.
pub fn parse(page: &str, open_metrics: bool) -> BTreeMap<String, Family> {
    parse_names(page, open_metrics, false)
}

/// The same for a page whose names may be in quotes, because they have characters that plain names may not have.
pub fn parse_names(page: &str, open_metrics: bool, quotes: bool) -> BTreeMap<String, Family> {
    assert!(page.is_empty() || page.ends_with('\n'), "the last line has no end");
    let mut lines: Vec<&str> = page.split_terminator('\n').collect();
    if open_metrics {
        assert_eq!(lines.pop(), Some("# EOF"));
    }
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in lines {
        assert!(!line.is_empty(), "an empty line");
        if let Some(comment) = line.strip_prefix("# ") {
            let (keyword, rest) = comment.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            let mut rest = Line { rest, quotes };
            let name = &*rest.name(":");
            let text = rest.rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
            if current != name {
                assert!(!families.contains_key(name), "{name} comes twice, or is not in one piece");
                current = name.to_owned();
            }
            let family = families.entry(current.clone()).or_default();
            assert!(family.samples.is_empty(), "{line} comes after samples");
            let place = match keyword {
                "HELP" => &mut family.help,
                "TYPE" => &mut family.kind,
                "UNIT" if open_metrics => &mut family.unit,
                _ => panic!("{line}"),
            };
            let text = if keyword == "HELP" { unescape(text, open_metrics) } else { text.to_owned() };
            assert!(place.replace(text).is_none(), "{keyword} of {name} comes twice");
        } else {
            let sample = Line { rest: line, quotes }.sample(open_metrics);
            let family = families.get_mut(&current).unwrap_or_else(|| panic!("{line} is of no family"));
            family.samples.push(sample);
        }
    }
    let mut names = BTreeSet::new();
    for (name, family) in &families {
        check(name, family, open_metrics);
        for sample in &family.samples {
            let series = (sample.name.clone(), sample.labels.clone());
            assert!(names.insert(series), "{sample:?} comes twice");
        }
    }
    families
}

fn is_name(name: &str, more: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || more.contains(c);
    !name.is_empty() && name.chars().all(good) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Takes `\\`, `\n` and, where quotes are escaped, `\"`.
fn unescape(text: &str, quotes: bool) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match (c, quotes) {
            ('\\', _) => match (chars.next(), quotes) {
                (Some('\\'), _) => '\\',
                (Some('n'), _) => '\n',
                (Some('"'), true) => '"',
                other => panic!("{other:?} after a backslash in {text}"),
            },
            ('"', true) => panic!("a bare quote in {text}"),
            (c, _) => c,
        });
    }
    out
}

fn number(text: &str) -> f64 {
    match text {
        "NaN" => f64::NAN,
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        _ => {
            assert!(!text.is_empty() && text.chars().all(|c| "0123456789.e-+".contains(c)), "{text}");
            text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
        }
    }
}

/// What is left of a line, and whether names may be in quotes.
struct Line<'l> {
    rest: &'l str,
    quotes: bool,
}

impl<'l> Line<'l> {
    /// Takes a name, in quotes if it needs them.
    fn name(&mut self, more: &str) -> String {
        if let Some(quoted) = self.rest.strip_prefix('"') {
            assert!(self.quotes, "a name in quotes: {}", self.rest);
            self.rest = quoted;
            let name = self.quoted();
            assert!(!name.is_empty() && !is_name(&name, more), "{name} needs no quotes");
            return name;
        }
        let end = self.rest.find(['{', ' ', '=']).unwrap_or_else(|| panic!("{}", self.rest));
        let name = self.rest[..end].to_owned();
        assert!(is_name(&name, more), "{name}");
        self.rest = &self.rest[end..];
        name
    }

    /// Takes what is left of a text in quotes.
    fn quoted(&mut self) -> String {
        let mut escaped = false;
        let end = self.rest.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (text, rest) = self.rest.split_at(end.unwrap_or_else(|| panic!("{}", self.rest)));
        self.rest = &rest[1..];
        unescape(text, true)
    }

    fn sample(mut self, open_metrics: bool) -> Sample {
        let (mut name, mut labels) = (String::new(), BTreeMap::new());
        if let Some(inner) = self.rest.strip_prefix("{\"") {
            self.rest = &self.rest[1..];
            name = self.name(":");
            assert!(inner.len() > self.rest.len());
            match self.rest.split_at(1) {
                (",", rest) => {
                    self.rest = rest;
                    labels = self.labels();
                }
                ("}", rest) => self.rest = rest,
                _ => panic!("{}", self.rest),
            }
        }
        if name.is_empty() {
            name = self.name(":");
            if let Some(rest) = self.rest.strip_prefix('{') {
                self.rest = rest;
                labels = self.labels();
            }
        }
        self.rest = self.rest.strip_prefix(' ').unwrap_or_else(|| panic!("no space before {}", self.rest));
        let (value, exemplar) = match self.rest.split_once(" # ") {
            Some((sampled, rest)) => {
                assert!(open_metrics, "an exemplar in the text format");
                let mut rest = Line { rest: rest.strip_prefix('{').unwrap(), quotes: false };
                let labels = rest.labels();
                let length: usize = labels.iter().map(|(k, v)| k.chars().count() + v.chars().count()).sum();
                assert!(length <= 128, "an exemplar's labels are too long");
                let (value, time) = rest.rest.strip_prefix(' ').unwrap().split_once(' ').unwrap();
                (number(sampled), Some((labels, number(value), number(time))))
            }
            None => (number(self.rest), None),
        };
        Sample { name, labels, value, exemplar }
    }

    /// Takes labels and the brace after them.
    fn labels(&mut self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        loop {
            let name = self.name("");
            assert!(self.quotes || !name.starts_with("__"), "{name}");
            self.rest = self.rest.strip_prefix("=\"").unwrap_or_else(|| panic!("{}", self.rest));
            let value = self.quoted();
            assert!(!value.is_empty(), "an empty label");
            assert!(labels.insert(name.clone(), value).is_none(), "{name} comes twice");
            match self.rest.split_at(1) {
                (",", rest) => self.rest = rest,
                ("}", rest) => {
                    self.rest = rest;
                    return labels;
                }
                _ => panic!("{}", self.rest),
            }
        }
    }
}

fn check(name: &str, family: &Family, open_metrics: bool) {
    assert!(family.help.is_some(), "{name} has no help");
    assert!(!family.samples.is_empty(), "{name} has no samples");
    if let Some(unit) = &family.unit {
        assert!(name.ends_with(&format!("_{unit}")), "{name} in {unit}");
    }
    let kind = family.kind.as_deref().unwrap();
    let suffixes: &[&str] = match (kind, open_metrics) {
        ("counter", true) => &["_total", "_created"],
        ("histogram", true) => &["_bucket", "_sum", "_count", "_created"],
        ("summary", true) => &["", "_sum", "_count", "_created"],
        ("info", true) => &["_info"],
        ("counter" | "gauge", _) => &[""],
        ("histogram", _) => &["_bucket", "_sum", "_count"],
        ("summary", _) => &["", "_sum", "_count"],
        _ => panic!("{kind}"),
    };
    assert!(kind != "counter" || open_metrics || name.ends_with("_total"), "{name}");
    let mut buckets: BTreeMap<BTreeMap<String, String>, Vec<&Sample>> = BTreeMap::new();
    for sample in &family.samples {
        let suffix = sample.name.strip_prefix(name).unwrap_or_else(|| panic!("{sample:?} in {name}"));
        assert!(suffixes.contains(&suffix), "{sample:?} in the {kind} {name}");
        assert!(sample.exemplar.is_none() || suffix == "_bucket" || suffix == "_total");
        assert!(kind != "counter" || sample.value.is_nan() || sample.value >= 0.0, "{sample:?}");
        if suffix == "_bucket" {
            let mut labels = sample.labels.clone();
            labels.remove("le").unwrap();
            buckets.entry(labels).or_default().push(sample);
        }
    }
    for (labels, buckets) in buckets {
        let (mut below, mut count) = (f64::NEG_INFINITY, 0.0);
        for bucket in buckets {
            let le = number(&bucket.labels["le"]);
            assert!(bucket.labels["le"].contains(['.', 'e', 'I']), "le is not canonical: {bucket:?}");
            assert!(le > below && bucket.value >= count, "{bucket:?} after {below} with {count}");
            if let Some((_, value, _)) = bucket.exemplar {
                assert!(value > below && value <= le, "{bucket:?} after {below}");
            }
            (below, count) = (le, bucket.value);
        }
        assert_eq!(below, f64::INFINITY, "{name} has no bucket +Inf");
        let total = family.samples.iter().find(|s| s.name == format!("{name}_count") && s.labels == labels);
        assert_eq!(total.unwrap().value, count, "{name}");
    }
}
