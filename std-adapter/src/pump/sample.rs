//! Decides which traces are kept when they have ended. Until then their spans wait here, within limits of traces, bytes
//! and time.
//!
//! * A trace ends when its first span in this process ends. It is decided one round later, because other threads' rings
//!   may hold spans of it that ended before.
//! * An error or slowness decides at once: the trace is kept, and what comes of it later goes straight on.
//! * What comes of a trace after it was dropped is dropped too, unless it is an error itself; then it is kept, and so is
//!   what follows.
//! * When a limit is reached, the oldest trace is decided by what is known of it: by the decision of its beginning. What
//!   is dropped then is counted apart, because an error might have come.
//!
//! So in = out + dropped, by reason, and a kept trace is incomplete only if something of it is counted.

mod decided;
mod rare;

use super::FanOut;
use super::remote::IdHasher;
use crate::sampling::{self, Buffer, Ceiling, Controller, Names, Plan, STEPS_PER_SECOND};
use decided::Decided;
use rare::Rare;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::time::{Duration, Instant};
use throughline::adapter::record::NAME_FIELD;
use throughline::adapter::ring::Word;
use throughline::{Status, TraceId, Value};
use throughline_export::cpu;
use throughline_export::ledger::{Cells, DropReason};
use throughline_export::view::{Fields, SpanView};
use throughline_export::{Deadline, ExportError, Exporter, OwnedRecords};

/// The attribute that says with what probability a span was kept, if that is less than 1. Each such span stands for as
/// many as its reciprocal.
pub(super) const PROBABILITY: &str = "sampling.probability";

/// What becomes of the spans of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// They are kept, with this probability; `None` if it is not known.
    Keep(Option<f64>),
    Drop(DropReason),
}

/// Kept whatever the probability.
const CERTAIN: Verdict = Verdict::Keep(Some(1.0));

/// The stage of the pump.
#[derive(Debug)]
pub(crate) struct Tail {
    plan: &'static Plan,
    open: HashMap<Word, Open, BuildHasherDefault<IdHasher>>,
    /// Traces with their numbers, oldest first. Those that are not open any more are skipped.
    oldest: VecDeque<(Word, u64)>,
    /// Traces whose first span has ended, each with the round in which it did.
    ended: VecDeque<(Word, u64)>,
    decided: Decided,
    rare: Rare,
    /// Buffers of traces that are decided.
    spare: Vec<OwnedRecords>,
    bytes: usize,
    begun: u64,
    round: u64,
    controller: Option<Adapting>,
    /// What the controller has counted: dropped at the beginning, dropped here, kept.
    counted: [u64; 3],
    tally: Tally,
}

/// What changes the share.
#[derive(Debug)]
struct Adapting {
    controller: Controller,
    ceiling: Option<Ceiling>,
    last: Instant,
}

impl Adapting {
    fn of(plan: &Plan) -> Option<Adapting> {
        let settings = plan.settings();
        settings.is_adaptive().then(|| Adapting {
            controller: Controller::new(settings.target.unwrap_or(f64::MAX), sampling::share()),
            ceiling: settings.max_cpu.map(Ceiling::new),
            last: Instant::now(),
        })
    }
}

/// A trace that is not decided.
#[derive(Debug)]
struct Open {
    number: u64,
    since: Instant,
    trace: TraceId,
    /// The decision of its beginning.
    sampled: bool,
    /// Whether it goes on from another process.
    is_remote: bool,
    /// The verdict, once its first span has ended.
    verdict: Option<Verdict>,
    spans: OwnedRecords,
}

/// A span as it comes from the assembler.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// The local id of its trace's first span, or of the remote parent.
    pub(super) root: Word,
    /// Whether it is the first span of its trace in this process.
    pub(super) is_first: bool,
    pub(super) is_remote: bool,
    /// What other processes were told.
    pub(super) sampled: bool,
}

/// Counts of a round.
#[derive(Debug, Default)]
struct Tally {
    input: u64,
    output: u64,
    sampled_out: u64,
    full: u64,
    expired: u64,
}

impl Tail {
    /// The stage for a plan, if it needs one.
    fn of(plan: &'static Plan, cells: &Cells) -> Option<Box<Tail>> {
        plan.has_stage().then(|| {
            Box::new(Tail {
                open: HashMap::default(),
                oldest: VecDeque::new(),
                ended: VecDeque::new(),
                decided: Decided::new(2 * plan.settings().buffer.traces),
                rare: Rare::default(),
                spare: Vec::new(),
                bytes: 0,
                begun: 0,
                round: 0,
                controller: Adapting::of(plan),
                counted: counts(cells),
                tally: Tally::default(),
                plan,
            })
        })
    }

