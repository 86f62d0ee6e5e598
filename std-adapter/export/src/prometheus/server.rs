//! A small server for one page: a fixed number of threads accept connections and answer one request on each.
//! Further connections wait in the operating system, so neither the number of clients nor their speed costs
//! memory.

use super::http::{Bad, Request, Response, drain};
use super::page::render_process;
use super::process::Process;
use super::{Format, PageOptions, PrometheusOptions};
use crate::view::PointView;
use crate::{OwnedRecords, ReadMetrics, Resource};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Pause after a connection could not be accepted, for example because file descriptors are exhausted.
const PAUSE: Duration = Duration::from_millis(100);
/// How long `stop` tries to connect to wake a thread that waits for connections.
const CALL: Duration = Duration::from_millis(100);

/// The source of the points.
#[derive(Debug)]
pub(super) enum Source {
    /// Read when the page is requested.
    Live(ReadMetrics),
    /// The newest snapshot.
    Kept(Mutex<OwnedRecords>),
}

/// What the threads share.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) listener: TcpListener,
    pub(super) options: PrometheusOptions,
    pub(super) resource: Resource,
    pub(super) source: Source,
    stopping: AtomicBool,
    /// Bytes of the last page, because the next one is usually as long.
    page_bytes: AtomicUsize,
}

impl Server {
    pub(super) fn new(
        listener: TcpListener,
        options: PrometheusOptions,
        resource: Resource,
        source: Source,
    ) -> Server {
        let (stopping, page_bytes) = (AtomicBool::new(false), AtomicUsize::new(0));
        Server { listener, options, resource, source, stopping, page_bytes }
    }

    /// Accepts and answers until told to stop.
    pub(super) fn serve(&self) {
        while !self.stopping.load(Ordering::Acquire) {
            match self.listener.accept() {
                Ok(_) if self.stopping.load(Ordering::Acquire) => return,
                Ok((mut stream, _)) => {
                    // A panic may lose one scrape, but must not end the thread.
                    let answered = catch_unwind(AssertUnwindSafe(|| self.answer(&mut stream)));
                    if answered.is_err() {
                        let until = Instant::now() + CALL;
                        let text = "the page could not be made: a panic, see standard error\n";
                        let _ = Response::plain("500 Internal Server Error", text).write(&mut stream, until);
                    }
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Ends all threads: those that wait for a connection at once, and the others after their answer.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let Ok(mut address) = self.listener.local_addr() else { return };
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        for _ in 0..self.options.connections {
            if TcpStream::connect_timeout(&address, CALL).is_err() {
                return;
            }
        }
    }

    fn answer(&self, stream: &mut TcpStream) {
        let now = Instant::now();
        let request = match Request::read(stream, now + self.options.request_timeout) {
            Ok(request) => request,
            Err(Bad::Gone) => return,
            Err(Bad::Request(status, why)) => return self.refuse(stream, &Response::plain(status, why)),
        };
        let is_head = request.method == "HEAD";
        if !is_head && request.method != "GET" {
            let refusal = Response::plain("405 Method Not Allowed", "only GET and HEAD are answered\n");
            return self.refuse(stream, &Response { headers: "Allow: GET, HEAD\r\n", ..refusal });
        }
        if request.path != self.options.path {
            let text = format!("the metrics are at {}\n", self.options.path);
            return self.refuse(stream, &Response { is_head, ..Response::plain("404 Not Found", &text) });
        }
        let format = Format::accepted(&request.accept);
        let page = self.page(format);
        let (body, headers) = compressed(page, &request.accept_encoding);
        let content_type = format.content_type();
        let response = Response { status: "200 OK", content_type, headers, body: &body, is_head };
        // A client that does not take the page asks again.
        let _ = response.write(stream, Instant::now() + self.options.response_timeout);
    }

    fn refuse(&self, stream: &mut TcpStream, response: &Response<'_>) {
        if response.write(stream, Instant::now() + self.options.response_timeout).is_ok() {
            drain(stream);
        }
    }

    fn page(&self, format: Format) -> Vec<u8> {
        let ahead = self.page_bytes.load(Ordering::Relaxed);
        let mut page = Vec::with_capacity(ahead + ahead / 16);
        let options: &PageOptions = &self.options.page;
        let process = options.process_metrics.then(Process::read);
        let mut make = |points: &[PointView<'_>]| {
            render_process(points, &self.resource, options, format, process, &mut page);
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
