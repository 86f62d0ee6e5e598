//! Wall-clock profiles: where the time of spans went, also while nothing ran.

use crate::output::Report;
use crate::profile::{Kind, Losses, Profile};
use crate::stack::{End, Labels, Sample, Stack};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use throughline::{SpanId, TraceId};

/// Most spans that are kept; one takes about 150 bytes.
const MOST: usize = 1 << 20;
/// Most different stacks of names.
const MOST_STACKS: usize = 100_000;
/// Most spans within one another. A deeper one is shown below those that enclose it most closely.
const DEEPEST: usize = 128;
/// The frame for the time in which a future was not polled.
const WAITING: &str = "[waiting]";

/// A span that has ended, as [`WallProfile::add`] takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WallSpan {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// The span that encloses it.
    pub parent_span_id: Option<SpanId>,
    /// Its name.
    pub name: String,
    /// When it began, in nanoseconds since 1970, or since another moment that is the same for all spans.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// Of an async span: how long its future was being polled, in nanoseconds.
    pub busy_ns: Option<u64>,
}

/// Where the time of spans went, as a profile of its own. It needs no samples: a span takes what lies between its begin
/// and its end, less what the spans inside it take. Of async spans, the time in which the future was not polled has a frame of
/// its own, `[waiting]`: what the measure `idle` shows alone.
///
/// ```
/// use throughline_profile::{WallProfile, WallSpan};
/// # use throughline::{SpanId, TraceId};
/// # let (trace_id, span_id) = (TraceId::from_bytes([1; 16]).unwrap(), SpanId::from_bytes([2; 8]).unwrap());
/// let mut profile = WallProfile::default();
/// profile.add(WallSpan {
///     trace_id,
///     span_id,
///     parent_span_id: None,
///     name: "checkout".into(),
///     start_ns: 0,
///     end_ns: 5_000_000,
///     busy_ns: Some(1_000_000),
/// });
/// assert_eq!(profile.report().folded(), "checkout 1000\ncheckout;[waiting] 4000\n"); // in microseconds
/// ```
///
/// # What the numbers mean
///
/// * Spans that run at the same time, such as those of tasks, lie beside one another, and their parent is as wide as all of them
///   together. So a graph may be wider than the time that passed.
/// * What an async span was polled itself is what it was polled less what the spans inside it were, which is exact as long as
///   these run within its polls. Of a span that has spawned others, it is at least 0 and at most what the others leave.
/// * The time of a span that is not async is neither busy nor idle: nobody has seen whether its thread waited.
/// * Parts of a span that lie outside its parent, such as that of a task that outlives it, count for itself alone.
///
/// Up to 1,048,576 spans are kept. Those beyond are counted in the report.
#[derive(Clone, Debug, Default)]
pub struct WallProfile {
    spans: Vec<WallSpan>,
    left_out: u64,
}

/// What a span took without those inside it, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Own {
    wall: u64,
    /// Of it, what it was polled; `None` for a span that is not async.
    busy: Option<u64>,
}

impl WallProfile {
    /// Adds a span. The order does not matter.
    pub fn add(&mut self, span: WallSpan) {
        if self.spans.len() < MOST {
            self.spans.push(span);
        } else {
            self.left_out += 1;
        }
    }

