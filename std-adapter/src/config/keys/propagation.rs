//! Keys of the context that crosses the borders of the process.

use crate::config::key::{Key, Standard};
use crate::config::value::Kind::{List, Map, OneOf};
use crate::propagation::{Format, Propagator};
use std::sync::Arc;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "propagation.formats",
        List(&["tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", "datadog", "none"]),
        "tracecontext,baggage",
        "Headers in which a trace travels. What comes in goes on below the first that has a parent; what goes out has all.",
        |config, value| {
            let names = value.list().iter().filter(|name| *name != "none");
            let formats: Vec<Format> = names.filter_map(|name| name.parse().ok()).collect();
            if formats.len() < value.list().len() && value.list().len() > 1 {
                return Err("has none beside others; write either none or the others".into());
            }
            let dynamic = |format| Arc::new(format) as Arc<dyn Propagator>;
            config.propagation.propagators = formats.into_iter().map(dynamic).collect();
            Ok(())
        },
    )
    .standard(&[Standard::same("OTEL_PROPAGATORS")]),
    Key::new(
        "propagation.inbound",
        OneOf(&["accept", "restart", "require", "ignore"]),
        "accept",
        "What becomes of the context of a request: its trace goes on; a new one begins, with a link to it; a request without a context is refused; or a new one begins without a link.",
        |config, value| {
            config.propagation.inbound = value.text().parse().unwrap_or_default();
            Ok(())
        },
    ),
    Key::new(
        "propagation.rules",
        Map,
        "",
        "The same for some routes, or for some peers after `peer:`, which need a server that tells the client's address, as ServerLayer with .client does. A * stands for anything; the first that fits counts.",
        |config, value| {
            let rule = |(pattern, inbound): &(String, String)| {
                let inbound = inbound.parse().map_err(|()| {
                    format!("has `{inbound}` for {pattern}, which is not accept, restart, require or ignore")
                })?;
                Ok((pattern.clone(), inbound))
            };
            config.propagation.rules = value.pairs().iter().map(rule).collect::<Result<_, String>>()?;
            Ok(())
        },
    )
    .example("/public/*=restart,peer:10.*=accept"),
    Key::new(
        "propagation.baggage",
        List(&[]),
        "*",
        "Names of the baggage that is accepted and passed on; the rest is left out. A * stands for anything.",
        |config, value| {
            config.propagation.baggage = value.list().to_vec();
            Ok(())
        },
    ),
    Key::new(
        "propagation.baggage_attributes",
        List(&[]),
        "",
        "Names of the baggage that becomes attributes of a request's span.",
        |config, value| {
            config.propagation.baggage_attributes = value.list().to_vec();
            Ok(())
        },
    )
    .example("user.id,tenant.*"),
];
