//! The loss ledger. At every hop, each record that came in went out, was absorbed, was dropped for a reason,
//! or is still there.

mod reason;

pub use reason::DropReason;

use crate::meter::{Meter, Times};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The counts of records, hop by hop. They count spans and events, and up to the pump also fields added later
/// and remote parents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ledger {
    /// Spans that a sampler decided not to record, each with the children that it would have had. All zeros
    /// while every trace is recorded.
    pub sampler: Hop,
    /// From the program into the rings of the threads.
    pub ring: Hop,
    /// Through the pump, which adds late fields to their spans.
    pub pump: Hop,
    /// Through the stage that decides about spans when their traces have ended. All zeros if the configuration needs no
    /// such stage. Log records pass it by.
    pub tail_sampler: Hop,
    /// To each exporter by name: `otlp.traces`, `otlp.logs`, `terminal`, and those passed to
    /// `Config::exporter`.
    pub exporters: Vec<(String, Hop)>,
}

/// One hop: `input = output + absorbed + pending + spooled + Σ dropped`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hop {
    /// Number of records that came in.
    pub input: u64,
    /// Number of records that went on.
    pub output: u64,
    /// Number of records that became part of another: fields of their span, remote parents of their trace.
    pub absorbed: u64,
    /// Number of records that are still there.
    pub pending: u64,
    /// Number of records that wait on disk in a [spool](crate::SpoolConfig), for a later attempt or the next
    /// run. Those that an earlier run left there count as having come in.
    pub spooled: u64,
    /// Number of records dropped, by reason. Reasons without records are left out.
    pub dropped: Vec<(DropReason, u64)>,
}

impl Hop {
    /// Number of records dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|(_, n)| n).sum()
    }

    /// The sum of this hop and another one.
    fn and(mut self, other: &Hop) -> Hop {
        self.input += other.input;
        self.output += other.output;
        self.absorbed += other.absorbed;
        self.pending += other.pending;
        self.spooled += other.spooled;
        for (reason, n) in &other.dropped {
            match self.dropped.iter_mut().find(|(r, _)| r == reason) {
                Some((_, sum)) => *sum += n,
                None => self.dropped.push((*reason, *n)),
            }
        }
        self
    }

    /// Number of records dropped for this reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped.iter().find(|(r, _)| *r == reason).map_or(0, |(_, n)| *n)
    }
}

impl Ledger {
    /// All hops with their names, in the order in which records pass them.
    pub fn hops(&self) -> impl Iterator<Item = (&str, &Hop)> {
        let exporters = self.exporters.iter().map(|(name, hop)| (&**name, hop));
        let ours = [
            ("sampler", &self.sampler),
            ("ring", &self.ring),
            ("pump", &self.pump),
            ("tail_sampler", &self.tail_sampler),
        ];
        ours.into_iter().chain(exporters)
    }

    /// The counts of the exporter `name`, added up over its lanes: `otlp` is the sum of `otlp.traces` and
    /// `otlp.logs`. Zeros if there is no exporter of that name.
    pub fn exporter(&self, name: &str) -> Hop {
        let of =
            |full: &str| full.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let lanes = self.exporters.iter().filter(|(full, _)| of(full));
        lanes.fold(Hop::default(), |sum, (_, hop)| sum.and(hop))
    }

    /// What was lost at each hop and why, in one line; `None` if nothing was. What was left out as configured (by
    /// sampling and rate limits) is no loss.
    ///
    /// ```text
    /// otlp.traces lost 12 of 300 records (10 queue_full, 2 shutdown); terminal lost 1 of 300 records (1 write_error)
    /// ```
    pub fn losses(&self) -> Option<String> {
        let mut hops = Vec::new();
        for (name, hop) in self.hops() {
            let lost = || hop.dropped.iter().filter(|(reason, _)| reason.is_loss());
            let total: u64 = lost().map(|(_, n)| n).sum();
            if total > 0 {
                let reasons: Vec<_> = lost().map(|(reason, n)| format!("{n} {}", reason.as_str())).collect();
                let s = if hop.input == 1 { "" } else { "s" };
                let reasons = reasons.join(", ");
                hops.push(format!("{name} lost {total} of {} record{s} ({reasons})", hop.input));
            }
        }
        (!hops.is_empty()).then(|| hops.join("; "))
    }

    /// Whether no record is on its way, and the pump got everything that left the rings.
    pub fn is_settled(&self) -> bool {
        self.hops().all(|(_, hop)| hop.pending == 0) && self.ring.output == self.pump.input
    }
}

