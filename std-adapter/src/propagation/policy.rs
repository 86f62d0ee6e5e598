//! What is accepted from whom, and the configured formats.

use super::{Baggage, Carried, current};
use super::{CarriedGuard, Extractor, Format, Injector, Propagator};
use crate::published::Published;
use std::str::FromStr;
use std::sync::Arc;
use throughline::{Span, TraceContext};
use throughline_export::text::fits_glob;

/// What becomes of the context of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inbound {
    /// The trace goes on.
    #[default]
    Accept,
    /// A new trace begins, with a link to the sender's span, and the sender decides neither its id nor whether it is
    /// sampled. For requests from outside of one's own systems.
    Restart,
    /// The trace goes on, and a request without a context is an error. For services that only others of one's own call.
    Require,
    /// A new trace begins, and nothing of the sender's context is kept, baggage included.
    Ignore,
}

impl FromStr for Inbound {
    type Err = ();

    fn from_str(text: &str) -> Result<Inbound, ()> {
        Ok(match text {
            "accept" => Inbound::Accept,
            "restart" => Inbound::Restart,
            "require" => Inbound::Require,
            "ignore" => Inbound::Ignore,
            _ => return Err(()),
        })
    }
}

/// Where a request comes from, for the rules of `propagation.rules`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    route: &'a str,
    peer: &'a str,
}

impl<'a> Origin<'a> {
    /// The route that the request is for, such as `/orders/{id}`; "" if it has none.
    pub fn route(route: &'a str) -> Origin<'a> {
        Origin { route, peer: "" }
    }

    /// The sender, as the rules name it: its address or its certificate's name.
    #[must_use]
    pub fn peer(mut self, peer: &'a str) -> Origin<'a> {
        self.peer = peer;
        self
    }
}

/// A request without a context came where [`Inbound::Require`] holds. Answer it as a bad request.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request has no valid trace context, which propagation.inbound or propagation.rules requires; send a `traceparent` header"
)]
#[non_exhaustive]
pub struct ContextRequired;

throughline_export::__debug_as_display!(ContextRequired);

/// The context of a request, as far as it was accepted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Received {
    carried: Carried,
    /// The sender's span, if a new trace begins.
    link: Option<TraceContext>,
}

impl Received {
    /// Puts the running code into the context until the guard is dropped; see [`Carried::enter`].
    #[must_use = "dropping the guard leaves the context"]
    pub fn enter(&self) -> CarriedGuard {
        current::enter(&self.carried)
    }

    /// What was accepted, for [`Propagate::in_carried`](super::Propagate::in_carried).
    pub fn carried(&self) -> &Carried {
        &self.carried
    }

    /// Gives the request's span its link to the sender's span, if it began a new trace, and the attributes that
    /// `propagation.baggage_attributes` takes from the baggage.
    pub fn describe(&self, span: &Span) {
        self.say(|sender| span.link(sender), |name, value| _ = span.record(name, value));
    }

    /// Like [`Received::describe`].
    #[cfg(feature = "tower")]
    pub(crate) fn describe_detached(&self, span: &throughline::DetachedSpan) {
        self.say(|sender| span.link(sender), |name, value| _ = span.record(name, value));
    }

    fn say(&self, link: impl Fn(TraceContext), record: impl Fn(&str, &str)) {
        if let Some(sender) = self.link {
            link(sender);
        }
        baggage_attributes(&self.carried.baggage, record);
    }
}

/// Calls `record` with the entries that `propagation.baggage_attributes` names.
pub(crate) fn baggage_attributes(baggage: &Baggage, record: impl Fn(&str, &str)) {
    if baggage.is_empty() {
        return;
    }
    with(|settings| {
        for (name, value) in baggage.iter() {
            if is_listed(&settings.baggage_attributes, name) {
                record(name, value);
            }
        }
    });
}

/// Reads the context of a request and applies the rules for its origin.
///
/// # Errors
///
/// [`ContextRequired`], only where [`Inbound::Require`] holds.
pub fn receive(carrier: &dyn Extractor, origin: Origin<'_>) -> Result<Received, ContextRequired> {
    admit(extract(carrier), origin)
}

