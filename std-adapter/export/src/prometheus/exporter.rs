//! The page as an exporter.

use super::scrape::{Scrapes, Source};
use super::{PrometheusError, PrometheusOptions};
use crate::admin::{AdminServer, Route};
use crate::view::PointView;
use crate::{Deadline, ExportError, Exporter, Host, OwnedRecords, Wants};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Serves a page of all metrics.
///
/// A scrape gets the current values if the host can read metrics on demand, as `throughline_std` can, and
/// otherwise the newest snapshot. It keeps no records, so it counts none in the ledger. A slow client delays no other.
#[derive(Debug)]
pub struct Prometheus {
    server: Arc<AdminServer>,
    /// Whether the server has this page alone.
    is_own: bool,
    options: PrometheusOptions,
    scrapes: Option<Arc<Scrapes>>,
}

impl Prometheus {
    /// Listens at the address of the options. Connections are answered after [`Exporter::begin`].
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on, because another program does for example, or when the path is none.
    pub fn bind(options: &PrometheusOptions) -> Result<Prometheus, PrometheusError> {
        options.check()?;
        let server = Arc::new(AdminServer::bind(&options.listen)?);
        Ok(Prometheus { server, is_own: true, options: options.clone(), scrapes: None })
    }

    /// Adds the page to a server that has others too. [`Exporter::begin`] adds the route, so the server is to be started
    /// after it. The host, the port and the limits of `options` have no effect.
    ///
    /// # Errors
    ///
    /// When the path is none.
    pub fn on(server: Arc<AdminServer>, options: &PrometheusOptions) -> Result<Prometheus, PrometheusError> {
        options.check()?;
        Ok(Prometheus { server, is_own: false, options: options.clone(), scrapes: None })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

impl Exporter for Prometheus {
    fn begin(&mut self, host: &Host<'_>) -> io::Result<()> {
        if self.scrapes.is_some() {
            return Ok(());
        }
        let source = match host.metrics {
            Some(metrics) => Source::Live(metrics.clone()),
            None => Source::Kept(Mutex::new(OwnedRecords::default())),
        };
        let scrapes = Arc::new(Scrapes::new(self.options.page.clone(), host.resource.clone(), source));
        self.scrapes = Some(Arc::clone(&scrapes));
        self.server.route(Route::new(&*self.options.path, move |request| scrapes.answer(request)));
        if self.is_own { self.server.start(host.spawn) } else { Ok(()) }
    }

    fn wants(&self) -> Wants {
        let kept = self.scrapes.as_ref().is_some_and(|scrapes| matches!(scrapes.source, Source::Kept(_)));
        Wants { points: kept, ..Wants::NOTHING }
    }

    fn points(&mut self, points: &[PointView<'_>]) {
        if let Some(scrapes) = &self.scrapes
            && let Source::Kept(kept) = &scrapes.source
        {
            kept.lock().unwrap_or_else(PoisonError::into_inner).points(points);
        }
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }

    fn finish(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        if self.is_own {
            self.server.stop();
        }
        Ok(())
    }
}
