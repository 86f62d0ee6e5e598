//! Ten thousand threads, one after another: everything they recorded and counted arrives, and the last ones
//! need no memory that the first did not need.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::in_own_process;
use support::receiver::Receiver;
use throughline::adapter::{metrics::Reading, recorder};
use throughline::{counter, info, span};
use throughline_std::{Config, otlp::ClientConfig};

const THREADS: usize = 10_000;
const LONG: Duration = Duration::from_secs(30);

/// The system's allocator, which counts bytes that a recording thread allocates.
struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static RECORDING: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if RECORDING.get() {
            TAKEN.fetch_add(layout.size(), Ordering::Relaxed);
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if RECORDING.get() {
            TAKEN.fetch_add(layout.size(), Ordering::Relaxed);
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn short_thread(n: usize) {
    let work = move || {
        RECORDING.set(true);
        {
            let _span = span!("short", n = n, half = n / 2);
            info!("here", n = n);
            counter!("threads").add(1);
        }
        RECORDING.set(false);
    };
    std::thread::spawn(work).join().unwrap();
}

#[test]
fn ten_thousand_threads_lose_nothing_and_take_no_memory() {
    in_own_process("ten_thousand_threads_lose_nothing_and_take_no_memory", || {
        let receiver = Receiver::start([]);
        let client = ClientConfig::new(&receiver.endpoint).unwrap().timeout(LONG);
        let guard = throughline_std::init(&Config::new("svc").otlp_client(client)).unwrap();
        short_thread(0);
        // The exporting thread also has a recorder after its first export.
        assert!(guard.flush(LONG));
        let (first, recorders) = (TAKEN.load(Ordering::Relaxed), count_recorders());
        assert!(first > 0, "the first thread's ring");
        for n in 1..THREADS {
            short_thread(n);
            // Keep the rings from filling up, because this tests whether the end of a thread loses anything.
            if n % 500 == 0 {
                assert!(guard.flush(LONG));
            }
        }
        assert_eq!(TAKEN.load(Ordering::Relaxed), first, "taken by the threads after the first");
        assert_eq!(count_recorders(), recorders);
        let counted = counted();
        let report = guard.shutdown(LONG);
        assert!(report.complete && report.last_error.is_none(), "{report:?}");
        assert_eq!(
            (report.ledger.exporter("otlp").output, report.ledger.exporter("otlp").dropped_total()),
            (2 * THREADS as u64, 0)
        );
        assert_eq!(counted, THREADS);
    });
}

/// Resident memory of this process in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    4096 * statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_thread_with_one_span_keeps_a_few_pages_38() {
    const ALIVE: usize = 500;
    in_own_process("a_thread_with_one_span_keeps_a_few_pages_38", || {
        let _guard = throughline_std::init(&Config::new("svc")).unwrap();
        let threads = |record: bool| {
            let (at_work, release) = (Barrier::new(ALIVE + 1), Barrier::new(ALIVE + 1));
            std::thread::scope(|scope| {
                for _ in 0..ALIVE {
                    scope.spawn(|| {
                        drop(record.then(|| span!("one")));
                        at_work.wait();
                        release.wait();
                    });
                }
                at_work.wait();
                let resident = resident();
                release.wait();
                resident
            })
        };
        // Subtract the threads' stacks, which exist without this library too.
        let without = threads(false);
        let with = threads(true);
        let each = with.saturating_sub(without) / ALIVE;
        println!("{each} resident bytes a thread of one span");
        // The recorder, the first page of its ring, and a share of malloc's pages.
        assert!(each < 6 * 4096, "{each} bytes a thread");
    });
}

#[test]
fn spans_of_all_threads_have_ids_of_their_own_08() {
    // More spans than the threads of a 32-bit machine once had ids for.
    const SPANS: usize = (1 << 20) + 1000;
    in_own_process("spans_of_all_threads_have_ids_of_their_own_08", || {
        let _guard = throughline_std::init(&Config::new("svc").terminal(false)).unwrap();
        let ids = || {
            let id = |_| {
                let _span = span!("one of many");
                throughline::current().map(|here| u64::from_be_bytes(here.span_id.to_bytes()))
            };
            (0..SPANS).map(|n| id(n).expect("a span is current")).collect::<Vec<u64>>()
        };
        let threads = [(); 2].map(|()| std::thread::spawn(ids));
        let mut all: Vec<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2 * SPANS, "ids that two spans had");
    });
}

fn count_recorders() -> usize {
    let mut count = 0;
    recorder::for_each_thread(|_| count += 1);
    count
}

/// The counter, summed over the recorders of threads that have all ended.
fn counted() -> usize {
    let mut sum = 0;
    throughline::adapter::metrics::for_each(|series| {
        if let (Some("threads"), Reading::Counter(n)) = (series.blob().map(|blob| blob.name), series.read()) {
            sum += n as usize;
        }
    });
    sum
}
