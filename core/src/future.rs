//! Spans of futures: current while the future is polled, ended when it is done, with busy and idle time apart.

use crate::span::Suspended;
use crate::{Span, Status};
use core::future::Future;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll};

/// Ties a span to a future.
pub trait Instrument: Future + Sized {
    /// Runs this future in `span`: the span is current whenever the future is polled, on whatever thread, and ends when the future is done.
    /// A future dropped before that ends its span with [`Status::Cancelled`], or when it panicked with [`Status::Error`]; what it holds is dropped in the span.
    /// Time being polled is recorded as busy.
    ///
    /// A span or context that the future's code holds across an `await` is current again in the next poll, and never between polls.
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
    /// Dropped in the span.
    future: ManuallyDrop<F>,
    span: Suspended,
    /// Looks at the result, with the span current.
    done: fn(&F::Output) -> Status,
}

/// As [`Instrument::instrument`], and `done` says how it went; for `#[instrument(err)]` and `#[instrument(ret)]`.
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
        // SAFETY: `future` is never moved out of `self`, where it stays until `drop` drops it in place; nothing else here needs pinning.
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
        /// Ends the span even when dropping the future panics.
        struct Abandon<'a>(&'a mut Suspended);
        impl Drop for Abandon<'_> {
            fn drop(&mut self) {
                self.0.abandon();
            }
        }
        let abandon = Abandon(&mut self.span);
        let future = &mut self.future;
        // SAFETY: this is its only drop, and nothing uses it afterwards. It has not been moved since it was pinned.
        abandon.0.run(|| unsafe { ManuallyDrop::drop(future) });
    }
}
