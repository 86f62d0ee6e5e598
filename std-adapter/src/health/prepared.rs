//! Health that is configured, until it begins.

use super::{Board, page};
use crate::admin::Pages;
use crate::config::exporters as configured;
use crate::{Config, InitError, LoadError};
use std::sync::{Arc, OnceLock};
use throughline_export::Health;
use throughline_export::ledger::Cells;

/// What the check `telemetry` looks at, once it exists.
pub(super) type Deliveries = OnceLock<(Arc<Cells>, Vec<Arc<Health>>)>;

/// Checks that do not run yet. Their pages are routes already.
pub(crate) struct Prepared {
    board: Arc<Board>,
    deliveries: Arc<Deliveries>,
}

impl Prepared {
    /// What the configuration asks for, with all that can be wrong with it.
    pub(crate) fn new(config: &Config, pages: &mut Pages) -> Result<Option<Prepared>, InitError> {
        let Some(options) = configured::health(config).map_err(LoadError::of)? else { return Ok(None) };
        let deliveries = Arc::<Deliveries>::default();
        let telemetry = options.telemetry.then(|| super::ready_made::telemetry(Arc::clone(&deliveries)));
        let board = Arc::new(Board::new(&options, telemetry)?);
        let route = page::route(&options, Arc::clone(&board))?;
        let server = match &options.listen {
            Some(listen) => pages.at(listen)?,
            None => pages.default_place()?,
        };
        server.route(route);
        #[cfg(feature = "grpc")]
        if let Some(port) = options.grpc_port {
            let board = Arc::clone(&board);
            pages.grpc_health(options.listen.as_ref(), port, move |name| {
                super::grpc::is_serving(&board, name)
            })?;
        }
        Ok(Some(Prepared { board, deliveries }))
    }

    /// Begins the checks.
    pub(crate) fn start(self, cells: &Arc<Cells>, healths: &[Arc<Health>]) -> Result<Arc<Board>, InitError> {
        let _ = self.deliveries.set((Arc::clone(cells), healths.to_vec()));
        let thread = |source| InitError::Thread { name: "check".into(), source };
        self.board.start().map_err(thread)?;
        Ok(self.board)
    }
}
