//! Services, bodies and a runtime for the tests.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;

/// In a request's extensions: its route.
#[derive(Clone, Copy)]
pub(crate) struct RouteOf(pub(crate) &'static str);

/// A service of a function.
pub(crate) struct Fn<F>(F);

pub(crate) fn service<F, R>(answer: F) -> Fn<F>
where
    F: FnMut(Request<()>) -> R,
    R: Future<Output = Result<Response<Frames>, io::Error>>,
{
    Fn(answer)
}

impl<F, R> Service<Request<()>> for Fn<F>
where
    F: FnMut(Request<()>) -> R,
    R: Future<Output = Result<Response<Frames>, io::Error>>,
{
    type Response = Response<Frames>;
    type Error = io::Error;
    type Future = R;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> R {
        (self.0)(request)
    }
}

pub(crate) fn ask<S: Service<Request<()>>>(service: &mut S, request: Request<()>) -> S::Future {
    service.call(request)
}

pub(crate) fn fails() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionRefused)
}

/// A body of these frames, which waits once before each.
pub(crate) struct Frames {
    frames: VecDeque<Frame<Bytes>>,
    waited: bool,
    size: Option<u64>,
    each: fn(),
}

impl Frames {
    pub(crate) fn of<const N: usize>(data: [&'static str; N]) -> Frames {
        let frames = data.map(|text| Frame::data(Bytes::from_static(text.as_bytes())));
        Frames { frames: frames.into(), waited: false, size: None, each: || () }
    }

    /// Calls `each` before each frame.
    pub(crate) fn each(self, each: fn()) -> Frames {
        Frames { each, ..self }
    }

    /// Says how long it is.
    pub(crate) fn sized(self, size: u64) -> Frames {
        Frames { size: Some(size), ..self }
    }

    pub(crate) fn trailers(mut self, trailers: HeaderMap) -> Frames {
        self.frames.push_back(Frame::trailers(trailers));
        self
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.waited = !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.frames.pop_front().map(|frame| {
            (self.each)();
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        // A stream does not know its end before it is there.
        self.size.is_none() && self.frames.is_empty() && !self.waited
    }

    fn size_hint(&self) -> SizeHint {
        self.size.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

pub(crate) async fn frame<B: Body>(body: &mut Pin<Box<B>>) -> Option<Result<Frame<B::Data>, B::Error>> {
    std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await
}

/// Reads a response to its end; the number of its bytes.
pub(crate) async fn read<B: Body<Data = Bytes>, E>(
    response: impl Future<Output = Result<Response<B>, E>>,
) -> Result<usize, E> {
    let mut body = Box::pin(response.await?.into_body());
    let mut bytes = 0;
    while let Some(Ok(frame)) = frame(&mut body).await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
    Ok(bytes)
}

/// Polls a future once and drops it; `None` if it waits.
pub(crate) async fn taken<F: Future>(future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let polled = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
    match polled {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
