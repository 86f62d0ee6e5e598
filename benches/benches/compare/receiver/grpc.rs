//! The receiver's gRPC side: one connection of HTTP/2 by the crate `h2`, on the thread that serves it.

use std::{
    future::poll_fn,
    io,
    net::TcpStream,
    pin::{Pin, pin},
    sync::atomic::Ordering,
    task::{Context, Poll, ready},
};

use h2::{RecvStream, server};
use http::{HeaderMap, HeaderValue, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Counts, spans};

/// A window that no batch fills, so that a sender never waits for the receiver to widen it.
const WINDOW: u32 = 16 << 20;

/// Answers requests until the client ends the connection.
pub(super) fn serve(counts: &Counts, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let stream = Counted { stream: tokio::net::TcpStream::from_std(stream)?, counts };
        let mut builder = server::Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW).max_frame_size(1 << 20);
        let mut connection = builder.handshake::<_, &'static [u8]>(stream).await.map_err(io::Error::other)?;
        while let Some(request) = connection.accept().await {
            let (request, mut respond) = request.map_err(io::Error::other)?;
            let traces = request.uri().path().ends_with("TraceService/Export");
            let mut body = request.into_body();
            let mut message = Vec::new();
            // A body is read and the connection driven at the same time; requests are answered one after another.
            {
                let mut read = pin!(read_all(&mut body, &mut message));
                poll_fn(|context| {
                    let done = read.as_mut().poll(context);
                    // More requests wait until this one is answered.
                    let _ = connection.poll_closed(context);
                    done
                })
                .await
                .map_err(io::Error::other)?;
            }
            // One byte says whether the message is compressed, and four how long it is.
            assert_eq!(message[0], 0, "bodies are compared uncompressed");
            let count = if traces { spans(&message[5..]) } else { 0 };
            counts.spans.fetch_add(count, Ordering::AcqRel);
            let head =
                Response::builder().header("content-type", "application/grpc").body(()).expect("a head");
            let mut answer = respond.send_response(head, false).map_err(io::Error::other)?;
            // An empty message.
            answer.send_data(&[0; 5], false).map_err(io::Error::other)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            answer.send_trailers(trailers).map_err(io::Error::other)?;
        }
        Ok(())
    })
}

async fn read_all(body: &mut RecvStream, into: &mut Vec<u8>) -> Result<(), h2::Error> {
    while let Some(part) = body.data().await {
        let part = part?;
        into.extend_from_slice(&part);
        body.flow_control().release_capacity(part.len())?;
    }
    Ok(())
}

/// A connection whose bytes are counted.
struct Counted<'a> {
    stream: tokio::net::TcpStream,
    counts: &'a Counts,
}

impl AsyncRead for Counted<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        self.counts.bytes.fetch_add((into.filled().len() - before) as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
