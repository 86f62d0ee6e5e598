//! Local pages for an operator: metrics, health, and pages of the program's own.
//!
//! ```
//! use throughline_std::Config;
//! use throughline_std::admin::{AdminOptions, Response, Route};
//! // http://127.0.0.1:8081/version, for who has the token.
//! let config = Config::new("shop")
//!     .admin(AdminOptions::default().token("…"))
//!     .page(Route::new("/version", |_| Response::text(200, "1.2.3\n")));
//! ```
//!
//! Pages that are to be at the same host and port share a server. The limits of a server are described at [`throughline_export::admin`].

use crate::config::exporters as configured;
use crate::spawn::spawn;
use crate::{Config, InitError, LoadError};
use std::io;
use std::sync::Arc;
pub use throughline_export::admin::{AdminError, AdminOptions, AdminServer, Request, Response, Route};

impl Config {
    /// Where and to whom pages are served that name no place of their own. A token and a certificate that are given here are
    /// those of all pages, also of metrics and health at other ports.
    #[must_use]
    pub fn admin(mut self, options: AdminOptions) -> Config {
        self.admin = options;
        self
    }

    /// Serves a page of the program's own, at the place of [`Config::admin`]. [`init`](crate::init) fails when the port is taken.
    #[must_use]
    pub fn page(mut self, route: Route) -> Config {
        self.pages.push(route);
        self
    }
}

/// The servers of a configuration, one for each place.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    of_all: AdminOptions,
    servers: Vec<(AdminOptions, Arc<AdminServer>)>,
    #[cfg(all(feature = "grpc", feature = "health"))]
    grpc: Option<throughline_export::admin::GrpcHealth>,
}

impl Pages {
    /// Servers of pages, with the program's own pages.
    pub(crate) fn new(config: &Config) -> Result<Pages, InitError> {
        let of_all = configured::admin(config).map_err(LoadError::of)?;
        let mut pages = Pages { of_all: of_all.clone(), ..Pages::default() };
        if !config.pages.is_empty() {
            let server = pages.default_place()?;
            config.pages.iter().for_each(|route| server.route(route.clone()));
        }
        Ok(pages)
    }

    /// The server of pages that name no place of their own.
    pub(crate) fn default_place(&mut self) -> Result<Arc<AdminServer>, AdminError> {
        self.at(&self.of_all.clone())
    }

    /// The server at the place of these options, which is bound now unless another page is there.
    pub(crate) fn at(&mut self, options: &AdminOptions) -> Result<Arc<AdminServer>, AdminError> {
        if let Some((_, server)) = self.servers.iter().find(|(other, _)| other.is_same_place(options)) {
            return Ok(Arc::clone(server));
        }
        let options = options.clone().or_secured_as(&self.of_all);
        let server = Arc::new(AdminServer::bind(&options)?);
        self.servers.push((options, Arc::clone(&server)));
        Ok(server)
    }

    /// Tells health over gRPC at this port, at the place of these options or at that of pages that name none.
    #[cfg(all(feature = "grpc", feature = "health"))]
    pub(crate) fn grpc_health(
        &mut self,
        place: Option<&AdminOptions>,
        port: u16,
        status: impl Fn(&str) -> Option<bool> + Send + Sync + 'static,
    ) -> Result<(), AdminError> {
        let options = place.unwrap_or(&self.of_all).clone().port(port).or_secured_as(&self.of_all);
        self.grpc = Some(throughline_export::admin::GrpcHealth::bind(&options, status)?);
        Ok(())
    }

    /// Begins to serve.
    pub(crate) fn start(&self) -> io::Result<()> {
        #[cfg(all(feature = "grpc", feature = "health"))]
        self.grpc.iter().try_for_each(|server| server.start(&spawn))?;
        self.servers.iter().try_for_each(|(_, server)| server.start(&spawn))
    }

    /// Ends all servers.
    pub(crate) fn stop(&self) {
        #[cfg(all(feature = "grpc", feature = "health"))]
        self.grpc.iter().for_each(throughline_export::admin::GrpcHealth::stop);
        self.servers.iter().for_each(|(_, server)| server.stop());
    }
}
