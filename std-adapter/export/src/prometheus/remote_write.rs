//! Sends metrics by Prometheus's remote write, which Prometheus, Mimir, VictoriaMetrics and many hosted services take.
//!
//! Source: Prometheus, *Remote-Write Specification 1.0* and *2.0*.

use super::negotiate::Shape;
use super::page::Renderer;
use super::process::Process;
use super::write_request::{Body, Moment, RemoteWriteVersion, WriteRequests};
use super::{Format, PageOptions};
use crate::backlog::Failure;
use crate::ledger::DropReason;
use crate::otlp::ConfigError;
use crate::push::{Answer, Push, PushUrlError};
use crate::view::{PointData, PointView, Scope};
use crate::{Deadline, ExportError, Exporter, Host, OwnedRecords, Resource, Wants};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

const PATH: &str = "/api/v1/write";
const EXAMPLE: &str = "http://localhost:9090/api/v1/write";

/// Sends each snapshot of all metrics by remote write.
///
/// Every series has the labels `job` (the service's namespace and name) and `instance` (`service.instance.id`), and
/// the names that it has on the [page](super). While the server is unavailable, up to 16 MiB of requests wait for
/// it, in order, and are tried again after growing pauses or when the server says; what finds no room, or is
/// refused, is dropped. `throughline.remote_write.samples`, by `outcome`, counts what was sent and dropped. At the
/// end all series are marked as stale, so that they do not seem to go on for another five minutes.
///
/// ```
/// use throughline_export::prometheus::RemoteWrite;
/// let writer = RemoteWrite::new("http://localhost:9090")?.header("X-Scope-OrgID", "shop");
/// // let config = throughline_std::Config::new("shop").exporter("remote-write", writer);
/// # Ok::<(), throughline_export::PushUrlError>(())
/// ```
#[derive(Debug)]
pub struct RemoteWrite {
    push: Push,
    page: PageOptions,
    version: RemoteWriteVersion,
    native_histograms: bool,
    interval: Duration,
    renderer: Option<Renderer>,
    /// The newest snapshot, and whether it still has to be sent.
    latest: OwnedRecords,
    is_new: bool,
    written: Option<Instant>,
    /// The time of the newest exemplar that was put into a request, in nanoseconds since 1970.
    newest_exemplar_ns: u64,
    /// How many samples were put into requests, and how many of these were dropped.
    made: u64,
    dropped: u64,
}

impl RemoteWrite {
    /// Sends to `url`; `/api/v1/write` is appended if it has no path.
    ///
    /// # Errors
    ///
    /// When it is no `http://` or `https://` URL, or an `https://` one without the feature `tls`.
    pub fn new(url: &str) -> Result<RemoteWrite, PushUrlError> {
        let mut push = Push::new("a receiver", url, PATH, "application/x-protobuf", EXAMPLE)?;
        push.header("Content-Encoding", "snappy");
        // The specification has all errors of the server tried again.
        push.retry(|status| status == 429 || (500..600).contains(&status));
        Ok(RemoteWrite {
            push,
            page: PageOptions::default(),
            version: RemoteWriteVersion::default(),
            native_histograms: false,
            interval: Duration::ZERO,
            renderer: None,
            latest: OwnedRecords::default(),
            is_new: false,
            written: None,
            newest_exemplar_ns: 0,
            made: 0,
            dropped: 0,
        })
    }

