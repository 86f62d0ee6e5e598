//! The records of one trace while a [`TraceBuilder`](crate::trace::TraceBuilder) holds them, and the ids that they get.

use std::borrow::Cow;
use std::collections::HashSet;

use throughline::adapter::IdKey;
use throughline::adapter::record::LINK_FIELD;
use throughline::{SpanId, TraceContext, TraceId};

use crate::trace::{Loss, OwnedEvent, OwnedSpan};

/// The records held for one root.
#[derive(Debug, Default)]
pub(crate) struct Group<'elf> {
    pub(crate) spans: Vec<OwnedSpan<'elf>>,
    pub(crate) events: Vec<OwnedEvent<'elf>>,
    pub(crate) added: Vec<OwnedEvent<'elf>>,
    pub(crate) losses: Vec<Loss>,
    /// The remote span for which the root id stands, if there is one. It is kept here so that it cannot be
    /// dropped before its records are given out.
    pub(crate) remote: Option<TraceContext>,
    /// Whether its root span was seen.
    pub(crate) rooted: bool,
    /// Whether a span directly below the root id was seen. For a remote root this is the entry span.
    pub(crate) entered: bool,
    /// Value of `taken` when its last record came.
    pub(crate) touched: u64,
    /// Value of `taken` when the oldest record came that was not given out yet; 0 if there is none.
    pub(crate) since: u64,
}

impl<'elf> Group<'elf> {
    pub(crate) fn len(&self) -> usize {
        self.spans.len() + self.events.len() + self.added.len()
    }

    /// Whether its root has ended; for a remote root, whether a span directly below it has.
    pub(crate) fn is_complete(&self) -> bool {
        self.rooted || self.entered && self.remote.is_some()
    }

    /// Number of field records, if the group waits for nothing else.
    pub(crate) fn kept(&self) -> usize {
        if self.since == 0 { self.added.len() } else { 0 }
    }

    /// Takes out the fields whose span is not in the group, because it may still be open; at most `room` of
    /// them. If several of these have the same callsite and span, the last one is enough, because it sets the
    /// same fields again. All links are kept, and the last field of each key that is in the record itself.
    pub(crate) fn take_fields_of_open_spans(&mut self, room: usize) -> Group<'elf> {
        let here: HashSet<u64> = self.spans.iter().map(|span| span.id).collect();
        let is_open = |e: &OwnedEvent<'elf>| e.span_local.is_some_and(|id| !here.contains(&id));
        let (mut open, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.added).into_iter().partition(is_open);
        self.added = others;
        let mut seen = HashSet::new();
        open.reverse();
        let is_link = |e: &OwnedEvent<'elf>| e.fields.iter().any(|(name, _)| name == LINK_FIELD);
        let key = |e: &OwnedEvent<'elf>| {
            e.fields.iter().find_map(|(name, _)| matches!(name, Cow::Owned(_)).then(|| name.clone()))
        };
        open.retain(|e| is_link(e) || seen.insert((e.span_local, e.callsite.id, key(e))));
        // The oldest that find no room are shown separately.
        self.added.extend(open.drain(room.min(open.len())..));
        open.reverse();
        Group { added: open, touched: self.touched, remote: self.remote, ..Group::default() }
    }

    pub(crate) fn interval(&self) -> Option<(u64, u64)> {
        let spans =
            self.spans.iter().map(|s| (s.start.unix_ns, s.start.unix_ns.saturating_add(s.duration_ns)));
        let events = self.events.iter().chain(&self.added).map(|e| (e.time.unix_ns, e.time.unix_ns));
        spans.chain(events).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

/// Maps local ids to W3C ids, with the remote parent where it applies.
pub(crate) struct Ids {
    pub(crate) key: IdKey,
    pub(crate) root: u64,
    pub(crate) remote: Option<TraceContext>,
    /// Whether the trace began on this device or has a known remote parent.
    pub(crate) is_known: bool,
}

impl Ids {
    /// Id of the trace; `None` for a remote trace whose ids are not known.
    pub(crate) fn trace(&self) -> Option<TraceId> {
        let derived = || self.is_known.then(|| self.key.trace_id(self.root));
        self.remote.map(|remote| remote.trace_id).or_else(derived)
    }

    /// Id of a span of this device.
    pub(crate) fn own(&self, id: u64) -> SpanId {
        self.key.span_id(id)
    }

    /// Id of a span; `None` for a remote span that is not known.
    pub(crate) fn span(&self, id: u64) -> Option<SpanId> {
        match self.remote {
            Some(remote) if id == self.root => Some(remote.span_id),
            None if self.is_remote(id) => None,
            _ => Some(self.own(id)),
        }
    }

    pub(crate) fn is_remote(&self, id: u64) -> bool {
        id == self.root && (self.remote.is_some() || !self.is_known)
    }
}
