//! The current values of all metrics of the process, for any thread: the pump at its interval, or an exporter
//! that is scraped.

use super::catalog::Catalog;
use super::metrics::{self, Point};
use super::resources::RollUp;
use crate::observe::{Answer, Asker, Asking};
use crate::profiling;
use crate::sampling;
use crate::wall_time::WallTime;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use throughline::Clock;
use throughline_export::Redaction;
use throughline_export::ledger::Cells;
use throughline_export::otlp::Counts;
use throughline_export::view::PointView;

/// Reads the metrics.
#[derive(Debug)]
pub(crate) struct Readings {
    clock: Clock,
    cells: Arc<Cells>,
    known: Mutex<Known>,
    asker: Asker,
    roll_up: Option<Arc<Mutex<RollUp>>>,
    /// There may be only one reader at a time, as it takes the threads' exemplars, and a floating-point sum may
    /// take two cells.
    catalog: Mutex<Catalog>,
}

/// What only the pump knows.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// When metrics began to count.
    pub(super) start_unix_ns: u64,
    pub(super) wall_time: WallTime,
    /// The wall clock's steps, if there were any.
    pub(super) steps: Option<[Point; 2]>,
    /// How many attributes OTLP's limits have cut and dropped.
    pub(super) attributes: Counts,
    /// The greatest share of a ring that was full in the last interval.
    pub(super) ring_fill: f64,
}

impl Readings {
    pub(crate) fn new(
        clock: Clock,
        cells: Arc<Cells>,
        redaction: Arc<Redaction>,
        exemplars: bool,
        wall_time: WallTime,
        roll_up: Option<RollUp>,
    ) -> Readings {
        let start_unix_ns = wall_time.unix_ns(clock.ticks());
        let known =
            Known { start_unix_ns, wall_time, steps: None, attributes: Counts::default(), ring_fill: 0.0 };
        let catalog = Mutex::new(Catalog::new(redaction, exemplars));
        let roll_up = roll_up.map(|roll_up| Arc::new(Mutex::new(roll_up)));
        Readings { roll_up, clock, cells, known: Mutex::new(known), asker: Asker::default(), catalog }
    }

    /// What spans have used, by field, which the pump adds to.
    pub(super) fn roll_up(&self) -> Option<Arc<Mutex<RollUp>>> {
        self.roll_up.clone()
    }

    /// Changes what the pump has found out.
    pub(super) fn update(&self, note: impl FnOnce(&mut Known)) {
        note(&mut lock(&self.known));
    }

    /// Takes the exemplars of all threads; see [`Catalog::take_exemplars`]. Not while another thread reads the metrics, which takes
    /// them itself.
    pub(super) fn take_exemplars(&self) {
        if let Ok(mut catalog) = self.catalog.try_lock() {
            catalog.take_exemplars(|ticks| lock(&self.known).wall_time.unix_ns(ticks));
        }
    }

    /// Begins to ask the observers, for [`read_with`](Self::read_with).
    pub(super) fn ask(&self) -> Asking {
        self.asker.ask()
    }

    /// Calls `look` with all metrics. It waits for the callbacks of observers, a second if some of them hang.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&[PointView<'_>]) -> R) -> R {
        self.read_with(self.ask().all_answers(), look)
    }

    /// Calls `look` with all metrics, of which `answers` are those of observers.
    pub(super) fn read_with<R>(&self, answers: Vec<Answer>, look: impl FnOnce(&[PointView<'_>]) -> R) -> R {
        let mut catalog = lock(&self.catalog);
        catalog.read(answers, |ticks| lock(&self.known).wall_time.unix_ns(ticks));
        let mut further = metrics::of_ledger(&self.cells.read());
        further.extend(metrics::of_bridges());
        #[cfg(feature = "observers")]
        further.extend(metrics::of_listeners());
        further.extend(metrics::of_observers());
        further.extend(metrics::of_sampling(sampling::share()));
        if let Some(roll_up) = &self.roll_up {
            further.extend(lock(roll_up).points());
        }
        #[cfg(profiled)]
        further.extend(metrics::of_memory().into_iter().chain(metrics::of_process()));
        further.extend(metrics::of_resources(profiling::lost_used()));
        further.extend(metrics::of_profiles(profiling::removed()));
        let times = {
            let known = lock(&self.known);
            further.extend(metrics::of_attributes(known.attributes));
            further.extend(known.steps.iter().flatten().cloned());
            further.extend(metrics::of_pump(&self.cells, known.ring_fill));
            (known.start_unix_ns, known.wall_time.unix_ns(self.clock.ticks()))
        };
        catalog.with_views(&further, times, look)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
