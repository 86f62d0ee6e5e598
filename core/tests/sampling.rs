//! Unsampled traces: their ids are real and travel to other processes, their events are recorded with a mark,
//! and spans that are left out are counted. The sampler chooses these traces.
#![cfg(not(loom))]

mod common;

use common::{Told, alone, drain, on_recorder, one, remote, span as told_span};
use std::sync::Mutex;
use throughline::adapter::recorder::id_key;
use throughline::sampler::{
    AlwaysOff, AlwaysOn, NewTrace, ParentBased, Sampler, Sampling, TraceIdRatio, set_sampler,
};
use throughline::{Context, Instrument, TraceContext, attach, current, error, record, span};

static OFF: &dyn Sampler = &AlwaysOff;
static ON: &dyn Sampler = &AlwaysOn;
static PARENT: &dyn Sampler = &ParentBased(AlwaysOff);

fn parent(flags: &str) -> TraceContext {
    TraceContext::parse(&format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}")).unwrap()
}

/// Runs the work with this sampler. Returns the records and the number of spans that were left out.
fn sampled(
    sampler: &'static &'static dyn Sampler,
    work: impl FnOnce() + Send + 'static,
) -> (Vec<Told>, usize) {
    let _alone = alone();
    on_recorder(move |recorder| {
        set_sampler(sampler);
        drain(recorder);
        let before = recorder.sampled_out();
        work();
        (drain(recorder), recorder.sampled_out() - before)
    })
}

