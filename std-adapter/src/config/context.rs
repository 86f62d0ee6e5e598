//! Methods that configure how context travels between processes.

use super::Config;
use crate::propagation::{Inbound, Propagator};
use std::sync::Arc;

impl Config {
    /// Lets context travel in these formats, instead of W3C Trace Context and W3C Baggage. What comes in goes on below
    /// the first that finds a parent; what goes out has the headers of all.
    ///
    /// ```
    /// use throughline_std::{Config, propagation::Format};
    /// let config = Config::new("shop").propagators([Format::TraceContext, Format::Baggage, Format::B3]);
    /// ```
    #[must_use]
    pub fn propagators<P: Propagator + 'static>(mut self, formats: impl IntoIterator<Item = P>) -> Config {
        let shared = |format| Arc::new(format) as Arc<dyn Propagator>;
        self.propagation.propagators = formats.into_iter().map(shared).collect();
        self
    }

    /// Adds a format, such as one of the program's own.
    #[must_use]
    pub fn propagator(mut self, format: impl Propagator + 'static) -> Config {
        self.propagation.propagators.push(Arc::new(format));
        self
    }

    /// Sets what becomes of the context of a request that [`receive`](crate::propagation::receive) reads, if no rule of
    /// [`Config::inbound_at`] fits.
    #[must_use]
    pub fn inbound(mut self, inbound: Inbound) -> Config {
        self.propagation.inbound = inbound;
        self
    }

    /// The same for the routes that fit `pattern`, or for the peers if it begins with `peer:`. Each `*` stands for any
    /// characters. The first pattern that fits counts.
    ///
    /// ```
    /// use throughline_std::{Config, propagation::Inbound};
    /// let config = Config::new("shop").inbound(Inbound::Restart).inbound_at("peer:10.*", Inbound::Accept);
    /// ```
    #[must_use]
    pub fn inbound_at(mut self, pattern: &str, inbound: Inbound) -> Config {
        self.propagation.rules.push((pattern.into(), inbound));
        self
    }

    /// Accepts and passes on only the baggage whose names fit one of these patterns.
    #[must_use]
    pub fn baggage(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Config {
        self.propagation.baggage = names.into_iter().map(Into::into).collect();
        self
    }

    /// Makes attributes of a request's span of the baggage whose names fit one of these patterns; see
    /// [`Received::describe`](crate::propagation::Received::describe).
    #[must_use]
    pub fn baggage_attributes(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Config {
        self.propagation.baggage_attributes = names.into_iter().map(Into::into).collect();
        self
    }
}
