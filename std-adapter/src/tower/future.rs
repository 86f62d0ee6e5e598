//! The future of a response.

use super::ResponseBody;
use super::call::Call;
use super::grpc::Code;
use crate::propagation::{FullContext, WithAlong};
use http::{HeaderValue, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use std::any::type_name;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use throughline::Instrumented;

pin_project! {
    /// The future of [`Server`](super::Server) and [`Client`](super::Client). It runs in the request's span.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        // `None` if the request is refused.
        #[pin]
        running: Option<WithAlong<Instrumented<F>>>,
        // `None` after the response.
        call: Option<Call>,
        context: FullContext,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn of(running: WithAlong<Instrumented<F>>, call: Call, context: FullContext) -> Self {
        ResponseFuture { running: Some(running), call: Some(call), context }
    }

    /// The answer to a request without the context that it must have.
    pub(super) fn refused(call: Call) -> Self {
        ResponseFuture { running: None, context: FullContext::at(call.span().context()), call: Some(call) }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(running) = this.running.as_pin_mut() else {
            return Poll::Ready(Ok(refusal(this.call)));
        };
        let polled = {
            let _busy = this.call.as_mut().map(Call::busy);
            ready!(running.poll(cx))
        };
        let Some(mut call) = this.call.take() else {
            return Poll::Ready(polled.map(|response| response.map(ResponseBody::plain)));
        };
        Poll::Ready(match polled {
            Ok(response) => {
                call.respond(&response, response.body().size_hint().exact());
                Ok(response.map(|body| ResponseBody::of(body, call, this.context.clone())))
            }
            Err(error) => {
                call.fail(type_name::<E>());
                Err(error)
            }
        })
    }
}

fn refusal<B>(call: &mut Option<Call>) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::empty());
    let Some(mut call) = call.take() else { return response };
    if call.is_rpc() {
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", u16::from(Code::FAILED_PRECONDITION.number()).into());
    } else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    call.respond(&response, Some(0));
    call.complete();
    response
}
