//! The report as text and as JSON.

use super::report::{Finding, Forecast, Operation, Report};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};
use throughline::TraceId;
use throughline_export::terminal::Nanoseconds;
use throughline_export::text::{Escaped, json};

const SIZES: [(&str, f64); 4] =
    [("TiB", 1099511627776.0), ("GiB", 1073741824.0), ("MiB", 1048576.0), ("KiB", 1024.0)];
const DAY: f64 = 86_400.0;

/// A time in seconds for people.
pub(super) fn seconds(time: f64) -> String {
    match time {
        time if time >= 365.0 * DAY => "more than a year".to_owned(),
        time if time >= 2.0 * DAY => format!("{:.0} days", time / DAY),
        time => Nanoseconds((time.max(0.0) * 1e9) as u64).to_string(),
    }
}

/// An amount in a unit of UCUM for people.
pub(super) fn amount(value: f64, unit: &str) -> String {
    let size = SIZES.iter().find(|(_, size)| value.abs() >= *size).filter(|_| unit == "By");
    let number = |x: f64| {
        if x.fract().abs() < 0.05 || x.abs() >= 1000.0 { format!("{x:.0}") } else { format!("{x:.1}") }
    };
    match (size, unit) {
        (Some((name, size)), _) => format!("{} {name}", number(value / size)),
        (None, "By") => format!("{value:.0} B"),
        (None, "1") => format!("{:.0} %", value * 100.0),
        (None, "") => number(value),
        (None, unit) => format!("{} {}", number(value), unit.trim_matches(['{', '}'])),
    }
}

/// When the limit is met: `in 3 h 20 m (90 %: 3 h 10 m to 3 h 40 m)`.
pub(super) fn in_time(forecast: &Forecast) -> String {
    let Some(expected) = forecast.expected else { return "at some time".to_owned() };
    if forecast.latest.is_none() && forecast.earliest.is_none_or(|time| time <= 0.0) {
        return "at a time that cannot be told yet".to_owned();
    }
    let earliest = forecast.earliest.map_or("now".to_owned(), seconds);
    let latest = forecast.latest.map_or("never".to_owned(), seconds);
    format!("in {} (90 %: {earliest} to {latest})", seconds(expected))
}

impl Report {
    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let long = seconds(self.to_unix_ns.saturating_sub(self.from_unix_ns) as f64 / 1e9);
        let _ =
            writeln!(out, "Insights of {long} until {}: {} spans\n", rfc3339(self.to_unix_ns), self.spans);
        if self.findings.is_empty() {
            out.push_str("Nothing is found.\n");
        }
        for Finding { kind, severity, summary, traces, .. } in &self.findings {
            let _ = writeln!(out, "{:<8} {}: {}", severity.as_str(), kind.as_str(), Escaped(summary));
            if !traces.is_empty() {
                let _ = writeln!(out, "         traces {}", list(traces, " ", |id| id.to_string()));
            }
        }
        if !self.operations.is_empty() {
            let _ = writeln!(
                out,
                "\nOperations by their own time\n{:>9} {:>8} {:>10} {:>10} {:>10} {:>7}  operation",
                "spans", "failed", "p50", "p95", "p99", "share"
            );
        }
        for Operation { name, count, failed, p50, p95, p99, share, .. } in &self.operations {
            let (p50, p95, p99) = (seconds(*p50), seconds(*p95), seconds(*p99));
            let share = share * 100.0;
            let name = Escaped(name);
            let _ =
                writeln!(out, "{count:>9} {failed:>8} {p50:>10} {p95:>10} {p99:>10} {share:>5.1} %  {name}");
        }
        if !self.forecasts.is_empty() {
            out.push_str("\nForecasts\n");
        }
        for forecast in &self.forecasts {
            let Forecast { name, unit, used, limit, .. } = forecast;
            let full = match forecast.expected {
                Some(_) => format!("full {}", in_time(forecast)),
                None => "does not grow".to_owned(),
            };
            let (used, limit) = (amount(*used, unit), amount(*limit, unit));
            let _ = writeln!(out, "  {}: {used} of {limit}, {full}", Escaped(name));
        }
        let left_out: Vec<String> = self
            .left_out
            .all()
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| format!("{name} {n}"))
            .collect();
        if !left_out.is_empty() {
            let _ = writeln!(out, "\nWithout room: {}", left_out.join(", "));
        }
        out
    }

    /// For programs, in one line. The [module](super) has the schema.
    pub fn json(&self) -> String {
        let left_out: Vec<String> =
            self.left_out.all().iter().map(|(name, n)| format!("\"{name}\":{n}")).collect();
        format!(
            "{{\"from\":{},\"to\":{},\"windowSeconds\":{},\"spans\":{},\"findings\":[{}],\"operations\":[{}],\"forecasts\":[{}],\"leftOut\":{{{}}}}}\n",
            json(&rfc3339(self.from_unix_ns)),
            json(&rfc3339(self.to_unix_ns)),
            number(self.window_seconds),
            self.spans,
            list(&self.findings, ",", finding),
            list(&self.operations, ",", operation),
            list(&self.forecasts, ",", forecast),
            left_out.join(","),
        )
    }
}

