//! The drawings of two runs without times, durations and ids, which differ in every run.
//!
//! Both sides draw with the same code (`throughline_export::terminal`), so the rest can be compared line by
//! line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The traces and metrics of a run, without times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeText {
    /// Lines of traces, in order: `trace`, then its spans, events and losses with their indentation.
    pub traces: Vec<String>,
    /// Metric series and their values. Zeros are left out, because a microcontroller knows every metric of
    /// its program, but a server only those it has used.
    pub metrics: BTreeMap<String, String>,
}

impl TreeText {
    /// Reads the drawing of `throughline decode` or of a server. Lines that belong to no trace and no metric
    /// are skipped (the device's identity, the summary, drawings of histograms).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut this = Self::default();
        for line in text.lines() {
            if let Some(line) = trace_line(line) {
                this.traces.push(line);
            } else if let Some((series, value)) = metric_line(line)
                && !is_zero(value)
            {
                this.metrics.insert(with_sorted_labels(series), value.to_owned());
            }
        }
        this
    }

    /// Lines that are only in one of them: `-` only in `self`, `+` only in `other`. Empty if they agree.
    #[must_use]
    pub fn diff(&self, other: &Self) -> String {
        diff(&self.lines(), &other.lines())
    }

    /// The traces, then the metrics, one per line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let metrics = self.metrics.iter().map(|(series, value)| format!("{series} = {value}"));
        self.traces.iter().cloned().chain(metrics).collect()
    }

    /// The lines as a text, for a snapshot.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines().iter().map(|line| format!("{line}\n")).collect()
    }
}

/// The lines of the shortest edit from one text to the other; empty if they are equal.
#[must_use]
pub fn diff_texts(a: &str, b: &str) -> String {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    diff(&lines(a), &lines(b))
}

/// A line of a trace without its times; `None` if it is not one.
fn trace_line(line: &str) -> Option<String> {
    // `22:13:20.000000 trace 0101…`, or a line outside of traces: `22:13:20.000000 INFO text`.
    if let Some(rest) = after_time_of_day(line) {
        let rest = match rest.strip_prefix("trace ") {
            Some(id_and_more) => format!("trace{}", id_and_more.get(32..).unwrap_or_default()),
            None => rest.to_owned(),
        };
        return Some(without_times(&rest));
    }
    // `   1.24 ms  ├─ name`, `  +14.2 µs  └─ INFO text`.
    let line = line.trim_start();
    let (_, rest) = duration(line.strip_prefix('+').unwrap_or(line))?;
    Some(without_times(rest.strip_prefix("  ")?))
}

fn after_time_of_day(line: &str) -> Option<&str> {
    let (time, rest) = (line.get(..15)?, line.get(15..)?.strip_prefix(' ')?);
    let shape = |(i, byte): (usize, u8)| match i {
        2 | 5 => byte == b':',
        8 => byte == b'.',
        _ => byte.is_ascii_digit(),
    };
    time.bytes().enumerate().all(shape).then_some(rest)
}

/// Splits off a duration such as `1.24 ms` at the start.
fn duration(text: &str) -> Option<(&str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|end| *end > 0)?;
    let rest = text[digits..].strip_prefix(' ')?;
    // Try the longer units first, because all of them end in `s`.
    let unit = ["ns", "µs", "ms", "s"].iter().find(|unit| rest.starts_with(**unit))?;
    Some(text.split_at(digits + 1 + unit.len()))
}

/// The line without busy times and time errors.
fn without_times(line: &str) -> String {
    let mut parts = Vec::new();
    // Two spaces separate the parts of a line. The tree's indentation at its start is kept.
    let begin = line.find(|c: char| !" │├└─".contains(c)).unwrap_or(line.len());
    for part in line[begin..].split("  ") {
        let time = part.strip_prefix("busy ").or_else(|| part.strip_prefix('±'));
        let is_time = time.and_then(duration).is_some_and(|(_, rest)| rest.is_empty());
        if !is_time {
            parts.push(part);
        }
    }
    format!("{}{}", &line[..begin], parts.join("  "))
}

