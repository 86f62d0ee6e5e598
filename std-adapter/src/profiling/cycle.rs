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
    let mut pause = FIRST_PAUSE;
    loop {
        let runs = match profiler.create(kinds) {
            Ok(wanted) => {
                pause = FIRST_PAUSE;
                shared.lock().wanted = Some((wanted, SystemTime::now()));
                shared.wait(Duration::MAX, |state| state.wanted.is_some() || state.is_sent)
            }
            Err(NotWanted::Later(pause)) => shared.wait(pause, |_| true),
            Err(NotWanted::Failed(why)) => {
                diagnostics::tell(format_args!("no profile goes to Google Cloud now: {why}"));
                let runs = shared.wait(pause, |_| true);
                pause = pause.mul_f64(FACTOR).min(LONGEST_PAUSE);
                runs
            }
        };
        if !runs {
            return;
        }
    }
}
