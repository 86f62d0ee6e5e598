//! The work of a signal's thread. It delivers bodies or gives them up; with a spool, it keeps on disk what
//! cannot be delivered now.

use super::client::{Client, SendError};
use super::protocol::Signal;
use crate::SpoolConfig;
use crate::lane::{Lane, Outcome};
use crate::ledger::DropReason;
use crate::spool::{AppendError, Front, Spool};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Spooled batches that are sent before the thread looks for new ones again.
const AT_A_TIME: usize = 4;

pub(super) struct Delivery {
    client: Client,
    signal: Signal,
    spooling: Option<Spooling>,
}

struct Spooling {
    config: SpoolConfig,
    shared: Arc<Shared>,
    is_open: bool,
    /// Failed attempts since the last successful one.
    failures: u32,
    /// When the next spooled batch may be tried.
    again: Instant,
}

/// The state that a shutdown takes over from a thread that is stuck in a request.
#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    spool: Option<Spool>,
    /// The body of the request under way, if it is not on disk.
    in_flight: Option<(Arc<Vec<u8>>, u64)>,
    /// Whether the shutdown has counted everything that is not on disk as dropped.
    is_closed: bool,
}

impl State {
    /// Counts the outcome of spooled records, unless the shutdown has already made the final counts.
    fn done(&self, lane: &Lane<Vec<u8>>, records: u64, outcome: Outcome) {
        if !self.is_closed {
            lane.unspooled(records, outcome);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spools the request under way and the waiting ones. Returns what became of them.
    fn rescue(&self, waiting: Vec<(Vec<u8>, u64)>) -> Vec<Outcome> {
        let mut state = self.lock();
        state.is_closed = true;
        let in_flight = state.in_flight.take();
        let Some(spool) = &mut state.spool else { return Vec::new() };
        let in_flight = in_flight.iter().map(|(body, records)| (&***body, *records));
        let waiting = waiting.iter().map(|(body, records)| (&**body, *records));
        let append = |(body, records)| match spool.append(body, records) {
            Ok(()) => Outcome { to_disk: records, ..Outcome::default() },
            Err(AppendError::Full) => dropped(DropReason::SpoolFull, records),
            Err(AppendError::Io(_)) => dropped(DropReason::SpoolError, records),
        };
        in_flight.chain(waiting).map(append).collect()
    }
}

impl Delivery {
    /// `spool` belongs to this exporter and signal only. It is opened on the lane's thread.
    pub(super) fn new(
        client: Client,
        signal: Signal,
        spool: Option<SpoolConfig>,
        lane: &Lane<Vec<u8>>,
    ) -> Delivery {
        lane.takes_spool();
        let spooling = spool.map(|config| {
            let shared = Arc::<Shared>::default();
            let rescuer = Arc::clone(&shared);
            lane.rescued_by(Box::new(move |waiting| rescuer.rescue(waiting)));
            Spooling { config, shared, is_open: false, failures: 0, again: Instant::now() }
        });
        let client = client.metered_by(Arc::clone(lane.meter()));
        Delivery { client, signal, spooling }
    }

    /// Delivers a body, spools it, or gives it up.
    pub(super) fn deliver(&mut self, lane: &Lane<Vec<u8>>, body: &mut Vec<u8>, records: u64) -> Outcome {
        self.open(lane);
        let Some(spooling) = &mut self.spooling else {
            return self.persist(lane, body, records, reason);
        };
        if spooling.shared.lock().spool.as_ref().is_some_and(|spool| !spool.is_empty()) {
            // Older batches must be sent first, so spool this one behind them.
            let is_kept = keep(lane, spooling, body, records);
            if lane.deadline().at().is_none() {
                self.replay(lane, AT_A_TIME);
            }
            return match is_kept {
                true => Outcome::default(),
                false => self.persist_unspooled(lane, body, records),
            };
        }
        let in_flight = Arc::new(std::mem::take(body));
        spooling.shared.lock().in_flight = Some((Arc::clone(&in_flight), records));
        let sent = self.client.send_once(self.signal, &in_flight, lane.deadline());
        spooling.shared.lock().in_flight = None;
        let mut is_kept = true;
        let outcome = match sent {
            Ok(delivered) => taken(lane, &delivered, records),
            Err(error) => {
                lane.failing(reason(&error), &error.to_string());
                if may_pass(&error) {
                    spooling.failed(self.client.config().first_backoff, &error);
                    is_kept = keep(lane, spooling, &in_flight, records);
                    Outcome::default()
                } else {
                    dropped(DropReason::Refused, records)
                }
            }
        };
        *body = Arc::try_unwrap(in_flight).unwrap_or_default();
        if is_kept { outcome } else { self.persist_unspooled(lane, body, records) }
    }

    /// Sends a body again and again, for the time that is configured. `why_lost` is the reason if none of it helps.
    fn persist(
        &mut self,
        lane: &Lane<Vec<u8>>,
        body: &[u8],
        records: u64,
        why_lost: impl Fn(&SendError) -> DropReason,
    ) -> Outcome {
        let failing = |why: &str| lane.failing(DropReason::Unreachable, why);
        match self.client.send_watched(self.signal, body, lane.deadline(), failing) {
            Ok(delivered) => taken(lane, &delivered, records),
            Err(error) => {
                lane.failing(reason(&error), &error.to_string());
                dropped(why_lost(&error), records)
            }
        }
    }

    /// As without a spool, for a body that could not be spooled. The shutdown tries once more to spool it.
    fn persist_unspooled(&mut self, lane: &Lane<Vec<u8>>, body: &mut Vec<u8>, records: u64) -> Outcome {
        let shared = self.spooling.as_ref().map(|spooling| Arc::clone(&spooling.shared)).unwrap_or_default();
        let in_flight = Arc::new(std::mem::take(body));
        {
            let mut state = shared.lock();
            if state.is_closed {
                return Outcome::default();
            }
            state.in_flight = Some((Arc::clone(&in_flight), records));
        }
        let outcome = self.persist(lane, &in_flight, records, |error| match may_pass(error) {
            true => DropReason::SpoolError,
            false => DropReason::Refused,
        });
        let was_rescued = shared.lock().in_flight.take().is_none();
        *body = Arc::try_unwrap(in_flight).unwrap_or_default();
        // Nothing waits that should be on the disk. Whether it can be written again shows the next body that must wait.
        lane.at_risk(None);
        if was_rescued { Outcome::default() } else { outcome }
    }

    /// Sends spooled batches if it is time. Returns `None` if the spool is empty.
    pub(super) fn idle(&mut self, lane: &Lane<Vec<u8>>) -> Option<Outcome> {
        self.open(lane);
        let spooling = self.spooling.as_ref()?;
        let is_empty = spooling.shared.lock().spool.as_ref().is_none_or(Spool::is_empty);
        if is_empty {
            return None;
        }
        self.replay(lane, AT_A_TIME);
        Some(Outcome::default())
    }

    /// Sends spooled batches for half of the time that is left, unless the collector is unavailable. The next
    /// run delivers the rest.
    pub(super) fn finish(&mut self, lane: &Lane<Vec<u8>>) -> Outcome {
        self.open(lane);
        let begun = Instant::now();
        let most = lane.deadline().at().map(|at| at.saturating_duration_since(begun) / 2);
        while self.spooling.as_ref().is_some_and(|spooling| spooling.failures == 0)
            && most.is_none_or(|most| begun.elapsed() < most)
            && self.replay(lane, 1)
        {}
        Outcome::default()
    }

    /// Opens the spool on the first call. If it cannot be used, warns and goes on without it.
    fn open(&mut self, lane: &Lane<Vec<u8>>) {
        let Some(spooling) = self.spooling.as_mut().filter(|spooling| !spooling.is_open) else { return };
        spooling.is_open = true;
        let SpoolConfig { dir, max_bytes } = &spooling.config;
        match Spool::open(dir, *max_bytes) {
            Ok(spool) => {
                let mut state = spooling.shared.lock();
                if !state.is_closed {
                    lane.found(spool.records());
                }
                state.spool = Some(spool);
            }
            Err(error) => {
                let dir = dir.display();
                lane.warn(&format!(
                    "the spool in {dir} cannot be used: {error}; what cannot be delivered is dropped and counted"
                ));
                self.spooling = None;
            }
        }
    }

    /// Sends up to `most` spooled batches, oldest first, unless it is too early. Returns whether all of them
    /// were delivered or given up, so that more may follow.
    fn replay(&mut self, lane: &Lane<Vec<u8>>, most: usize) -> bool {
        let Delivery { client, signal, spooling: Some(spooling) } = self else { return false };
        for _ in 0..most {
            if Instant::now() < spooling.again {
                return false;
            }
            let mut state = spooling.shared.lock();
            let Some(spool) = &mut state.spool else { return false };
            let (body, records) = match spool.front() {
                Front::Empty => return false,
                Front::Lost(records) => {
                    state.done(lane, records, dropped(DropReason::SpoolCorrupt, records));
                    drop(state);
                    let dir = spooling.config.dir.display();
                    lane.warn(&format!(
                        "{records} records in the spool in {dir} are damaged; check its disk"
                    ));
                    continue;
                }
                Front::Batch(body, records) => (body.to_vec(), records),
            };
            if spooling.failures > 0 {
                lane.meter().retried();
            }
            // Release the lock, so that a shutdown does not wait for this request.
            drop(state);
            let outcome = match client.send_once(*signal, &body, lane.deadline()) {
                Ok(delivered) => taken(lane, &delivered, records),
                Err(error) => {
                    lane.failing(reason(&error), &error.to_string());
                    if may_pass(&error) {
                        spooling.failed(client.config().first_backoff, &error);
                        return false;
                    }
                    dropped(DropReason::Refused, records)
                }
            };
            spooling.failures = 0;
            let mut state = spooling.shared.lock();
            if let Some(spool) = &mut state.spool {
                spool.pop();
            }
            state.done(lane, records, outcome);
        }
        true
    }
}

impl Spooling {
    /// Postpones the next attempt, by twice the time after each failure, or by the time that the collector
    /// asked for.
    fn failed(&mut self, first: Duration, error: &SendError) {
        let asked = match error {
            SendError::Deadline { retry_after, .. } => *retry_after,
            _ => None,
        };
        let pause = asked.unwrap_or_else(|| super::client::backoff(first, self.failures));
        self.failures = self.failures.saturating_add(1);
        self.again = Instant::now() + pause;
    }
}

/// Spools a body, or counts it as dropped if the spool has no room. Returns whether that is done; otherwise the spool cannot be written.
fn keep(lane: &Lane<Vec<u8>>, spooling: &Spooling, body: &[u8], records: u64) -> bool {
    let mut state = spooling.shared.lock();
    if state.is_closed {
        return true;
    }
    let Some(spool) = &mut state.spool else { return true };
    let appended = spool.append(body, records);
    if appended.is_ok() {
        lane.spooled(records);
    }
    drop(state);
    match appended {
        Ok(()) => lane.at_risk(None),
        Err(AppendError::Full) => {
            lane.failing(DropReason::SpoolFull, "the spool has reached its limit");
            lane.count(dropped(DropReason::SpoolFull, records));
        }
        Err(AppendError::Io(error)) => {
            let dir = spooling.config.dir.display();
            lane.at_risk(Some(&format!(
                "the spool in {dir} cannot be written: {error}; until it can, requests are tried as without a spool, and a crash would lose what waits; \
                 make room on its disk, or let this program write there"
            )));
            return false;
        }
    }
    true
}

/// The outcome of the records of a request that the collector accepted.
fn taken(lane: &Lane<Vec<u8>>, delivered: &super::Delivered, records: u64) -> Outcome {
    lane.working();
    // The ledger does not count points, so rejected points cause only the warning.
    let rejected = delivered.rejected.min(records);
    if !delivered.is_whole() {
        let shown = if records > 0 { rejected } else { delivered.rejected };
        lane.warn(&super::Delivered { rejected: shown, ..delivered.clone() }.to_string());
    }
    let dropped = (rejected > 0).then_some((DropReason::Rejected, rejected));
    Outcome { delivered: records - rejected, dropped, ..Outcome::default() }
}

fn dropped(reason: DropReason, records: u64) -> Outcome {
    Outcome { dropped: Some((reason, records)), ..Outcome::default() }
}

/// Whether the same body may be accepted later.
fn may_pass(error: &SendError) -> bool {
    matches!(reason(error), DropReason::Shutdown | DropReason::Unreachable)
}

fn reason(error: &SendError) -> DropReason {
    match error {
        SendError::Deadline { by_caller: true, .. } => DropReason::Shutdown,
        SendError::Deadline { .. } | SendError::Certificate { .. } | SendError::ClientCertificate { .. } => {
            DropReason::Unreachable
        }
        _ => DropReason::Refused,
    }
}
