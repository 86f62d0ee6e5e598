//! A check, and how it is made.

use super::Finding;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) type BoxedFuture = Pin<Box<dyn Future<Output = Finding> + Send>>;

/// Something that is looked at all the time.
///
/// A check that another library's runtime is needed for enters it itself:
///
/// ```ignore
/// let (runtime, pool) = (tokio::runtime::Handle::current(), pool.clone()); // sqlx::PgPool
/// let database = Check::pool(
///     "database",
///     { let pool = pool.clone(); move || PoolUse { open: pool.size() as u64, idle: pool.num_idle() as u64, most: 20 } },
///     move || {
///         let pool = pool.clone();
///         // On the runtime's threads, so that its timers and sockets work.
///         let ping = runtime.spawn(async move { sqlx::query("SELECT 1").execute(&pool).await.map(drop) });
///         async move { ping.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string()) }
///     },
/// );
/// ```
#[derive(Clone)]
#[must_use = "a check runs when it is given to HealthOptions::check"]
pub struct Check {
    pub(crate) name: String,
    pub(super) timeout: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) is_optional: bool,
    pub(super) is_liveness: bool,
    pub(super) after: Vec<String>,
    /// Locked by the check's thread alone.
    pub(super) work: Arc<Mutex<Work>>,
}

/// What a check does.
pub(super) enum Work {
    /// Gets the timeout.
    Call(Box<dyn FnMut(Duration) -> Finding + Send>),
    Future(Box<dyn FnMut() -> BoxedFuture + Send>),
}

impl Check {
    /// A check that calls `check`, which may block. It gives a [`Finding`], or a `Result<(), E>` whose error is unhealthy.
    pub fn new<F: Into<Finding>>(
        name: impl Into<String>,
        mut check: impl FnMut() -> F + Send + 'static,
    ) -> Check {
        Check::of(name, Work::Call(Box::new(move |_| check().into())))
    }

    /// A check that is a future. It is polled on the check's thread, on no runtime, and dropped at its timeout.
    pub fn future<F, R>(name: impl Into<String>, mut check: impl FnMut() -> F + Send + 'static) -> Check
    where
        F: Future<Output = R> + Send + 'static,
        R: Into<Finding>,
    {
        let make = move || -> BoxedFuture {
            let future = check();
            Box::pin(async move { future.await.into() })
        };
        Check::of(name, Work::Future(Box::new(make)))
    }

    pub(super) fn of(name: impl Into<String>, work: Work) -> Check {
        Check {
            name: name.into(),
            timeout: None,
            interval: None,
            is_optional: false,
            is_liveness: false,
            after: Vec::new(),
            work: Arc::new(Mutex::new(work)),
        }
    }

    /// How long it may take. The default is [`HealthOptions::timeout`](super::HealthOptions::timeout).
    pub fn timeout(self, timeout: Duration) -> Check {
        Check { timeout: Some(timeout), ..self }
    }

    /// How long to wait from its end to the next run. The default is [`HealthOptions::interval`](super::HealthOptions::interval).
    pub fn interval(self, interval: Duration) -> Check {
        Check { interval: Some(interval), ..self }
    }

    /// The service works without it: if it is unhealthy, the service is degraded.
    pub fn optional(self) -> Check {
        Check { is_optional: true, ..self }
    }

    /// If it is unhealthy, only a new start of the process helps: `/livez` fails.
    pub fn liveness(self) -> Check {
        Check { is_liveness: true, ..self }
    }

    /// It depends on the check of this name: it is not made while that one is unhealthy.
    pub fn after(mut self, name: impl Into<String>) -> Check {
        self.after.push(name.into());
        self
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).field("after", &self.after).finish_non_exhaustive()
    }
}
