//! Context across the borders of a process: [`extract`] reads it from what arrives, [`inject`] writes it into what is
//! sent. Formats, what is accepted from whom, and which baggage passes are configured by the section `propagation`.
//!
//! ```
//! use std::collections::HashMap;
//! use throughline::{Instrument, span};
//! use throughline_std::propagation::{Origin, Propagate, inject, receive};
//!
//! # async fn call(_: HashMap<String, String>) {}
//! # async fn handler(request: HashMap<String, String>) -> Result<(), Box<dyn std::error::Error>> {
//! let received = receive(&request, Origin::route("/orders/{id}"))?;
//! let work = async {
//!     let span = span!(kind: Server, "GET /orders/{id}");
//!     received.describe(&span);
//!     let mut headers = HashMap::new();
//!     inject(&mut headers); // `traceparent`, `tracestate` and `baggage` of the span
//!     call(headers).await;
//! };
//! work.in_carried(received.carried()).await;
//! # Ok(())
//! # }
//! ```
//!
//! The span of a trace that goes on in a spawned task or another thread comes along with [`FullContext`], or
//! [`Propagate::in_current_context`]; closures come along with [`carrying`]. [`throughline::Context`] alone carries the place in the trace, but no baggage.
//!
//! [`correlate`] gives names and values, such as the id of a request, to everything that is recorded within a scope. They go the same
//! ways within the process, but do not leave it.

mod baggage;
mod carrier;
pub(crate) mod correlation;
mod current;
mod formats;
mod policy;
mod trace_state;

pub use baggage::Baggage;
pub(crate) use baggage::is_token;
#[doc(inline)]
pub use carrier::{Environment, Extractor, Injector, from_fn, into_fn};
pub use correlation::{Correlate, Correlation, CorrelationGuard, correlate};
#[cfg(feature = "futures-core")]
pub use current::instrument_stream;
pub(crate) use current::randomness;
#[cfg(feature = "opentelemetry")]
pub(crate) use current::{Added, trace_state};
pub use current::{CarriedGuard, FullContext, FullGuard, Propagate, WithAlong, carrying, carrying_each};
pub use formats::{Format, UnknownFormat};
pub use policy::{ContextRequired, Inbound, Origin, Received, receive, receive_bytes};
pub(crate) use policy::{Settings, baggage_attributes, configure};
#[cfg(feature = "opentelemetry")]
pub(crate) use policy::{headers, inject as inject_carried};
pub use trace_state::TraceState;

use std::fmt;
use throughline::TraceContext;

/// What travels from one process to another.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Carried {
    /// The span of the sender that is the parent of what follows.
    pub parent: Option<TraceContext>,
    /// Whether the sender leaves it to the receiver if the trace is sampled, as B3, X-Ray and Datadog allow. The flag
    /// of `parent` then has no meaning.
    pub is_undecided: bool,
    /// Whether the sender only said that nothing is to be recorded, without ids, as B3 allows. The ids of `parent` are then of this library.
    pub is_denied: bool,
    /// What the tracing systems on the way have added.
    pub trace_state: TraceState,
    /// Names and values of the application.
    pub baggage: Baggage,
}

impl Carried {
    /// What a request sent from here carries: the current span, with its trace state and baggage.
    pub fn current() -> Carried {
        current::carried()
    }

    /// Puts the running code below the sender's span, with its trace state and baggage, until the guard is dropped.
    /// If there is no sender, it is outside any trace, so that its first span begins one. Code that awaits uses
    /// [`Propagate::in_carried`] instead. Cost: two records if there is a parent, and an allocation.
    #[must_use = "dropping the guard leaves the context"]
    pub fn enter(&self) -> CarriedGuard {
        current::enter(self)
    }
}

/// A format in which a context travels. [`Format`] has the standard ones; implement it for one of your own, and give
/// it to `Config::propagator`.
///
/// What comes from outside must not make it panic, and it must not keep more than a few kilobytes of it.
pub trait Propagator: Send + Sync + fmt::Debug {
    /// Reads the headers. Leaves `carried` as it is if there is nothing, or nothing valid.
    fn extract(&self, carrier: &dyn Extractor, carried: &mut Carried);

    /// Writes the headers.
    fn inject(&self, carried: &Carried, carrier: &mut dyn Injector);

    /// The names of the headers that it writes, in lower case, for carriers that must clear them or list them.
    fn headers(&self) -> Vec<&'static str>;
}

/// Several formats, in an order. On the way in, the first that finds a parent decides where the trace goes on, and the
/// baggage of all is put together. On the way out each writes its headers.
impl<P: Propagator> Propagator for [P] {
    fn extract(&self, carrier: &dyn Extractor, carried: &mut Carried) {
        for format in self {
            let mut found = Carried::default();
            format.extract(carrier, &mut found);
            carried.baggage.add(std::mem::take(&mut found.baggage));
            let has_ids = carried.parent.is_some() && !carried.is_denied;
            if !has_ids && found.parent.is_some() {
                let baggage = std::mem::take(&mut carried.baggage);
                *carried = Carried { baggage, ..found };
            }
        }
    }

    fn inject(&self, carried: &Carried, carrier: &mut dyn Injector) {
        self.iter().for_each(|format| format.inject(carried, carrier));
    }

    fn headers(&self) -> Vec<&'static str> {
        let mut all: Vec<&str> = Vec::new();
        for name in self.iter().flat_map(Propagator::headers) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all
    }
}

impl<P: Propagator + ?Sized> Propagator for std::sync::Arc<P> {
    fn extract(&self, carrier: &dyn Extractor, carried: &mut Carried) {
        (**self).extract(carrier, carried);
    }

    fn inject(&self, carried: &Carried, carrier: &mut dyn Injector) {
        (**self).inject(carried, carrier);
    }

    fn headers(&self) -> Vec<&'static str> {
        (**self).headers()
    }
}

/// Reads the context from `carrier`, in the configured formats. Invalid headers count as missing, and baggage that is
/// not allowed is left out. A server that gets requests from strangers should use [`receive`].
pub fn extract(carrier: &dyn Extractor) -> Carried {
    policy::extract(carrier)
}

/// Writes the current context into `carrier`, in the configured formats. Outside any span only baggage is written.
///
/// ```
/// use throughline_std::propagation::inject;
/// let mut child = std::process::Command::new("worker");
/// inject(&mut child); // sets TRACEPARENT, TRACESTATE and BAGGAGE
/// ```
pub fn inject(carrier: &mut dyn Injector) {
    policy::inject(&Carried::current(), carrier);
}

#[cfg(test)]
mod tests;
