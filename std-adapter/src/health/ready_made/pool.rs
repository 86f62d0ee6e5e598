//! Pools of connections, and event loops.

use crate::health::{Check, Finding, Status};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How a pool of connections is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections that are open, in use or not.
    pub open: u64,
    /// Open connections that nobody uses.
    pub idle: u64,
    /// Most connections that may be open.
    pub most: u64,
}

impl Check {
    /// A pool of connections: `usage` reads its numbers, and `ping` takes a connection and asks the server something. Degraded when all
    /// connections are in use. [`Check`] has an example for sqlx.
    pub fn pool<F, R>(
        name: impl Into<String>,
        mut usage: impl FnMut() -> PoolUse + Send + 'static,
        mut ping: impl FnMut() -> F + Send + 'static,
    ) -> Check
    where
        F: Future<Output = R> + Send + 'static,
        R: Into<Finding>,
    {
        Check::future(name, move || {
            // Before the ping takes a connection.
            let (PoolUse { open, idle, most }, pinged) = (usage(), ping());
            let in_use = open.saturating_sub(idle);
            async move {
                let mut finding = pinged.await.into();
                if finding.status == Status::Healthy && in_use >= most {
                    finding = Finding::degraded(format!(
                        "all {most} connections are in use; allow more, or hold them shorter"
                    ));
                }
                finding
                    .detail("open", open)
                    .detail("in_use", in_use)
                    .detail("idle", idle)
                    .detail("most", most)
            }
        })
    }

    /// Whether an event loop goes round: it is unhealthy when the last [beat](Heartbeat::beat) is longer ago than `most`, and degraded
    /// from half of that.
    pub fn event_loop(name: impl Into<String>, heartbeat: &Heartbeat, most: Duration) -> Check {
        let heartbeat = heartbeat.clone();
        Check::new(name, move || {
            let ago = heartbeat.ago();
            let text = format!("the last beat was {ago:.1?} ago");
            let finding = match ago {
                ago if ago > most => {
                    Finding::unhealthy(format!("{text}, more than {most:?}; something blocks the loop"))
                }
                ago if ago > most / 2 => Finding::degraded(format!("{text}; something slows the loop")),
                _ => Finding::healthy(text),
            };
            finding.detail("seconds", format!("{:.3}", ago.as_secs_f64()))
        })
    }
}

/// What a task of an event loop calls all the time, so that [`Check::event_loop`] sees that the loop goes round. Cloning it is cheap.
///
/// ```
/// use std::time::Duration;
/// use throughline_std::health::{Check, Heartbeat};
/// let heartbeat = Heartbeat::new();
/// let check = Check::event_loop("tokio", &heartbeat, Duration::from_secs(1));
/// // tokio::spawn(async move { loop { heartbeat.beat(); tokio::time::sleep(Duration::from_millis(100)).await } });
/// ```
#[derive(Clone, Debug)]
pub struct Heartbeat {
    begun: Instant,
    /// Milliseconds from `begun` to the last beat.
    last: Arc<AtomicU64>,
}

impl Heartbeat {
    /// A heartbeat that beats now.
    pub fn new() -> Heartbeat {
        Heartbeat { begun: Instant::now(), last: Arc::default() }
    }

    /// Notes that the loop goes round. Cost: a read of the clock and a store.
    pub fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn ago(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.last.load(Ordering::Relaxed)))
    }
}

impl Default for Heartbeat {
    fn default() -> Heartbeat {
        Heartbeat::new()
    }
}
