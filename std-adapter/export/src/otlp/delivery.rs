//! The work of a signal's thread: delivers bodies, or gives them up; with a spool, keeps on disk what cannot be delivered now.

use super::client::{Client, SendError};
use super::protocol::Signal;
use crate::SpoolConfig;
use crate::lane::{Lane, Outcome};
use crate::ledger::DropReason;
use crate::spool::{AppendError, Front, Spool};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Batches that are replayed before new ones are looked after again.
const AT_A_TIME: usize = 4;
/// The longest pause before a spooled batch is tried again, whatever the collector asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

pub(super) struct Delivery {
    client: Client,
    signal: Signal,
    spooling: Option<Spooling>,
}

struct Spooling {
    config: SpoolConfig,
    shared: Arc<Shared>,
    is_open: bool,
    /// Failed attempts since the last that succeeded.
    failures: u32,
    /// When a spooled batch is tried next.
    again: Instant,
}

/// What a shutdown takes over from a thread that is stuck in a request.
#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    spool: Option<Spool>,
    /// The body of a request under way that is on no disk.
    in_flight: Option<(Arc<Vec<u8>>, u64)>,
    /// Whether everything that is not on disk was counted as dropped.
    is_closed: bool,
}

impl State {
    /// Counts what became of spooled records, unless the last account was given already.
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

    /// Spools what is under way and what waits. Returns how many records that saved.
    fn rescue(&self, waiting: Vec<(Vec<u8>, u64)>) -> u64 {
        let mut state = self.lock();
        state.is_closed = true;
        let in_flight = state.in_flight.take();
        let Some(spool) = &mut state.spool else { return 0 };
        let in_flight = in_flight.iter().map(|(body, records)| (&***body, *records));
        let waiting = waiting.iter().map(|(body, records)| (&**body, *records));
        let all =
            in_flight.chain(waiting).map(|(body, records)| spool.append(body, records).map(|()| records));
        all.map_while(Result::ok).sum()
    }
}

impl Delivery {
    /// `spool` is that of this exporter and signal alone. It is opened on the lane's thread.
    pub(super) fn new(
        client: Client,
        signal: Signal,
        spool: Option<SpoolConfig>,
        lane: &Lane<Vec<u8>>,
    ) -> Delivery {
        let spooling = spool.map(|config| {
            let shared = Arc::<Shared>::default();
            let rescuer = Arc::clone(&shared);
            lane.rescued_by(Box::new(move |waiting| rescuer.rescue(waiting)));
            Spooling { config, shared, is_open: false, failures: 0, again: Instant::now() }
        });
        Delivery { client, signal, spooling }
    }

    /// Delivers a body, spools it, or gives it up.
    pub(super) fn deliver(&mut self, lane: &Lane<Vec<u8>>, body: &mut Vec<u8>, records: u64) -> Outcome {
        self.open(lane);
        let Some(spooling) = &mut self.spooling else {
            let sent = self.client.send_watched(self.signal, body, lane.deadline(), |why| lane.failing(why));
            return match sent {
                Ok(delivered) => taken(lane, &delivered, records),
                Err(error) => {
                    lane.failing(&error.to_string());
                    Outcome { delivered: 0, dropped: Some((reason(&error), records)) }
                }
            };
        };
        if spooling.shared.lock().spool.as_ref().is_some_and(|spool| !spool.is_empty()) {
            // What is older goes first.
            keep(lane, &spooling.shared, body, records);
            if lane.deadline().at().is_none() {
                self.replay(lane, AT_A_TIME);
            }
            return Outcome::default();
        }
        let in_flight = Arc::new(std::mem::take(body));
        spooling.shared.lock().in_flight = Some((Arc::clone(&in_flight), records));
        let sent = self.client.send_once(self.signal, &in_flight, lane.deadline());
        spooling.shared.lock().in_flight = None;
        let outcome = match sent {
            Ok(delivered) => taken(lane, &delivered, records),
            Err(error) => {
                lane.failing(&error.to_string());
                if may_pass(&error) {
                    spooling.failed(self.client.config().first_backoff, &error);
                    keep(lane, &spooling.shared, &in_flight, records);
                    Outcome::default()
                } else {
                    Outcome { delivered: 0, dropped: Some((DropReason::Refused, records)) }
                }
            }
        };
        *body = Arc::try_unwrap(in_flight).unwrap_or_default();
        outcome
    }

    /// Tries what is spooled, if it is time. `None` if nothing is.
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

    /// Delivers what is spooled for half of the time that is left, unless the collector is away: it is delivered by the next run.
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

    /// Opens the spool before anything else is done. One that cannot be used is told, and done without.
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

    /// Tries up to `most` spooled batches, oldest first, unless it is too early. Whether one was done with and another may follow.
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
                    let dropped = Some((DropReason::SpoolCorrupt, records));
                    state.done(lane, records, Outcome { delivered: 0, dropped });
                    drop(state);
                    let dir = spooling.config.dir.display();
                    lane.warn(&format!(
                        "{records} records in the spool in {dir} are damaged; check its disk"
                    ));
                    continue;
                }
                Front::Batch(body, records) => (body.to_vec(), records),
            };
            // A shutdown does not wait for this request.
            drop(state);
            let outcome = match client.send_once(*signal, &body, lane.deadline()) {
                Ok(delivered) => taken(lane, &delivered, records),
                Err(error) => {
                    lane.failing(&error.to_string());
                    if may_pass(&error) {
                        spooling.failed(client.config().first_backoff, &error);
                        return false;
                    }
                    Outcome { delivered: 0, dropped: Some((DropReason::Refused, records)) }
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
    /// Puts the next attempt off, twice as long each time.
    fn failed(&mut self, first: Duration, error: &SendError) {
        let asked = match error {
            SendError::Deadline { retry_after, .. } => *retry_after,
            _ => None,
        };
        let pause = asked.unwrap_or_else(|| super::client::backoff(first, self.failures)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.again = Instant::now() + pause;
    }
}

/// Spools a body, or counts it as dropped.
fn keep(lane: &Lane<Vec<u8>>, shared: &Shared, body: &[u8], records: u64) {
    let mut state = shared.lock();
    if state.is_closed {
        return;
    }
    let Some(spool) = &mut state.spool else { return };
    let (reason, why) = match spool.append(body, records) {
        Ok(()) => return lane.spooled(records),
        Err(AppendError::Full) => (DropReason::SpoolFull, "the spool has reached its limit".to_owned()),
        Err(AppendError::Io(error)) => {
            (DropReason::SpoolError, format!("the spool cannot be written: {error}; check its disk"))
        }
    };
    drop(state);
    lane.failing(&why);
    lane.count(Outcome { delivered: 0, dropped: Some((reason, records)) });
}

/// What became of the records of a request that was taken.
fn taken(lane: &Lane<Vec<u8>>, delivered: &super::Delivered, records: u64) -> Outcome {
    lane.working();
    if !delivered.is_whole() {
        lane.warn(&delivered.to_string());
    }
    // Points are not in the ledger, so what is rejected of them is told alone.
    let rejected = delivered.rejected.min(records);
    let dropped = (rejected > 0).then_some((DropReason::Rejected, rejected));
    Outcome { delivered: records - rejected, dropped }
}

/// Whether the same body may be taken later.
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
