//! `encode`: records in a thread's ring to the body of an OTLP request, per span of a request of 512.
//!
//! What the pump of `throughline-std` does with a span that nobody added fields to and that has no remote parent: read it from the ring, parse it,
//! make its ids whole and its ticks times, append it at its prepared callsite. The pump looks besides whether there are such fields and parents,
//! and counts; `export` has all of it.

use std::hint::black_box;

use throughline::{
    IdKey, Level,
    callsite::{Blob, registry},
    record::{Record, SpanRecord},
    recorder,
    ring::{RawRecord, Reader},
    span,
};
use throughline_std::{
    otlp::{Options, Resource, Site, TraceEncoder},
    view::{Fields, SpanView},
};

use crate::harness::{Bench, traces};

const SPANS: u32 = 512;

/// Fraction bits of the nanoseconds a tick takes.
const SHIFT: u32 = 40;

/// Spans with four attributes, the same as the peers encode.
pub(crate) fn throughline(bench: &mut Bench<'_>) {
    measure(bench, false);
}

/// As [`throughline()`], with where the code is as three more attributes: the exporter's default.
pub(crate) fn with_code_location(bench: &mut Bench<'_>) {
    measure(bench, true);
}

fn measure(bench: &mut Bench<'_>, code_location: bool) {
    crate::throughline::init();
    let mut options = Options::default();
    options.code_location = code_location;
    record();
    let mut exporter = Exporter::new(options);
    assert_eq!(exporter.request(), SPANS, "every span is in the request");
    bench.bytes(exporter.bytes as f64 / f64::from(SPANS));
    // A ring has one reader at a time.
    drop(exporter);
    record();
    bench.refilled(
        SPANS,
        || Exporter::new(options),
        |exporter| _ = exporter.request(),
        |exporter| {
            assert_eq!(exporter.reader.take_loss(), None, "the spans fit the ring");
            record();
        },
    );
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
    let hit = i.is_multiple_of(2);
    let route = black_box("/api/v1/blocks");
    span!("read block", bytes = 4_096 + i, attempt = black_box(3_u64), hit = hit, route = route)
}

/// What stands between a ring and a request.
struct Exporter {
    reader: Reader<'static>,
    raw: RawRecord,
    encoder: TraceEncoder,
    callsites: Vec<Option<Prepared>>,
    mapping: Mapping,
    /// Of the last request.
    bytes: usize,
}

/// How a record's numbers become what OTLP wants.
struct Mapping {
    key: IdKey,
    /// A tick, its Unix time, and nanoseconds per tick.
    ticks: usize,
    unix_ns: u64,
    slope: u64,
}

/// A callsite as the pump keeps it.
struct Prepared {
    blob: Blob<'static>,
    names: Box<[&'static str]>,
    site: Site<'static>,
}

impl Exporter {
    fn new(options: Options) -> Self {
        let mut reader = None;
        recorder::for_each_thread(|recorder| reader = recorder.ring().reader().or(reader.take()));
        let mut callsites = Vec::new();
        registry::for_each(|callsite| {
            let number = callsite.id() as usize;
            callsites.resize_with(callsites.len().max(number + 1), || None);
            let blob = callsite.blob();
            let site = Site::new(&blob, options);
            callsites[number] = Some(Prepared { blob, names: blob.fields().collect(), site });
        });
        Self {
            reader: reader.expect("no other reader"),
            raw: RawRecord::new(),
            encoder: TraceEncoder::new(&Resource::new("bench"), options),
            callsites,
            mapping: Mapping {
                key: IdKey::new(black_box(7), 0),
                ticks: 0,
                unix_ns: black_box(1_790_000_000_000_000_000),
                slope: black_box((1 << SHIFT) / 3),
            },
            bytes: 0,
        }
    }

    /// Makes a request of what is in the ring; how many spans it has.
    fn request(&mut self) -> u32 {
        self.encoder.clear();
        let mut spans = 0;
        while self.reader.next(&mut self.raw) {
            if !self.reader.commit() {
                continue;
            }
            if let Some(Record::Span(span)) = Record::parse(&self.raw)
                && let Some(Some(callsite)) = self.callsites.get(span.callsite as usize)
            {
                self.encoder.span_at(&callsite.site, &self.mapping.view(&span, callsite));
                spans += 1;
            }
        }
        self.bytes = black_box(self.encoder.finish()).len();
        spans
    }
}

impl Mapping {
    #[inline]
    fn view<'a>(&self, span: &SpanRecord<'a>, callsite: &'a Prepared) -> SpanView<'a, impl Fields<'a>> {
        let blob = &callsite.blob;
        SpanView {
            trace_id: self.key.trace_id(span.root as u64),
            span_id: self.key.span_id(span.id as u64),
            parent_span_id: (span.parent != 0).then(|| self.key.span_id(span.parent as u64)),
            name: blob.name,
            target: blob.target,
            file: blob.file,
            line: blob.line,
            kind: blob.span_kind,
            level: blob.level.unwrap_or(Level::Info),
            status: span.status,
            start_unix_ns: self.unix_ns(span.start),
            end_unix_ns: self.unix_ns(span.start.wrapping_add(span.duration as usize)),
            busy_ns: None,
            time_error_ns: None,
            fields: callsite.names.iter().copied().zip(span.values),
        }
    }

    #[inline]
    fn unix_ns(&self, ticks: usize) -> u64 {
        let delta = ticks.wrapping_sub(self.ticks) as isize;
        let ns = (delta as i128 * i128::from(self.slope)) >> SHIFT;
        self.unix_ns.wrapping_add(ns as u64)
    }
}