    /// Sends this header with each request, for example `Authorization`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> RemoteWrite {
        self.push.header(name, value);
        self
    }

    /// Trusts a server whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate, or TLS is not built in.
    pub fn ca_certificate(mut self, path: impl AsRef<Path>) -> Result<RemoteWrite, ConfigError> {
        self.push.ca_certificate(path.as_ref())?;
        Ok(self)
    }

    /// Shortest time between two snapshots that are sent. By default every snapshot of the metrics is, so the
    /// interval of the metrics decides.
    #[must_use]
    pub fn interval(self, interval: Duration) -> RemoteWrite {
        RemoteWrite { interval, ..self }
    }

    /// Whether histograms are sent as native ones, for servers that keep those (Prometheus with
    /// `--enable-feature=native-histograms`, Mimir). Others refuse the whole request, so the default is false:
    /// classic buckets, which all servers take.
    #[must_use]
    pub fn native_histograms(self, on: bool) -> RemoteWrite {
        RemoteWrite { native_histograms: on, ..self }
    }

    /// The version of the protocol. The default is 1. A receiver that does not know version 2 is told apart by its
    /// answer, and what was sent to it is counted as dropped. So is the whole of a request that is refused, even if
    /// the receiver has written a part of it.
    #[must_use]
    pub fn version(self, version: RemoteWriteVersion) -> RemoteWrite {
        RemoteWrite { version, ..self }
    }

    /// Names and labels, as on a page.
    #[must_use]
    pub fn page(self, page: PageOptions) -> RemoteWrite {
        RemoteWrite { page, ..self }
    }

    /// Puts the latest snapshot into requests.
    fn write(&mut self, is_stale: bool) {
        let sent = self.made.saturating_sub(self.dropped).saturating_sub(self.push.held());
        let own = [("sent", sent), ("dropped", self.dropped)];
        let Some(renderer) = &mut self.renderer else { return };
        let process = self.page.process_metrics.then(Process::read);
        let mut bodies: Vec<Body> = Vec::new();
        let newest_exemplar_ns = &mut self.newest_exemplar_ns;
        self.latest.with_points(|points| {
            let Some(first) = points.first() else { return };
            let mut all = points.to_vec();
            let labels = own.map(|(outcome, _)| [("outcome", outcome)]);
            all.extend(own.iter().zip(&labels).map(|((_, n), labels)| own_point(first, labels, *n)));
            // The mark of the end comes after the last sample.
            let ms = first.time_unix_ns / 1_000_000 + u64::from(is_stale);
            let ms = i64::try_from(ms).unwrap_or(i64::MAX);
            let moment = Moment { ms, is_stale, newest_exemplar_ns: *newest_exemplar_ns };
            let shape = Shape { format: Format::Protobuf, utf8: self.page.utf8_names };
            renderer.lay_out(&all, shape, process.as_ref(), |layout, options, bounds| {
                let native = self.native_histograms;
                let mut requests =
                    WriteRequests::new(&mut bodies, self.version, moment, native, options, bounds);
                layout.write(&all, process.as_ref(), &mut requests);
                *newest_exemplar_ns = requests.newest_exemplar_ns();
            });
        });
        for body in bodies {
            self.made += body.samples;
            self.push.queue(body.compressed(), body.samples);
        }
        self.is_new = false;
        self.written = Some(Instant::now());
    }

    fn deliver(&mut self, deadline: &Deadline, last: bool) -> Result<(), ExportError> {
        let check =
            if self.version == RemoteWriteVersion::V2 { says_what_it_wrote } else { |_: &Answer| Ok(()) };
        self.push.deliver(deadline, last, check).map_err(|error| {
            self.dropped += error.lost;
            // The ledger counts spans and log records.
            ExportError { lost: 0, ..error }
        })
    }
}

/// Fails if the answer lacks the header that version 2 demands: a receiver that does not know this version finds nothing
/// in the request, and answers that all is well.
fn says_what_it_wrote(answer: &Answer) -> Result<(), Failure> {
    if answer.headers.contains_key("x-prometheus-remote-write-samples-written") {
        return Ok(());
    }
    let why = "the receiver does not say what it wrote, so it does not know remote write 2.0: use version 1.0 \
               (metrics.remote_write.version), or a Prometheus from 3.0 on";
    Err(Failure::Never { why: why.into(), reason: DropReason::Refused })
}

/// The count of samples with this outcome, as of the time of another point.
fn own_point<'a>(like: &PointView<'_>, labels: &'a [(&'a str, &'a str)], n: u64) -> PointView<'a> {
    PointView {
        id: 0,
        name: "throughline.remote_write.samples",
        unit: "{sample}",
        description: "Samples by what became of them in remote write",
        scope: Scope::OWN,
        target: module_path!(),
        start_unix_ns: like.start_unix_ns,
        time_unix_ns: like.time_unix_ns,
        labels,
        data: PointData::Counter(n),
    }
}

/// The labels that every series of a service has.
fn target_labels(resource: &Resource) -> Vec<(&'static str, String)> {
    let get = |key| resource.get(key).unwrap_or_default();
    let (namespace, name) = (get("service.namespace"), get("service.name"));
    let job = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    let labels = [("job", job), ("instance", get("service.instance.id").to_owned())];
    labels.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

impl Exporter for RemoteWrite {
    fn begin(&mut self, host: &Host<'_>) -> io::Result<()> {
        let (version, content_type) = self.version.headers();
        self.push.header("X-Prometheus-Remote-Write-Version", version);
        self.push.content_type(content_type);
        let page = self.page.clone().with_target(target_labels(host.resource));
        self.renderer = Some(Renderer::new(host.resource.clone(), page));
        Ok(())
    }

    fn wants(&self) -> Wants {
        Wants { points: true, ..Wants::NOTHING }
    }

    fn points(&mut self, points: &[PointView<'_>]) {
        self.latest.clear();
        self.latest.points(points);
        self.is_new = true;
        if self.written.is_none_or(|written| written.elapsed() >= self.interval) {
            self.write(false);
        }
    }

    fn flush(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.deliver(deadline, false)
    }

    fn finish(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        if self.is_new {
            self.write(false);
        }
        self.write(true);
        self.deliver(deadline, true)
    }

    fn held(&self) -> u64 {
        self.push.held()
    }
}
