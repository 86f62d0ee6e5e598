//! Gives each piece of work a recorder of its own, and returns what the work left in its ring. Works with and
//! without a recorder per thread (feature `std`).
#![allow(dead_code, unreachable_pub)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use throughline::adapter::record::{Record, Values, is_remote};
use throughline::adapter::ring::RawRecord;
use throughline::{Clock, ErrorClass, Recorder, Status};

/// A record as tests compare it: everything except its times.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Span { name: String, id: usize, parent: usize, root: usize, status: Status, busy: Option<u64> },
    Event { name: String, span: usize, root: usize, sampled: bool },
    Fields { span: usize, values: String },
    Attach { id: usize },
}

impl Told {
    pub fn name(&self) -> &str {
        match self {
            Told::Span { name, .. } | Told::Event { name, .. } => name,
            _ => "",
        }
    }
}

/// An error of two classes.
pub enum Fault {
    Timeout,
    Full,
}

impl ErrorClass for Fault {
    fn class(&self) -> &'static str {
        match self {
            Fault::Timeout => "timeout",
            Fault::Full => "full",
        }
    }
}

/// The record with this name. Panics unless there is exactly one.
pub fn one<'a>(all: &'a [Told], name: &str) -> &'a Told {
    let mut found = all.iter().filter(|told| told.name() == name);
    match (found.next(), found.next()) {
        (Some(told), None) => told,
        _ => panic!("not one {name}: {all:#?}"),
    }
}

/// The ids of the only span with this name, of its parent and of its root.
pub fn span(all: &[Told], name: &str) -> (usize, usize, usize) {
    match one(all, name) {
        Told::Span { id, parent, root, .. } => (*id, *parent, *root),
        other => panic!("{other:?}"),
    }
}

/// The span and root of the only event with this name.
pub fn event(all: &[Told], name: &str) -> (usize, usize) {
    match one(all, name) {
        Told::Event { span, root, .. } => (*span, *root),
        other => panic!("{other:?}"),
    }
}

pub fn remote(id: usize) -> bool {
    is_remote(id)
}

/// `None` for clock records and for records that only a server's recorders write.
fn told(raw: &RawRecord) -> Option<Told> {
    let values =
        |values: Values<'_>| values.into_iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(" ");
    Some(match Record::parse(raw).expect("a record") {
        Record::Span(s) => Told::Span {
            name: name(s.callsite),
            id: s.id,
            parent: s.parent,
            root: s.root,
            status: s.status,
            busy: s.busy,
        },
        Record::Event(e) => {
            Told::Event { name: name(e.callsite), span: e.span, root: e.root, sampled: e.sampled }
        }
        Record::Fields(e) => Told::Fields { span: e.span, values: values(e.values) },
        Record::Attach { id, .. } => Told::Attach { id },
        _ => return None,
    })
}

fn name(callsite: u32) -> String {
    let mut name = String::new();
    throughline::adapter::callsite::registry::for_each(|c| {
        if c.id() == callsite {
            name = c.blob().name.to_string();
        }
    });
    name
}

pub fn drain(recorder: &Recorder) -> Vec<Told> {
    let mut all = vec![];
    recorder.ring().reader().expect("the only reader").drain(|raw| all.extend(told(raw)));
    all
}

/// Lets one piece of work run at a time: settings such as the sampler, and without a recorder per thread also
/// the recorder, belong to the process.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(not(feature = "std"))]
mod recorders {
    use super::*;
    use throughline::Slots;

    /// Runs the work on this thread with a new recorder.
    pub fn on_recorder<R: Send + 'static>(work: impl FnOnce(&'static Recorder) -> R + Send + 'static) -> R {
        static ALL: Mutex<Vec<&'static Recorder>> = Mutex::new(vec![]);
        let slots: &'static Slots<2048> = Box::leak(Box::new(Slots::new()));
        let recorder: &'static Recorder = Box::leak(Box::new(Recorder::new(slots, Clock::mock())));
        ALL.lock().unwrap_or_else(PoisonError::into_inner).push(recorder);
        throughline::install(recorder);
        work(recorder)
    }
}

#[cfg(feature = "std")]
mod recorders {
    use super::*;
    use std::cell::Cell;
    use throughline::adapter::recorder;
    use throughline::adapter::ring::{Mode, Slot};

    thread_local! {
        static MINE: Cell<Option<&'static Recorder>> = const { Cell::new(None) };
    }

    fn hook() -> Option<&'static Recorder> {
        let slots = Vec::leak((0..2048).map(|_| Slot::new()).collect());
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        let clock = Clock::processor(1_000_000_000);
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let clock = Clock::mock();
        let recorder = Recorder::for_thread(slots, Mode::LocalOldest, clock, &[]);
        let recorder: &'static Recorder = Box::leak(Box::new(recorder));
        MINE.set(Some(recorder));
        // Make a new recorder each time. No recorder is reused, because none is released here.
        recorder::acquire_thread(|| Some(recorder)).map(|_| recorder)
    }

    /// Runs the work on a thread with a new recorder, whose spans and events take the straight path.
    pub fn on_recorder<R: Send + 'static>(work: impl FnOnce(&'static Recorder) -> R + Send + 'static) -> R {
        recorder::set_thread_hook(hook);
        let thread = std::thread::spawn(move || {
            throughline::info!("the first record gives a thread its recorder");
            let recorder = MINE.get().expect("the hook was called");
            drain(recorder);
            work(recorder)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// What programs outside of the process read in this thread's record.
    #[cfg(feature = "thread-context")]
    pub fn seen_outside() -> Option<throughline::TraceContext> {
        let record = MINE.get().expect("the thread has a recorder").outside_record();
        // SAFETY: the record is longer, and only this thread writes it.
        let bytes = unsafe { std::ptr::from_ref(record).cast::<[u8; 28]>().read_volatile() };
        let (trace, span): (&[u8; 16], &[u8; 8]) =
            (bytes.first_chunk().unwrap(), bytes[16..24].try_into().unwrap());
        let &[valid, flags, 0, 0] = bytes.last_chunk::<4>().unwrap() else {
            panic!("attributes in {bytes:?}")
        };
        (valid == 1).then(|| throughline::TraceContext {
            trace_id: throughline::TraceId::from_bytes(*trace).unwrap(),
            span_id: throughline::SpanId::from_bytes(*span).unwrap(),
            flags,
        })
    }
}

#[cfg(feature = "thread-context")]
#[allow(unused_imports, reason = "one of the tests uses it")]
pub use recorders::seen_outside;

pub use recorders::on_recorder;

/// Runs the work alone, and returns the records that it left in its ring.
pub fn records(work: impl FnOnce() + Send + 'static) -> Vec<Told> {
    let _alone = alone();
    on_recorder(|recorder| {
        work();
        drain(recorder)
    })
}
