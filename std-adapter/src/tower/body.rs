//! The body of a response, with whose end its request ends.

use super::call::Call;
use crate::propagation::FullContext;
use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::any::type_name;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use throughline::{Instrument, Instrumented};

pin_project! {
    /// The body of a response of [`Server`](super::Server) and [`Client`](super::Client). Its code runs in the request's
    /// span, which ends with it.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        // `None` in the answer to a request that was refused.
        #[pin]
        inner: Option<Instrumented<B>>,
        // `None` after the end.
        running: Option<Running>,
    }
}

#[derive(Debug)]
struct Running {
    call: Call,
    context: FullContext,
}

impl<B> ResponseBody<B> {
    pub(super) fn empty() -> Self {
        ResponseBody { inner: None, running: None }
    }

    /// A body that belongs to no request any more.
    pub(super) fn plain(inner: B) -> Self {
        ResponseBody { inner: Some(inner.instrument(throughline::Context::current())), running: None }
    }
}

impl<B: Body> ResponseBody<B> {
    pub(super) fn of(inner: B, call: Call, context: FullContext) -> Self {
        let mut running = Some(Running { call, context });
        if inner.is_end_stream() {
            complete(&mut running);
        }
        let place = running.as_ref().map_or_else(throughline::Context::current, |it| it.context.place());
        ResponseBody { inner: Some(inner.instrument(place)), running }
    }
}

fn complete(running: &mut Option<Running>) {
    if let Some(Running { call, .. }) = running.take() {
        call.complete();
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let mut poll = |inner: Pin<&mut Instrumented<B>>| {
            throughline::__private::poll_stream(inner, |body| body.poll_frame(cx))
        };
        let Some(Running { call, context }) = this.running else { return poll(inner) };
        let polled = {
            let _along = context.enter();
            let _busy = call.busy();
            ready!(poll(inner.as_mut()))
        };
        match &polled {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    call.data(data.remaining());
                }
                if let Some(trailers) = frame.trailers_ref() {
                    call.trailers(trailers);
                }
                // Who reads the body need not ask again after the last frame.
                if frame.is_trailers() || inner.inner().is_end_stream() {
                    complete(this.running);
                }
            }
            Some(Err(_)) => {
                if let Some(Running { call, .. }) = this.running.take() {
                    call.fail(type_name::<B::Error>());
                }
            }
            None => complete(this.running),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(|inner| inner.inner().is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), |inner| inner.inner().size_hint())
    }
}