/// Like [`receive`], for a message of a device link or a queue: reads the 26 bytes of [`TraceContext::to_bytes`], which
/// carry neither baggage nor a trace state. Bytes that are no valid context count as none.
///
/// ```
/// use throughline::{TraceContext, span};
/// use throughline_std::propagation::{Origin, receive_bytes};
/// # let sender = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")?;
/// # let message = [&sender.to_bytes()[..], b"on"].concat();
/// let (context, payload) = message.split_at(26);
/// let received = receive_bytes(context, Origin::default().peer("device"))?;
/// let _sender = received.enter();
/// let span = span!(kind: Server, "switch", bytes = payload.len());
/// received.describe(&span);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ContextRequired`], only where [`Inbound::Require`] holds.
pub fn receive_bytes(context: &[u8], origin: Origin<'_>) -> Result<Received, ContextRequired> {
    admit(Carried { parent: TraceContext::from_bytes(context), ..Carried::default() }, origin)
}

/// Applies the rules for the origin.
fn admit(carried: Carried, origin: Origin<'_>) -> Result<Received, ContextRequired> {
    Ok(match with(|settings| settings.inbound_of(origin)) {
        Inbound::Require if carried.parent.is_none() => return Err(ContextRequired),
        Inbound::Accept | Inbound::Require => Received { carried, link: None },
        Inbound::Restart => {
            let baggage = carried.baggage;
            Received { link: carried.parent, carried: Carried { baggage, ..Carried::default() } }
        }
        Inbound::Ignore => Received::default(),
    })
}

pub(super) fn extract(carrier: &dyn Extractor) -> Carried {
    with(|settings| {
        let mut carried = Carried::default();
        settings.propagators[..].extract(carrier, &mut carried);
        carried.baggage.retain(|name| is_listed(&settings.baggage, name));
        carried
    })
}

/// The names of the headers that are written.
#[cfg(feature = "opentelemetry")]
pub(crate) fn headers() -> Vec<String> {
    with(|settings| settings.propagators[..].headers().into_iter().map(str::to_owned).collect())
}

pub(crate) fn inject(carried: &Carried, carrier: &mut dyn Injector) {
    with(|settings| {
        if carried.baggage.iter().all(|(name, _)| is_listed(&settings.baggage, name)) {
            settings.propagators[..].inject(carried, carrier);
            return;
        }
        let mut carried = carried.clone();
        carried.baggage.retain(|name| is_listed(&settings.baggage, name));
        settings.propagators[..].inject(&carried, carrier);
    });
}

fn is_listed(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| fits_glob(pattern, name))
}

/// The section `propagation` of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) propagators: Vec<Arc<dyn Propagator>>,
    pub(crate) inbound: Inbound,
    /// Patterns of routes, or of peers after `peer:`; the first that fits counts.
    pub(crate) rules: Vec<(String, Inbound)>,
    /// Patterns of the names of baggage that comes in and goes out.
    pub(crate) baggage: Vec<String>,
    /// Patterns of the names of baggage that become attributes.
    pub(crate) baggage_attributes: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            propagators: vec![Arc::new(Format::TraceContext), Arc::new(Format::Baggage)],
            inbound: Inbound::Accept,
            rules: Vec::new(),
            baggage: vec!["*".into()],
            baggage_attributes: Vec::new(),
        }
    }
}

impl Settings {
    fn inbound_of(&self, origin: Origin<'_>) -> Inbound {
        let fits = |pattern: &str| match pattern.strip_prefix("peer:") {
            Some(peer) => fits_glob(peer, origin.peer),
            None => fits_glob(pattern, origin.route),
        };
        self.rules.iter().find(|(pattern, _)| fits(pattern)).map_or(self.inbound, |(_, inbound)| *inbound)
    }
}

static SETTINGS: Published<Settings> = Published::new();

/// Makes these settings count from now on.
pub(crate) fn configure(settings: Settings) {
    SETTINGS.set(settings);
}

fn with<R>(look: impl FnOnce(&Settings) -> R) -> R {
    match SETTINGS.get() {
        Some(settings) => look(settings),
        None => look(&Settings::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules =
            [("/health*", Inbound::Ignore), ("peer:10.*", Inbound::Accept), ("/admin/*", Inbound::Require)];
        let settings = Settings {
            inbound: Inbound::Restart,
            rules: rules.map(|(pattern, inbound)| (pattern.to_owned(), inbound)).into(),
            ..Settings::default()
        };
        let of = |route, peer| settings.inbound_of(Origin::route(route).peer(peer));
        assert_eq!(of("/healthz", "10.0.0.1"), Inbound::Ignore);
        assert_eq!(of("/orders", "10.0.0.1"), Inbound::Accept);
        assert_eq!(of("/admin/users", "192.0.2.1"), Inbound::Require);
        assert_eq!(of("/orders", "192.0.2.1"), Inbound::Restart);
        assert_eq!(of("", ""), Inbound::Restart);
    }
}
