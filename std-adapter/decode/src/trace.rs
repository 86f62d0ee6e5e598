//! Traces from items: spans under their parents, late fields merged into their spans, events and losses in their places, W3C ids
//! derived and remote parents put in. In bounded memory.

use std::collections::{BTreeMap, HashMap, VecDeque};

use throughline::adapter::{IdKey, LossReason};
use throughline::{SpanId, Status, TraceContext, TraceId};

use crate::callsite::Callsite;
use crate::fields::OwnedValue;
use crate::item::{Context, Event, Item, Span};
use crate::time::{Time, TimeSource};
use crate::trace_tree::arrange;

/// Puts items together. Holds at most `limit` records; each takes at most a frame's worth of memory
/// ([`crate::stream::MAX_FRAME`], times a small factor), and usually about 200 bytes.
#[derive(Debug)]
pub struct TraceBuilder<'elf> {
    limit: usize,
    linger: u64,
    /// Records held, over all groups.
    held: usize,
    /// Records taken so far: the clock by which groups wait.
    taken: u64,
    groups: HashMap<u64, Group<'elf>>,
    /// Roots of all groups by `touched`, which no two share; and of those whose root has ended.
    order: BTreeMap<u64, u64>,
    ended: BTreeMap<u64, u64>,
    remotes: HashMap<u64, TraceContext>,
    remote_order: VecDeque<u64>,
    losses: VecDeque<(u64, Loss)>,
    /// Events outside any span, held so that they come out in order of time with the traces; with each, `taken` when it came.
    loose: VecDeque<(u64, OwnedEvent<'elf>)>,
    key: IdKey,
    /// When the newest record of this boot was made.
    newest: Option<Time>,
    /// Losses on the link before the first record of this boot: frames, records.
    untimed: (u64, u64),
}

/// What comes out: whole traces, and what belongs to none.
#[derive(Clone, Debug)]
pub enum Assembled<'elf> {
    /// A trace, or what is known of it.
    Trace(Trace<'elf>),
    /// An event outside any span.
    Event(OwnedEvent<'elf>),
    /// A loss that happened within no trace held.
    Loss(Loss),
}

/// The spans of one root, and what happened in them.
#[derive(Clone, Debug)]
pub struct Trace<'elf> {
    /// Its W3C id: derived, or the remote one when a remote parent was attached.
    pub trace_id: TraceId,
    /// The remote parent, when there is one.
    pub remote: Option<TraceContext>,
    /// Whether its root (or of a remote parent's trace, its entry span) was seen.
    pub complete: bool,
    /// Parents before children, siblings in order of time; with each its depth, 0 at the top.
    pub entries: Vec<(usize, Entry<'elf>)>,
}

/// One line of a trace.
#[derive(Clone, Debug)]
pub enum Entry<'elf> {
    /// A span.
    Span(OwnedSpan<'elf>),
    /// An event in the span above it with a smaller depth.
    Event(OwnedEvent<'elf>),
    /// Fields of a span that was not seen: lost, or still open.
    Fields(OwnedEvent<'elf>),
    /// Records lost while the trace went on.
    Loss(Loss),
}

/// A span with everything known of it.
#[derive(Clone, Debug)]
pub struct OwnedSpan<'elf> {
    /// Where in the program.
    pub callsite: Callsite<'elf>,
    /// Its trace.
    pub trace_id: TraceId,
    /// Its W3C id.
    pub span_id: SpanId,
    /// Its parent's, here or remote.
    pub parent_span_id: Option<SpanId>,
    /// Whether its parent is on this device and was not seen: lost, or still open.
    pub orphan: bool,
    /// When it began.
    pub start: Time,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// How long its future was being polled, in nanoseconds.
    pub busy_ns: Option<u64>,
    /// How it ended.
    pub status: Status,
    /// Its fields, those added later included.
    pub fields: Vec<(&'elf str, OwnedValue)>,
    pub(crate) id: u64,
    pub(crate) parent: Option<u64>,
}

/// An event (or late fields) with everything known of it.
#[derive(Clone, Debug)]
pub struct OwnedEvent<'elf> {
    /// Where in the program.
    pub callsite: Callsite<'elf>,
    /// The W3C ids of its trace and span.
    pub span: Option<(TraceId, SpanId)>,
    /// When.
    pub time: Time,
    /// Its fields.
    pub fields: Vec<(&'elf str, OwnedValue)>,
    pub(crate) span_local: Option<u64>,
}

/// Records that were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// When the first was lost; of a loss on the link, when the record before it was made, or else the one after it.
    pub time: Time,
    /// How many.
    pub count: u64,
    /// Where and why.
    pub cause: LossCause,
}

/// Where records were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossCause {
    /// On the device, for a reason this decoder may not know.
    Device(Option<LossReason>),
    /// On the link, with so many frames.
    Link {
        /// Frames lost or damaged.
        frames: u64,
    },
}

/// What is held of one root.
#[derive(Debug, Default)]
pub(crate) struct Group<'elf> {
    pub(crate) spans: Vec<OwnedSpan<'elf>>,
    pub(crate) events: Vec<OwnedEvent<'elf>>,
    pub(crate) added: Vec<OwnedEvent<'elf>>,
    pub(crate) losses: Vec<Loss>,
    /// Its root span was seen.
    rooted: bool,
    /// A span directly below the root id was seen: the entry span, if the root is a remote one.
    entered: bool,
    /// Value of `taken` when its last record came.
    touched: u64,
}

