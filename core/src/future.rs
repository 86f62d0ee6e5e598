//! Spans of futures: a span is current while its future is polled, and ends when the future completes. Busy
//! and idle time are recorded separately.

use crate::span::Suspended;
use crate::{Span, Status};
use core::future::Future;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll};

/// Attaches a span to a future.
pub trait Instrument: Future + Sized {
    /// Runs this future in `span`. The span is current whenever the future is polled, on any thread, and ends
    /// when the future completes. A future that is dropped earlier ends its span with [`Status::Cancelled`];
    /// one that panicked ends it with [`Status::Error`]. The span is also current while the future's own
    /// values are dropped. The time spent in polls is recorded as busy time.
    ///
    /// A span or context that the future's code holds across an `await` is current again in the next poll,
    /// and never between polls.
    ///
    /// ```
    /// use throughline::{Instrument, info, span};
    /// let work = async { info!("working") };
    /// let traced = work.instrument(span!("job", id = 7));
    /// # let _ = traced;
    /// ```
    fn instrument(self, span: Span) -> Instrumented<Self> {
        instrument_result(self, span, |_| Status::Unset)
    }
}

impl<F: Future> Instrument for F {}

/// A future with a span; see [`Instrument`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Instrumented<F: Future> {
    /// Dropped while the span is current.
    future: ManuallyDrop<F>,
    span: Suspended,
    /// Derives the status from the output. Called while the span is current.
    done: fn(&F::Output) -> Status,
}

/// Like [`Instrument::instrument`], with a function that derives the status from the output.
/// `#[instrument(err)]` and `#[instrument(ret)]` use it.
pub fn instrument_result<F: Future>(
    future: F,
    span: Span,
    done: fn(&F::Output) -> Status,
) -> Instrumented<F> {
    Instrumented { future: ManuallyDrop::new(future), span: Suspended::new(span), done }
}

impl<F: Future> Future for Instrumented<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is never moved out of `self`, and `drop` drops it in place. Nothing else here
        // needs pinning.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: `this.future` is pinned because `self` is.
        let future = unsafe { Pin::new_unchecked(&mut *this.future) };
        let done = this.done;
        let (result, status) = this.span.run(|| match future.poll(cx) {
            Poll::Ready(output) => {
                let status = done(&output);
                (Poll::Ready(output), status)
            }
            Poll::Pending => (Poll::Pending, Status::Unset),
        });
        this.span.set_status(status);
        if result.is_ready() {
            this.span.end();
        }
        result
    }
}

impl<F: Future> Drop for Instrumented<F> {
    fn drop(&mut self) {
        /// Ends the span even if dropping the future panics.
        struct Abandon<'a>(&'a mut Suspended);
        impl Drop for Abandon<'_> {
            fn drop(&mut self) {
                self.0.abandon();
            }
        }
        let abandon = Abandon(&mut self.span);
        let future = &mut self.future;
        // SAFETY: this is the only drop of `future`, and nothing uses it afterwards. It has not been moved
        // since it was pinned.
        abandon.0.run(|| unsafe { ManuallyDrop::drop(future) });
    }
}