    /// Takes a span. `sinks` are those behind this stage.
    pub(super) fn span<'a, F: Fields<'a>>(
        &mut self,
        arrival: Arrival,
        view: &SpanView<'a, F>,
        sinks: &mut FanOut,
    ) {
        self.tally.input += 1;
        if !self.plan.waits() {
            let probability = (!arrival.is_remote && self.plan.has_one_share()).then(sampling::share);
            return self.pass(view, Verdict::Keep(probability), sinks);
        }
        let names = if arrival.is_first { names_of(view) } else { Names::default() };
        let is_evidence = self.is_evidence(arrival, view, &names);
        match self.decided.get(arrival.root) {
            Some(Verdict::Drop(_)) if is_evidence => {
                self.decided.insert(arrival.root, CERTAIN);
                return self.pass(view, CERTAIN, sinks);
            }
            Some(verdict) => return self.pass(view, verdict, sinks),
            None => {}
        }
        if is_evidence {
            self.decide(arrival.root, CERTAIN, sinks);
            return self.pass(view, CERTAIN, sinks);
        }
        self.keep_back(arrival, view);
        if arrival.is_first {
            self.end(arrival.root, &names);
        }
        self.make_room(sinks);
    }

    /// Whether the span alone is a reason to keep its trace.
    fn is_evidence<'a, F: Fields<'a>>(
        &self,
        arrival: Arrival,
        view: &SpanView<'a, F>,
        names: &Names<'_>,
    ) -> bool {
        if self.plan.settings().errors && view.status == Status::Error {
            return true;
        }
        let took = Duration::from_nanos(view.end_unix_ns.saturating_sub(view.start_unix_ns));
        arrival.is_first && self.plan.slow_from(names).is_some_and(|slow| took >= slow)
    }

    /// Adds the span to those that wait.
    fn keep_back<'a, F: Fields<'a>>(&mut self, arrival: Arrival, view: &SpanView<'a, F>) {
        let Tail { open, oldest, spare, begun, .. } = self;
        open.entry(arrival.root).or_insert_with(|| {
            *begun += 1;
            oldest.push_back((arrival.root, *begun));
            Open {
                number: *begun,
                since: Instant::now(),
                trace: view.trace_id,
                sampled: arrival.sampled,
                is_remote: arrival.is_remote,
                verdict: None,
                spans: spare.pop().unwrap_or_default(),
            }
        });
        if oldest.len() > 2 * open.len() + SLACK {
            oldest.retain(|(root, number)| open.get(root).is_some_and(|open| open.number == *number));
        }
        let Some(trace) = open.get_mut(&arrival.root) else { return };
        let before = trace.spans.size();
        trace.spans.span(view);
        self.bytes += trace.spans.size() - before;
    }

    /// Decides about the oldest traces if there are too many.
    fn make_room(&mut self, sinks: &mut FanOut) {
        let Buffer { traces, bytes, .. } = self.plan.settings().buffer;
        while (self.bytes > bytes || self.open.len() > traces)
            && let Some((root, number)) = self.oldest.pop_front()
        {
            self.give_up((root, number), DropReason::SamplerFull, sinks);
        }
    }

    /// Decides about a trace before its time: by the decision of its beginning, if its end is not known. `reason` is
    /// why.
    fn give_up(&mut self, (root, number): (Word, u64), reason: DropReason, sinks: &mut FanOut) {
        let Some(open) = self.open.get(&root).filter(|open| open.number == number) else { return };
        let verdict = match open.verdict {
            // Its end is known, so the limit takes nothing from it.
            Some(verdict) => verdict,
            None if open.sampled => Verdict::Keep(self.probability(open.is_remote)),
            None => Verdict::Drop(reason),
        };
        self.decide(root, verdict, sinks);
    }

    /// Notes that the first span of a trace has ended, and with it the trace.
    fn end(&mut self, root: Word, names: &Names<'_>) {
        let rule = self.plan.rule_of(names);
        let is_rare = self.plan.settings().rare > 0 && self.rare.is(names, self.plan.settings().rare);
        let probability = match rule {
            Some((share, _)) => Some(share),
            None => self.probability(self.open.get(&root).is_some_and(|open| open.is_remote)),
        };
        let Some(open) = self.open.get_mut(&root) else { return };
        let is_kept = match rule {
            // The name of the span could not be matched when the trace began.
            Some((share, was_known)) if !(was_known && sampling::IS_RECORDED) => {
                sampling::is_in(open.trace, share)
            }
            _ => open.sampled,
        };
        open.verdict = Some(match (is_rare, is_kept) {
            (true, _) => CERTAIN,
            (false, true) => Verdict::Keep(probability),
            (false, false) => Verdict::Drop(DropReason::SampledOut),
        });
        self.ended.push_back((root, self.round));
    }

