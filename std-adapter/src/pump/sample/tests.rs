//! Random orders of spans and rounds: the counts balance, and no table exceeds its limit.

use super::{Arrival, FanOut, SLACK, Tail};
use crate::sampling::{Buffer, Plan, Settings};
use proptest::prelude::*;
use std::time::{Duration, Instant};
use throughline::{Level, SpanId, SpanKind, Status, TraceId};
use throughline_export::ledger::Cells;
use throughline_export::view::{FieldsView, Scope, SpanView};

fn view(trace: u128, is_error: bool) -> SpanView<'static> {
    SpanView {
        trace_id: TraceId::from_bytes((trace + 1).to_be_bytes()).unwrap(),
        span_id: SpanId::from_bytes([1; 8]).unwrap(),
        parent_span_id: None,
        parent_is_remote: false,
        name: "span",
        scope: Scope::OWN,
        target: "",
        file: "",
        line: 0,
        kind: SpanKind::Internal,
        level: Level::Info,
        status: if is_error { Status::Error } else { Status::Unset },
        start_unix_ns: 0,
        end_unix_ns: 1,
        busy_ns: None,
        time_error_ns: None,
        fields: FieldsView::from(&[][..]),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Span { trace: usize, is_first: bool, is_error: bool },
    Round { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..60usize, any::<bool>(), 0..20u8)
            .prop_map(|(trace, is_first, n)| Step::Span { trace, is_first, is_error: n == 0 }),
        1 => (0..3u64).prop_map(|seconds| Step::Round { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everything_is_counted_and_nothing_exceeds_its_limit(
        traces in 1..40usize, bytes in 0..8000usize, sampled in any::<bool>(), steps in prop::collection::vec(step(), 0..600),
    ) {
        let buffer = Buffer { traces, bytes, time: Duration::from_secs(5) };
        let settings = Settings { errors: true, buffer, ..Settings::default() };
        let plan = Box::leak(Box::new(Plan::new(settings, None)));
        let (cells, mut sinks) = (Cells::default(), FanOut::default());
        let mut tail = Tail::of(plan, &cells).unwrap();
        let mut now = Instant::now();
        let (mut spans, mut errors) = (0, 0);
        for step in steps {
            match step {
                Step::Span { trace, is_first, is_error } => {
                    let arrival = Arrival { root: trace + 1, is_first, is_remote: false, sampled: sampled && trace % 2 == 0 };
                    tail.span(arrival, &view(trace as u128, is_error), &mut sinks);
                    spans += 1;
                    errors += u64::from(is_error);
                }
                Step::Round { seconds } => {
                    now += Duration::from_secs(seconds);
                    tail.end_round(now, &cells, &mut sinks);
                }
            }
            prop_assert!(tail.open.len() <= traces && tail.bytes <= bytes);
            prop_assert!(tail.oldest.len() <= 2 * traces + SLACK + 1);
            prop_assert!(tail.decided.len() <= 2 * traces);
        }
        tail.publish(&cells);
        let hop = cells.tail_sampler.read();
        let waiting: usize = tail.open.values().map(|open| open.spans.len()).sum();
        prop_assert_eq!((hop.input, hop.pending), (spans, waiting as u64));
        prop_assert!(hop.output >= errors, "no error is ever dropped");
        tail.finish(&cells, &mut sinks);
        let hop = cells.tail_sampler.read();
        prop_assert_eq!(hop.input, hop.output + hop.dropped_total());
        prop_assert_eq!((tail.bytes, tail.open.len()), (0, 0));
    }
}
