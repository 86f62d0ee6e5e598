//! What adapters build on: the ring and its records, the wire, callsites, recorders of threads, and reading metrics.
//!
//! **Outside the semver promise.** Programs and libraries that instrument themselves need nothing from here: all that they type is at the root of
//! the crate. `throughline-std`, `throughline-embedded` and `throughline-decode` use this module and are released together with this
//! crate; whoever writes another adapter should pin the exact version.
//!
//! | to | use |
//! |---|---|
//! | write records, or drain them | [`ring`]: [`Ring`](ring::Ring), [`Reader`](ring::Reader) |
//! | read what a drained record says | [`record`]: [`Record`](record::Record), [`Values`](record::Values) |
//! | turn records and metrics into frames | [`wire`] |
//! | give threads recorders, set the id key and the share of traces recorded | [`recorder`] |
//! | parse, list or switch callsites | [`callsite`] |
//! | walk over all metrics, and know the buckets of histograms | [`metrics`] |

/// How records lie in memory, and the ring that holds them.
pub mod ring {
    pub use crate::ring::*;
}

pub use crate::value::LossReason;

#[cfg(not(loom))]
pub use without_loom::*;

/// The model checker sees the ring alone.
#[cfg(not(loom))]
mod without_loom {
    /// Callsites: what is known of an instrumented place when it is compiled, and on a host the registry of all.
    pub mod callsite {
        pub use crate::callsite::*;
    }

    /// Reading metrics: all series of the program, and the buckets of a histogram.
    pub mod metrics {
        pub use crate::metrics::histogram::{
            MAX_SCALE, bucket_count, cells as histogram_cells, position, upper_bound,
        };
        pub use crate::metrics::read::{HistogramReading, Reading, Series, for_each};
        pub use crate::metrics::series::SeriesKey;
        pub use crate::metrics::shape::{fraction_bits, is_summary, scale};
        pub use crate::sync::{Cell, Count};
    }

    /// Records as a drain sees them.
    pub mod record {
        pub use crate::record::*;
        pub use crate::span::{LINK_FIELD, NAME_FIELD};
        pub use crate::value::{Extended, ExtendedValue, List};
    }

    /// The id key, events past a recorder's ring, and on a host the recorders of threads, the share of traces that is recorded and the messages of panics.
    pub mod recorder {
        pub use crate::aside::event_to;
        #[cfg(feature = "std")]
        pub use crate::recorder::{
            ThreadHook, acquire_thread, for_each_thread, forget_threads, mute_thread, refused,
            release_thread, set_sample_ratio, set_thread_hook,
        };
        pub use crate::recorder::{id_key, set_id_key};
        #[cfg(feature = "std")]
        pub use crate::span::{PanicMessage, set_panic_message};
    }

    /// The encoder of the wire format.
    pub mod wire {
        pub use crate::wire::*;
    }

    pub use crate::fields::FieldWriter;
    pub use crate::id::{IdKey, LocalId};
    pub use crate::sync::AtomicWord;
    #[cfg(feature = "std")]
    pub use crate::version::versions;
}
