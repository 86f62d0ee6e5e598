//! Assembles decoded items into traces, in bounded memory and, for a live stream, in bounded time.

use std::collections::{BTreeMap, HashMap, VecDeque};

use throughline::adapter::IdKey;

use crate::item::{Context, Event, Item, Span};
use crate::remotes::{Remotes, is_remote};
use crate::time::{Time, TimeSource};
use crate::trace::{Assembled, Loss, LossCause, OwnedEvent, OwnedSpan, Trace};
use crate::trace_group::{Group, Ids};
use crate::trace_tree::arrange;

/// Assembles items into traces.
///
/// A trace is given out when its root has ended. If the root stays open (such as a device's main loop), the
/// trace is given out in parts, so that its children and events are seen as they end. Two things trigger
/// that: when more records than the limit are held, the trace that has waited longest is given out; and
/// [`sweep`](Self::sweep) gives out all traces that have waited since the last sweep.
///
/// Memory: at most `limit` records, each of at most a frame's worth of bytes ([`crate::stream::MAX_FRAME`]
/// times a small factor) but usually about 300; a second copy of a trace's records while it is given out; and
/// at most about 10 MB of remote parents.
///
/// A mark in the root id tells a remote trace. If its attach record was lost, or if more remote parents were
/// open than are remembered, its records are given out as a [`Trace`] without an id and counted in
/// [`unknown_parent`](Self::unknown_parent).
#[derive(Debug)]
pub struct TraceBuilder<'elf> {
    limit: usize,
    linger: u64,
    /// Number of records held in all groups.
    held: usize,
    /// How many of these are fields that wait for the end of their span after the rest of their trace was
    /// given out.
    kept: usize,
    /// Number of records taken so far. Waiting times are measured with it.
    taken: u64,
    /// Value of `taken` at the last sweep.
    swept: u64,
    groups: HashMap<u64, Group<'elf>>,
    /// Roots of the groups that have something to give out, by the value of `taken` when the oldest part of
    /// it came.
    waiting: BTreeMap<u64, u64>,
    /// Roots of the groups whose root has ended, by `touched`.
    ended: BTreeMap<u64, u64>,
    /// How many parts of a trace were given out, for the roots given out most recently.
    parts: Recent<u32>,
    remotes: Remotes,
    /// Number of records given out that belong to a remote trace whose ids are not known.
    unknown_parent: u64,
    word_bits: u8,
    losses: VecDeque<(u64, Loss)>,
    /// Events outside of spans, held so that they are given out in time order with the traces; with each, the
    /// value of `taken` when it came.
    loose: VecDeque<(u64, OwnedEvent<'elf>)>,
    key: IdKey,
    /// Time of the newest record of this boot.
    newest: Option<Time>,
    /// Losses on the link before the first record of this boot: frames and records.
    untimed: (u64, u64),
}

/// Most remote parents remembered.
const MAX_REMOTES: usize = 1 << 16;
/// For how many traces the number of parts is remembered.
const MAX_PARTS: usize = 1024;
/// The trace of a loss may end later than the loss. A loss is therefore held back this many times as long as
/// a trace lingers.
const PATIENCE: u64 = 4;
/// Most losses held back for their trace.
const MAX_LOSSES: usize = 1024;

