//! Empties the rings of all threads, including those of ended threads.

use throughline::Recorder;
use throughline::adapter::LossReason;
use throughline::adapter::recorder::{self, Refusal};
use throughline::adapter::ring::{Loss, RawRecord, Reader};
use throughline_export::ledger::{Cells, DropReason};

/// The readers of all rings.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    rings: Vec<Source>,
    newest: Option<&'static Recorder>,
    refused: [usize; Refusal::ALL.len()],
    /// Whether the sources' heads are those for the next round.
    marked: bool,
}

#[derive(Debug)]
struct Source {
    recorder: &'static Recorder,
    reader: Reader<'static>,
    /// Where the next round stops.
    head: usize,
    /// Losses that were found when the head was noted.
    lost: Vec<Loss>,
    /// Whether something may have been lost among the records before the head.
    is_lossy: bool,
    /// Whether losses were found since the head was noted: they may have come after it.
    was_lossy: bool,
    sampled_out: usize,
}

/// The result of one round.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) records: u64,
    /// The greatest share of a ring that was full.
    pub(super) fill: f64,
    /// Why threads had no ring for what they recorded; usually empty.
    pub(super) refused: Vec<Refusal>,
}

fn of_refusal(why: Refusal) -> DropReason {
    match why {
        Refusal::Ending => DropReason::NoRecorder,
        Refusal::TooMany => DropReason::TooManyThreads,
        Refusal::NoMemory => DropReason::NoMemory,
    }
}

fn reason(reason: LossReason) -> DropReason {
    match reason {
        LossReason::Reentrant => DropReason::Reentrant,
        _ => DropReason::RingFull,
    }
}

impl Drain {
    /// Notes the heads of all rings: the next round stops there. Whatever was lost before those heads is found.
    pub(crate) fn mark(&mut self) {
        self.find_new();
        for source in &mut self.rings {
            source.head = source.recorder.ring().head();
            source.lost.extend(std::iter::from_fn(|| source.reader.take_loss()));
            let found = !source.lost.is_empty();
            source.is_lossy = std::mem::replace(&mut source.was_lossy, found) || found;
        }
        self.marked = true;
    }

    /// The addresses of the recorders whose rings may have lost something before the heads that were noted.
    pub(crate) fn lossy(&self) -> Vec<usize> {
        let lossy = self.rings.iter().filter(|source| source.is_lossy);
        lossy.map(|source| std::ptr::from_ref(source.recorder).addr()).collect()
    }

    /// Passes each ring's records up to its current head, or the one that was marked, to `take`, with the
    /// recorder's address, and its losses to `lost`.
    pub(crate) fn round(
        &mut self,
        cells: &Cells,
        mut take: impl FnMut(&RawRecord, usize),
        mut lost: impl FnMut(&Loss),
    ) -> Round {
        if !std::mem::take(&mut self.marked) {
            self.mark();
            self.marked = false;
        }
        let mut round = Round::default();
        for source in &mut self.rings {
            let ring = source.recorder.ring();
            // Stop at a head, because a thread that records without pause must not keep the others waiting.
            let head = source.head;
            let address = std::ptr::from_ref(source.recorder).addr();
            let fill = source.reader.slots_before(head) as f64 / ring.capacity() as f64;
            round.fill = round.fill.max(fill);
            let records = source.reader.drain_until(head, |raw| take(raw, address)) as u64;
            round.records += records;
            if records > 0 {
                cells.ring.input(records);
            }
            let before = source.lost.len();
            source.lost.extend(std::iter::from_fn(|| source.reader.take_loss()));
            source.was_lossy |= source.lost.len() > before;
            for loss in source.lost.drain(..) {
                cells.ring.input(loss.count as u64);
                cells.ring.dropped(reason(loss.reason), loss.count as u64);
                lost(&loss);
            }
            cells.ring.output(records);
            let sampled_out = source.recorder.sampled_out();
            let new = sampled_out.wrapping_sub(std::mem::replace(&mut source.sampled_out, sampled_out));
            if new > 0 {
                cells.sampler.dropped(DropReason::SampledOut, new as u64);
            }
        }
        for (why, before) in Refusal::ALL.into_iter().zip(&mut self.refused) {
            let refused = recorder::refused(why);
            let new = refused.wrapping_sub(std::mem::replace(before, refused)) as u64;
            if new > 0 {
                cells.ring.input(new);
                cells.ring.dropped(of_refusal(why), new);
                round.refused.push(why);
            }
        }
        round
    }

    /// Adds recorders that are new in the list, which only grows, at its front.
    fn find_new(&mut self) {
        let known = self.newest;
        let mut met = false;
        recorder::for_each_thread(|recorder| {
            met |= known.is_some_and(|known| std::ptr::eq(known, recorder));
            if met {
                return;
            }
            if self.newest.is_none_or(|newest| known.is_some_and(|known| std::ptr::eq(known, newest))) {
                self.newest = Some(recorder);
            }
            if let Some(reader) = recorder.ring().reader() {
                self.rings.push(Source {
                    recorder,
                    reader,
                    head: 0,
                    lost: Vec::new(),
                    is_lossy: false,
                    was_lossy: false,
                    sampled_out: 0,
                });
            }
        });
    }
}
