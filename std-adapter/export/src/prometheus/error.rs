//! The errors of a configuration with which metrics cannot be served or pushed.

use crate::admin::{AdminError, bind_hint};
use std::io;

/// The configuration cannot work.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PrometheusError {
    /// The page cannot be served on the address.
    #[error("the metrics' page cannot be served on {address}: {source}; {}", bind_hint(source))]
    Bind {
        /// Host and port, as given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The page cannot be served like this.
    #[error(transparent)]
    Listen(AdminError),
    /// The path is not valid.
    #[error("`{path}` is no path for the metrics' page; give one that begins with a slash, such as /metrics")]
    Path {
        /// As given.
        path: String,
    },
    /// The Pushgateway's address is not a valid URL.
    #[error("the Pushgateway's address `{url}` is no http:// URL; give one such as http://localhost:9091")]
    Url {
        /// As given.
        url: String,
    },
    /// An https address, but TLS is not compiled in.
    #[error(
        "the Pushgateway's address `{url}` wants TLS; build throughline-std with the feature `tls`, or use http://"
    )]
    NoTls {
        /// As given.
        url: String,
    },
    /// The name of a grouping label is not valid.
    #[error(
        "`{label}` is no name for a grouping label; give letters, digits and underscores, not a digit first, not two underscores first, and not job"
    )]
    Grouping {
        /// As given.
        label: String,
    },
}

crate::__debug_as_display!(PrometheusError);

impl From<AdminError> for PrometheusError {
    fn from(error: AdminError) -> PrometheusError {
        match error {
            AdminError::Bind { address, source } => PrometheusError::Bind { address, source },
            other => PrometheusError::Listen(other),
        }
    }
}
