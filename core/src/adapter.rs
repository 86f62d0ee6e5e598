//! What adapters build on: the ring and its records, the wire format, callsites, recorders of threads, and
//! reading metrics.
//!
//! **Outside the semver promise.** Programs and libraries that instrument themselves need nothing from this
//! module: everything for them is at the root of the crate. `throughline-std`, `throughline-embedded` and
//! `throughline-decode` use this module and are released together with this crate. An adapter of your own
//! should pin the exact version.
//!
//! | task | use |
//! |---|---|
//! | write or drain records | [`ring`]: [`Ring`](ring::Ring), [`Reader`](ring::Reader) |
//! | read the content of a drained record | [`record`]: [`Record`](record::Record), [`Values`](record::Values) |
//! | encode records and metrics as frames | [`wire`] |
//! | give threads recorders, set the id key and the share of traces that is recorded | [`recorder`] |
//! | parse, list or switch callsites | [`callsite`] |
//! | record what another API measured, whose names are known only at run time | `bridge`, with the feature `std` |
//! | read all metrics and the bucket bounds of histograms | [`metrics`] |

/// The ring and the layout of records in it.
pub mod ring {
    pub use crate::ring::*;
}

pub use crate::value::LossReason;

#[cfg(not(loom))]
pub use without_loom::*;

/// Everything except the ring: the model checker builds the ring alone.
#[cfg(not(loom))]
mod without_loom {
    /// Callsites: the compile-time description of each instrumented place and, on a host, the registry of all
    /// callsites.
    pub mod callsite {
        pub use crate::callsite::*;
    }

    /// What bridges from other APIs build on: callsites, fields, spans, events and metrics that are described at
    /// run time. Needs the feature `std`.
    ///
    /// A bridge makes a callsite once for each place of the other API and keeps it; afterwards a record costs
    /// about what one of the macros costs. Callsites and metrics live as long as the process, and their number
    /// is limited: [`callsite`](bridge::callsite) and the functions for metrics return `None` when nothing more
    /// fits, and [`refused`](bridge::refused) counts that.
    ///
    /// ```
    /// use throughline::adapter::bridge::{self, FieldList};
    /// use throughline::adapter::callsite::{Kind, Meta};
    /// use throughline::{Context, DetachedSpan, Level};
    ///
    /// let level = Level::Info as u8;
    /// let meta = Meta { kind: Kind::Span, level, name: "query", fields: &["rows"], ..Meta::EMPTY };
    /// let callsite = bridge::callsite(&meta).expect("there is room for it");
    /// if let Some(enabled) = callsite.enabled() {
    ///     let mut fields = FieldList::expecting(1);
    ///     fields.push(&42);
    ///     let span = DetachedSpan::begin(enabled, Context::current(), &mut fields);
    ///     let _entered = span.enter();
    /// }
    /// ```
    #[cfg(feature = "std")]
    pub mod bridge {
        pub use crate::callsite::run_time::{MOST_CALLSITES, callsite};
        pub use crate::fields::FieldList;
        pub use crate::metrics::run_time::{
            MOST_METRICS, counter, float_counter, float_gauge, gauge, histogram, up_down_counter,
        };
        pub use crate::span::{BusySince, event, event_ago};

        /// How often a callsite and how often a metric found no room.
        pub fn refused() -> (usize, usize) {
            (crate::callsite::run_time::refused(), crate::metrics::run_time::refused())
        }
    }

    /// Reading metrics: all series of the program and the bucket bounds of histograms.
    pub mod metrics {
        #[cfg(all(feature = "std", target_has_atomic = "64"))]
        pub use crate::exemplars::{Exemplar, Exemplars};
        #[cfg(all(feature = "std", target_has_atomic = "64"))]
        pub use crate::metrics::exemplar::take_exemplars;
        pub use crate::metrics::histogram::{
            MAX_SCALE, bucket_count, cells as histogram_cells, position, upper_bound,
        };
        #[cfg(feature = "std")]
        pub use crate::metrics::negative::take_negative;
        pub use crate::metrics::read::{HistogramReading, Reading, Series, for_each};
        #[cfg(feature = "std")]
        pub use crate::metrics::read::{changes, for_each_possible};
        pub use crate::metrics::series::SeriesKey;
        pub use crate::metrics::shape::{fraction_bits, is_summary, scale};
        pub use crate::sync::{Cell, Count};
    }

    /// Records as a reader sees them.
    pub mod record {
        pub use crate::record::*;
        pub use crate::span::{KEY_FIELD, LINK_FIELD, NAME_FIELD};
        pub use crate::value::{Extended, ExtendedValue, List, Value};
    }

    /// The id key and events written to another ring; on a host also the recorders of threads, remote parents,
    /// the share of traces that is recorded, and panic messages.
    ///
    /// [`Recorder`](crate::Recorder) has methods for adapters that its own page leaves out: `for_thread(slots,
    /// mode, clock, cells)` makes one for a thread, `keeping(exemplars)` has it keep exemplars, `ring()` is its ring, `push_extended(…)` writes a record of
    /// an extended kind, `sampled_out()` and `forgotten()` are counts for the ledger.
    pub mod recorder {
        pub use crate::event_to::event_to;
        #[cfg(feature = "thread-context")]
        pub use crate::recorder::OutsideRecord;
        #[cfg(feature = "std")]
        pub use crate::recorder::{
            Refusal, ThreadHook, ThreadPlace, acquire_thread, for_each_thread, forget_threads,
            interrupted_place, mark_correlation, mute_thread, record_polls, recorded_span, refuse_thread,
            refused, release_thread, remote_parent, set_sample_ratio, set_thread_hook, turn_remote_parents,
        };
        pub use crate::recorder::{id_key, set_id_key};
        #[cfg(feature = "std")]
        pub use crate::span::{PanicMessage, note_panic, set_panic_message};
    }

    /// The encoder of the wire format.
    pub mod wire {
        pub use crate::wire::*;
    }

    pub use crate::id::{IdKey, LocalId};
    pub use crate::sync::AtomicWord;
    #[cfg(feature = "std")]
    pub use crate::version::versions;
}
