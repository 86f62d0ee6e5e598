//! Texts with values of the alert filled in: the simple part of Go's templates, as rules for Prometheus have them.

use super::super::Labels;
use throughline_export::prometheus::label_name;

/// A text with places for values.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Template {
    parts: Vec<Part>,
    /// As it is written.
    source: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Filled { what: What, through: Vec<Filter> },
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Value,
    Label(String),
    Labels,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Filter {
    Humanize,
    Humanize1024,
    HumanizePercentage,
    HumanizeDuration,
    ToUpper,
    ToLower,
    /// `printf "%.2f"`, with the number of digits.
    Digits(usize),
}

/// What is filled in.
pub(in super::super) struct Scope<'s> {
    pub(in super::super) labels: &'s Labels,
    pub(in super::super) value: f64,
}

impl Template {
    /// Reads a template. The error says what is not known.
    pub(super) fn parse(source: &str) -> Result<Template, String> {
        let (mut parts, mut rest) = (Vec::new(), source);
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((inside, after)) = after.split_once("}}") else {
                return Err("has {{ without }}; close it".into());
            };
            let trimmed = inside.strip_prefix('-').map_or(before, |_| before.trim_end());
            parts.push(Part::Text(trimmed.into()));
            parts.push(filled(inside.trim_matches('-').trim())?);
            rest = if inside.ends_with('-') { after.trim_start() } else { after };
        }
        parts.push(Part::Text(rest.into()));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Template { parts, source: source.into() })
    }

    /// Whether it is filled in for each alert.
    pub(super) fn is_filled(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Filled { .. }))
    }

    /// As it was written.
    pub(in super::super) fn source(&self) -> &str {
        &self.source
    }

    /// The template as Prometheus takes it.
    pub(super) fn in_prometheus(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Filled { what, through } => {
                let what = match what {
                    What::Value => "$value".to_owned(),
                    What::Label(name) => format!("$labels.{name}"),
                    What::Labels => "$labels".to_owned(),
                };
                let through: String =
                    through.iter().map(|filter| format!(" | {}", filter.written())).collect();
                format!("{{{{ {what}{through} }}}}")
            }
        };
        self.parts.iter().map(part).collect()
    }

    pub(in super::super) fn fill(&self, scope: &Scope<'_>) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Filled { what, through } => {
                let text = match what {
                    What::Value => show(scope.value),
                    What::Label(name) => scope.labels.get(name).unwrap_or_default().to_owned(),
                    What::Labels => scope.labels.to_string(),
                };
                through.iter().fold(text, |text, filter| filter.apply(&text))
            }
        };
        self.parts.iter().map(part).collect()
    }
}

/// What stands between the braces.
fn filled(inside: &str) -> Result<Part, String> {
    let mut steps = inside.split('|').map(str::trim);
    let first = steps.next().unwrap_or_default();
    let (what, mut through) = match first.strip_prefix("printf ") {
        Some(rest) => match rest.trim().rsplit_once(char::is_whitespace) {
            Some((format, value)) => (what(value)?, vec![digits(format)?]),
            None => return Err(unknown(inside)),
        },
        // A function may stand before its value, too.
        None => match first.split_once(char::is_whitespace) {
            Some((name, value)) => (what(value.trim())?, vec![filter(name).ok_or_else(|| unknown(inside))?]),
            None => (what(first)?, Vec::new()),
        },
    };
    for step in steps {
        through.push(match step.strip_prefix("printf ") {
            Some(format) => digits(format)?,
            None => filter(step).ok_or_else(|| unknown(inside))?,
        });
    }
    Ok(Part::Filled { what, through })
}

fn what(text: &str) -> Result<What, String> {
    let of_label = ["$labels.", ".Labels."].into_iter().find_map(|prefix| text.strip_prefix(prefix));
    match (text, of_label) {
        ("$value" | ".Value", _) => Ok(What::Value),
        ("$labels" | ".Labels", _) => Ok(What::Labels),
        (_, Some(name)) if !name.is_empty() && !name.contains(char::is_whitespace) => {
            Ok(What::Label(label_name(name).into_owned()))
        }
        _ => Err(unknown(text)),
    }
}

fn unknown(text: &str) -> String {
    format!(
        "has {{{{ {text} }}}}, which is not filled in here; write {{{{ $value }}}} or {{{{ $labels.NAME }}}}, if need be with | humanize, \
         humanize1024, humanizePercentage, humanizeDuration, toUpper, toLower or printf \"%.2f\""
    )
}

const FILTERS: [(&str, Filter); 6] = [
    ("humanize", Filter::Humanize),
    ("humanize1024", Filter::Humanize1024),
    ("humanizePercentage", Filter::HumanizePercentage),
    ("humanizeDuration", Filter::HumanizeDuration),
    ("toUpper", Filter::ToUpper),
    ("toLower", Filter::ToLower),
];

fn filter(name: &str) -> Option<Filter> {
    FILTERS.into_iter().find(|(known, _)| *known == name).map(|(_, filter)| filter)
}

