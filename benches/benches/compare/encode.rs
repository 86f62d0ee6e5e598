//! `encode`: from records in a thread's ring to the body of an OTLP request, per span of a request with 512
//! spans.
//!
//! This is one round of the pump of `throughline-std`: read the ring, parse, attach fields to their spans,
//! derive ids and times, append at the prepared callsite, take the request's body, count.

use std::hint::black_box;

use throughline::span;
use throughline_std::{Resource, Stage, otlp::Options};

use crate::harness::{Bench, traces};

const SPANS: u32 = 512;

/// Spans with four attributes, the same that the peers encode.
pub(crate) fn throughline(bench: &mut Bench<'_>) {
    measure(bench, false);
}

/// Like [`throughline()`], with the code location as three more attributes, which is the exporter's default.
pub(crate) fn with_code_location(bench: &mut Bench<'_>) {
    measure(bench, true);
}

fn measure(bench: &mut Bench<'_>, code_location: bool) {
    crate::throughline::init();
    let mut options = Options::default();
    options.code_location = code_location;
    let mut stage = Stage::new(&Resource::new("bench"), options);
    record();
    let mut body = Vec::new();
    request(&mut stage, |bytes| body.extend_from_slice(bytes));
    for text in ["bytes", "attempt", "hit", "/api/v1/blocks"] {
        let found = body.windows(text.len()).filter(|bytes| *bytes == text.as_bytes()).count();
        assert!(found >= SPANS as usize, "every span has its attributes, but {text} is there {found} times");
    }
    bench.bytes(body.len() as f64 / f64::from(SPANS));
    // A ring has one reader at a time.
    drop(stage);
    record();
    bench.refilled(
        SPANS,
        || Stage::new(&Resource::new("bench"), options),
        |stage| request(stage, |body| _ = black_box(body)),
        |_| record(),
    );
}

/// Makes a request from the records in the ring.
fn request(stage: &mut Stage, mut each: impl FnMut(&[u8])) {
    let mut encoded = 0;
    let lost = stage.round(|body, spans| {
        each(body);
        encoded += spans;
    });
    assert_eq!((encoded, lost), (SPANS.into(), 0), "every span is in the request");
}

/// Records traces of 64 spans, each with the attributes the peers encode.
fn record() {
    traces(SPANS.into(), |children| {
        let _root = attributes(0);
        for i in 0..children {
            drop(attributes(i));
        }
    });
}

#[inline]
fn attributes(i: u64) -> impl Drop {
    let (hit, route) = (i.is_multiple_of(2), black_box("/api/v1/blocks"));
    span!("read block", bytes = 4_096 + i, attempt = black_box(3_u64), hit = hit, route = route)
}