fn finding(finding: &Finding) -> String {
    format!(
        "{{\"kind\":\"{}\",\"severity\":\"{}\",\"subject\":{},\"summary\":{},\"figures\":{{{}}},\"traces\":[{}]}}",
        finding.kind.as_str(),
        finding.severity.as_str(),
        json(&finding.subject),
        json(&finding.summary),
        list(&finding.figures, ",", |(name, value)| format!("\"{name}\":{}", number(*value))),
        traces(&finding.traces),
    )
}

fn operation(it: &Operation) -> String {
    format!(
        "{{\"name\":{},\"count\":{},\"failed\":{},\"p50Seconds\":{},\"p95Seconds\":{},\"p99Seconds\":{},\"ownSeconds\":{},\"share\":{},\"traces\":[{}]}}",
        json(&it.name),
        it.count,
        it.failed,
        number(it.p50),
        number(it.p95),
        number(it.p99),
        number(it.own_seconds),
        number(it.share),
        traces(&it.traces),
    )
}

fn forecast(it: &Forecast) -> String {
    let or_null = |time: Option<f64>| time.map_or("null".to_owned(), number);
    format!(
        "{{\"name\":{},\"unit\":{},\"used\":{},\"limit\":{},\"perSecond\":{},\"expectedSeconds\":{},\"earliestSeconds\":{},\"latestSeconds\":{},\
         \"points\":{},\"overSeconds\":{}}}",
        json(&it.name),
        json(&it.unit),
        number(it.used),
        number(it.limit),
        number(it.per_second),
        or_null(it.expected),
        or_null(it.earliest),
        or_null(it.latest),
        it.points,
        number(it.over_seconds),
    )
}

fn traces(traces: &[TraceId]) -> String {
    list(traces, ",", |id| format!("\"{id}\""))
}

fn list<T>(all: &[T], between: &str, show: impl Fn(&T) -> String) -> String {
    all.iter().map(show).collect::<Vec<_>>().join(between)
}

/// JSON has no numbers that are not finite.
fn number(x: f64) -> String {
    if x.is_finite() { x.to_string() } else { "null".to_owned() }
}

fn rfc3339(unix_ns: u64) -> String {
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + Duration::from_nanos(unix_ns)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_from_now_to_never_is_no_forecast() {
        let forecast = |earliest, latest| Forecast {
            name: "queue".into(),
            unit: String::new(),
            used: 340.0,
            limit: 1000.0,
            per_second: 10.0,
            expected: Some(66.0),
            earliest,
            latest,
            points: 30,
            over_seconds: 30.0,
        };
        assert_eq!(in_time(&forecast(Some(0.0), None)), "at a time that cannot be told yet");
        assert_eq!(in_time(&forecast(Some(60.0), None)), "in 66.0 s (90 %: 60.0 s to never)");
    }
}
