//! The pages: what is known about the checks, as JSON.

use super::board::{Board, Line, Report};
use super::{HealthError, HealthOptions, Status};
use std::sync::Arc;
use throughline_export::admin::{Request, Response, Route};
use throughline_export::text::json;

/// The pages of the checks.
pub(super) fn route(options: &HealthOptions, board: Arc<Board>) -> Result<Route, HealthError> {
    if !Route::is_path(&options.path) {
        return Err(HealthError::Path { path: options.path.clone() });
    }
    let route = Route::new(&*options.path, move |request| answer(&board, request));
    Ok(route.also("/livez").also("/readyz").also("/startupz"))
}

fn answer(board: &Board, request: &Request) -> Response {
    let mut report = board.report();
    let (status, is_well) = match request.path() {
        "/livez" => {
            report.lines.retain(|line| line.check.is_liveness);
            report.liveness()
        }
        "/readyz" => report.readiness(),
        "/startupz" => report.startup(),
        _ => report.health(),
    };
    let code = if is_well { 200 } else { 503 };
    Response::new(code, "application/json", body(status, &report)).header("Cache-Control", "no-store")
}

fn body(status: Status, report: &Report<'_>) -> String {
    let lines: Vec<String> = report.lines.iter().map(line).collect();
    format!("{{\"status\":\"{}\",\"checks\":[{}]}}\n", status.as_str(), lines.join(","))
}

fn line(line: &Line<'_>) -> String {
    let finding = &line.finding;
    let details: Vec<String> =
        finding.details.iter().map(|(name, value)| format!("{}:{}", json(name), json(value))).collect();
    let (timestamp, duration) = match line.last {
        Some((at, took)) => {
            (json(&humantime::format_rfc3339_millis(at).to_string()), format!("{:.6}", took.as_secs_f64()))
        }
        None => ("null".into(), "null".into()),
    };
    format!(
        "{{\"name\":{},\"status\":\"{}\",\"message\":{},\"optional\":{},\"details\":{{{}}},\"timestamp\":{timestamp},\"duration\":{duration}}}",
        json(&line.check.name),
        finding.status.as_str(),
        json(&finding.message),
        line.check.is_optional,
        details.join(","),
    )
}
