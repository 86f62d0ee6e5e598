//! The flush loop as an async task.

use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::Write;

use crate::{Buffer, Flusher};

/// Flushes for ever: every `every`, at most `budget` bytes, and a metrics snapshot every `metrics` if that is given. An error of the link
/// is met by trying again the next time; what finds no room in the ring meanwhile is counted and reported in the stream.
///
/// `every` must be less than 2^30 ticks of the recorder's clock, so that no wrap goes unseen.
///
/// ```no_run
/// # use embassy_time::Duration;
/// # use throughline_embedded::{Flusher, flush_task};
/// // In a task of your executor:
/// async fn telemetry(flusher: Flusher, uart: impl embedded_io_async::Write) -> ! {
///     flush_task(flusher, uart, 512, Duration::from_millis(20), Some(Duration::from_secs(10))).await
/// }
/// ```
pub async fn flush_task<const FRAME: usize>(
    mut flusher: Flusher<Buffer<FRAME>>,
    mut link: impl Write,
    budget: usize,
    every: Duration,
    metrics: Option<Duration>,
) -> ! {
    // `None` when it is never to be: a period may be longer than a clock can say.
    let mut next_metrics = metrics.and_then(|period| Instant::now().checked_add(period));
    loop {
        Timer::after(every).await;
        if let (Some(at), Some(period)) = (next_metrics, metrics)
            && Instant::now() >= at
        {
            flusher.snapshot_metrics();
            next_metrics = at.checked_add(period);
        }
        // An error leaves the frame where it is; the next round sends it again.
        let _ = flusher.flush_async(&mut link, budget).await;
    }
}
