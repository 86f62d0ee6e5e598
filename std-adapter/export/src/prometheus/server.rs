//! Answers requests for one page. [`Connections`] brings the requests.

use super::PrometheusOptions;
use super::connections::{Connections, LISTENER, WAKER};
use super::http::{Request, Response};
use super::negotiate::Shape;
use super::page::Renderer;
use super::process::Process;
use crate::view::PointView;
use crate::{OwnedRecords, ReadMetrics, Resource};
use mio::net::TcpListener;
use mio::{Interest, Poll, Waker};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The source of the points.
#[derive(Debug)]
pub(super) enum Source {
    /// Read when the page is requested.
    Live(ReadMetrics),
    /// The newest snapshot.
    Kept(Mutex<OwnedRecords>),
}

/// What its thread and the exporter share.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) options: PrometheusOptions,
    /// Only its thread makes pages.
    renderer: Mutex<Renderer>,
    pub(super) source: Source,
    stopping: AtomicBool,
    waker: Waker,
    /// Bytes of the last page, because the next one is usually as long.
    page_bytes: AtomicUsize,
}

impl Server {
    /// A server, and what it waits for.
    pub(super) fn new(
        listener: std::net::TcpListener,
        options: PrometheusOptions,
        resource: Resource,
        source: Source,
    ) -> io::Result<(Server, Poll, TcpListener)> {
        listener.set_nonblocking(true)?;
        let (mut listener, poll) = (TcpListener::from_std(listener), Poll::new()?);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (stopping, page_bytes) = (AtomicBool::new(false), AtomicUsize::new(0));
        let renderer = Mutex::new(Renderer::new(resource, options.page.clone()));
        Ok((Server { options, renderer, source, stopping, waker, page_bytes }, poll, listener))
    }

    /// Serves until told to stop.
    pub(super) fn serve(&self, poll: Poll, listener: TcpListener) {
        Connections::new(self, poll, listener).serve();
    }

    /// Ends the thread when the answers that are being written are out.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // If it cannot be woken, the thread goes on until the process ends.
        let _ = self.waker.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// The answer to a request, and whether it is a refusal. A panic costs this answer, not the thread.
    pub(super) fn answer(&self, request: &Request) -> (Vec<u8>, bool) {
        catch_unwind(AssertUnwindSafe(|| self.answer_or_panic(request))).unwrap_or_else(|_| {
            let text = "the page could not be made: a panic, see standard error\n";
            (Response::plain("500 Internal Server Error", text).to_bytes(), true)
        })
    }

    fn answer_or_panic(&self, request: &Request) -> (Vec<u8>, bool) {
        let is_head = request.method == "HEAD";
        if !is_head && request.method != "GET" {
            let refusal = Response::plain("405 Method Not Allowed", "only GET and HEAD are answered\n");
            return (Response { headers: "Allow: GET, HEAD\r\n", ..refusal }.to_bytes(), true);
        }
        if request.path != self.options.path {
            let text = format!("the metrics are at {}\n", self.options.path);
            return (Response { is_head, ..Response::plain("404 Not Found", &text) }.to_bytes(), true);
        }
        let mut shape = Shape::of(&request.accept);
        shape.utf8 &= self.options.page.utf8_names;
        let page = self.page(shape);
        let (body, headers) = compressed(page, &request.accept_encoding);
        let content_type = shape.content_type();
        let response = Response { status: "200 OK", content_type, headers, body: &body, is_head };
        (response.to_bytes(), false)
    }

    fn page(&self, shape: Shape) -> Vec<u8> {
        let ahead = self.page_bytes.load(Ordering::Relaxed);
        let mut page = Vec::with_capacity(ahead + ahead / 16);
        let process = self.options.page.process_metrics.then(Process::read);
        let mut renderer = self.renderer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut make = |points: &[PointView<'_>]| {
            renderer.render_as(points, shape, process.as_ref(), &mut page);
        };
        match &self.source {
            Source::Live(metrics) => metrics.read(make),
            Source::Kept(points) => {
                let points = points.lock().unwrap_or_else(PoisonError::into_inner);
                let mut is_there = false;
                points.with_points(|points| {
                    make(points);
                    is_there = true;
                });
                if !is_there {
                    make(&[]);
                }
            }
        }
        self.page_bytes.store(page.len(), Ordering::Relaxed);
        page
    }
}

/// The compressed page, and the headers that declare it.
#[cfg(feature = "gzip")]
fn compressed(page: Vec<u8>, accept_encoding: &str) -> (Vec<u8>, &'static str) {
    use std::io::Write;
    if !super::negotiate::accepts_gzip(accept_encoding) {
        return (page, "Vary: Accept, Accept-Encoding\r\n");
    }
    let out = Vec::with_capacity(page.len() / 8);
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
    // Writing to a Vec cannot fail.
    match encoder.write_all(&page).and_then(|()| encoder.finish()) {
        Ok(compressed) => (compressed, "Content-Encoding: gzip\r\nVary: Accept, Accept-Encoding\r\n"),
        Err(_) => (page, "Vary: Accept, Accept-Encoding\r\n"),
    }
}

#[cfg(not(feature = "gzip"))]
fn compressed(page: Vec<u8>, _: &str) -> (Vec<u8>, &'static str) {
    (page, "Vary: Accept\r\n")
}
