//! The page as an exporter.

use super::server::{Server, Source};
use super::{PrometheusError, PrometheusOptions};
use crate::view::PointView;
use crate::{Deadline, ExportError, Exporter, Host, OwnedRecords, Resource, Wants};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// Serves a page of all metrics.
///
/// A scrape gets the current values if the host can read metrics on demand, as `throughline_std` can, and
/// otherwise the newest snapshot. It keeps no records, so it counts none in the ledger. One thread serves all
/// connections, so a slow client delays no other.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    state: State,
}

#[derive(Debug)]
enum State {
    Bound(TcpListener, PrometheusOptions),
    Serving(Arc<Server>),
    Ended,
}

impl Prometheus {
    /// Listens at the address of the options. Connections are answered after [`Exporter::begin`].
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on, because another program does for example, or when the path is none.
    pub fn bind(options: &PrometheusOptions) -> Result<Prometheus, PrometheusError> {
        let path = &options.path;
        if !path.starts_with('/') || path.contains(|c: char| c.is_whitespace() || c.is_control() || c == '?')
        {
            return Err(PrometheusError::Path { path: path.clone() });
        }
        let (host, port) = (&*options.host, options.port);
        let listener =
            TcpListener::bind((host, port)).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = listener.map_err(|source| {
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            PrometheusError::Bind { address: format!("{host}:{port}"), source }
        })?;
        Ok(Prometheus { address, state: State::Bound(listener, options.clone()) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn end(&mut self) {
        if let State::Serving(server) = std::mem::replace(&mut self.state, State::Ended) {
            server.stop();
        }
    }
}

impl Exporter for Prometheus {
    fn begin(&mut self, host: &Host<'_>) -> io::Result<()> {
        let State::Bound(listener, options) = std::mem::replace(&mut self.state, State::Ended) else {
            return Ok(());
        };
        let source = match host.metrics {
            Some(metrics) => Source::Live(metrics.clone()),
            None => Source::Kept(Mutex::new(OwnedRecords::default())),
        };
        let resource: &Resource = host.resource;
        let (server, poll, listener) = Server::new(listener, options, resource.clone(), source)?;
        let server = Arc::new(server);
        self.state = State::Serving(Arc::clone(&server));
        (host.spawn)("prometheus-page", Box::new(move || server.serve(poll, listener)))
    }

    fn wants(&self) -> Wants {
        let kept = matches!(&self.state, State::Serving(server) if matches!(server.source, Source::Kept(_)));
        Wants { points: kept, ..Wants::NOTHING }
    }

    fn points(&mut self, points: &[PointView<'_>]) {
        if let State::Serving(server) = &self.state
            && let Source::Kept(kept) = &server.source
        {
            kept.lock().unwrap_or_else(PoisonError::into_inner).points(points);
        }
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }

    fn finish(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        self.end();
        Ok(())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.end();
    }
}
