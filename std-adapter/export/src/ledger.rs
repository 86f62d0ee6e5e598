//! The loss ledger: at every hop, what came in is what went out, was absorbed, was dropped for a reason, or is still there.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why a record went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// A thread's ring was full: the pump did not come in time. Make rings larger, or record less.
    RingFull,
    /// A thread had no ring: beyond the limit of threads, or already being torn down.
    NoRecorder,
    /// The words were not those of a record.
    Malformed,
    /// Fields of a span whose end never came: it was lost, or is still open at shutdown.
    Unclaimed,
    /// The exporter's queue was full: the collector is slower than the program, or away.
    QueueFull,
    /// The collector took the request, but not this record (partial success).
    Rejected,
    /// The collector refused the request.
    Refused,
    /// The collector could not be reached in time.
    Unreachable,
    /// The deadline of the shutdown passed first.
    Shutdown,
    /// Writing failed, to the terminal or a file.
    WriteError,
    /// It was recorded after the guard had ended recording.
    Ended,
    /// The thread that had to do with it panicked.
    ThreadDied,
    /// The sampler decided against its trace.
    SampledOut,
    /// A span of a remote trace whose ids are not known: the record that named the remote parent was lost, or there were more remote parents at a time
    /// than `Config::remote_parents`.
    UnknownParent,
    /// A signal handler made it while it interrupted its own thread in the writing of another record.
    Reentrant,
}

impl DropReason {
    const ALL: [DropReason; 15] = [
        DropReason::RingFull,
        DropReason::NoRecorder,
        DropReason::Malformed,
        DropReason::Unclaimed,
        DropReason::QueueFull,
        DropReason::Rejected,
        DropReason::Refused,
        DropReason::Unreachable,
        DropReason::Shutdown,
        DropReason::WriteError,
        DropReason::Ended,
        DropReason::ThreadDied,
        DropReason::SampledOut,
        DropReason::UnknownParent,
        DropReason::Reentrant,
    ];

    /// Its name as in the metric `throughline.records`.
    pub const fn as_str(self) -> &'static str {
        match self {
            DropReason::RingFull => "ring_full",
            DropReason::NoRecorder => "no_recorder",
            DropReason::Malformed => "malformed",
            DropReason::Unclaimed => "unclaimed",
            DropReason::QueueFull => "queue_full",
            DropReason::Rejected => "rejected",
            DropReason::Refused => "refused",
            DropReason::Unreachable => "unreachable",
            DropReason::Shutdown => "shutdown",
            DropReason::WriteError => "write_error",
            DropReason::Ended => "ended",
            DropReason::ThreadDied => "thread_died",
            DropReason::SampledOut => "sampled_out",
            DropReason::UnknownParent => "unknown_parent",
            DropReason::Reentrant => "reentrant",
        }
    }
}

/// What became of the records, hop by hop. Counts are of spans and events, and up to the pump also of fields added later and of
/// remote parents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ledger {
    /// What a sampler decided against before it became a record: spans, each with the children that it would have had. All zeros while every trace is recorded.
    pub sampler: Hop,
    /// From the program into the threads' rings.
    pub ring: Hop,
    /// Through the pump, which ties late fields to their spans.
    pub pump: Hop,
    /// To each exporter, by its name: `otlp.traces`, `otlp.logs`, `terminal`, and those given to `Config::exporter`.
    pub exporters: Vec<(String, Hop)>,
}

/// One hop: `input = output + absorbed + pending + Σ dropped`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hop {
    /// Records that came in.
    pub input: u64,
    /// Records that went on.
    pub output: u64,
    /// Records that became part of another: fields of their span, remote parents of their trace.
    pub absorbed: u64,
    /// Records that are still there.
    pub pending: u64,
    /// Records dropped, by reason; none of them zero.
    pub dropped: Vec<(DropReason, u64)>,
}

impl Hop {
    /// Records dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|(_, n)| n).sum()
    }

    /// This hop and another one beside it, added up.
    fn and(mut self, other: &Hop) -> Hop {
        self.input += other.input;
        self.output += other.output;
        self.absorbed += other.absorbed;
        self.pending += other.pending;
        for (reason, n) in &other.dropped {
            match self.dropped.iter_mut().find(|(r, _)| r == reason) {
                Some((_, sum)) => *sum += n,
                None => self.dropped.push((*reason, *n)),
            }
        }
        self
    }

    /// Records dropped for this reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped.iter().find(|(r, _)| *r == reason).map_or(0, |(_, n)| *n)
    }
}

impl Ledger {
    /// All hops, in the order that records take, with their names.
    pub fn hops(&self) -> impl Iterator<Item = (&str, &Hop)> {
        let exporters = self.exporters.iter().map(|(name, hop)| (&**name, hop));
        let ours = [("sampler", &self.sampler), ("ring", &self.ring), ("pump", &self.pump)];
        ours.into_iter().chain(exporters)
    }

    /// The counts of the exporter `name`, added up over its lanes: those of `otlp` are those of `otlp.traces` and `otlp.logs` together. Zeros if there
    /// is none of that name.
    pub fn exporter(&self, name: &str) -> Hop {
        let of =
            |full: &str| full.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let lanes = self.exporters.iter().filter(|(full, _)| of(full));
        lanes.fold(Hop::default(), |sum, (_, hop)| sum.and(hop))
    }

