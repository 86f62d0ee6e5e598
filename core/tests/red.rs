//! `#[instrument(metrics)]` and `red!`: each call is counted once, in the right series, with its duration and with the
//! class of its error. Not under Miri, which takes minutes to read the buckets of so many series, and sees nothing here that it does not see in
//! the tests of spans and of metrics.
#![cfg(not(any(loom, miri)))]

#[path = "common/mod.rs"]
mod common;

use common::Fault;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use throughline::adapter::metrics::{self, Reading, Series, SeriesKey};
use throughline::clock::mock;
use throughline::{Clock, Recorder, Slots, instrument, red};

static SLOTS: Slots<8> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());

/// One step of the mock clock is a nanosecond.
const MILLISECOND: usize = 1_000_000;

/// Runs the work alone, as the mock clock belongs to the process. Nothing here may give threads recorders of their own, because these have other clocks.
fn measured(work: impl FnOnce()) {
    let _alone = common::alone();
    throughline::install(&RECORDER);
    work();
}

fn series(name: &str) -> Vec<(String, Series)> {
    let mut found = vec![];
    metrics::for_each(|series| {
        if series.blob().is_some_and(|blob| blob.name == name) {
            found.push((labels(&series), series));
        }
    });
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// The values of a series' labels, with commas between; `overflow` for the overflow series.
fn labels(series: &Series) -> String {
    if series.is_overflow() {
        return "overflow".into();
    }
    let mut bytes = [0; SeriesKey::BYTES];
    series.labels(&mut bytes);
    let (mut values, mut rest) = (vec![], &bytes[..]);
    for _ in 0..series.blob().map_or(0, |blob| blob.fields().count()) {
        let (value, others) = rest[1..].split_at(usize::from(rest[0]));
        values.push(str::from_utf8(value).expect("text"));
        rest = others;
    }
    values.join(",")
}

/// How many calls each series counts, and for how many milliseconds in all.
fn durations(name: &str) -> Vec<(String, u64, u64)> {
    let milliseconds = |series: &Series| {
        let Reading::Histogram(read) = series.read() else { panic!("a histogram") };
        let bits = metrics::fraction_bits(series.blob().expect("a callsite").param);
        (read.sum * 1000 + (1 << (bits - 1))) >> bits
    };
    let count = |series: &Series| {
        let Reading::Histogram(read) = series.read() else { panic!("a histogram") };
        read.zeros + (0..series.bucket_count()).map(|at| series.bucket(at)).sum::<u64>()
    };
    let all = series(name).into_iter().map(|(labels, s)| (labels, count(&s), milliseconds(&s)));
    all.filter(|(_, count, _)| *count > 0).collect()
}

fn errors(name: &str) -> Vec<(String, u64)> {
    let count = |series: Series| match series.read() {
        Reading::Counter(count) => count,
        other => panic!("{other:?}"),
    };
    series(name).into_iter().map(|(labels, series)| (labels, count(series))).filter(|(_, n)| *n > 0).collect()
}

fn named<T, const N: usize>(all: [(&str, T); N]) -> Vec<(String, T)> {
    all.map(|(name, value)| (name.to_string(), value)).into()
}

/// An error that tells no class.
#[derive(Debug)]
struct Unclassified;

#[instrument(skip_all, metrics)]
fn write_page(took: usize, fault: Option<Fault>) -> Result<usize, Fault> {
    mock::advance(took * MILLISECOND);
    fault.map_or(Ok(took), Err)
}

#[test]
fn calls_of_a_function_are_counted_with_their_durations_and_errors() {
    measured(|| {
        assert!(write_page(2, None).is_ok());
        assert!(write_page(5, Some(Fault::Timeout)).is_err());
        assert!(write_page(0, Some(Fault::Timeout)).is_err());
        assert!(write_page(1, Some(Fault::Full)).is_err());
        assert_eq!(durations("write_page.duration"), [(String::new(), 4, 8)]);
        assert_eq!(errors("write_page.errors"), named([("full", 1), ("timeout", 2)]));
        let all = series("write_page.duration");
        let blob = all[0].1.blob().expect("a callsite");
        assert_eq!((blob.unit, all.len()), ("s", 1));
    });
}

#[instrument(skip_all, metrics(name = "shop.load", shop, http.status = status, kind = ?kind))]
fn load(shop: String, status: u16, kind: Option<u8>) -> Result<String, Unclassified> {
    mock::advance(MILLISECOND);
    if status == 200 { Ok(shop) } else { Err(Unclassified) }
}

#[test]
fn attributes_divide_the_calls_and_their_errors() {
    measured(|| {
        for (shop, status) in [("oslo", 200), ("oslo", 500), ("rome", 500), ("oslo", 200)] {
            _ = load(shop.into(), status, Some(1));
        }
        let keys = [("oslo,200,Some(1)", 2, 2), ("oslo,500,Some(1)", 1, 1), ("rome,500,Some(1)", 1, 1)];
        assert_eq!(durations("shop.load.duration"), keys.map(|(key, n, ms)| (key.to_string(), n, ms)));
        let keys = [("oslo,500,Some(1),Unclassified", 1), ("rome,500,Some(1),Unclassified", 1)];
        assert_eq!(errors("shop.load.errors"), named(keys));
    });
}

#[instrument(skip_all, metrics(tenant, capacity = 2, scale = 0))]
fn bounded(tenant: &str) -> Result<(), Fault> {
    Err(Fault::Full)
}

#[test]
fn attributes_without_room_are_counted_together() {
    measured(|| {
        for tenant in ["a", "b", "c", "d", "a"] {
            assert!(bounded(tenant).is_err());
        }
        let counts: Vec<u64> = durations("bounded.duration").into_iter().map(|(_, n, _)| n).collect();
        assert_eq!(counts, [2, 1, 2], "two own series and the overflow series");
        assert_eq!(errors("bounded.errors"), named([("a,full", 2), ("b,full", 1), ("overflow", 2)]));
    });
}

/// A future that is pending once.
struct Yield(bool);

impl Future for Yield {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[instrument(skip_all, metrics(name = "fetch", from))]
async fn fetch(from: &str, fault: Option<Fault>) -> Result<(), Fault> {
    Yield(false).await;
    mock::advance(MILLISECOND);
    fault.map_or(Ok(()), Err)
}

#[instrument(skip_all, metrics)]
fn fetch_boxed(fault: Option<Fault>) -> Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>> {
    mock::advance(MILLISECOND);
    Box::pin(fetch("box", fault))
}

#[test]
fn a_future_is_counted_when_it_completes_or_is_dropped() {
    measured(|| {
        let (mut whole, mut failed) = (pin!(fetch("a", None)), pin!(fetch("b", Some(Fault::Timeout))));
        let mut dropped = Box::pin(fetch("c", None));
        let never = fetch("d", None);
        for future in [&mut whole, &mut failed] {
            assert!(poll(future.as_mut()).is_pending());
        }
        assert!(poll(dropped.as_mut()).is_pending());
        mock::advance(3 * MILLISECOND);
        drop((dropped, never));
        assert!(matches!(poll(whole), Poll::Ready(Ok(()))));
        assert!(matches!(poll(failed), Poll::Ready(Err(Fault::Timeout))));
        let keys = [("a", 1, 4), ("b", 1, 5), ("c", 1, 3)];
        assert_eq!(durations("fetch.duration"), keys.map(|(key, n, ms)| (key.to_string(), n, ms)));
        assert_eq!(errors("fetch.errors"), named([("b,timeout", 1), ("c,cancelled", 1)]));

        let mut boxed = fetch_boxed(Some(Fault::Full));
        assert!(poll(boxed.as_mut()).is_pending() && poll(boxed.as_mut()).is_ready());
        assert_eq!(durations("fetch_boxed.duration"), [(String::new(), 1, 2)], "from the call on");
        assert_eq!(errors("fetch_boxed.errors"), named([("full", 1)]));
    });
}

#[test]
fn a_piece_of_code_is_counted() {
    measured(|| {
        let table = "users".to_string();
        let mut rows = 0;
        let mut query = |text: &str| {
            red!("query", table, statement = text.len(), {
                mock::advance(MILLISECOND);
                rows += text.parse::<u32>()?;
                Ok::<u32, std::num::ParseIntError>(rows)
            })
        };
        assert_eq!(query("40"), Ok(40));
        assert_eq!(query("2"), Ok(42));
        assert!(query("?").is_err());
        let keys = [("users,1", 2, 2), ("users,2", 1, 1)];
        assert_eq!(durations("query.duration"), keys.map(|(key, n, ms)| (key.to_string(), n, ms)));
        assert_eq!(errors("query.errors"), named([("users,1,invalid_number", 1)]));

        assert_eq!(red!("closure", || 3), 3);
        assert_eq!(red!("closure.moved", move || table), "users");
        assert_eq!(durations("closure.duration"), [(String::new(), 1, 0)]);

        let never = red!("future", async { Ok::<(), Fault>(()) });
        mock::advance(MILLISECOND);
        drop(never);
        assert_eq!(durations("future.duration"), [], "it did not begin");
        let mut future = pin!(red!("future", "name" = "x", async move {
            Yield(false).await;
            Err::<(), Fault>(Fault::Full)
        },));
        mock::advance(MILLISECOND);
        assert!(poll(future.as_mut()).is_pending());
        mock::advance(MILLISECOND);
        assert!(poll(future).is_ready());
        assert_eq!(durations("future.duration"), [("x".to_string(), 1, 1)], "from the first poll on");
        assert_eq!(errors("future.errors"), named([("x,full", 1)]));
    });
}

/// Each kind of function expands, and unwinds, as without metrics.
mod kinds {
    use super::*;

    #[instrument(metrics)]
    pub(crate) fn nothing() {}

    #[instrument(metrics, err(Debug), ret)]
    pub(crate) fn all_of_it(n: u8) -> Result<u8, Unclassified> {
        Ok(n)
    }

    #[track_caller]
    #[instrument(metrics)]
    pub(crate) fn tracked(n: Option<u8>) -> Option<u8> {
        Some(n? + 1)
    }

    #[instrument(skip_all, metrics(name = "generic"))]
    pub(crate) fn generic<T: std::ops::Add<Output = T> + Copy>(n: T) -> impl Iterator<Item = T> {
        std::iter::once(n + n)
    }

    #[instrument(metrics)]
    pub(crate) fn panics(really: bool) -> u8 {
        assert!(!really, "it does");
        1
    }
}

#[cfg(panic = "unwind")]
#[test]
fn a_panic_is_an_error() {
    measured(|| {
        assert_eq!(kinds::panics(false), 1);
        assert!(std::panic::catch_unwind(|| kinds::panics(true)).is_err());
        assert_eq!(durations("panics.duration"), [(String::new(), 2, 0)]);
        // Without the standard library nothing tells a panic from a future that is dropped.
        let class = if cfg!(feature = "std") { "panic" } else { "cancelled" };
        assert_eq!(errors("panics.errors"), named([(class, 1)]));
    });
}

#[test]
fn every_kind_of_function_can_have_metrics() {
    measured(|| {
        kinds::nothing();
        assert_eq!(kinds::all_of_it(3).ok(), Some(3));
        assert_eq!(kinds::tracked(Some(2)), Some(3));
        assert_eq!(kinds::generic(2.0).sum::<f32>(), 4.0);
        assert_eq!(kinds::generic(3).sum::<i32>(), 6);
        for (name, calls) in [("nothing", 1), ("all_of_it", 1), ("tracked", 1), ("generic", 2)] {
            assert_eq!(durations(&format!("{name}.duration")), [(String::new(), calls, 0)]);
            assert_eq!(errors(&format!("{name}.errors")), []);
        }
    });
}
