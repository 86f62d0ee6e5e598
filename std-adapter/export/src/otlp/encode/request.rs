//! The part that the three encoders share: a request under construction, with its records grouped by scope.

use super::{attribute::text_attribute, out::Out, proto};
use crate::Resource;
use crate::view::Scope;

/// Width of the outer lengths in bytes. It allows 35 bits, which is more than any body needs.
const OUTER: usize = 5;
/// The buffer of a further scope is not kept for the next request if it is larger than this.
const KEPT: usize = 64 * 1024;

/// A scope, as encoders look it up. The key is compared; the texts are written once for each request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScopeKey<'a> {
    key: u64,
    scope: Scope<'a>,
}

impl<'a> ScopeKey<'a> {
    /// Hashes the texts with FNV-1a. Two scopes of one program with equal keys, which has odds of 2^-63,
    /// would share the name of the first.
    pub(super) fn new(scope: Scope<'a>) -> ScopeKey<'a> {
        let bytes = scope.name.bytes().chain([0]).chain(scope.version.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        // Zero means no scope, so the lowest bit is always set.
        ScopeKey { key: hash | 1, scope }
    }

    pub(super) fn key(&self) -> u64 {
        self.key
    }
}

/// One request under construction:
/// `Export…ServiceRequest { resource_…: [{ resource, scope_…: [{ scope, … }] }] }`. Down to this level, the
/// field numbers are the same for all three signals.
///
/// Records are appended to the buffer of their scope. The buffer of the first scope begins with the resource,
/// so a request with one scope, the usual case, is complete without a copy. The buffers of other scopes are
/// appended to it at the end.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The parts of this request's scopes, in the order in which they first came, followed by parts to be
    /// reused.
    parts: Vec<Part>,
    used: usize,
    /// The part to which records are being appended, and its key; the key is 0 if there is none.
    current: usize,
    current_key: u64,
    /// Bytes of records in all parts except the current one.
    elsewhere: usize,
    pub(super) count: usize,
    /// The field `resource`, encoded.
    resource: Vec<u8>,
    /// A request with several scopes, assembled by `finish`.
    whole: Out,
}

/// The part of one scope in a request.
#[derive(Clone, Debug, Default)]
struct Part {
    key: u64,
    out: Out,
    /// The position of the scope's message, just after its length.
    start: usize,
    /// The position of the first record.
    head: usize,
}

impl Part {
    fn record_bytes(&self) -> usize {
        self.out.len() - self.head
    }
}

impl Request {
    pub(super) fn new(resource: &Resource) -> Request {
        Request {
            parts: Vec::new(),
            used: 0,
            current: 0,
            current_key: 0,
            elsewhere: 0,
            count: 0,
            resource: encoded(resource),
            whole: Out::default(),
        }
    }

    /// The buffer of a scope, for appending one record.
    #[inline]
    pub(super) fn of(&mut self, scope: &ScopeKey<'_>) -> &mut Out {
        if self.current_key != scope.key {
            self.switch(scope);
        }
        self.current()
    }

    /// The buffer of the scope that was requested last.
    #[inline]
    pub(super) fn current(&mut self) -> &mut Out {
        &mut self.parts[self.current].out
    }

    #[inline(never)]
    fn switch(&mut self, scope: &ScopeKey<'_>) {
        if self.count == 0 {
            // A request that was finished while it was empty has a scope without records, which is removed
            // here.
            self.clear();
        } else {
            self.elsewhere += self.parts[self.current].record_bytes();
        }
        let known = self.parts[..self.used].iter().position(|part| part.key == scope.key);
        self.current = known.unwrap_or_else(|| self.open(scope));
        self.current_key = scope.key;
        self.elsewhere -= self.parts[self.current].record_bytes();
    }

