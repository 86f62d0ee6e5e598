//! The page.

use super::{Engine, InsightError, InsightOptions};
use std::sync::{Arc, Mutex, PoisonError};
use throughline_export::admin::{Request, Response, Route};

pub(super) fn route(options: &InsightOptions, engine: Arc<Mutex<Engine>>) -> Result<Route, InsightError> {
    if !Route::is_path(&options.path) {
        return Err(InsightError::Path { path: options.path.clone() });
    }
    Ok(Route::new(&*options.path, move |request| {
        let is_text = match request.query("format") {
            None => prefers_text(request),
            Some("text") => true,
            Some("json") => false,
            Some(_) => return Response::text(400, "format must be json or text\n"),
        };
        let report = engine.lock().unwrap_or_else(PoisonError::into_inner).report();
        let response = match is_text {
            true => Response::text(200, report.text()),
            false => Response::new(200, "application/json", report.json()),
        };
        response.header("Cache-Control", "no-store").header("Vary", "Accept")
    }))
}

/// Whether the client asks for text, as browsers do, and not for JSON before it.
fn prefers_text(request: &Request) -> bool {
    let accept = request.header("Accept").to_ascii_lowercase();
    let first = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let mut known = first.filter(|kind| *kind == "application/json" || kind.starts_with("text/"));
    known.next().is_some_and(|kind| kind.starts_with("text/"))
}