    /// The profile, with the measures `spans`, `busy`, `idle` and `wall`. It shows `wall` until
    /// [`Report::measure`] says otherwise. Cost: about a microsecond for each span.
    pub fn report(&self) -> Report {
        let ids = self.spans.iter().enumerate().map(|(index, span)| ((span.trace_id, span.span_id), index));
        let ids: HashMap<_, _> = ids.collect();
        let parent = |span: &WallSpan| {
            let parent = span.parent_span_id.filter(|parent| *parent != span.span_id)?;
            ids.get(&(span.trace_id, parent)).copied()
        };
        let parents: Vec<_> = self.spans.iter().map(parent).collect();
        let mut children = vec![Vec::new(); self.spans.len()];
        for (index, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(index);
            }
        }
        let mut stacks = Stacks::default();
        let mut samples = Vec::new();
        // A damaged file may have times whose sum is too large.
        let mut room = u64::MAX;
        let mut taken = |time: u64| {
            let time = time.min(room);
            room -= time;
            time
        };
        for (index, span) in self.spans.iter().enumerate() {
            let Some(stack) = self.stack(index, &parents, &mut stacks) else { continue };
            let own = own(span, children[index].iter().map(|&child| &self.spans[child]));
            let labels = Labels { place: Some((span.trace_id, span.span_id)), ..Labels::default() };
            let ran = taken(own.busy.unwrap_or(own.wall));
            samples.push(Sample { stack, labels, values: [1, own.busy.map_or(0, |_| ran), 0, ran] });
            let idle = taken(own.wall - own.busy.unwrap_or(own.wall));
            if idle > 0
                && let Some(stack) = stacks.below(Some(stack), WAITING)
            {
                samples.push(Sample { stack, labels, values: [0, 0, idle, idle] });
            }
        }
        let left_out = self.spans.len() as u64 - samples.iter().map(|sample| sample.values[0]).sum::<u64>();
        let begun = self.spans.iter().map(|span| span.start_ns).min().unwrap_or(0);
        let ended = self.spans.iter().map(|span| span.end_ns).max().unwrap_or(0);
        // The names of the frames are in the report.
        let nameless = Arc::new(Stack { frames: Box::default(), end: End::Complete });
        let profile = Profile {
            kind: Kind::Wall,
            started: UNIX_EPOCH + Duration::from_nanos(begun),
            duration: Duration::from_nanos(ended.saturating_sub(begun)),
            delivered: self.spans.len() as u64 - left_out,
            stacks: vec![nameless; stacks.names.len()],
            samples,
            losses: Losses { table_full: self.left_out + left_out, ..Losses::default() },
            ..Profile::default()
        };
        Report::of_names(profile, stacks.names)
    }

    /// The number of the stack of a span: its name below those of the spans that enclose it.
    fn stack(&self, index: usize, parents: &[Option<usize>], stacks: &mut Stacks) -> Option<u32> {
        // Spans of a damaged file may enclose one another.
        let above = std::iter::successors(Some(index), |&index| parents[index]);
        let path: Vec<usize> = above.take(DEEPEST).collect();
        let cut = parents[*path.last()?].is_some().then(|| stacks.below(None, End::TooDeep.marker()?));
        path.iter()
            .rev()
            .try_fold(cut.flatten(), |stack, &index| stacks.below(stack, &self.spans[index].name).map(Some))?
    }
}

/// What a span took without its children.
fn own<'a>(span: &WallSpan, children: impl Iterator<Item = &'a WallSpan>) -> Own {
    let (start, end) = (span.start_ns, span.end_ns.max(span.start_ns));
    let (mut parts, mut polled) = (Vec::new(), 0_u64);
    for child in children {
        let (from, to) = (child.start_ns.max(start), child.end_ns.min(end));
        if from < to {
            parts.push((from, to));
            polled = polled.saturating_add(child.busy_ns.unwrap_or(to - from));
        }
    }
    // Children may overlap.
    parts.sort_unstable();
    let (mut covered, mut until) = (0, start);
    for (from, to) in parts {
        covered += to.saturating_sub(from.max(until));
        until = until.max(to);
    }
    let wall = end - start - covered;
    Own { wall, busy: span.busy_ns.map(|busy| busy.saturating_sub(polled).min(wall)) }
}

/// Stacks of names, each once.
#[derive(Default)]
struct Stacks {
    /// The innermost name first.
    names: Vec<Vec<Rc<str>>>,
    /// By the stack below which a name is, and the name.
    known: HashMap<(Option<u32>, Rc<str>), u32>,
}

