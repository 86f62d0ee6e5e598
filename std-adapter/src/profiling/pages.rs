//! Pages with profiles, as `go tool pprof` asks for them.
//!
//! | path | answer |
//! |---|---|
//! | `/debug/pprof/profile?seconds=30` | CPU time of the next seconds; while a session samples CPU time, its last whole window at once |
//! | `/debug/pprof/heap` | memory, if a session samples it |
//! | `/debug/pprof/` | a list of these |
//!
//! `format=svg` gives a flame graph, `folded` lines for other tools, `text` a table, and `trace=ID` the samples of one trace.

use super::session::{self, last_profile};
use super::{Profile, ProfileError, profile_for, used};
use crate::Config;
use crate::admin::{AdminError, Pages, Request, Response, Route};
use crate::pump::labels;
use std::time::Duration;
use throughline::TraceId;

/// Most seconds that a request may ask for.
const LONGEST: u64 = 300;

const INDEX: &str = "\
/debug/pprof/profile?seconds=30   CPU time
/debug/pprof/heap                 memory
  &format=svg|folded|text         in place of pprof's format
  &trace=ID                       of one trace
";

impl Config {
    /// Serves profiles at the place of [`Config::admin`], under `/debug/pprof/`, in the formats of Go's pages of this name, so that
    /// `go tool pprof http://127.0.0.1:8081/debug/pprof/profile?seconds=10` and collectors of profiles take them. Whoever may read the page can slow the
    /// process by what sampling costs, 0.3 % at 99 Hz, and sees names of functions.
    #[must_use]
    pub fn profile_pages(mut self) -> Config {
        self.profile_pages = true;
        self
    }
}

/// Adds the pages, if they are asked for.
pub(crate) fn add(config: &Config, pages: &mut Pages) -> Result<(), AdminError> {
    if config.wants_profile_pages() {
        session::keep_last();
        let server = pages.default_place()?;
        server.route(Route::new("/debug/pprof/", |_| Response::text(200, INDEX)).also("/debug/pprof"));
        // Names are looked up after the last sample, which takes up to seconds.
        let deadline = Duration::from_secs(LONGEST + 60);
        server.route(Route::new("/debug/pprof/profile", cpu).deadline(deadline));
        server.route(Route::new("/debug/pprof/heap", heap).deadline(Duration::from_secs(60)));
    }
    Ok(())
}

fn cpu(request: &Request) -> Response {
    let seconds = match request.query("seconds").unwrap_or("30").parse() {
        Ok(seconds @ 1..=LONGEST) => seconds,
        _ => return Response::text(400, format!("seconds must be a whole number from 1 to {LONGEST}\n")),
    };
    used::sample_no_more();
    let profile = profile_for(Duration::from_secs(seconds), session::cpu_options().unwrap_or_default());
    used::sample();
    match profile {
        Ok(mut profile) => {
            profile.label_spans(|_, span| labels::of(span));
            answer(request, &profile)
        }
        Err(ProfileError::AlreadyRunning) => match last_profile(|profile| answer(request, profile)) {
            Some(answer) => answer,
            None => Response::text(
                503,
                "CPU time is sampled already, and no window has ended yet; ask again when one has\n",
            ),
        },
        Err(error) => Response::text(503, format!("no profile can be taken: {error}\n")),
    }
}

fn heap(request: &Request) -> Response {
    match super::adapter::running_profile() {
        Some(profile) => answer(request, &profile),
        None => Response::text(
            503,
            "memory is not sampled: set profiling.memory.enabled, and make profiling::Allocator the global allocator\n",
        ),
    }
}

/// A profile in the format that is asked for.
fn answer(request: &Request, profile: &Profile) -> Response {
    let mut report = profile.symbolize();
    if let Some(trace) = request.query("trace") {
        let Some(trace) = TraceId::from_hex(trace) else {
            return Response::text(400, "trace must be an id of 32 hexadecimal digits\n");
        };
        report = report.of_trace(trace);
    }
    match request.query("format").unwrap_or("pprof") {
        "pprof" => Response::new(200, "application/octet-stream", report.pprof())
            .header("Content-Disposition", "attachment; filename=\"profile.pb.gz\""),
        "svg" => Response::new(200, "image/svg+xml", report.flame_graph("profile")),
        "folded" => Response::text(200, report.folded()),
        "text" => Response::text(200, report.text()),
        _ => Response::text(400, "format must be pprof, svg, folded or text\n"),
    }
}
