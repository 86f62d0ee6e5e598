//! Makes names for Prometheus from OpenTelemetry's names.
//!
//! Source: OpenTelemetry, *Prometheus and OpenMetrics Compatibility*. The words for units come from the
//! Collector's translator.

use std::borrow::Cow;

/// A unit in a metric's name: words for UCUM's symbols, `_per_` for a slash, and nothing for `1` and for
/// annotations such as `{request}`.
pub(super) fn unit(ucum: &str) -> String {
    let (of, per) = ucum.split_once('/').unwrap_or((ucum, ""));
    let word = |symbol: &str, words: &[(&str, &'static str)]| {
        let symbol = symbol.trim();
        if symbol.contains(['{', '}']) || symbol == "1" {
            return String::new();
        }
        match words.iter().find(|(known, _)| *known == symbol) {
            Some((_, word)) => (*word).to_owned(),
            None => tokens(symbol).collect::<Vec<_>>().join("_"),
        }
    };
    let (of, per) = (word(of, UNITS), word(per, PER));
    match (&*of, &*per) {
        (_, "") => of,
        ("", _) => format!("per_{per}"),
        _ => format!("{of}_per_{per}"),
    }
}

const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("kBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    ("$", "dollars"),
];

const PER: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("min", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
    ("By", "byte"),
];

/// A metric's name without the suffixes of its kind: invalid characters are replaced, several `_` become one,
/// and the unit's word is appended unless the name has it. A counter's `total` is removed, because it is
/// added again when the name is written. A gauge with the unit `1` is a ratio.
pub(super) fn metric(namespace: &str, name: &str, ucum: &str, unit: &str, kind: Kind) -> String {
    let mut words: Vec<&str> = tokens(namespace).chain(tokens(name)).collect();
    if kind == Kind::Counter && words.len() > 1 && words.last() == Some(&"total") {
        words.pop();
    }
    let unit = if kind == Kind::Gauge && ucum == "1" { "ratio" } else { unit };
    let (of, per) = match unit.split_once("per_") {
        Some((of, per)) => (of.trim_end_matches('_'), per),
        None => (unit, ""),
    };
    let has = |words: &[&str], word: &str| word.split('_').all(|part| words.contains(&part));
    if !of.is_empty() && !has(&words, of) && !ends_with_symbol(name, ucum) {
        words.push(of);
    }
    if !per.is_empty() && !has(&words, per) {
        words.extend(["per", per]);
    }
    let name = words.join("_");
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// Whether the name ends with the unit's symbol, as `duration_ms` does. Symbols of one letter are too easily something else.
fn ends_with_symbol(name: &str, ucum: &str) -> bool {
    let name = name.strip_suffix("_total").unwrap_or(name);
    ucum.len() > 1 && name.strip_suffix(ucum).is_some_and(|rest| rest.ends_with(['_', '.']))
}

/// The parts of a name between underscores and characters that Prometheus does not allow in a metric's name.
fn tokens(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|word| !word.is_empty())
}

/// As [`metric`], with all characters as they are: only suffixes that the name does not have are added.
///
/// Source: OpenTelemetry, *Prometheus Exporter*, "Translation strategy", `NoUTF8EscapingWithSuffixes`.
pub(super) fn utf8_metric(namespace: &str, name: &str, ucum: &str, unit: &str, kind: Kind) -> String {
    let name = if kind == Kind::Counter { name.strip_suffix("_total").unwrap_or(name) } else { name };
    let unit = if kind == Kind::Gauge && ucum == "1" { "ratio" } else { unit };
    let has_unit = name.ends_with(unit) || ends_with_symbol(name, ucum);
    let words = [namespace, name, if has_unit { "" } else { unit }];
    let full = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    if full.is_empty() { "_".into() } else { full }
}

/// Whether a metric may have this name without quotes.
pub(super) fn is_metric(name: &str) -> bool {
    is_plain(name, |b| b == b':')
}

/// Whether a label may have this name without quotes.
pub(super) fn is_label(name: &str) -> bool {
    is_plain(name, |_| false)
}

fn is_plain(name: &str, more: impl Fn(u8) -> bool) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || more(b))
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// A label's name. Unless names may have any characters, invalid ones are replaced, and several `_` become one. A name that the format
/// reserves gets the prefix `exported_`, which Prometheus also gives to labels that collide with its own.
pub(super) fn label(name: &str, kind: Kind, utf8: bool) -> Cow<'_, str> {
    let reserved = match kind {
        Kind::Histogram => name == "le",
        Kind::Summary => name == "quantile",
        _ => false,
    };
    if reserved {
        return Cow::Owned(format!("exported_{name}"));
    }
    if utf8 {
        return Cow::Borrowed(if name.is_empty() { "_" } else { name });
    }
    let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = name.as_bytes();
    let fits = bytes.first().is_some_and(|b| !b.is_ascii_digit())
        && bytes.iter().all(|b| valid(*b))
        && !name.contains("__");
    if fits {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 1);
    if bytes.first().is_none_or(u8::is_ascii_digit) {
        out.push('_');
    }
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The kind of a metric in Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    /// The series of `target_info`.
    Info,
}

