//! Which checks there are, and where the pages are.

use super::Check;
use crate::Config;
use std::time::Duration;
use throughline_export::admin::AdminOptions;

/// Checks, and where their pages are served.
#[derive(Clone, Debug)]
pub struct HealthOptions {
    pub(crate) listen: Option<AdminOptions>,
    #[cfg(feature = "grpc")]
    pub(crate) grpc_port: Option<u16>,
    pub(crate) path: String,
    pub(super) timeout: Duration,
    pub(super) interval: Duration,
    pub(crate) checks: Vec<Check>,
    pub(crate) telemetry: bool,
}

impl Default for HealthOptions {
    fn default() -> HealthOptions {
        HealthOptions {
            listen: None,
            #[cfg(feature = "grpc")]
            grpc_port: None,
            path: "/health".into(),
            timeout: Duration::from_secs(5),
            interval: Duration::from_secs(30),
            checks: Vec::new(),
            telemetry: true,
        }
    }
}

impl HealthOptions {
    /// Where and to whom the pages are served. The default is the place of [`Config::admin`]: `127.0.0.1:8081`.
    #[must_use]
    pub fn listen(self, options: AdminOptions) -> HealthOptions {
        HealthOptions { listen: Some(options), ..self }
    }

    /// Serves `grpc.health.v1.Health` at this port of the pages' host, with their token and certificate; see the [module](crate::health#over-grpc). The default
    /// is not to.
    #[cfg(feature = "grpc")]
    #[must_use]
    pub fn grpc_port(self, port: u16) -> HealthOptions {
        HealthOptions { grpc_port: Some(port), ..self }
    }

    /// The path of the page of all checks. The default is `/health`. `/livez`, `/readyz` and `/startupz` are there too.
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> HealthOptions {
        HealthOptions { path: path.into(), ..self }
    }

    /// How long a check may take that has no timeout of its own. The default is 5 s.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> HealthOptions {
        HealthOptions { timeout, ..self }
    }

    /// How long to wait from the end of a run of a check to the next. The default is 30 s.
    #[must_use]
    pub fn interval(self, interval: Duration) -> HealthOptions {
        HealthOptions { interval, ..self }
    }

    /// Adds a check.
    #[must_use]
    pub fn check(mut self, check: Check) -> HealthOptions {
        self.checks.push(check);
        self
    }

    /// Whether there is an optional check `telemetry`: it is degraded while an exporter of this library fails or records are
    /// lost. The default is true.
    #[must_use]
    pub fn telemetry(self, on: bool) -> HealthOptions {
        HealthOptions { telemetry: on, ..self }
    }
}

impl Config {
    /// Runs checks and serves pages of what they find; by default at `http://127.0.0.1:8081/health`. [`init`](crate::init) fails when
    /// the port is taken, or when a check depends on one that does not exist.
    #[must_use]
    pub fn health(mut self, options: HealthOptions) -> Config {
        self.health = Some(options);
        self
    }
}

/// The checks cannot work.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    /// Two checks have one name.
    #[error("there are two checks `{name}`; give each its own name")]
    Twice {
        /// The name.
        name: String,
    },
    /// A check comes after one that does not exist.
    #[error(
        "the check `{name}` comes after `{after}`, which is no check; add that check, or remove the dependency"
    )]
    Unknown {
        /// The check.
        name: String,
        /// What it depends on.
        after: String,
    },
    /// A check comes after itself, by way of others or not.
    #[error("the check `{name}` comes after itself; remove one of the dependencies")]
    Cycle {
        /// One of the checks.
        name: String,
    },
    /// The path is none.
    #[error("`{path}` is no path for the page of health; give one that begins with a slash, such as /health")]
    Path {
        /// As given.
        path: String,
    },
}

throughline_export::__debug_as_display!(HealthError);