/// Remote parents remembered; the oldest is forgotten first.
const MAX_REMOTES: usize = 1024;
/// The trace a loss belongs to may end later than it: a loss is held back that many times as long as a trace lingers.
const PATIENCE: u64 = 4;
/// Losses held back for the trace they happened in.
const MAX_LOSSES: usize = 1024;

impl<'elf> TraceBuilder<'elf> {
    /// An assembler that holds at most `limit` records, and keeps a trace whose root has ended for `linger` more records, as what
    /// other cores and interrupts wrote meanwhile may come after it.
    pub fn new(limit: usize, linger: u64) -> TraceBuilder<'elf> {
        TraceBuilder {
            limit,
            linger,
            held: 0,
            taken: 0,
            groups: HashMap::new(),
            order: BTreeMap::new(),
            ended: BTreeMap::new(),
            remotes: HashMap::new(),
            remote_order: VecDeque::new(),
            losses: VecDeque::new(),
            loose: VecDeque::new(),
            key: IdKey::new(0, 0),
            newest: None,
            untimed: (0, 0),
        }
    }

    /// Records held now; never more than the limit after a call.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes the next item. Items that are no part of a trace (metrics, damage, preambles) are passed over.
    pub fn take(&mut self, context: &Context, item: &Item<'elf, '_>, out: &mut dyn FnMut(Assembled<'elf>)) {
        match item {
            // Ids begin again: nothing of the last boot belongs to this one.
            Item::Boot(_) => {
                self.flush(out);
                self.remotes.clear();
                self.remote_order.clear();
                self.newest = None;
            }
            Item::Span(span) => self.span(context, span, out),
            Item::Event(event) => {
                let owned = owned_event(context, event);
                self.made(owned.time, out);
                match event.span {
                    Some((_, root)) => self.group(root).events.push(owned),
                    None => self.loose(owned),
                }
            }
            Item::Fields(event) => {
                let owned = owned_event(context, event);
                self.made(owned.time, out);
                // Without a span there is nothing to add to: shown as what it is, an event with fields.
                match event.span {
                    Some((_, root)) => self.group(root).added.push(owned),
                    None => self.loose(owned),
                }
            }
            Item::Attach(attach) => {
                if let Some(remote) = attach.remote {
                    self.attach(attach.id, remote);
                }
            }
            Item::Clock(ticks) => self.made(context.time(*ticks), out),
            Item::Loss(loss) => {
                let cause = LossCause::Device(loss.reason);
                self.loss(Loss { time: context.time(loss.first), count: loss.count, cause }, out);
            }
            Item::Link(gap) => {
                self.untimed.0 += gap.frames;
                self.untimed.1 += gap.records;
                if let Some(newest) = self.newest {
                    self.made(newest, out);
                }
            }
            Item::Preamble(_) | Item::ClockSet { .. } | Item::Metrics(_) | Item::Damage(_) => {}
        }
        self.key = context.key;
        self.release(out);
    }

    /// Gives out every trace whose root has ended, without lingering; for a live stream when no bytes are at hand.
    pub fn settle(&mut self, out: &mut dyn FnMut(Assembled<'elf>)) {
        let ended = self.ended.values().copied().collect();
        self.give(out, 0, ended);
    }

    /// Gives out everything held.
    pub fn flush(&mut self, out: &mut dyn FnMut(Assembled<'elf>)) {
        // No record came after it in its boot.
        self.made(Time { unix_ns: 0, error_ns: None, source: TimeSource::Boot }, out);
        self.give_all(out);
    }

    /// A record was made at this time. A loss on the link that came before any record of its boot takes the time of the first.
    fn made(&mut self, time: Time, out: &mut dyn FnMut(Assembled<'elf>)) {
        self.newest = Some(time);
        let (frames, count) = std::mem::take(&mut self.untimed);
        if frames > 0 {
            self.loss(Loss { time, count, cause: LossCause::Link { frames } }, out);
        }
    }

    fn span(&mut self, context: &Context, span: &Span<'elf, '_>, out: &mut dyn FnMut(Assembled<'elf>)) {
        let start = context.time(span.start);
        let owned = OwnedSpan {
            callsite: span.callsite,
            // Made final when the trace is given out, as a remote parent may come to be known only after.
            trace_id: context.trace_id(span.root),
            span_id: context.span_id(span.id),
            parent_span_id: None,
            orphan: false,
            start,
            duration_ns: context.duration_ns(span.duration),
            busy_ns: span.busy.map(|ticks| context.duration_ns(ticks)),
            status: span.status,
            fields: span.fields.map(|(name, value)| (name, value.into())).collect(),
            id: span.id,
            parent: span.parent,
        };
        self.made(start, out);
        self.newest = Some(Time { unix_ns: start.unix_ns.saturating_add(owned.duration_ns), ..start });
        let group = self.group(span.root);
        group.rooted |= span.id == span.root;
        group.entered |= span.parent == Some(span.root);
        group.spans.push(owned);
        self.note_end(span.root);
    }

    /// Remembers a group whose root has ended.
    fn note_end(&mut self, root: u64) {
        let Some(group) = self.groups.get(&root) else { return };
        if group.rooted || group.entered && self.remotes.contains_key(&root) {
            self.ended.insert(group.touched, root);
        }
    }

    fn attach(&mut self, id: u64, remote: TraceContext) {
        if self.remotes.insert(id, remote).is_none() {
            self.remote_order.push_back(id);
        }
        if self.remote_order.len() > MAX_REMOTES
            && let Some(oldest) = self.remote_order.pop_front()
        {
            self.remotes.remove(&oldest);
        }
        self.note_end(id);
    }

    fn loss(&mut self, loss: Loss, out: &mut dyn FnMut(Assembled<'elf>)) {
        self.losses.push_back((self.taken, loss));
        if self.losses.len() > MAX_LOSSES
            && let Some((_, oldest)) = self.losses.pop_front()
        {
            out(Assembled::Loss(oldest));
        }
    }

    /// The group of a root, about to be given one more record.
    fn group(&mut self, root: u64) -> &mut Group<'elf> {
        self.held += 1;
        self.taken += 1;
        let group = self.groups.entry(root).or_default();
        self.order.remove(&group.touched);
        if self.ended.remove(&group.touched).is_some() {
            self.ended.insert(self.taken, root);
        }
        group.touched = self.taken;
        self.order.insert(self.taken, root);
        group
    }

    fn loose(&mut self, event: OwnedEvent<'elf>) {
        self.held += 1;
        self.taken += 1;
        self.loose.push_back((self.taken, event));
    }

    /// Gives out what has waited long enough, and the oldest beyond the limit.
    fn release(&mut self, out: &mut dyn FnMut(Assembled<'elf>)) {
        let before = |age: u64| self.taken.saturating_sub(age);
        let due = |queue: &BTreeMap<u64, u64>, age| {
            let first = queue.first_key_value().filter(|(touched, _)| **touched <= before(age));
            first.map(|(_, root)| *root)
        };
        let next = due(&self.ended, self.linger).or(due(&self.order, self.limit as u64));
        let loose = self.loose.front().is_some_and(|(since, _)| *since <= before(self.linger));
        let loss = self.losses.front().is_some_and(|(since, _)| *since <= before(PATIENCE * self.linger));
        if next.is_some() || loose || loss {
            self.give(out, self.linger, next.into_iter().collect());
        }
        while self.held > self.limit {
            match self.order.first_key_value() {
                Some((_, root)) => self.give(out, self.linger, vec![*root]),
                None => self.give_all(out),
            }
        }
    }

    fn give_all(&mut self, out: &mut dyn FnMut(Assembled<'elf>)) {
        let all = self.order.values().copied().collect();
        self.give(out, 0, all);
    }

    /// Gives out the groups of these roots, and the events and losses that belong to none and came `age` records ago, in order of time.
    fn give(&mut self, out: &mut dyn FnMut(Assembled<'elf>), age: u64, roots: Vec<u64>) {
        let TraceBuilder { remotes, losses, loose, taken, groups, .. } = self;
        let mut given: Vec<(u64, Assembled<'elf>)> = Vec::new();
        for root in roots {
            let Some(mut group) = groups.remove(&root) else { continue };
            self.order.remove(&group.touched);
            self.ended.remove(&group.touched);
            self.held -= group.spans.len() + group.events.len() + group.added.len();
            let interval = group.interval().unwrap_or_default();
            let inside = |l: &Loss| (interval.0..=interval.1).contains(&l.time.unix_ns);
            group.losses = losses.iter().map(|(_, l)| *l).filter(inside).collect();
            losses.retain(|(_, loss)| !inside(loss));
            let complete = group.rooted || group.entered && remotes.contains_key(&root);
            let ids = Ids { key: self.key, root, remotes };
            let (trace_id, remote) = (ids.trace(), remotes.get(&root).copied());
            let trace = Trace { trace_id, remote, complete, entries: arrange(group, &ids) };
            given.push((interval.0, Assembled::Trace(trace)));
        }
        while let Some((_, event)) = loose.pop_front_if(|(since, _)| *taken - *since >= age) {
            self.held -= 1;
            given.push((event.time.unix_ns, Assembled::Event(event)));
        }
        while let Some((_, loss)) = losses.pop_front_if(|(since, _)| *taken - *since >= PATIENCE * age) {
            given.push((loss.time.unix_ns, Assembled::Loss(loss)));
        }
        given.sort_by_key(|(time, _)| *time);
        given.into_iter().for_each(|(_, assembled)| out(assembled));
    }
}

impl Group<'_> {
    fn interval(&self) -> Option<(u64, u64)> {
        let spans =
            self.spans.iter().map(|s| (s.start.unix_ns, s.start.unix_ns.saturating_add(s.duration_ns)));
        let events = self.events.iter().map(|e| (e.time.unix_ns, e.time.unix_ns));
        spans.chain(events).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

/// From local ids to W3C ids, remote parents put in.
pub(crate) struct Ids<'a> {
    key: IdKey,
    root: u64,
    remotes: &'a HashMap<u64, TraceContext>,
}

impl Ids<'_> {
    pub(crate) fn trace(&self) -> TraceId {
        self.remotes.get(&self.root).map_or(self.key.trace_id(self.root), |remote| remote.trace_id)
    }

    pub(crate) fn span(&self, id: u64) -> SpanId {
        self.remotes.get(&id).map_or(self.key.span_id(id), |remote| remote.span_id)
    }

    pub(crate) fn is_remote(&self, id: u64) -> bool {
        self.remotes.contains_key(&id)
    }
}

fn owned_event<'elf>(context: &Context, event: &Event<'elf, '_>) -> OwnedEvent<'elf> {
    OwnedEvent {
        callsite: event.callsite,
        span: event.span.map(|(id, root)| (context.trace_id(root), context.span_id(id))),
        time: context.time(event.time),
        fields: event.fields.map(|(name, value)| (name, value.into())).collect(),
        span_local: event.span.map(|(id, _)| id),
    }
}