impl Stacks {
    /// The number of the stack with this name below another one; `None` if there is no room for it.
    fn below(&mut self, stack: Option<u32>, name: &str) -> Option<u32> {
        let key = (stack, Rc::from(name));
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        let number = self.names.len();
        if number >= MOST_STACKS {
            return None;
        }
        let outer = stack.map_or(&[][..], |stack| &self.names[stack as usize]);
        self.names.push([&[Rc::clone(&key.1)], outer].concat());
        self.known.insert(key, number as u32);
        Some(number as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A span with times in milliseconds.
    fn span(id: u8, parent: u8, name: &str, times: [u64; 2], busy: Option<u64>) -> WallSpan {
        let span_id = |id: u8| SpanId::from_bytes([id; 8]);
        WallSpan {
            trace_id: TraceId::from_bytes([7; 16]).unwrap(),
            span_id: span_id(id).unwrap(),
            parent_span_id: span_id(parent),
            name: name.into(),
            start_ns: times[0] * MS,
            end_ns: times[1] * MS,
            busy_ns: busy.map(|busy| busy * MS),
        }
    }

    fn profile(spans: impl IntoIterator<Item = WallSpan>) -> WallProfile {
        let mut profile = WallProfile::default();
        spans.into_iter().for_each(|span| profile.add(span));
        profile
    }

    fn lines(report: &Report) -> Vec<String> {
        let mut lines: Vec<_> = report.folded().lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn what_children_take_is_not_their_parents_and_waiting_has_its_own_frame() {
        let mut spans = [
            // Of 30 ms of polls the children have 28.
            span(1, 0, "request", [0, 100], Some(30)),
            span(2, 1, "query", [10, 60], Some(8)),
            span(3, 1, "render", [60, 80], None),
            span(4, 2, "parse", [20, 25], None),
        ];
        for _ in 0..4 {
            spans.rotate_left(1);
            let report = profile(spans.clone()).report();
            let expected = [
                "request 2000",
                "request;[waiting] 28000",
                "request;query 3000",
                "request;query;[waiting] 42000",
                "request;query;parse 5000",
                "request;render 20000",
            ];
            assert_eq!(lines(&report), expected);
            assert_eq!(report.samples(), 4);
            assert!(
                report.text().starts_with("100.000 ms in 4 spans within 0.1 s, 70.000 ms of it waiting\n")
            );
            let report = report.measure("idle");
            assert_eq!(lines(&report), ["request;[waiting] 28000", "request;query;[waiting] 42000"]);
            let report = report.of_span(SpanId::from_bytes([2; 8]).unwrap()).measure("busy");
            assert_eq!(lines(&report), ["request;query 3000"]);
        }
    }

    #[test]
    fn tasks_lie_beside_one_another_and_what_outlives_its_parent_counts_for_itself() {
        let report = profile([
            span(1, 0, "run", [0, 100], Some(1)),
            span(2, 1, "task", [10, 60], Some(40)),
            span(3, 1, "task", [20, 160], Some(140)),
        ]);
        // 90 of 100 ms have tasks in them. The parent was polled less than its tasks, so nothing is known to be its own.
        let expected = ["run;[waiting] 10000", "run;task 180000", "run;task;[waiting] 10000"];
        assert_eq!(lines(&report.report()), expected);
    }

    #[test]
    fn spans_of_a_damaged_file_do_no_harm() {
        let report = profile([
            span(4, 9, "no parent", [1, 2], None),
            span(4, 9, "the same id", [1, 3], None),
            span(3, 3, "own parent", [1, 2], None),
            span(1, 2, "a", [10, 5], Some(u64::MAX / MS)),
            span(2, 1, "b", [0, u64::MAX / MS], None),
            span(5, 0, "c", [0, u64::MAX / MS], None),
        ])
        .report();
        assert_eq!(report.samples(), 6);
        assert!(report.folded().contains("no parent 1000\n"), "{}", report.folded());
        let _ =
            (report.flame_graph("x"), report.text(), report.pprof(), report.chrome(), report.speedscope("x"));
        assert_eq!(WallProfile::default().report().folded(), "");
    }

    #[test]
    fn what_is_too_deep_is_marked_and_what_is_too_much_is_counted() {
        let id = |n: u32| SpanId::from_bytes(u64::from(n + 1).to_be_bytes()).unwrap();
        let deep = |n: u32| WallSpan {
            span_id: id(n),
            parent_span_id: n.checked_sub(1).map(id),
            name: format!("{n}"),
            ..span(1, 0, "", [u64::from(n), 1000], None)
        };
        let report = profile((0..200).map(deep)).report();
        let folded = report.folded();
        assert!(folded.contains("[cut: too deep];72;73;"), "{folded}");
        assert!(folded.lines().all(|line| line.matches(';').count() <= DEEPEST));
        let many = (0..MOST_STACKS as u32 + 5).map(|n| WallSpan { parent_span_id: None, ..deep(n) });
        let report = profile(many).report();
        assert!(report.text().lines().next().unwrap().ends_with(", 5 lost"), "{}", report.text());
    }

    #[test]
    fn a_wall_profile_is_read_again() {
        let spans = [span(1, 0, "request", [0, 100], Some(30)), span(2, 1, "query", [10, 60], None)];
        let report = profile(spans).report();
        let back = Report::read_pprof(&report.pprof()).unwrap();
        assert_eq!((back.folded(), back.text()), (report.folded(), report.text()));
        assert!(back.is_wall() && !back.is_cpu());
    }
}
