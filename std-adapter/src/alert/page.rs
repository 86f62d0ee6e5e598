//! The page: rules, alerts and silences, as JSON.

use super::alerts::Center;
use super::engine::time;
use super::language::show_duration;
use super::rules::Kind;
use super::{Alert, AlertError, AlertOptions, Alerts, Labels, Silence, Suppression};
use std::time::SystemTime;
use throughline_export::admin::{Response, Route};
use throughline_export::text::json;

/// The page of these alerts.
pub(super) fn route(options: &AlertOptions, alerts: Alerts) -> Result<Route, AlertError> {
    if !Route::is_path(&options.path) {
        return Err(AlertError::Path { path: options.path.clone() });
    }
    Ok(Route::new(&*options.path, move |_| {
        Response::new(200, "application/json", alerts.json()).header("Cache-Control", "no-store")
    }))
}

impl Alerts {
    /// Rules, alerts and silences as JSON, as the page has them:
    ///
    /// ```text
    /// {"rules": [{"group": "queues", "name": "QueueGrows", "condition": "queue_depth > 100", "duration": "1m", "state": "firing", "error": null}],
    ///  "alerts": [{"labels": {"alertname": "QueueGrows"}, "annotations": {}, "state": "firing", "value": 250, "activeAt": "2026-11-29T10:00:00.000Z",
    ///              "firedAt": "…", "resolvedAt": null, "suppressed": null, "suppressedBy": null, "cause": null, "root": null, "flapping": false,
    ///              "acknowledgedBy": null, "exemplar": {"traceId": "…", "spanId": "…", "value": 0.3}, "evidence": null,
    ///              "explanation": "Its condition has held since 2026-11-29T10:00:00.000Z, longer than 1m."}],
    ///  "silences": [], "suppressions": {"silenced": 0, "inhibited": 0, "deploying": 0, "restarting": 0, "muted": 0, "flapping": 0, "rate_limited": 0},
    ///  "deployUntil": null, "baselines": {"series": 0, "refused": 0}, "series": 1, "evaluationSeconds": 0.0001, "stateFileProblem": null}
    /// ```
    pub fn json(&self) -> String {
        let center = self.lock();
        let alerts = center.engine.alerts();
        let silences: Vec<String> = center.all_silences().map(silence).collect();
        let shown: Vec<String> = alerts.iter().map(alert).collect();
        let counts = center.decisions.counts;
        let reasons = Suppression::ALL.map(|reason| format!("\"{}\":{}", reason.as_str(), counts.of(reason)));
        let deploy = center.patterns.deploy.map(|deploy| rfc3339(time(deploy.until)));
        let baselines = center.engine.baselines_kept();
        format!(
            "{{\"rules\":[{}],\"alerts\":[{}],\"silences\":[{}],\"suppressions\":{{{},\"rate_limited\":{}}},\"deployUntil\":{},\
             \"baselines\":{{\"series\":{},\"refused\":{}}},\"series\":{},\"evaluationSeconds\":{:.6},\"stateFileProblem\":{}}}\n",
            rules(&center).join(","),
            shown.join(","),
            silences.join(","),
            reasons.join(","),
            counts.rate_limited,
            or_null(deploy.as_deref()),
            baselines.0,
            baselines.1,
            center.engine.series(),
            center.evaluation_seconds,
            or_null(center.state_problems.1.as_deref()),
        )
    }
}

fn rules(center: &Center) -> Vec<String> {
    let rules = center.engine.rules.rules.iter().zip(&center.engine.states);
    let of_alerts = rules.filter(|(rule, _)| rule.kind == Kind::Alert);
    of_alerts
        .map(|(rule, state)| {
            let states = state.active.values().map(|active| active.state);
            // Of several, the most urgent: firing, pending, resolved.
            let most = states.min_by_key(|state| match state.as_str() {
                "firing" => 0,
                "pending" => 1,
                _ => 2,
            });
            format!(
                "{{\"group\":{},\"name\":{},\"line\":{},\"condition\":{},\"threshold\":{},\"duration\":{},\"state\":{},\"error\":{}}}",
                json(&rule.group),
                json(&rule.name),
                rule.line,
                json(&rule.expression),
                rule.threshold.map_or("null".into(), number),
                json(&show_duration(rule.hold)),
                json(most.map_or("inactive", |state| state.as_str())),
                or_null(state.error.as_deref()),
            )
        })
        .collect()
}

/// An alert as JSON.
pub(super) fn alert(alert: &Alert) -> String {
    let annotations: Vec<String> =
        alert.annotations.iter().map(|(name, text)| format!("{}:{}", json(name), json(text))).collect();
    format!(
        "{{\"labels\":{},\"annotations\":{{{}}},\"state\":\"{}\",\"value\":{},\"activeAt\":{},\"firedAt\":{},\"resolvedAt\":{},{}}}",
        labels(&alert.labels),
        annotations.join(","),
        alert.state.as_str(),
        number(alert.value),
        json(&rfc3339(alert.active_at)),
        or_null(alert.fired_at.map(rfc3339).as_deref()),
        or_null(alert.resolved_at.map(rfc3339).as_deref()),
        decision(alert),
    )
}

/// What was decided about an alert, as members of an object.
pub(super) fn decision(alert: &Alert) -> String {
    let or_none = |of: &Option<Labels>| of.as_ref().map_or("null".into(), labels);
    let exemplar = alert.exemplar.map_or("null".into(), |it| {
        format!(
            "{{\"traceId\":\"{}\",\"spanId\":\"{}\",\"value\":{},\"time\":{}}}",
            it.trace_id,
            it.span_id,
            number(it.value),
            json(&rfc3339(it.time))
        )
    });
    format!(
        "\"suppressed\":{},\"suppressedBy\":{},\"cause\":{},\"root\":{},\"flapping\":{},\"acknowledgedBy\":{},\"exemplar\":{exemplar},\
         \"evidence\":{},\"explanation\":{}",
        or_null(alert.suppressed.map(|reason| reason.as_str())),
        or_null(alert.suppressed_by.as_deref()),
        or_none(&alert.cause),
        or_none(&alert.root),
        alert.is_flapping,
        or_null(alert.acknowledged_by.as_deref()),
        or_null(alert.evidence.as_deref()),
        json(&alert.explanation),
    )
}

/// Labels as JSON.
pub(super) fn labels(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{}:{}", json(name), json(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

fn silence(silence: &Silence) -> String {
    let matchers: Vec<String> = silence.matchers.iter().map(|matcher| json(&matcher.to_string())).collect();
    format!(
        "{{\"id\":{},\"matchers\":[{}],\"startsAt\":{},\"endsAt\":{},\"createdBy\":{},\"comment\":{}}}",
        json(&silence.id),
        matchers.join(","),
        json(&rfc3339(silence.starts_at)),
        json(&rfc3339(silence.ends_at)),
        json(&silence.created_by),
        json(&silence.comment),
    )
}

/// A number, or a text for those that JSON has no numbers for.
pub(super) fn number(x: f64) -> String {
    if x.is_finite() { x.to_string() } else { json(&super::rules::show(x)) }
}

fn or_null(text: Option<&str>) -> String {
    text.map_or("null".into(), json)
}

/// The time in RFC 3339, in UTC, with milliseconds.
pub(super) fn rfc3339(at: SystemTime) -> String {
    // Beyond the year 9999 there is no such text.
    let at = at.min(super::engine::time(253_402_300_799_000));
    humantime::format_rfc3339_millis(at).to_string()
}
