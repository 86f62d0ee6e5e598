//! `throughline insights`: the bottlenecks that files of traces show.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use throughline_std::insights::{Ended, Engine, InsightOptions};

use crate::FINE;
use crate::args::InsightsArgs;
use crate::error::CliError;
use crate::spans::{self, FileGauge, Sink};

/// How captures are read.
const COMMAND: &str = "throughline insights";
/// Windows before the last one.
const WINDOWS: usize = 12;
/// Spans that are put in order. A file has the spans of a service for a second or five together, one service after the other.
const WAITING: usize = 1 << 16;

/// Runs the command and returns the exit code.
pub(crate) fn run(args: &InsightsArgs) -> Result<u8, CliError> {
    // The windows follow from the time that all files are about, so they are read twice.
    let (extent, code) = each(args, Extent::default())?;
    let Some(first) = extent.first else {
        let inputs: Vec<String> = args.inputs.iter().map(|path| path.display().to_string()).collect();
        return Err(CliError::Nothing { inputs: inputs.join(", ") });
    };
    let whole = Duration::from_nanos(extent.last.saturating_sub(first));
    let window = args.window.unwrap_or(whole / (WINDOWS as u32 + 1) + Duration::from_nanos(1));
    let options = InsightOptions::new().window(window).windows(WINDOWS).reorder(Duration::MAX, WAITING);
    let found = Found { engine: Engine::new(&options), with_services: extent.services.len() > 1 };
    let (mut found, _) = each(args, found)?;
    let report = found.engine.report();
    let output = if args.json { report.json() } else { report.text() };
    std::io::stdout().lock().write_all(output.as_bytes())?;
    Ok(code)
}

/// Passes on what all files have. Returns the worst exit code.
fn each<S: Sink + 'static>(args: &InsightsArgs, mut sink: S) -> Result<(S, u8), CliError> {
    let mut worst = FINE;
    for path in &args.inputs {
        let code;
        (sink, code) = spans::read(path, args.elf.as_deref(), COMMAND, sink)?;
        worst = worst.max(code);
    }
    Ok((sink, worst))
}

/// The time that files are about, and their services.
#[derive(Default)]
struct Extent {
    first: Option<u64>,
    last: u64,
    services: BTreeSet<String>,
}

impl Sink for Extent {
    fn span(&mut self, span: &Ended<'_>) {
        self.first = Some(self.first.map_or(span.start_unix_ns, |first| first.min(span.start_unix_ns)));
        self.last = self.last.max(span.end_unix_ns);
        if self.services.len() < 2 {
            self.services.insert(span.service.to_owned());
        }
    }

    fn gauge(&mut self, gauge: &FileGauge<'_>) {
        self.first = Some(self.first.map_or(gauge.time_ns, |first| first.min(gauge.time_ns)));
        self.last = self.last.max(gauge.time_ns);
    }

    /// The second reading says it.
    fn damaged(&mut self, _: &Path, _: u64) {}
}

struct Found {
    engine: Engine,
    /// Whether operations are told apart by their services.
    with_services: bool,
}

impl Sink for Found {
    fn span(&mut self, span: &Ended<'_>) {
        let service = if self.with_services { span.service } else { "" };
        self.engine.span(&Ended { service, ..*span });
    }

    fn gauge(&mut self, gauge: &FileGauge<'_>) {
        self.engine.gauge(gauge.name, &gauge.labels, gauge.unit, gauge.time_ns, gauge.value);
    }
}