/// One line per hop.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, hop) in self.hops() {
            if hop.input == 0 {
                continue;
            }
            write!(f, "{name}: {} in, {} out", hop.input, hop.output)?;
            for (what, n) in [("absorbed", hop.absorbed), ("pending", hop.pending), ("spooled", hop.spooled)]
            {
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

/// The counts while the pump and the exporters update them.
#[derive(Debug, Default)]
pub struct Cells {
    /// See [`Ledger::sampler`]; only dropped spans are counted here.
    pub sampler: HopCells,
    /// See [`Ledger::ring`].
    pub ring: HopCells,
    /// See [`Ledger::pump`].
    pub pump: HopCells,
    /// See [`Ledger::tail_sampler`].
    pub tail_sampler: HopCells,
    exporters: Mutex<Vec<(String, Arc<HopCells>)>>,
    /// How long the pump took to pass on what it found in the rings.
    pub drains: Times,
    meters: Mutex<Vec<(String, Arc<Meter>)>>,
}

/// The counts of one hop. Each method is one relaxed or releasing atomic addition, so that any thread may count.
#[derive(Debug, Default)]
pub struct HopCells {
    input: AtomicU64,
    output: AtomicU64,
    absorbed: AtomicU64,
    spooled: AtomicU64,
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

    /// Counts `n` records that now wait on disk.
    pub fn spooled(&self, n: u64) {
        self.spooled.fetch_add(n, Ordering::Release);
    }

    /// Counts `n` records that wait on disk no longer.
    pub fn unspooled(&self, n: u64) {
        self.spooled.fetch_sub(n, Ordering::Release);
    }

    /// Counts `n` records dropped for `reason`.
    pub fn dropped(&self, reason: DropReason, n: u64) {
        self.dropped[reason as usize].fetch_add(n, Ordering::Release);
    }

    /// The current counts.
    pub fn read(&self) -> Hop {
        let load = |cell: &AtomicU64| cell.load(Ordering::Acquire);
        let dropped: Vec<_> = DropReason::ALL
            .into_iter()
            .map(|reason| (reason, load(&self.dropped[reason as usize])))
            .filter(|(_, n)| *n > 0)
            .collect();
        let (output, absorbed, spooled) = (load(&self.output), load(&self.absorbed), load(&self.spooled));
        // Read `input` last, so that it includes everything that has gone on by now.
        let input = load(&self.input);
        let gone = output + absorbed + spooled + dropped.iter().map(|(_, n)| n).sum::<u64>();
        Hop { input, output, absorbed, pending: input.saturating_sub(gone), spooled, dropped }
    }
}

impl Cells {
    /// The current counts.
    pub fn read(&self) -> Ledger {
        // Read the last hop first, for the same reason as in `HopCells::read`.
        let exporters = self.lock().iter().map(|(name, cells)| (name.clone(), cells.read())).collect();
        let tail_sampler = self.tail_sampler.read();
        let pump = self.pump.read();
        let ring = self.ring.read();
        let mut sampler = self.sampler.read();
        if sampler.dropped_total() > 0 {
            sampler.output = ring.input;
            sampler.input = ring.input + sampler.dropped_total();
        }
        Ledger { sampler, ring, pump, tail_sampler, exporters }
    }

    /// Adds the hop of an exporter and returns its counts.
    pub fn exporter(&self, name: &str) -> Arc<HopCells> {
        let cells = Arc::new(HopCells::default());
        self.lock().push((name.into(), Arc::clone(&cells)));
        cells
    }

    /// The counts of the exporter with this name, which is added if it is not there. For what may begin more than once.
    pub fn exporter_named(&self, name: &str) -> Arc<HopCells> {
        let known = self.lock().iter().find(|(known, _)| known == name).map(|(_, cells)| Arc::clone(cells));
        known.unwrap_or_else(|| self.exporter(name))
    }

    /// Adds the meter of an exporter.
    pub fn meter(&self, name: &str) -> Arc<Meter> {
        let meter = Arc::<Meter>::default();
        self.lock_meters().push((name.into(), Arc::clone(&meter)));
        meter
    }

    /// The meters of all exporters, by their names.
    pub fn meters(&self) -> Vec<(String, Arc<Meter>)> {
        self.lock_meters().clone()
    }

    fn lock_meters(&self) -> MutexGuard<'_, Vec<(String, Arc<Meter>)>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn losses_are_told_by_hop_and_reason() {
        let cells = Cells::default();
        cells.ring.input(1);
        let (otlp, file) = (cells.exporter("otlp.traces"), cells.exporter("file"));
        cells.pump.dropped(DropReason::RateLimited, 2);
        assert_eq!(cells.read().losses(), None);
        otlp.input(30);
        otlp.dropped(DropReason::Shutdown, 2);
        otlp.dropped(DropReason::QueueFull, 10);
        file.input(1);
        file.dropped(DropReason::WriteError, 1);
        let told = "otlp.traces lost 12 of 30 records (10 queue_full, 2 shutdown); file lost 1 of 1 record (1 write_error)";
        assert_eq!(cells.read().losses().as_deref(), Some(told));
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
        let all = DropReason::ALL.len() as u64;
        assert_eq!(hop.dropped_total(), all * (all + 1) / 2);
        assert_eq!(hop.dropped_for(DropReason::WriteError), 10);
    }
}
