//! Health: checks that run all the time, and pages that say how they went.
//!
//! ```no_run
//! use throughline_std::Config;
//! use throughline_std::health::{Check, Finding, HealthOptions};
//! # fn queue_length() -> usize { 0 }
//! let queue = Check::new("queue", || match queue_length() {
//!     n if n < 1_000 => Finding::healthy(format!("{n} jobs wait")),
//!     n => Finding::degraded(format!("{n} jobs wait; start more workers")),
//! });
//! let health = HealthOptions::default().check(queue.optional()).check(Check::tcp("database", "localhost:5432"));
//! let guard = throughline_std::init(&Config::new("shop").health(health))?;
//! // curl http://127.0.0.1:8081/health
//! # Ok::<(), throughline_std::InitError>(())
//! ```
//!
//! # Checks
//!
//! Each check has a thread of its own, on which it runs at its interval, never twice at a time. So a check that hangs costs one
//! thread and delays no other check and no page: once its timeout is over it is unhealthy, and the page says since when it hangs. A future
//! is dropped at its timeout. A check that panics is unhealthy, and runs again. A check that comes [after](Check::after) others is not made
//! while one of them is unhealthy.
//!
//! # Pages
//!
//! | path | status 503 when |
//! |---|---|
//! | `/health` | a check that is not [optional](Check::optional) is unhealthy |
//! | `/readyz` | the same, or the service is ending |
//! | `/livez` | a check with [`Check::liveness`] is unhealthy; without any, never |
//! | `/startupz` | until all checks that are not optional have been well once |
//!
//! All answer with JSON of one shape: `{"status": "healthy", "checks": [{"name": "database", "status": "healthy", "message": "…",
//! "details": {}, "timestamp": "2026-11-29T10:00:00.000Z", "duration": 0.0012}]}`; a duration is in seconds. Requests run no checks:
//! they show what the last run of each found.
//!
//! # Over gRPC
//!
//! With the feature `grpc` and a [port](HealthOptions::grpc_port), the methods `Check` and `Watch` of `grpc.health.v1.Health` tell the same: the empty name and
//! `readiness` are SERVING while `/readyz` answers with 200, `liveness` and `startup` while their pages do. The name of a check is SERVING while it is not
//! unhealthy. A change reaches those who watch within 0.2 s.
//!
//! # Metrics and spans
//!
//! Each run is a span `health.check` with the field `check`; runs are counted by `health.check.runs` and timed by
//! `health.check.duration`, and `health.check.status` and `health.status` are 1 for healthy, 0.5 for degraded and 0 for unhealthy.

mod board;
mod check;
mod finding;
mod future;
#[cfg(feature = "grpc")]
mod grpc;
mod options;
mod page;
mod prepared;
mod ready_made;

pub use check::Check;
pub use finding::{Finding, Status};
pub use options::{HealthError, HealthOptions};
pub use ready_made::{Heartbeat, PoolUse};

pub(crate) use board::Board;
pub(crate) use prepared::Prepared;