    /// The probability with which a trace is kept that no rule is about. `None` if it was another process's.
    fn probability(&self, is_remote: bool) -> Option<f64> {
        (!is_remote && self.plan.settings().rate_limit.is_none()).then(sampling::share)
    }

    /// Applies a verdict to a trace.
    fn decide(&mut self, root: Word, verdict: Verdict, sinks: &mut FanOut) {
        self.decided.insert(root, verdict);
        let Some(mut open) = self.open.remove(&root) else { return };
        self.bytes -= open.spans.size();
        let spans = open.spans.len() as u64;
        self.count(verdict, spans);
        if let Verdict::Keep(probability) = verdict {
            open.spans.replay(&mut Replayed { sinks, probability });
        }
        let is_small = open.spans.size() <= SPARE_BYTES;
        open.spans.clear();
        if self.spare.len() < SPARE && is_small {
            self.spare.push(open.spans);
        }
    }

    /// Passes on or drops a span of a trace that is decided.
    fn pass<'a, F: Fields<'a>>(&mut self, view: &SpanView<'a, F>, verdict: Verdict, sinks: &mut FanOut) {
        self.count(verdict, 1);
        if let Verdict::Keep(probability) = verdict {
            pass_on(view, probability, sinks);
        }
    }

    fn count(&mut self, verdict: Verdict, spans: u64) {
        *match verdict {
            Verdict::Keep(_) => &mut self.tally.output,
            Verdict::Drop(DropReason::SamplerFull) => &mut self.tally.full,
            Verdict::Drop(DropReason::SamplerExpired) => &mut self.tally.expired,
            Verdict::Drop(_) => &mut self.tally.sampled_out,
        } += spans;
    }

    /// Ends a round over all rings: decides about the traces that ended in an earlier one, and about those that have
    /// waited for too long.
    fn end_round(&mut self, now: Instant, cells: &Cells, sinks: &mut FanOut) {
        while let Some((root, _)) = self.ended.pop_front_if(|(_, round)| *round < self.round) {
            if let Some(verdict) = self.open.get(&root).and_then(|open| open.verdict) {
                self.decide(root, verdict, sinks);
            }
        }
        self.round += 1;
        let slow = self.plan.slow_anyway();
        let most = self.plan.settings().buffer.time;
        while let Some((root, number)) = self.oldest.front().copied() {
            let Some(open) = self.open.get(&root).filter(|open| open.number == number) else {
                self.oldest.pop_front();
                continue;
            };
            let age = now.saturating_duration_since(open.since);
            if slow.is_some_and(|slow| age >= slow) && open.verdict.is_none() {
                self.decide(root, CERTAIN, sinks);
            } else if age >= most {
                self.give_up((root, number), DropReason::SamplerExpired, sinks);
            } else {
                break;
            }
            self.oldest.pop_front();
        }
        self.publish(cells);
        self.adapt(now, cells);
    }

    /// Lets the controller change the share.
    fn adapt(&mut self, now: Instant, cells: &Cells) {
        let Some(Adapting { controller, ceiling, last }) = &mut self.controller else { return };
        let passed = now.saturating_duration_since(*last);
        if passed < Duration::from_secs(1) / STEPS_PER_SECOND {
            return;
        }
        *last = now;
        let counts = counts(cells);
        let [head, tail, kept] = std::array::from_fn(|i| counts[i] - self.counted[i]);
        self.counted = counts;
        if let Some(ceiling) = ceiling {
            cpu::count_this_thread();
            let allowed = ceiling.step(passed.as_secs_f64(), cpu::of_own_threads().unwrap_or_default(), kept);
            controller.aim(self.plan.settings().target.map_or(allowed, |target| target.min(allowed)));
        }
        sampling::set_share(controller.step(passed.as_secs_f64(), head + tail + kept, kept));
    }

    /// Ends the stage: what waits is decided by the decision of its beginning.
    fn finish(&mut self, cells: &Cells, sinks: &mut FanOut) {
        while let Some(trace) = self.oldest.pop_front() {
            self.give_up(trace, DropReason::SampledOut, sinks);
        }
        self.publish(cells);
    }