    /// Whether nothing is under way, and each hop passed on what the next got.
    pub fn is_settled(&self) -> bool {
        self.hops().all(|(_, hop)| hop.pending == 0) && self.ring.output == self.pump.input
    }
}

/// A line a hop.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, hop) in self.hops() {
            if hop.input == 0 {
                continue;
            }
            write!(f, "{name}: {} in, {} out", hop.input, hop.output)?;
            for (what, n) in [("absorbed", hop.absorbed), ("pending", hop.pending)] {
                if n > 0 {
                    write!(f, ", {n} {what}")?;
                }
            }
            for (reason, n) in &hop.dropped {
                write!(f, ", {n} dropped ({})", reason.as_str())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The counts as the pump and the exporter keep them.
#[derive(Debug, Default)]
pub struct Cells {
    /// See [`Ledger::sampler`]; only what is dropped is counted here.
    pub sampler: HopCells,
    /// See [`Ledger::ring`].
    pub ring: HopCells,
    /// See [`Ledger::pump`].
    pub pump: HopCells,
    exporters: Mutex<Vec<(String, Arc<HopCells>)>>,
}

/// The counts of one hop. Each method is one relaxed or releasing atomic addition, so that any thread may count.
#[derive(Debug, Default)]
pub struct HopCells {
    input: AtomicU64,
    output: AtomicU64,
    absorbed: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
}

impl HopCells {
    /// Counts `n` records that came in.
    pub fn input(&self, n: u64) {
        self.input.fetch_add(n, Ordering::Relaxed);
    }

    /// Counts `n` records that went on.
    pub fn output(&self, n: u64) {
        self.output.fetch_add(n, Ordering::Release);
    }

    /// Counts `n` records that became part of another.
    pub fn absorbed(&self, n: u64) {
        self.absorbed.fetch_add(n, Ordering::Release);
    }

    /// Counts `n` records dropped for `reason`.
    pub fn dropped(&self, reason: DropReason, n: u64) {
        self.dropped[reason as usize].fetch_add(n, Ordering::Release);
    }

    /// The counts now.
    pub fn read(&self) -> Hop {
        let load = |cell: &AtomicU64| cell.load(Ordering::Acquire);
        let dropped: Vec<_> = DropReason::ALL
            .into_iter()
            .map(|reason| (reason, load(&self.dropped[reason as usize])))
            .filter(|(_, n)| *n > 0)
            .collect();
        let (output, absorbed) = (load(&self.output), load(&self.absorbed));
        // Read last: what has gone on by now had come in.
        let input = load(&self.input);
        let gone = output + absorbed + dropped.iter().map(|(_, n)| n).sum::<u64>();
        Hop { input, output, absorbed, pending: input.saturating_sub(gone), dropped }
    }
}

impl Cells {
    /// The counts now.
    pub fn read(&self) -> Ledger {
        // Last hop first, for the same reason.
        let exporters = self.lock().iter().map(|(name, cells)| (name.clone(), cells.read())).collect();
        let pump = self.pump.read();
        let ring = self.ring.read();
        let mut sampler = self.sampler.read();
        if sampler.dropped_total() > 0 {
            sampler.output = ring.input;
            sampler.input = ring.input + sampler.dropped_total();
        }
        Ledger { sampler, ring, pump, exporters }
    }

    /// Adds the hop of an exporter.
    pub fn exporter(&self, name: &str) -> Arc<HopCells> {
        let cells = Arc::new(HopCells::default());
        self.lock().push((name.into(), Arc::clone(&cells)));
        cells
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Arc<HopCells>)>> {
        self.exporters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_out_nor_dropped_is_pending() {
        let cells = Cells::default();
        let otlp = cells.exporter("otlp");
        otlp.input(10);
        otlp.output(4);
        otlp.dropped(DropReason::Rejected, 1);
        otlp.dropped(DropReason::QueueFull, 2);
        let ledger = cells.read();
        assert_eq!(ledger.exporter("otlp").pending, 3);
        assert!(!ledger.is_settled());
        assert_eq!(
            ledger.to_string(),
            "otlp: 10 in, 4 out, 3 pending, 2 dropped (queue_full), 1 dropped (rejected)\n"
        );
        otlp.dropped(DropReason::Shutdown, 3);
        assert!(cells.read().is_settled());
    }

    #[test]
    fn an_exporter_of_several_lanes_is_their_sum() {
        let cells = Cells::default();
        let (traces, logs) = (cells.exporter("otlp.traces"), cells.exporter("otlp.logs"));
        cells.exporter("otlp2").input(100);
        traces.input(2);
        traces.dropped(DropReason::QueueFull, 1);
        logs.input(3);
        logs.dropped(DropReason::QueueFull, 1);
        logs.output(2);
        let sum = cells.read().exporter("otlp");
        assert_eq!((sum.input, sum.output, sum.pending), (5, 2, 1));
        assert_eq!(sum.dropped, [(DropReason::QueueFull, 2)]);
        assert_eq!(cells.read().exporter("none"), Hop::default());
    }

    #[test]
    fn every_reason_has_its_own_cell_and_name() {
        let cells = Cells::default();
        for (i, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
            cells.pump.dropped(reason, i as u64 + 1);
        }
        let hop = cells.read().pump;
        assert_eq!(hop.dropped_total(), 120);
        assert_eq!(hop.dropped_for(DropReason::WriteError), 10);
    }
}
