//! The configured propagation as a propagator of OpenTelemetry.

use super::context::{self, Undecided, of_own, span_context, with_baggage};
use crate::propagation::{self, Carried};
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{self as theirs, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;

/// A propagator of OpenTelemetry that reads and writes the formats of the configuration's section `propagation`.
/// [`Config::opentelemetry_providers`](crate::Config::opentelemetry_providers) makes it the global one.
///
/// ```
/// use opentelemetry::propagation::TextMapPropagator;
/// use std::collections::HashMap;
/// let propagator = throughline_std::opentelemetry::Propagator::default();
/// let _request = throughline::span!("request");
/// let mut headers: HashMap<String, String> = HashMap::new();
/// propagator.inject(&mut headers); // `traceparent` of the request
/// ```
#[derive(Clone, Debug)]
pub struct Propagator {
    fields: Vec<String>,
}

impl Default for Propagator {
    fn default() -> Propagator {
        context::follow();
        Propagator { fields: propagation::headers() }
    }
}

impl TextMapPropagator for Propagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn theirs::Injector) {
        let carried = if context::is_current(context) {
            Carried::current()
        } else {
            let mut carried = context::carried_by(context);
            // Of a span that is not one of another process, the place knows more than the ids.
            carried.parent = context::place_of(context).trace_context().or(carried.parent);
            carried
        };
        propagation::inject_carried(&carried, &mut Into(injector));
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn theirs::Extractor) -> Context {
        let carried = propagation::extract(&From(extractor));
        let mut context = context.clone();
        if let Some(parent) = carried.parent {
            context =
                context.with_remote_span_context(span_context(parent, true, of_own(&carried.trace_state)));
            if carried.is_undecided {
                context = context.with_value(Undecided(parent));
            }
        }
        if carried.baggage.is_empty() { context } else { with_baggage(&context, &carried.baggage) }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

struct Into<'a>(&'a mut dyn theirs::Injector);

impl propagation::Injector for Into<'_> {
    fn set(&mut self, name: &str, value: &str) {
        self.0.set(name, value.to_owned());
    }
}

struct From<'a>(&'a dyn theirs::Extractor);

impl propagation::Extractor for From<'_> {
    fn values(&self, name: &str, found: &mut dyn FnMut(&str)) {
        self.0.get_all(name).unwrap_or_default().into_iter().for_each(found);
    }

    fn names(&self, found: &mut dyn FnMut(&str)) {
        self.0.keys().into_iter().for_each(found);
    }
}