impl<'elf> TraceBuilder<'elf> {
    /// A builder that holds at most `limit` records. It keeps a trace whose root has ended until `linger`
    /// more records have come, because records of other cores and interrupts may come later.
    pub fn new(limit: usize, linger: u64) -> TraceBuilder<'elf> {
        TraceBuilder {
            limit,
            linger,
            held: 0,
            kept: 0,
            taken: 0,
            swept: 0,
            groups: HashMap::new(),
            waiting: BTreeMap::new(),
            ended: BTreeMap::new(),
            parts: Recent::new(MAX_PARTS),
            remotes: Remotes::new(MAX_REMOTES),
            unknown_parent: 0,
            word_bits: 32,
            losses: VecDeque::new(),
            loose: VecDeque::new(),
            key: IdKey::new(0, 0),
            newest: None,
            untimed: (0, 0),
        }
    }

    /// Number of records held now; after a call never more than the limit.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Number of records given out so far that belong to a remote trace whose ids are not known.
    pub fn unknown_parent(&self) -> u64 {
        self.unknown_parent
    }

    /// Takes the next item. Items that do not belong to a trace (metrics, damage, preambles) are ignored.
    pub fn take(&mut self, context: &Context, item: &Item<'elf, '_>, out: &mut dyn FnMut(Assembled<'elf>)) {
        match item {
            // Ids start again at a boot, so no trace continues over one.
            Item::Boot(_) => {
                self.flush(out);
                self.remotes.clear();
                self.parts.clear();
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
                // Without a span the fields belong to nothing, so they are shown as an event.
                match event.span {
                    Some((_, root)) => self.group(root).added.push(owned),
                    None => self.loose(owned),
                }
            }
            Item::Attach(attach) => {
                if let Some(remote) = attach.remote {
                    self.remotes.insert(attach.id, remote);
                    if let Some(group) = self.groups.get_mut(&attach.id) {
                        group.remote = Some(remote);
                        if group.entered {
                            self.remotes.ended(attach.id);
                        }
                    }
                    self.note_end(attach.id);
                }
            }
            Item::Detach(detach) => self.remotes.detach(detach.id, detach.held),
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
            Item::Preamble(_)
            | Item::ClockSet { .. }
            | Item::Metrics(_)
            | Item::Samples(_)
            | Item::Damage(_) => {}
        }
        self.key = context.key;
        self.word_bits = context.word_bits();
        self.release(out);
    }

    /// Gives out every trace whose root has ended, without lingering. For a live stream when no bytes are
    /// available.
    pub fn settle(&mut self, out: &mut dyn FnMut(Assembled<'elf>)) {
        let ended = self.ended.values().copied().collect();
        self.give(out, 0, ended);
    }

    /// Gives out everything that came before the last sweep, even if its root is still open. If this is
    /// called every *t* seconds, each record is given out within 2 *t*, whether or not its root ever ends.
    pub fn sweep(&mut self, out: &mut dyn FnMut(Assembled<'elf>)) {
        let due = self.waiting.range(..=self.swept).map(|(_, root)| *root).collect();
        let age = self.taken - self.swept;
        self.swept = self.taken;
        self.give(out, age, due);
    }

    /// Gives out everything held.
    pub fn flush(&mut self, out: &mut dyn FnMut(Assembled<'elf>)) {
        // A loss on the link without a later record gets the time of the newest record, if there is one.
        let none = Time { unix_ns: 0, error_ns: None, source: TimeSource::Boot };
        self.made(self.newest.unwrap_or(none), out);
        self.give_all(out);
    }

    /// Notes that a record was made at this time. A loss on the link that came before the first record of its
    /// boot gets the time of that record.
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
            // These are filled in when the trace is given out, because its remote parent may become known
            // later.
            trace_id: None,
            span_id: context.span_id(span.id),
            parent_span_id: None,
            parent_is_remote: false,
            orphan: false,
            start,
            duration_ns: context.duration_ns(span.duration),
            busy_ns: span.busy.map(|ticks| context.duration_ns(ticks)),
            status: span.status,
            fields: span.fields.into_owned(),
            id: span.id,
            parent: span.parent,
        };
        self.made(start, out);
        self.newest = Some(Time { unix_ns: start.unix_ns.saturating_add(owned.duration_ns), ..start });
        let group = self.group(span.root);
        group.rooted |= span.id == span.root;
        group.entered |= span.parent == Some(span.root);
        group.spans.push(owned);
        if span.parent == Some(span.root) {
            self.remotes.ended(span.root);
        }
        self.note_end(span.root);
    }

    /// Notes a group whose root has ended.
    fn note_end(&mut self, root: u64) {
        let Some(group) = self.groups.get(&root) else { return };
        if group.is_complete() {
            self.ended.insert(group.touched, root);
        }
    }

    fn loss(&mut self, loss: Loss, out: &mut dyn FnMut(Assembled<'elf>)) {
        self.losses.push_back((self.taken, loss));
        if self.losses.len() > MAX_LOSSES
            && let Some((_, oldest)) = self.losses.pop_front()
        {
            out(Assembled::Loss(oldest));
        }
    }

    /// The group of a root, which is about to get one more record.
    fn group(&mut self, root: u64) -> &mut Group<'elf> {
        self.held += 1;
        self.taken += 1;
        let remotes = &self.remotes;
        let group = self
            .groups
            .entry(root)
            .or_insert_with(|| Group { remote: remotes.get(root), ..Group::default() });
        if self.ended.remove(&group.touched).is_some() {
            self.ended.insert(self.taken, root);
        }
        group.touched = self.taken;
        if group.since == 0 {
            self.kept -= group.kept();
            group.since = self.taken;
            self.waiting.insert(self.taken, root);
        }
        group
    }

    fn loose(&mut self, event: OwnedEvent<'elf>) {
        self.held += 1;
        self.taken += 1;
        self.loose.push_back((self.taken, event));
    }

    /// Gives out what has waited long enough, and the oldest traces beyond the limit.
    fn release(&mut self, out: &mut dyn FnMut(Assembled<'elf>)) {
        let before = |age: u64| self.taken.saturating_sub(age);
        let due = |queue: &BTreeMap<u64, u64>, age| {
            let first = queue.first_key_value().filter(|(since, _)| **since <= before(age));
            first.map(|(_, root)| *root)
        };
        let next = due(&self.ended, self.linger).or(due(&self.waiting, self.limit as u64));
        let loose = self.loose.front().is_some_and(|(since, _)| *since <= before(self.linger));
        let loss = self.losses.front().is_some_and(|(since, _)| *since <= before(PATIENCE * self.linger));
        if next.is_some() || loose || loss {
            self.give(out, self.linger, next.into_iter().collect());
        }
        while self.held > self.limit {
            match self.waiting.first_key_value() {
                Some((_, root)) => self.give(out, self.linger, vec![*root]),
                None => self.give_all(out),
            }
        }
    }

    fn give_all(&mut self, out: &mut dyn FnMut(Assembled<'elf>)) {
        // No spans follow, so no fields must be kept for them.
        let all = self.groups.keys().copied().collect();
        self.give_or_keep(out, 0, all, 0);
    }

    fn give(&mut self, out: &mut dyn FnMut(Assembled<'elf>), age: u64, roots: Vec<u64>) {
        self.give_or_keep(out, age, roots, self.limit / 4);
    }

    /// Gives out, in time order, the groups of these roots, and the events and losses outside of them that
    /// came at least `age` records ago. At most `keep` field records are kept for spans that are still open.
    fn give_or_keep(&mut self, out: &mut dyn FnMut(Assembled<'elf>), age: u64, roots: Vec<u64>, keep: usize) {
        let mut given: Vec<(u64, Assembled<'elf>)> = Vec::new();
        for root in roots {
            let Some(mut group) = self.groups.remove(&root) else { continue };
            self.waiting.remove(&group.since);
            self.ended.remove(&group.touched);
            self.held -= group.len();
            self.kept -= group.kept();
            let complete = group.is_complete();
            if !complete {
                let room = keep.saturating_sub(self.kept);
                let open = group.take_fields_of_open_spans(room);
                if !open.added.is_empty() {
                    self.held += open.len();
                    self.kept += open.kept();
                    self.groups.insert(root, open);
                }
            }
            if group.len() == 0 {
                continue;
            }
            let interval = group.interval().unwrap_or_default();
            let inside = |l: &Loss| (interval.0..=interval.1).contains(&l.time.unix_ns);
            group.losses = self.losses.iter().map(|(_, l)| *l).filter(inside).collect();
            self.losses.retain(|(_, loss)| !inside(loss));
            let part = self.parts.get(root).unwrap_or(0);
            self.parts.insert(root, part.saturating_add(1));
            let remote = group.remote;
            let is_known = remote.is_some() || !is_remote(root, self.word_bits);
            if !is_known {
                self.unknown_parent += group.len() as u64;
            }
            let ids = Ids { key: self.key, root, remote, is_known };
            let trace =
                Trace { trace_id: ids.trace(), remote, part, complete, entries: arrange(group, &ids) };
            given.push((interval.0, Assembled::Trace(trace)));
        }
        let taken = self.taken;
        while let Some((_, event)) = self.loose.pop_front_if(|(since, _)| taken - *since >= age) {
            self.held -= 1;
            given.push((event.time.unix_ns, Assembled::Event(event)));
        }
        while let Some((_, loss)) = self.losses.pop_front_if(|(since, _)| taken - *since >= PATIENCE * age) {
            given.push((loss.time.unix_ns, Assembled::Loss(loss)));
        }
        given.sort_by_key(|(time, _)| *time);
        given.into_iter().for_each(|(_, assembled)| out(assembled));
    }
}

/// A map that keeps only the keys inserted last.
#[derive(Debug)]
struct Recent<V> {
    most: usize,
    map: HashMap<u64, V>,
    order: VecDeque<u64>,
}

impl<V: Copy> Recent<V> {
    fn new(most: usize) -> Recent<V> {
        Recent { most, map: HashMap::new(), order: VecDeque::new() }
    }

    fn get(&self, key: u64) -> Option<V> {
        self.map.get(&key).copied()
    }

    fn insert(&mut self, key: u64, value: V) {
        if self.map.insert(key, value).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
    }

    fn clear(&mut self) {
        self.map.clear();
        self.order.clear();
    }
}

fn owned_event<'elf>(context: &Context, event: &Event<'elf, '_>) -> OwnedEvent<'elf> {
    OwnedEvent {
        callsite: event.callsite,
        // These are filled in when the trace is given out.
        trace_id: None,
        span_id: None,
        sampled: event.sampled,
        time: context.time(event.time),
        fields: event.fields.into_owned(),
        span_local: event.span.map(|(id, _)| id),
    }
}
