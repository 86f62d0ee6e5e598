//! Takes part in the cycle of Google Cloud Profiler: a thread asks what the service wants, and the session gives it the next profile
//! of that kind.

use crate::spawn::spawn;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use throughline_export::diagnostics;
use throughline_export::profiles::{CloudProfileKind, CloudProfiler, NotWanted, WantedProfile};

/// Pause after a failure; each later one is longer by this factor, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const FACTOR: f64 = 1.3;
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// More failures do not make the pause longer.
const MOST_FAILURES: i32 = 16;

/// The cycle of one session. It ends when this is dropped, though a request may still wait for its answer.
pub(super) struct Cycle(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// With the time from which on the profile is to be.
    wanted: Option<(WantedProfile, SystemTime)>,
    /// It was taken and is being sent. Profiles of a deployment are created one after the other.
    is_sent: bool,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while this holds and the session runs, at most for so long. Returns whether the session still runs.
    fn wait(&self, within: Duration, is_so: impl Fn(&State) -> bool) -> bool {
        let waits = |state: &mut State| !state.ended && is_so(state);
        let state = self.changed.wait_timeout_while(self.lock(), within, waits);
        !state.unwrap_or_else(PoisonError::into_inner).0.ended
    }
}

impl Cycle {
    /// Begins to ask for what is wanted of these kinds.
    pub(super) fn begin(profiler: CloudProfiler, kinds: Vec<CloudProfileKind>) -> io::Result<Cycle> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let cycle = Cycle(Arc::clone(&shared));
        spawn("gcp", Box::new(move || ask(&profiler, &kinds, &shared)))?;
        Ok(cycle)
    }

    /// Takes what is wanted, until [`Cycle::done`], if a profile of this kind that began at `started` is that.
    pub(super) fn take(&self, kind: CloudProfileKind, started: SystemTime) -> Option<WantedProfile> {
        let mut state = self.0.lock();
        // Memory is told as it is, whenever the samples began.
        let is_it = |(wanted, since): &mut (WantedProfile, SystemTime)| {
            wanted.kind() == kind && (kind == CloudProfileKind::Heap || started >= *since)
        };
        let (wanted, _) = state.wanted.take_if(is_it)?;
        state.is_sent = true;
        Some(wanted)
    }

    /// What was taken is sent, or lost: the next one may be asked for.
    pub(super) fn done(&self) {
        self.0.lock().is_sent = false;
        self.0.changed.notify_all();
    }
}

impl Drop for Cycle {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

fn ask(profiler: &CloudProfiler, kinds: &[CloudProfileKind], shared: &Shared) {
    let mut failures = Failures::default();
    loop {
        let runs = match profiler.create(kinds) {
            Ok(wanted) => {
                failures = Failures::default();
                shared.lock().wanted = Some((wanted, SystemTime::now()));
                shared.wait(Duration::MAX, |state| state.wanted.is_some() || state.is_sent)
            }
            Err(why) => {
                if let NotWanted::Failed(why) | NotWanted::NoToken(why) = &why {
                    diagnostics::tell(format_args!("no profile goes to Google Cloud now: {why}"));
                }
                shared.wait(failures.pause(&why), |_| true)
            }
        };
        if !runs {
            return;
        }
    }
}

/// Failures of the service in a row.
#[derive(Default)]
struct Failures(i32);

impl Failures {
    /// How long nothing is asked.
    fn pause(&mut self, why: &NotWanted) -> Duration {
        match why {
            NotWanted::Later(pause) => *pause,
            // This costs the service nothing, so the pause need not grow.
            NotWanted::NoToken(_) => FIRST_PAUSE,
            NotWanted::Failed(_) => {
                let pause = FIRST_PAUSE.mul_f64(FACTOR.powi(self.0)).min(LONGEST_PAUSE);
                self.0 = (self.0 + 1).min(MOST_FAILURES);
                pause
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_the_service_fails_and_not_while_there_is_no_token() {
        let (mut failures, failed) = (Failures::default(), NotWanted::Failed(String::new()));
        assert_eq!([(); 3].map(|()| failures.pause(&failed).as_millis()), [60_000, 78_000, 101_400]);
        assert_eq!(failures.pause(&NotWanted::NoToken(String::new())), FIRST_PAUSE);
        assert_eq!(failures.pause(&NotWanted::Later(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(failures.pause(&failed).as_millis(), 131_820);
        (0..100).for_each(|_| _ = failures.pause(&failed));
        assert_eq!(failures.pause(&failed), LONGEST_PAUSE);
    }
}