    fn publish(&mut self, cells: &Cells) {
        let Tally { input, output, sampled_out, full, expired } = std::mem::take(&mut self.tally);
        cells.tail_sampler.input(input);
        cells.tail_sampler.output(output);
        cells.tail_sampler.dropped(DropReason::SampledOut, sampled_out);
        cells.tail_sampler.dropped(DropReason::SamplerFull, full);
        cells.tail_sampler.dropped(DropReason::SamplerExpired, expired);
    }
}

/// Spans that were dropped at the beginning of their traces, those that were dropped here, and those that were kept.
fn counts(cells: &Cells) -> [u64; 3] {
    let (head, tail) = (cells.sampler.read(), cells.tail_sampler.read());
    [head.dropped_total(), tail.dropped_total(), tail.output]
}

/// Most buffers that are kept for traces to come, and most bytes that were in one: together some 4 MiB.
const SPARE: usize = 1024;
const SPARE_BYTES: usize = 4096;
/// Entries that the list of the oldest traces may have beside twice those that are open.
const SLACK: usize = 64;

impl FanOut {
    /// Follows a plan that was changed.
    pub(super) fn follow_plan(&mut self, cells: &Cells) {
        let (plan, changes) = sampling::plan();
        if self.plan_changes == changes {
            return;
        }
        self.plan_changes = changes;
        self.end_sampling(cells);
        self.tail = plan.and_then(|plan| Tail::of(plan, cells));
    }

    /// Ends a round of the stage. Returns whether there is one.
    pub(super) fn end_round_of_sampling(&mut self, now: Instant, cells: &Cells) -> bool {
        let Some(mut tail) = self.tail.take() else { return false };
        tail.end_round(now, cells, self);
        self.tail = Some(tail);
        true
    }

    /// Decides about everything that waits.
    pub(super) fn end_sampling(&mut self, cells: &Cells) {
        if let Some(mut tail) = self.tail.take() {
            tail.finish(cells, self);
        }
    }

    /// Publishes the counts of the stage.
    pub(super) fn publish_sampling(&mut self, cells: &Cells) {
        if let Some(tail) = &mut self.tail {
            tail.publish(cells);
        }
    }

    /// Takes a span to decide about.
    #[inline(never)]
    pub(super) fn sample<'a, F: Fields<'a>>(&mut self, arrival: Arrival, view: &SpanView<'a, F>) {
        let Some(mut tail) = self.tail.take() else { return };
        tail.span(arrival, view, self);
        self.tail = Some(tail);
    }
}

/// Passes on the spans of a trace that is kept.
struct Replayed<'a> {
    sinks: &'a mut FanOut,
    probability: Option<f64>,
}

impl Exporter for Replayed<'_> {
    fn span(&mut self, span: &SpanView<'_>) {
        pass_on(span, self.probability, self.sinks);
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

fn pass_on<'a, F: Fields<'a>>(view: &SpanView<'a, F>, probability: Option<f64>, sinks: &mut FanOut) {
    match probability.filter(|probability| *probability < 1.0) {
        None => sinks.span(view),
        Some(probability) => {
            let more = [(PROBABILITY, Value::F64(probability))];
            sinks.span(&with_fields(view, view.fields.clone().chain(more)));
        }
    }
}

/// The same span with other fields.
fn with_fields<'a, F, G>(view: &SpanView<'a, F>, fields: G) -> SpanView<'a, G> {
    SpanView {
        fields,
        trace_id: view.trace_id,
        span_id: view.span_id,
        parent_span_id: view.parent_span_id,
        parent_is_remote: view.parent_is_remote,
        name: view.name,
        scope: view.scope,
        target: view.target,
        file: view.file,
        line: view.line,
        kind: view.kind,
        level: view.level,
        status: view.status,
        start_unix_ns: view.start_unix_ns,
        end_unix_ns: view.end_unix_ns,
        busy_ns: view.busy_ns,
        time_error_ns: view.time_error_ns,
    }
}

fn names_of<'a, F: Fields<'a>>(view: &SpanView<'a, F>) -> Names<'a> {
    let mut names = Names { callsite: view.name, ..Names::default() };
    for (name, value) in view.fields.clone() {
        match (name, value) {
            (NAME_FIELD, Value::Str { text, .. }) => names.given = text,
            ("http.route", Value::Str { text, .. } | Value::Shown { text, .. }) => names.route = text,
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests;