fn is_sampled(told: &Told) -> bool {
    match told {
        Told::Event { sampled, .. } => *sampled,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unsampled_trace_travels_with_its_ids_and_says_so_05() {
    let (all, _) = sampled(&OFF, || {
        let root = span!("root");
        let here = current().expect("a place");
        assert_eq!(here.flags, 0);
        assert!(here.traceparent().ends_with("-00"));
        let below = span!("below");
        assert_eq!(current(), Some(here), "one place stands for the whole trace");
        assert_eq!(root.context().trace_context(), Some(here));
        // Also where the place is entered again.
        let there = Context::current().enter();
        assert_eq!(current(), Some(here));
        drop(there);
        drop(below);
        drop(root);
        assert_eq!(current(), None);
        let again = span!("root");
        assert_ne!(current().unwrap().trace_id, here.trace_id, "a trace of its own");
        drop(again);
    });
    assert_eq!(all, []);
}

#[test]
fn a_remote_trace_that_is_not_sampled_goes_on_unsampled_05() {
    let (all, out) = sampled(&PARENT, || {
        let remote = attach(parent("00"));
        assert_eq!(current(), Some(parent("00")), "the remote span itself is the parent of what is called");
        let _served = span!("served");
        let here = current().unwrap();
        assert_eq!((here.trace_id, here.flags), (parent("00").trace_id, 0));
        drop(remote);
    });
    assert!(matches!(all[..], [Told::Attach { .. }]), "{all:?}");
    assert_eq!(out, 1);
}

#[test]
fn events_in_an_unsampled_trace_are_recorded_with_its_ids_06() {
    static IDS: Mutex<Option<TraceContext>> = Mutex::new(None);
    let (all, out) = sampled(&OFF, || {
        let root = span!("root", n = 1);
        let ids = current().unwrap();
        let _below = span!("below");
        record!(root, rows = 1);
        record!(current, rows = 2);
        error!("broken");
        let mut future = Box::pin(async { error!("in a future") }.instrument(span!("job")));
        let waker = std::task::Waker::noop();
        assert!(future.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_ready());
        drop(root);
        error!("outside");
        *IDS.lock().unwrap() = Some(ids);
    });
    let root = match one(&all, "broken") {
        Told::Event { span, root, sampled: false, .. } if span == root && *span != 0 => *span,
        other => panic!("{other:?}"),
    };
    let ids = IDS.lock().unwrap().unwrap();
    assert_eq!((ids.trace_id, ids.span_id), (id_key().trace_id(root as u64), id_key().span_id(root as u64)));
    assert_eq!(common::event(&all, "in a future"), (root, root));
    assert!(!is_sampled(one(&all, "in a future")) && is_sampled(one(&all, "outside")));
    assert_eq!(all.len(), 3, "no spans and no fields of theirs: {all:#?}");
    assert_eq!(out, 3, "root, below and job");
}

#[test]
fn the_sampler_is_asked_about_first_spans_only_and_told_what_there_is_to_know() {
    #[derive(Debug)]
    struct Asks;
    /// The name of the root's callsite, the remote parent, and the trace.
    type Asked = (Option<&'static str>, Option<TraceContext>, String);
    static ASKED: Mutex<Vec<Asked>> = Mutex::new(vec![]);
    impl Sampler for Asks {
        fn sample(&self, trace: &NewTrace) -> Sampling {
            assert!(trace.target().unwrap().contains("sampling") && trace.callsite() != 0);
            let mut asked = ASKED.lock().unwrap();
            asked.push((trace.name(), trace.remote, trace.trace_id.to_string()));
            if trace.name() == Some("unwanted") { Sampling::Drop } else { Sampling::Record }
        }
    }
    static ASKS: &dyn Sampler = &Asks;
    let (all, out) = sampled(&ASKS, || {
        {
            let _root = span!("wanted");
            drop(span!("below"));
            drop(span!(root: true, "unwanted"));
            drop(span!("below"));
        }
        let _remote = attach(parent("00"));
        let _first = span!("first");
        drop(span!("second"));
        drop(_first);
        let _unwanted = span!("unwanted");
        assert_eq!(current().unwrap().flags, 0);
        error!("in it");
    });
    let asked = ASKED.lock().unwrap();
    let names: Vec<_> = asked.iter().map(|(name, remote, _)| (name.unwrap(), remote.is_some())).collect();
    assert_eq!(names, [("wanted", false), ("unwanted", false), ("first", true), ("unwanted", true)]);
    assert_eq!(asked[2].1, Some(parent("00")));
    assert_eq!(asked[2].2, parent("00").trace_id.to_string());
    let (first, second) = (told_span(&all, "first"), told_span(&all, "second"));
    assert!(remote(first.1) && first.1 == first.2, "recorded although its parent is not: {all:#?}");
    assert_eq!((second.1, second.2), (first.0, first.2));
    let (span, root) = common::event(&all, "in it");
    assert!(!remote(span) && root == first.2 && !is_sampled(one(&all, "in it")));
    assert_eq!(out, 2);
    let wanted = told_span(&all, "wanted");
    assert!(
        all.iter()
            .filter(|told| told.name() == "below")
            .all(|told| matches!(told, Told::Span { parent, .. } if *parent == wanted.0))
    );
}

/// A sampler that lives as long as the program. The list keeps it reachable, so that leak checkers do not
/// report it.
fn kept(sampler: impl Sampler + 'static) -> &'static &'static dyn Sampler {
    static KEPT: Mutex<Vec<&'static &'static dyn Sampler>> = Mutex::new(vec![]);
    let sampler: &'static dyn Sampler = Box::leak(Box::new(sampler));
    let sampler: &'static &'static dyn Sampler = Box::leak(Box::new(sampler));
    KEPT.lock().unwrap().push(sampler);
    sampler
}

#[test]
#[cfg_attr(miri, ignore = "statistics over a thousand traces touch no memory that the other tests do not")]
fn a_share_is_chosen_by_the_traces_id_alone() {
    /// The choice as another process would compute it.
    fn is_chosen(trace_id: &str, ratio: f64) -> bool {
        let randomness = u64::from_str_radix(&trace_id[18..], 16).unwrap();
        randomness as f64 >= (1.0 - ratio) * 72_057_594_037_927_936.0
    }
    struct Quarter;
    static COUNT: Mutex<(u32, u32)> = Mutex::new((0, 0));
    impl Sampler for Quarter {
        fn sample(&self, trace: &NewTrace) -> Sampling {
            let answer = TraceIdRatio::new(0.25).sample(trace);
            assert_eq!(answer == Sampling::Record, is_chosen(&trace.trace_id.to_string(), 0.25));
            let mut count = COUNT.lock().unwrap();
            count.0 += 1;
            count.1 += u32::from(answer == Sampling::Record);
            answer
        }
    }
    static QUARTER: &dyn Sampler = &Quarter;
    let (all, out) = sampled(&QUARTER, || (0..1000).for_each(|_| drop(span!("root"))));
    let (asked, recorded) = *COUNT.lock().unwrap();
    assert_eq!((asked, all.len(), out), (1000, recorded as usize, 1000 - recorded as usize));
    assert!((190..310).contains(&recorded), "{recorded}");
    for (ratio, all_or_none) in
        [(0.0, Sampling::Drop), (1.0, Sampling::Record), (-1.0, Sampling::Drop), (7.0, Sampling::Record)]
    {
        struct Fixed(TraceIdRatio);
        impl Sampler for Fixed {
            fn sample(&self, trace: &NewTrace) -> Sampling {
                self.0.sample(trace)
            }
        }
        let (all, _) =
            sampled(kept(Fixed(TraceIdRatio::new(ratio))), || (0..100).for_each(|_| drop(span!("root"))));
        assert_eq!(all.len(), if all_or_none == Sampling::Record { 100 } else { 0 }, "{ratio}");
    }
}

#[cfg(feature = "std")]
#[test]
#[cfg_attr(miri, ignore = "as above")]
fn a_fixed_share_is_the_same_without_a_sampler() {
    let _alone = alone();
    let chosen = |ask: bool| {
        on_recorder(move |recorder| {
            if ask {
                set_sampler(kept(ParentBased(TraceIdRatio::new(0.25))))
            } else {
                throughline::adapter::recorder::set_sample_ratio(0.25)
            }
            drain(recorder);
            (0..400).for_each(|_| drop(span!("root")));
            for flags in ["01", "00"] {
                let _remote = attach(parent(flags));
                drop(span!("served"));
            }
            let all = drain(recorder);
            set_sampler(&ON);
            (all.iter().filter(|told| told.name() == "served").count(), all.len())
        })
    };
    let (asked, fixed) = (chosen(true), chosen(false));
    assert_eq!((asked.0, fixed.0), (1, 1), "what the parent's flag says");
    assert!((50..150).contains(&asked.1) && (50..150).contains(&fixed.1), "{asked:?} {fixed:?}");
}

#[test]
fn what_a_sampler_records_is_as_ever() {
    let (all, out) = sampled(&ON, || {
        let _root = span!("root");
        drop(span!("below"));
    });
    let (root, below) = (told_span(&all, "root"), told_span(&all, "below"));
    assert_eq!((root.1, below.1, below.2, out), (0, root.0, root.0, 0));
}

/// The spans that other processes were told are sampled, and those that they were told are not.
#[cfg(target_pointer_width = "64")]
fn told_of(recorder: &throughline::Recorder) -> (usize, usize) {
    use throughline::adapter::record::Record;
    let (mut sampled, mut only_recorded) = (0, 0);
    recorder.ring().reader().expect("the only reader").drain(|raw| {
        if let Some(Record::Span(span)) = Record::parse(raw) {
            *(if span.flagged { &mut sampled } else { &mut only_recorded }) += 1;
        }
    });
    (sampled, only_recorded)
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_trace_may_be_recorded_while_others_are_told_that_it_is_not_sampled() {
    struct OnlyRecord;
    impl Sampler for OnlyRecord {
        fn sample(&self, trace: &NewTrace) -> Sampling {
            if trace.name() == Some("wanted") { Sampling::Record } else { Sampling::RecordOnly }
        }
    }
    static ONLY_RECORD: &dyn Sampler = &OnlyRecord;
    let _alone = alone();
    on_recorder(|recorder| {
        let out_before = recorder.sampled_out();
        set_sampler(&ONLY_RECORD);
        let root = span!("root");
        assert!(root.is_recorded());
        let here = current().unwrap();
        assert!(here.traceparent().ends_with("-00"));
        let below = span!("below");
        let there = Context::current().enter();
        assert_eq!(current().unwrap().flags, 0);
        assert_eq!(current().unwrap().trace_id, here.trace_id);
        {
            let _own = span!(root: true, "wanted");
            assert_eq!(current().unwrap().flags, 1);
            drop(span!(root: true, "other"));
        }
        drop((there, below));
        let mut future = Box::pin(async { drop(span!("in it")) }.instrument(span!(root: true, "job")));
        let waker = std::task::Waker::noop();
        assert!(future.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_ready());
        drop(root);
        assert_eq!(told_of(recorder), (1, 5));
        let _remote = attach(parent("01"));
        let first = span!("first");
        assert_eq!(current().unwrap().flags, 0);
        drop(span!("second"));
        error!("in it");
        drop(first);
        drop(span!("wanted"));
        assert_eq!(told_of(recorder), (1, 2));
        assert_eq!(recorder.sampled_out(), out_before);
        set_sampler(&ON);
    });
}