/// Series and value of `name{label=x} ..... 12 request`.
fn metric_line(line: &str) -> Option<(&str, &str)> {
    let (series, rest) = line.split_once(" ..")?;
    let value = rest.trim_start_matches('.').strip_prefix(' ')?;
    (!series.contains(' ')).then_some((series, value))
}

/// The series with its labels sorted by text. Callsites of one series may have them in different orders, and
/// on a microcontroller the linker decides which callsite names the series.
fn with_sorted_labels(series: &str) -> String {
    let Some((name, labels)) = series.strip_suffix('}').and_then(|series| series.split_once('{')) else {
        return series.to_owned();
    };
    let mut labels: Vec<&str> = labels.split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

fn is_zero(value: &str) -> bool {
    value.split(' ').next() == Some("0") || value.starts_with("count 0 ")
}

/// The lines of the shortest edit from `a` to `b` that are not in both.
fn diff(a: &[String], b: &[String]) -> String {
    // The table holds the lengths of the longest common subsequences of all suffixes, which is cheap for some
    // hundred lines.
    let mut common = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] =
                if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            // Writing to a string can't fail.
            let _ = writeln!(text, "- {}", a[i]);
            i += 1;
        } else {
            let _ = writeln!(text, "+ {}", b[j]);
            j += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: &str = "\
── thermostat 40b1e9ac2df2fb0a, epoch 1, build 58f3e6a3ba36, tick 40 ns
── times count from boot; --anchor TIME makes them wall-clock times
00:00:00.000000 trace e2e79e51e15f12d6694dfae4529c1d56
   1.66 ms  control.round ✗ error  number=0 error.message=\"a  b\"  busy 6.00 µs  ±40.0 µs
    280 ns  ├─ adc.isr  raw=1508
   +426 µs  │  └─ DEBUG sample 0: 1508
00:00:00.000089 INFO after the flush

adc.overruns ...................... 0 sample
sensor.raw ........................ count 5  sum 10486 count  p50 ≤ 1722 count
sensor.raw 1448 ▕█    ▂▏ 4096 {count}

16 frames in 1376 bytes: 69 records emitted
";

    #[test]
    fn times_ids_and_what_is_no_record_are_left_out() {
        let text = TreeText::parse(DEVICE);
        assert_eq!(
            text.lines(),
            [
                "trace",
                "control.round ✗ error  number=0 error.message=\"a  b\"",
                "├─ adc.isr  raw=1508",
                "│  └─ DEBUG sample 0: 1508",
                "INFO after the flush",
                "sensor.raw = count 5  sum 10486 count  p50 ≤ 1722 count",
            ]
        );
    }

    #[test]
    fn runs_that_differ_in_times_alone_agree() {
        let other = DEVICE
            .replace("1.66 ms", " 310 ns")
            .replace("e2e79e51", "00000000")
            .replace("+426 µs", "+1.00 s");
        assert_eq!(TreeText::parse(DEVICE).diff(&TreeText::parse(&other)), "");
    }

    #[test]
    fn a_field_a_parent_and_a_metric_that_differ_show() {
        let differs =
            |from: &str, to: &str| TreeText::parse(DEVICE).diff(&TreeText::parse(&DEVICE.replace(from, to)));
        assert_eq!(differs("raw=1508", "raw=1509"), "- ├─ adc.isr  raw=1508\n+ ├─ adc.isr  raw=1509\n");
        assert_eq!(
            differs("│  └─ DEBUG", "├─ DEBUG"),
            "- │  └─ DEBUG sample 0: 1508\n+ ├─ DEBUG sample 0: 1508\n"
        );
        assert!(differs("10486", "10487").contains("+ sensor.raw = count 5  sum 10487"));
        assert_eq!(differs("0 sample\n", "3 sample\n"), "+ adc.overruns = 3 sample\n");
    }
}
