//! Memory has a limit that follows from the configuration, however much is recorded and however long collectors hang.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{assert_balanced, in_own_process, until};
use throughline::{counter, info, span};
use throughline_std::otlp::ClientConfig;
use throughline_std::view::SpanView;
use throughline_std::{Config, Deadline, ExportError, Exporter};

/// Counts the bytes that are allocated, and the most that ever were.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps the allocator's rules.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Never returns from its first span.
struct Blocks;

impl Exporter for Blocks {
    fn span(&mut self, _: &SpanView<'_>) {
        loop {
            std::thread::park();
        }
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

const BATCH: usize = 8 << 10;
const QUEUE: usize = 4;
/// The limit of one exporter or signal of OTLP, as README states it.
const EACH: usize = 2 * BATCH * (QUEUE + 6);
/// Everything else: threads, connections, the known callsites.
const FIXED: usize = 2 << 20;

#[test]
fn memory_stays_below_its_limit_while_all_exporters_hang() {
    in_own_process("memory_stays_below_its_limit_while_all_exporters_hang", || {
        // It takes connections and requests, and never answers.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let client = ClientConfig::new(&endpoint).unwrap().timeout(Duration::from_secs(3600));
        let config = Config::new("svc").otlp_client(client.clone()).also_otlp("second", client);
        let config = config.exporter("blocks", Blocks).report_errors(false);
        let config = config.batch(BATCH, Duration::from_millis(1)).queue(QUEUE).ring_slots(1024);
        let before = NOW.load(Ordering::Relaxed);
        let guard = throughline_std::init(&config.metrics_every(Duration::from_millis(1))).unwrap();
        let mut recorded = 0;
        // A record takes more than 100 bytes in each exporter, so without limits this would be over 15 MB.
        for n in 0..20_000u64 {
            drop(span!("work", n, text = "some text that takes room in a batch, as texts do"));
            info!("done", n, more = "some text that takes room in a batch, as texts do");
            counter!("turns").add(1);
            recorded += 2;
            if n % 50 == 0 {
                until("the pump has taken it", || guard.ledger().exporter("blocks").input == recorded);
            }
        }
        let most = MOST.load(Ordering::Relaxed) - before;
        // Three signals of two collectors, and the exporter of the program's own.
        let limit = 7 * EACH + FIXED;
        assert!(most <= limit, "{most} bytes are more than {limit}");
        let report = guard.shutdown(Duration::from_millis(50));
        assert_balanced(&report.ledger);
        let most = MOST.load(Ordering::Relaxed) - before;
        assert!(most <= limit, "{most} bytes are more than {limit}, at the shutdown");
        println!("{most} of {limit} bytes");
    });
}
