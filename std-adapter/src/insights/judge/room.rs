//! What runs full: queues, memory, disks, open files.

use super::super::engine::Engine;
use super::super::gauges::{LEAST, Series};
use super::super::line::Line;
use super::super::report::{Finding, FindingKind, Forecast, Severity};
use super::super::shown::{amount, in_time, seconds};

/// Standard errors of an interval that has the truth with 90 %.
const NINETY: f64 = 1.645;
/// Standard errors of a slope that is believed: one in 2000 would be wrong.
const SURE: f64 = 3.29;
/// The part of the time that the report is about that a resource must be known for. A program that begins fills its caches.
const LEAST_TIME: f64 = 0.25;
/// The part of a limit from which on it is full.
const FULL: f64 = 0.9;
/// By how much a queue must grow: in its own unit, and as a part of what is in it.
const LEAST_GROWTH: (f64, f64) = (5.0, 0.3);
/// By how much anything with a limit must grow, as a part of that.
const LEAST_OF_LIMIT: f64 = 0.02;
const MINUTE: f64 = 60.0;
const DAY: f64 = 86_400.0;

/// What runs full, and how everything with a limit goes on.
pub(super) fn find(engine: &mut Engine) -> (Vec<Finding>, Vec<Forecast>) {
    let whole = engine.options().whole().as_secs_f64();
    let horizon = engine.options().horizon.as_secs_f64();
    let (mut findings, mut forecasts) = (Vec::new(), Vec::new());
    for series in engine.resources.within(whole) {
        let Some(line) = series.line().filter(|_| series.len() >= LEAST) else { continue };
        let Some(forecast) = forecast(&series, &line) else { continue };
        if line.length() >= LEAST_TIME * whole {
            findings.extend(running_out(&forecast, &line, horizon));
        }
        forecasts.push(forecast);
    }
    for series in engine.gauges.within(whole) {
        let Some(line) = series.line().filter(|_| series.len() >= LEAST) else { continue };
        let forecast = forecast(&series, &line);
        findings.extend(queue(&series, &line, forecast.as_ref()));
        forecasts.extend(forecast);
    }
    (findings, forecasts)
}

/// `None` without a limit.
fn forecast(series: &Series, line: &Line) -> Option<Forecast> {
    let limit = series.limit?;
    let meets = line.meets(limit, NINETY);
    Some(Forecast {
        name: series.name.to_string(),
        unit: series.unit.to_string(),
        used: series.last(),
        limit,
        per_second: line.slope,
        expected: meets.expected,
        earliest: meets.earliest,
        latest: meets.latest,
        points: series.len(),
        over_seconds: line.length(),
    })
}

fn running_out(forecast: &Forecast, line: &Line, horizon: f64) -> Option<Finding> {
    let Forecast { used, limit, per_second, .. } = *forecast;
    let expected = forecast.expected?;
    let (from, to) = line.ends();
    let grows = line.grows(SURE) && to - from >= LEAST_OF_LIMIT * limit.min(from.max(0.0));
    if !grows || expected > horizon {
        return None;
    }
    let name = &forecast.name;
    let summary = format!(
        "{name} runs out {}: {} of {} are used, and {} more each hour.",
        in_time(forecast),
        amount(used, &forecast.unit),
        amount(limit, &forecast.unit),
        amount(per_second * 3600.0, &forecast.unit)
    );
    let severity = match expected {
        left if left < 60.0 * MINUTE => Severity::Critical,
        left if left < DAY => Severity::Warning,
        _ => Severity::Info,
    };
    let (kind, subject) = (FindingKind::RunningOut, name.clone());
    Some(Finding { kind, severity, subject, summary, figures: figures(forecast), traces: Vec::new() })
}

fn queue(series: &Series, line: &Line, forecast: Option<&Forecast>) -> Option<Finding> {
    let (name, last) = (&series.name, series.last());
    let is_full = series.limit.is_some_and(|limit| last >= FULL * limit);
    let (from, to) = line.ends();
    let growth = to - from;
    let is_much = match series.limit {
        Some(limit) => growth >= LEAST_OF_LIMIT * limit,
        None => growth >= LEAST_GROWTH.0,
    };
    let grows = line.grows(SURE) && is_much && growth >= LEAST_GROWTH.1 * from.max(0.0);
    if !is_full && !grows {
        return None;
    }
    let unit = &series.unit;
    let (over, last) = (seconds(line.length()), amount(last, unit));
    let grown = format!("it grew from {} to {} within {over}", amount(from.max(0.0), unit), amount(to, unit));
    let summary = match (series.limit, grows) {
        (Some(limit), false) => format!("The queue `{name}` is full: {last} of {}.", amount(limit, unit)),
        (Some(limit), true) if is_full => {
            format!("The queue `{name}` is full: {last} of {}; {grown}.", amount(limit, unit))
        }
        (Some(limit), true) => {
            let in_time = forecast.map_or(String::new(), in_time);
            format!(
                "The queue `{name}` is full {in_time}: {grown}, and its limit is {}.",
                amount(limit, unit)
            )
        }
        (None, _) => {
            format!("The queue `{name}` grows: {grown}; what it has no room for, or how long, is not known.")
        }
    };
    let is_soon = forecast.and_then(|it| it.expected).is_some_and(|left| left < 10.0 * MINUTE);
    let mut figures =
        forecast.map(figures).unwrap_or_else(|| vec![("used", series.last()), ("per_second", line.slope)]);
    figures.push(("grown", growth));
    Some(Finding {
        kind: FindingKind::QueueGrowth,
        severity: if is_full || grows && is_soon { Severity::Critical } else { Severity::Warning },
        subject: name.to_string(),
        summary,
        figures,
        traces: Vec::new(),
    })
}

fn figures(forecast: &Forecast) -> Vec<(&'static str, f64)> {
    let mut all =
        vec![("used", forecast.used), ("limit", forecast.limit), ("per_second", forecast.per_second)];
    let times = [
        ("expected_seconds", forecast.expected),
        ("earliest_seconds", forecast.earliest),
        ("latest_seconds", forecast.latest),
    ];
    all.extend(times.into_iter().filter_map(|(name, time)| Some((name, time?))));
    all
}