    /// Begins the part of a scope that is new in this request.
    #[cold]
    fn open(&mut self, ScopeKey { key, scope }: &ScopeKey<'_>) -> usize {
        if self.used == self.parts.len() {
            self.parts.push(Part::default());
        }
        let part = &mut self.parts[self.used];
        part.key = *key;
        part.out.truncate(0);
        if self.used == 0 {
            // resource_spans / resource_logs / resource_metrics
            let start = proto::open::<OUTER>(&mut part.out, 0x0a);
            debug_assert_eq!(start, RESOURCE_START);
            part.out.extend_from_slice(&self.resource);
        }
        // scope_spans / scope_logs / scope_metrics
        part.start = proto::open::<OUTER>(&mut part.out, 0x12);
        let mut message = Out::default();
        proto::bytes_field(&mut message, 0x0a, scope.name.as_bytes());
        if !scope.version.is_empty() {
            proto::bytes_field(&mut message, 0x12, scope.version.as_bytes());
        }
        proto::bytes_field(&mut part.out, 0x0a, message.as_slice());
        part.head = part.out.len();
        self.used += 1;
        self.used - 1
    }

    /// Fills in the lengths of the scopes, after adding an empty one if there is none.
    fn close_scopes(&mut self) {
        if self.used == 0 {
            self.of(&ScopeKey::new(Scope::OWN));
        }
        for part in &mut self.parts[..self.used] {
            proto::close::<OUTER>(&mut part.out, part.start);
        }
    }

    /// Returns the request's bytes. More may be appended afterwards, and `finish` called again. Several
    /// scopes cost a copy, one scope does not.
    pub(super) fn finish(&mut self) -> &[u8] {
        self.close_scopes();
        let (first, rest) = self.parts[..self.used].split_at_mut(1);
        let [first] = first else { unreachable!("`close_scopes` made one") };
        if rest.is_empty() {
            proto::close::<OUTER>(&mut first.out, RESOURCE_START);
            return first.out.as_slice();
        }
        self.whole.truncate(0);
        self.whole.extend_from_slice(first.out.as_slice());
        rest.iter().for_each(|part| self.whole.extend_from_slice(part.out.as_slice()));
        proto::close::<OUTER>(&mut self.whole, RESOURCE_START);
        self.whole.as_slice()
    }

    /// Removes the records and scopes, and keeps the resource and the memory.
    pub(super) fn clear(&mut self) {
        (self.used, self.current, self.current_key, self.elsewhere, self.count) = (0, 0, 0, 0, 0);
    }

    /// Returns the buffer with the request's bytes; `spare` becomes the buffer of the next request.
    pub(super) fn take(&mut self, spare: Vec<u8>) -> Vec<u8> {
        self.close_scopes();
        let (first, rest) = self.parts[..self.used].split_at_mut(1);
        let [first] = first else { unreachable!("`close_scopes` made one") };
        for part in rest {
            first.out.extend_from_slice(part.out.as_slice());
            if part.out.len() > KEPT {
                part.out = Out::default();
            }
        }
        proto::close::<OUTER>(&mut first.out, RESOURCE_START);
        let body = core::mem::replace(&mut first.out, Out::reusing(spare)).into_vec();
        self.clear();
        body
    }

    /// Number of bytes that the records take so far.
    #[inline]
    pub(super) fn record_bytes(&self) -> usize {
        match self.parts[..self.used].get(self.current) {
            Some(part) => self.elsewhere + part.record_bytes(),
            None => 0,
        }
    }
}

/// The position of the resource message in the first part, after a tag and a length.
const RESOURCE_START: usize = 1 + OUTER;

/// Encodes the field `resource` with its attributes.
pub(super) fn encoded(resource: &Resource) -> Vec<u8> {
    let mut message = Out::default();
    resource.attributes().for_each(|(key, value)| text_attribute(&mut message, 0x0a, key, value));
    let mut out = Out::default();
    proto::bytes_field(&mut out, 0x0a, message.as_slice());
    out.into_vec()
}
