//! Spans of futures and streams: current while these are polled, ended when they are done, with busy and idle time apart.

use crate::recorder::Context;
use crate::span::Suspended;
use crate::{Span, Status};
use core::future::Future;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{self, Poll};

/// Ties a span to a future, or to a stream.
///
/// What is made of a future is a future. What is made of a stream is a stream with feature `futures-core` alone; `#[instrument]` on a function that returns
/// `impl Stream` needs no feature.
pub trait Instrument: Sized {
    /// Runs this future in `span`: the span is current whenever the future is polled, on whatever thread, and ends when the future is done.
    /// A future dropped before that ends its span with [`Status::Cancelled`], or when it panicked with [`Status::Error`]; what it holds is dropped in the span.
    /// Time being polled is recorded as busy. A stream is done when it gives `None`.
    ///
    /// Instead of a [`Span`] it may be a [`Context`], such as that of another span or [`Span::current`]: the future then runs there, and ends nothing.
    ///
    /// A span or context that the future's code holds across an `await` is current again in the next poll, and never between polls.
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

    /// Runs this future, or stream, in the span that is current now: short for `instrument(Span::current())`.
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

/// What a future can run in.
#[diagnostic::on_unimplemented(
    message = "a future cannot run in `{Self}`",
    note = "it runs in a `Span`, which then ends with it, or in a `Context`, such as `Span::current()`"
)]
pub trait Within {
    /// What of it is kept between polls.
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
    /// Dropped in the span.
    inner: ManuallyDrop<T>,
    span: Suspended,
    /// Looks at the result, with the span current.
    done: D,
}

/// As [`Instrument::instrument`], and `done` says how it went; for `#[instrument(err)]` and `#[instrument(ret)]`.
pub fn instrument_result<F: Future>(
    future: F,
    span: Span,
    done: fn(&F::Output) -> Status,
) -> Instrumented<F, fn(&F::Output) -> Status> {
    Instrumented { inner: ManuallyDrop::new(future), span: Suspended::new(span), done }
}

/// Polls a stream in its span; for `#[instrument]` on a function that returns one.
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
    /// Runs a poll in the span, and ends it if the poll says how it ended.
    fn run<R>(self: Pin<&mut Self>, poll: impl FnOnce(Pin<&mut T>, &D) -> (R, Option<Status>)) -> R {
        // SAFETY: `inner` is never moved out of `self`, where it stays until `drop` drops it in place; nothing else here needs pinning.
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

    /// What it was made of.
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

/// What looks at a future's result.
pub trait Done<T> {
    /// How it went.
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
        /// Ends the span even when dropping the future panics.
        struct Abandon<'a>(&'a mut Suspended);
        impl Drop for Abandon<'_> {
            fn drop(&mut self) {
                self.0.abandon();
            }
        }
        let abandon = Abandon(&mut self.span);
        let inner = &mut self.inner;
        // SAFETY: this is its only drop, and nothing uses it afterwards. It has not been moved since it was pinned.
        abandon.0.run(|| unsafe { ManuallyDrop::drop(inner) });
    }
}
