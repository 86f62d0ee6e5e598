//! Spans of futures and streams: a span is current while its future or stream is polled, and ends when that
//! completes. Busy and idle time are recorded separately.

use crate::recorder::Context;
use crate::span::Suspended;
use crate::{Span, Status};
use core::future::Future;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{self, Poll};

/// Attaches a span to a future or a stream.
///
/// An instrumented future is a future. An instrumented stream is a stream only with the feature
/// `futures-core`; `#[instrument]` on a function that returns `impl Stream` does not need the feature.
pub trait Instrument: Sized {
    /// Runs this future in `span`. The span is current whenever the future is polled, on any thread, and ends
    /// when the future completes, or when a stream returns `None`. A future that is dropped earlier ends its
    /// span with [`Status::Cancelled`]; one that panicked ends it with [`Status::Error`]. The span is also
    /// current while the future's own values are dropped. The time spent in polls is recorded as busy time.
    ///
    /// `span` may also be a [`Context`], such as that of another span or of [`Span::current`]. The future
    /// then runs at that place and ends no span.
    ///
    /// A span or context that the future's code holds across an `await` is current again in the next poll,
    /// and never between polls.
    ///
    /// ```
    /// use throughline::{Instrument, Span, info, span};
    /// let traced = async { info!("working") }.instrument(span!("job", id = 7));
    /// let part = async { info!("working, too") }.instrument(Span::current());
    /// # let _ = (traced, part);
    /// ```
    fn instrument(self, span: impl Within) -> Instrumented<Self> {
        Instrumented { inner: ManuallyDrop::new(self), span: span.suspend(), done: () }
    }

    /// Runs this future or stream in the current span: short for `instrument(Span::current())`.
    ///
    /// ```
    /// use throughline::{Instrument, info, span};
    /// let _request = span!("request");
    /// let task = async { info!("in the request, on whatever thread") }.in_current_span();
    /// # let _ = task;
    /// ```
    fn in_current_span(self) -> Instrumented<Self> {
        self.instrument(Context::current())
    }
}

impl<T> Instrument for T {}

/// A place in which a future can run.
#[diagnostic::on_unimplemented(
    message = "a future cannot run in `{Self}`",
    note = "it runs in a `Span`, which then ends with it, or in a `Context`, such as `Span::current()`"
)]
pub trait Within {
    /// The part of it that is kept between polls.
    #[doc(hidden)]
    fn suspend(self) -> Suspended;
}

impl Within for Span {
    fn suspend(self) -> Suspended {
        Suspended::new(self)
    }
}

impl Within for Context {
    fn suspend(self) -> Suspended {
        Suspended::at(self)
    }
}

/// A future or a stream with a span; see [`Instrument`].
#[derive(Debug)]
#[must_use = "futures and streams do nothing unless polled"]
pub struct Instrumented<T, D = ()> {
    /// Dropped while the span is current.
    inner: ManuallyDrop<T>,
    span: Suspended,
    /// Derives the status from the output. Called while the span is current.
    done: D,
}

/// Like [`Instrument::instrument`], with a function that derives the status from the output.
/// `#[instrument(err)]` and `#[instrument(ret)]` use it.
pub fn instrument_result<F: Future>(
    future: F,
    span: Span,
    done: fn(&F::Output) -> Status,
) -> Instrumented<F, fn(&F::Output) -> Status> {
    Instrumented { inner: ManuallyDrop::new(future), span: Suspended::new(span), done }
}

/// Polls a stream in its span. `#[instrument]` uses it on a function that returns a stream.
pub fn poll_stream<S, T>(
    stream: Pin<&mut Instrumented<S>>,
    poll: impl FnOnce(Pin<&mut S>) -> Poll<Option<T>>,
) -> Poll<Option<T>> {
    stream.run(|inner, ()| {
        let item = poll(inner);
        let is_done = matches!(item, Poll::Ready(None));
        (item, is_done.then_some(Status::Unset))
    })
}

impl<T, D> Instrumented<T, D> {
    /// Runs a poll in the span, and ends the span if the poll returns a status.
    fn run<R>(self: Pin<&mut Self>, poll: impl FnOnce(Pin<&mut T>, &D) -> (R, Option<Status>)) -> R {
        // SAFETY: `inner` is never moved out of `self`, and `drop` drops it in place. Nothing else here needs
        // pinning.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: `this.inner` is pinned because `self` is.
        let inner = unsafe { Pin::new_unchecked(&mut *this.inner) };
        let done = &this.done;
        let (result, ended) = this.span.run(|| poll(inner, done));
        if let Some(status) = ended {
            this.span.set_status(status);
            this.span.end();
        }
        result
    }

    /// The future or stream without its span.
    pub fn inner(&self) -> &T {
        &self.inner
    }
}

impl<F: Future, D: Done<F::Output>> Future for Instrumented<F, D> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        self.run(|future, done| match future.poll(cx) {
            Poll::Ready(output) => {
                let status = done.status(&output);
                (Poll::Ready(output), Some(status))
            }
            Poll::Pending => (Poll::Pending, None),
        })
    }
}

/// Derives the status from a future's output.
pub trait Done<T> {
    /// The status.
    #[doc(hidden)]
    fn status(&self, output: &T) -> Status;
}

impl<T> Done<T> for () {
    #[inline(always)]
    fn status(&self, _: &T) -> Status {
        Status::Unset
    }
}

impl<T> Done<T> for fn(&T) -> Status {
    #[inline(always)]
    fn status(&self, output: &T) -> Status {
        self(output)
    }
}

#[cfg(feature = "futures-core")]
impl<S: futures_core::Stream> futures_core::Stream for Instrumented<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<S::Item>> {
        poll_stream(self, |stream| stream.poll_next(cx))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl<T, D> Drop for Instrumented<T, D> {
    fn drop(&mut self) {
        /// Ends the span even if dropping the future panics.
        struct Abandon<'a>(&'a mut Suspended);
        impl Drop for Abandon<'_> {
            fn drop(&mut self) {
                self.0.abandon();
            }
        }
        let abandon = Abandon(&mut self.span);
        let inner = &mut self.inner;
        // SAFETY: this is the only drop of `inner`, and nothing uses it afterwards. It has not been moved
        // since it was pinned.
        abandon.0.run(|| unsafe { ManuallyDrop::drop(inner) });
    }
}
