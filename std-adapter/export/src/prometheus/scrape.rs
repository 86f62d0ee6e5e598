//! Answers scrapes: the route of the page.

use super::PageOptions;
use super::negotiate::Shape;
use super::page::Renderer;
use super::process::Process;
use crate::admin::{Request, Response};
use crate::view::PointView;
use crate::{OwnedRecords, ReadMetrics, Resource};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The source of the points.
#[derive(Debug)]
pub(super) enum Source {
    /// Read when the page is requested.
    Live(ReadMetrics),
    /// The newest snapshot.
    Kept(Mutex<OwnedRecords>),
}

/// What the route's thread and the exporter share.
#[derive(Debug)]
pub(super) struct Scrapes {
    options: PageOptions,
    /// Only the route's thread makes pages.
    renderer: Mutex<Renderer>,
    pub(super) source: Source,
    /// Bytes of the last page, because the next one is usually as long.
    page_bytes: AtomicUsize,
}

impl Scrapes {
    pub(super) fn new(options: PageOptions, resource: Resource, source: Source) -> Scrapes {
        let renderer = Mutex::new(Renderer::new(resource, options.clone()));
        Scrapes { options, renderer, source, page_bytes: AtomicUsize::new(0) }
    }

    /// The page in the format that the request accepts.
    pub(super) fn answer(&self, request: &Request) -> Response {
        let mut shape = Shape::of(&request.header("accept"));
        shape.utf8 &= self.options.utf8_names;
        let page = self.page(shape);
        compressed(page, shape.content_type(), &request.header("accept-encoding"))
    }

    fn page(&self, shape: Shape) -> Vec<u8> {
        let ahead = self.page_bytes.load(Ordering::Relaxed);
        let mut page = Vec::with_capacity(ahead + ahead / 16);
        let process = self.options.process_metrics.then(Process::read);
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

/// The answer, compressed for a client that accepts it.
#[cfg(feature = "gzip")]
fn compressed(page: Vec<u8>, content_type: &'static str, accept_encoding: &str) -> Response {
    use std::io::Write;
    let answer = |body| Response::new(200, content_type, body).header("Vary", "Accept, Accept-Encoding");
    if !super::negotiate::accepts_gzip(accept_encoding) {
        return answer(page);
    }
    let out = Vec::with_capacity(page.len() / 8);
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
    // Writing to a Vec cannot fail.
    match encoder.write_all(&page).and_then(|()| encoder.finish()) {
        Ok(compressed) => answer(compressed).header("Content-Encoding", "gzip"),
        Err(_) => answer(page),
    }
}

#[cfg(not(feature = "gzip"))]
fn compressed(page: Vec<u8>, content_type: &'static str, _: &str) -> Response {
    Response::new(200, content_type, page).header("Vary", "Accept")
}
