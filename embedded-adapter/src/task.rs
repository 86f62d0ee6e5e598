//! The flush loop as an async task.

use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::Write;

use crate::{Buffer, Flusher};

/// Flushes forever: at most `budget` bytes every `every`, and a metrics snapshot every `metrics` if that is
/// given. After an error of the link it tries again in the next round; records that meanwhile find the ring
/// full are counted and reported in the stream.
///
/// `every` must be shorter than 2^30 ticks of the recorder's clock, so that each wrap of the clock is seen.
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
    // `None` also if the first snapshot lies beyond the range of the clock: then there is never one.
    let mut next_metrics = metrics.and_then(|period| Instant::now().checked_add(period));
    loop {
        Timer::after(every).await;
        if let (Some(at), Some(period)) = (next_metrics, metrics)
            && Instant::now() >= at
        {
            flusher.snapshot_metrics();
            next_metrics = at.checked_add(period);
        }
        // After an error the frame is kept, and the next round sends it again.
        let _ = flusher.flush_async(&mut link, budget).await;
    }
}