impl Kind {
    /// What the kind appends to a metric's name for its samples.
    pub(super) const fn suffixes(self) -> &'static [&'static str] {
        match self {
            Kind::Counter => &["", "_total", "_created"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
            Kind::Summary => &["", "_sum", "_count", "_created"],
            Kind::Info => &["", "_info"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, ucum: &str, kind: Kind) -> String {
        metric("", name, ucum, &unit(ucum), kind)
    }

    #[test]
    fn metrics_are_named_by_the_rules_of_opentelemetry() {
        let cases = [
            ("http.requests", "{request}", Kind::Counter, "http_requests"),
            ("http.requests.total", "", Kind::Counter, "http_requests"),
            ("total", "", Kind::Counter, "total"),
            ("request.duration", "ms", Kind::Histogram, "request_duration_milliseconds"),
            ("request_duration_seconds", "s", Kind::Histogram, "request_duration_seconds"),
            ("seconds.spent.here", "s", Kind::Counter, "seconds_spent_here"),
            ("room.temperature", "Cel", Kind::Gauge, "room_temperature_celsius"),
            ("cpu.utilization", "1", Kind::Gauge, "cpu_utilization_ratio"),
            ("tries", "1", Kind::Counter, "tries"),
            ("disk.io", "By/s", Kind::Gauge, "disk_io_bytes_per_second"),
            ("arrivals", "{item}/s", Kind::Gauge, "arrivals_per_second"),
            ("valve.position", "%", Kind::Gauge, "valve_position_percent"),
            ("speed", "foo.bar", Kind::Gauge, "speed_foo_bar"),
            ("a..b--c__d", "", Kind::Gauge, "a_b_c_d"),
            ("job:rate", "", Kind::Gauge, "job:rate"),
            ("2nd", "", Kind::Gauge, "_2nd"),
            ("größe", "", Kind::Gauge, "gr_e"),
            ("", "", Kind::Gauge, "_"),
        ];
        for (name, ucum, kind, expected) in cases {
            assert_eq!(named(name, ucum, kind), expected, "{name} in {ucum:?}");
        }
        assert_eq!(metric("my-shop", "orders", "", "", Kind::Counter), "my_shop_orders");
    }

    #[test]
    fn labels_keep_what_is_valid_and_leave_names_that_are_taken() {
        for (name, expected) in
            [("a", "a"), ("http.route", "http_route"), ("__x", "_x"), ("a-.b", "a_b"), ("9", "_9"), ("", "_")]
        {
            assert_eq!(label(name, Kind::Gauge, false), expected);
        }
        assert_eq!(label("le", Kind::Histogram, false), "exported_le");
        assert_eq!(label("le", Kind::Summary, false), "le");
        assert_eq!(label("quantile", Kind::Summary, false), "exported_quantile");
    }

    #[test]
    fn names_in_utf8_keep_their_characters_and_get_suffixes() {
        let cases = [
            ("http.requests", "{request}", Kind::Counter, "http.requests"),
            ("http.requests_total", "", Kind::Counter, "http.requests"),
            ("request.duration", "ms", Kind::Histogram, "request.duration_milliseconds"),
            ("request.duration.seconds", "s", Kind::Histogram, "request.duration.seconds"),
            ("cpu.utilization", "1", Kind::Gauge, "cpu.utilization_ratio"),
            ("disk.io", "By/s", Kind::Gauge, "disk.io_bytes_per_second"),
            ("größe in \"m\"", "", Kind::Gauge, "größe in \"m\""),
            ("2nd", "", Kind::Gauge, "2nd"),
            ("", "", Kind::Gauge, "_"),
        ];
        for (name, ucum, kind, expected) in cases {
            assert_eq!(utf8_metric("", name, ucum, &unit(ucum), kind), expected, "{name} in {ucum:?}");
        }
        assert_eq!(utf8_metric("my-shop", "orders", "", "", Kind::Counter), "my-shop_orders");
        assert_eq!(label("http.route", Kind::Gauge, true), "http.route");
        assert_eq!(
            (label("", Kind::Gauge, true), label("le", Kind::Histogram, true)),
            ("_".into(), "exported_le".into())
        );
        assert!(is_metric("a:b_1") && !is_metric("a.b") && !is_metric("1a") && !is_metric(""));
        assert!(is_label("a_b") && !is_label("a:b"));
    }
}
