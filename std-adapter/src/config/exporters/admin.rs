//! Configures the servers of local pages from keys.

use super::Keys;
use super::findings::Fault;
use crate::config::Config;
use crate::config::problem::Problem;
use std::path::Path;
use throughline_export::admin::{AdminError, AdminOptions};

impl Fault for AdminError {
    fn feature(&self) -> Option<&'static str> {
        matches!(self, AdminError::NoTls { .. }).then_some("tls")
    }
}

/// The keys, on top of the options that were set by code.
pub(crate) fn admin(config: &Config) -> Result<AdminOptions, Problem> {
    let keys = Keys::of(config);
    let mut options = config.admin.clone();
    if let Some(host) = keys.said("admin.host") {
        options = options.host(host.value.text());
    }
    if let Some(port) = keys.said("admin.port") {
        options = options.port(u16::try_from(port.value.int()).unwrap_or_default());
    }
    if let Some(token) = keys.said("admin.token") {
        options = options.token(token.value.text());
    }
    if let Some(most) = keys.said("admin.connections") {
        options = options.connections(most.value.size());
    }
    let (certificate, key) = (keys.said("admin.certificate"), keys.said("admin.certificate_key"));
    match (certificate, key) {
        (Some(certificate), Some(key)) => options
            .tls(Path::new(certificate.value.text()), Path::new(key.value.text()))
            .map_err(|error| keys.problem("admin.certificate", &error)),
        (Some(alone), None) => Err(alone.problem("wants admin.certificate_key too, the file with its key")),
        (None, Some(alone)) => Err(alone.problem("wants admin.certificate too, whose key it is")),
        (None, None) => Ok(options),
    }
}