/// Reads the format of a number: `"%.2f"`.
fn digits(format: &str) -> Result<Filter, String> {
    let digits = format.trim().strip_prefix("\"%.").and_then(|rest| rest.strip_suffix("f\""));
    let digits = digits.and_then(|digits| digits.parse().ok()).filter(|digits| *digits <= 17);
    digits.map(Filter::Digits).ok_or_else(|| unknown(&format!("printf {format}")))
}

impl Filter {
    /// As it is written in a template.
    fn written(self) -> String {
        match self {
            Filter::Digits(digits) => format!("printf \"%.{digits}f\""),
            other => {
                FILTERS.into_iter().find(|(_, filter)| *filter == other).map_or("", |(name, _)| name).into()
            }
        }
    }

    /// What is no number stays as it is.
    fn apply(self, text: &str) -> String {
        let number = |show: fn(f64) -> String| text.parse().map_or_else(|_| text.to_owned(), show);
        match self {
            Filter::ToUpper => text.to_uppercase(),
            Filter::ToLower => text.to_lowercase(),
            Filter::Digits(digits) => {
                text.parse::<f64>().map_or_else(|_| text.into(), |x| format!("{x:.digits$}"))
            }
            Filter::HumanizePercentage => number(|x| format!("{}%", short(x * 100.0))),
            Filter::Humanize => {
                number(|x| scaled(x, 1000.0, &["", "k", "M", "G", "T", "P", "E"], &["m", "u", "n"]))
            }
            Filter::Humanize1024 => {
                number(|x| scaled(x, 1024.0, &["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei"], &[]))
            }
            Filter::HumanizeDuration => number(duration),
        }
    }
}

/// A number with as few digits as tell it apart.
pub(in super::super) fn show(x: f64) -> String {
    match x {
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        x if x.is_finite() && x != 0.0 && !(1e-6..1e21).contains(&x.abs()) => format!("{x:e}"),
        x => x.to_string(),
    }
}

/// Four digits.
pub(in super::super) fn short(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return show(x);
    }
    let digits = (3 - x.abs().log10().floor() as i32).clamp(0, 17) as usize;
    let text = format!("{x:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

fn scaled(x: f64, step: f64, greater: &[&str], smaller: &[&str]) -> String {
    if x == 0.0 || !x.is_finite() {
        return show(x);
    }
    let (mut x, mut at) = (x, 0);
    if x.abs() >= 1.0 {
        while x.abs() >= step && at + 1 < greater.len() {
            (x, at) = (x / step, at + 1);
        }
        return short(x) + greater[at];
    }
    let mut unit = "";
    for smaller in smaller {
        if x.abs() >= 1.0 {
            break;
        }
        (x, unit) = (x * step, smaller);
    }
    short(x) + unit
}

fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return show(seconds);
    }
    if seconds.abs() < 1.0 {
        return scaled(seconds, 1000.0, &[""], &["m", "u", "n"]) + "s";
    }
    let (sign, whole) = (if seconds < 0.0 { "-" } else { "" }, seconds.abs() as u64);
    let (d, h, m, s) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{sign}{}s", short(seconds.abs())),
        (0, 0, m) => format!("{sign}{m}m {s}s"),
        (0, h, m) => format!("{sign}{h}h {m}m {s}s"),
        (d, h, m) => format!("{sign}{d}d {h}h {m}m {s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str, value: f64) -> String {
        let labels = Labels::new([("route", "/cart"), ("http_code", "500")]);
        Template::parse(text).unwrap().fill(&Scope { labels: &labels, value })
    }

    #[test]
    fn values_and_labels_are_filled_in() {
        assert_eq!(fill("{{ $value }} at {{$labels.route}}", 0.5), "0.5 at /cart");
        assert_eq!(fill("{{ .Labels.http.code }}, {{ .Value }}, {{ $labels.none }}.", 3.0), "500, 3, .");
        let source = "{{ .Labels.http.code }} {{- humanize .Value }}{{ $value | printf \"%.2f\" }}";
        let written = Template::parse(source).unwrap().in_prometheus();
        assert_eq!(written, "{{ $labels.http_code }}{{ $value | humanize }}{{ $value | printf \"%.2f\" }}");
        assert_eq!(fill("{{ $labels }}", 0.0), "{http_code=\"500\", route=\"/cart\"}");
        assert_eq!(fill("a {{- $value -}} b", 1.0), "a1b");
        assert_eq!(fill("{{ printf \"%.2f\" $value }} {{ $value | printf \"%.0f\" }}", 2.675), "2.67 3");
        assert_eq!(fill("{{ humanize $value }} {{ $labels.route | toUpper }}", 12_345_678.0), "12.35M /CART");
        for (text, value, expected) in [
            ("humanize", 0.00123, "1.23m"),
            ("humanize1024", 1_572_864.0, "1.5Mi"),
            ("humanizePercentage", 0.12345, "12.35%"),
            ("humanizeDuration", 93_784.0, "1d 2h 3m 4s"),
            ("humanizeDuration", 0.25, "250ms"),
            ("humanize", f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(fill(&format!("{{{{ $value | {text} }}}}"), value), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_told() {
        for text in [
            "{{ $value",
            "{{ query \"up\" }}",
            "{{ $value | first }}",
            "{{ if true }}",
            "{{ printf \"%d\" $value }}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
