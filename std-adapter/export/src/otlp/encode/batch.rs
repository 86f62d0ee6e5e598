//! What the three encoders share: a buffer that begins with the resource and the scope, written once and kept from batch to batch.

use super::{attribute::text_attribute, out::Out, proto};
use crate::Resource;

/// Width of the two outer lengths: 35 bits, more than any body.
const OUTER: usize = 5;

/// What an encoder writes beside what a view says.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether each span and log carries where it was written: `code.module.name`, `code.file.path`, `code.line.number`. About
    /// 100 bytes each, which compress well. On by default.
    pub code_location: bool,
}

/// The attributes as a protobuf `Resource`.
fn encoded(resource: &Resource) -> Vec<u8> {
    let mut out = Out::default();
    resource.attributes().for_each(|(key, value)| text_attribute(&mut out, 0x0a, key, value));
    out.into_vec()
}

impl Default for Options {
    fn default() -> Self {
        Options { code_location: true }
    }
}

/// One request under construction: `Export…ServiceRequest { resource_…: [{ resource, scope_…: [{ scope, … }] }] }`. The three
/// signals have the same field numbers down to there.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) out: Out,
    pub(super) count: usize,
    pub(super) options: Options,
    /// Where the resource message begins, just after its length.
    resource_start: usize,
    /// Where the scope message begins, just after its length.
    scope_start: usize,
    /// Where the records begin.
    head: usize,
}

impl Batch {
    pub(super) fn new(resource: &Resource, options: Options) -> Batch {
        let mut out = Out::default();
        // resource_spans / resource_logs / resource_metrics
        let resource_start = proto::open::<OUTER>(&mut out, 0x0a);
        proto::bytes_field(&mut out, 0x0a, &encoded(resource));
        // scope_spans / scope_logs / scope_metrics
        let scope_start = proto::open::<OUTER>(&mut out, 0x12);
        let mut scope = Out::default();
        proto::bytes_field(&mut scope, 0x0a, b"throughline");
        proto::bytes_field(&mut scope, 0x12, env!("CARGO_PKG_VERSION").as_bytes());
        proto::bytes_field(&mut out, 0x0a, scope.as_slice());
        let head = out.len();
        Batch { out, count: 0, options, resource_start, scope_start, head }
    }

    /// The request's bytes. Only lengths are filled in, so more may be appended afterwards and `finish` called again.
    pub(super) fn finish(&mut self) -> &[u8] {
        proto::close::<OUTER>(&mut self.out, self.scope_start);
        proto::close::<OUTER>(&mut self.out, self.resource_start);
        self.out.as_slice()
    }

    /// Forgets the records, keeps the head and the memory.
    pub(super) fn clear(&mut self) {
        self.out.truncate(self.head);
        self.count = 0;
    }

    /// The request's bytes, given away; `spare` becomes the buffer of the next one.
    pub(super) fn take(&mut self, spare: Vec<u8>) -> Vec<u8> {
        self.finish();
        let mut next = Out::reusing(spare);
        next.extend_from_slice(&self.out.as_slice()[..self.head]);
        self.count = 0;
        core::mem::replace(&mut self.out, next).into_vec()
    }

    /// Bytes that the records take so far.
    pub(super) fn record_bytes(&self) -> usize {
        self.out.len() - self.head
    }
}
