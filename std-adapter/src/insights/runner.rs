//! Insights as an exporter: they get the spans that all exporters get, and read metrics and resources on a thread of their own.

use super::resources::{self, Resource};
use super::{Ended, Engine, FindingKind, Report, page};
use crate::admin::Pages;
use crate::config::exporters as configured;
use crate::init::Named;
use crate::observe::{self, Observer};
use crate::stop::Stop;
use crate::{Config, InitError, LoadError};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use throughline_export::view::{PointView, SpanView};
use throughline_export::{Deadline, ExportError, Exporter, Host, Process, ReadMetrics, Wants};

/// The exporter of the name `insights`, if the configuration asks for it, with its page and with all that can be wrong with it.
pub(crate) fn prepared(config: &Config, pages: &mut Pages) -> Result<Option<Named>, InitError> {
    let Some(options) = configured::insights(config).map_err(LoadError::of)? else { return Ok(None) };
    let mut engine = Engine::new(&options);
    let (limits, _) = config.limits();
    engine.gauges.own_limit = Some((limits.queue * limits.batch_bytes) as f64);
    let engine = Arc::new(Mutex::new(engine));
    pages.default_place()?.route(page::route(&options, Arc::clone(&engine))?);
    let resources = resources::all(&options.folders);
    let runner =
        Runner { engine, resources, last: Arc::default(), stop: Arc::default(), observers: Vec::new() };
    Ok(Some(("insights".into(), Box::new(runner))))
}

struct Runner {
    engine: Arc<Mutex<Engine>>,
    resources: Vec<Resource>,
    /// The last report, for metrics.
    last: Arc<Mutex<Option<Report>>>,
    stop: Arc<Stop>,
    observers: Vec<Observer>,
}

impl Exporter for Runner {
    fn begin(&mut self, host: &Host<'_>) -> io::Result<()> {
        let Some(metrics) = host.metrics.cloned() else {
            return Err(io::Error::other("metrics cannot be read here"));
        };
        self.observers = observed(&self.last, &self.resources);
        let watch = Watch {
            engine: Arc::clone(&self.engine),
            resources: self.resources.clone(),
            last: Arc::clone(&self.last),
            stop: Arc::clone(&self.stop),
            metrics,
        };
        (host.spawn)("insights-watch", Box::new(move || watch.run()))
    }

    fn wants(&self) -> Wants {
        Wants { spans: true, ..Wants::NOTHING }
    }

    fn span(&mut self, span: &SpanView<'_>) {
        lock(&self.engine).span(&Ended::of(span));
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        lock(&self.engine).settle();
        Ok(())
    }

    fn finish(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        self.observers.clear();
        self.stop.stop();
        Ok(())
    }
}

/// Metrics of what is found.
fn observed(last: &Arc<Mutex<Option<Report>>>, resources: &[Resource]) -> Vec<Observer> {
    let findings = FindingKind::ALL.map(|kind| {
        let last = Arc::clone(last);
        observe::gauge("throughline.insights.findings")
            .unit("{finding}")
            .description("What the last report of insights found")
            .label("kind", kind.as_str())
            .with(move || {
                let last = lock(&last);
                last.as_ref().map(|report| report.findings.iter().filter(|it| it.kind == kind).count())
            })
    });
    let bounds = ["expected", "earliest"];
    let pairs = resources.iter().flat_map(|resource| bounds.map(|bound| (resource.name.clone(), bound)));
    let left = pairs.map(|(name, bound)| {
        let last = Arc::clone(last);
        observe::gauge("throughline.forecast.time_left")
            .unit("s")
            .description("Time until a resource runs out, if it goes on as it did")
            .label("resource", name.clone())
            .label("bound", bound)
            .with(move || {
                let last = lock(&last);
                let forecast = last.as_ref()?.forecasts.iter().find(|it| it.name == name)?;
                if bound == "expected" { forecast.expected } else { forecast.earliest }
            })
    });
    findings.into_iter().chain(left).collect()
}

/// The thread that reads metrics and resources.
struct Watch {
    engine: Arc<Mutex<Engine>>,
    resources: Vec<Resource>,
    last: Arc<Mutex<Option<Report>>>,
    stop: Arc<Stop>,
    metrics: ReadMetrics,
}

impl Watch {
    fn run(&self) {
        let (interval, whole) = {
            let engine = lock(&self.engine);
            (engine.interval().max(Duration::from_millis(5)), engine.options().whole())
        };
        // A small step of the wall clock would look like a step of a resource, so this follows only one that is too large for the report.
        let (mut begun, mut unix) = (Instant::now(), since_1970());
        let mut next = begun + interval;
        while self.stop.wait(next) {
            if (unix + begun.elapsed()).abs_diff(since_1970()) > whole {
                (begun, unix) = (Instant::now(), since_1970());
                lock(&self.engine).begin_anew();
            }
            let now = u64::try_from((unix + begun.elapsed()).as_nanos()).unwrap_or(u64::MAX);
            self.look(now);
            next = (next + interval).max(Instant::now());
        }
    }

    fn look(&self, now: u64) {
        self.metrics.read(|points| {
            let mut engine = lock(&self.engine);
            points.iter().for_each(|point| engine.point(&PointView { time_unix_ns: now, ..point.clone() }));
        });
        let process = Process::read();
        let mut engine = lock(&self.engine);
        for resource in &self.resources {
            if let Some(reading) = resource.read(&process, now) {
                engine.resource(&reading);
            }
        }
        let report = engine.report();
        drop(engine);
        *lock(&self.last) = Some(report);
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
