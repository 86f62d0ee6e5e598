//! What the middleware, `db` and `messaging` share: operations that are measured once and become a span and a value of a
//! histogram, by one of OpenTelemetry's semantic conventions.

mod site;
mod timed;

pub(crate) use site::{Site, hash, refused};
#[cfg(feature = "tower")]
pub(crate) use site::{refuse, take_series};
pub(crate) use timed::{Timed, polled_in};

use std::time::Instant;
use throughline::adapter::bridge::FieldList;
use throughline::adapter::callsite::{CallsiteId, Kind, Meta};
use throughline::{Context, DetachedSpan, Level, SpanKind, Status};

/// A convention: the names of a kind of operations and of their metric.
#[derive(Debug)]
pub(crate) struct Convention {
    pub(crate) kind: SpanKind,
    pub(crate) target: &'static str,
    /// The histogram of their durations in seconds.
    pub(crate) metric: &'static str,
    pub(crate) description: &'static str,
    /// The name of a span, from the values of `labels`.
    pub(crate) name: fn(&[&str]) -> String,
    /// The labels of the metric that a [`Site`] knows.
    pub(crate) labels: &'static [&'static str],
    /// The labels of the metric that are known when the operation ends.
    pub(crate) outcome: &'static [&'static str],
    /// The fields of the span that are known when it begins.
    pub(crate) fields: &'static [&'static str],
    /// Counts what finds no room for its labels. A static metric, so that there is always room for it.
    pub(crate) overflow: fn(f64),
    /// The callsite of spans for which there is no site.
    pub(crate) elsewhere: fn() -> Option<CallsiteId>,
}

/// A [`Convention`], with the static metric and callsite that need literals.
macro_rules! convention {
    (
        $kind:ident, $name:expr, $target:literal, $metric:literal, $description:literal,
        labels: $labels:expr, outcome: $outcome:expr, fields: $fields:expr $(,)?
    ) => {
        $crate::conventions::Convention {
            kind: throughline::SpanKind::$kind,
            target: $target,
            metric: $metric,
            description: $description,
            name: $name,
            labels: $labels,
            outcome: $outcome,
            fields: $fields,
            overflow: |seconds| {
                throughline::histogram!(
                    $metric as f64,
                    unit = "s",
                    description = $description,
                    fraction_bits = 30,
                    "otel.metric.overflow" = "true"
                )
                .record(seconds);
            },
            elsewhere: || {
                throughline::__enabled!(
                    Info,
                    throughline::adapter::callsite::Meta {
                        kind: throughline::adapter::callsite::Kind::Span,
                        level: throughline::Level::Info as u8,
                        span_kind: throughline::SpanKind::$kind,
                        name: $metric,
                        target: $target,
                        fields: $fields,
                        ..throughline::adapter::callsite::Meta::EMPTY
                    }
                )
            },
        }
    };
}
pub(crate) use convention;

/// The callsite of fields that are added to a span when its operation ends.
macro_rules! late_fields {
    ($target:literal, $fields:expr) => {
        throughline::__enabled!(
            Error,
            throughline::adapter::callsite::Meta {
                kind: throughline::adapter::callsite::Kind::Fields,
                level: throughline::Level::Error as u8,
                target: $target,
                fields: $fields,
                ..throughline::adapter::callsite::Meta::EMPTY
            }
        )
    };
}
pub(crate) use late_fields;

impl Convention {
    fn meta<'a>(&self, name: &'a str) -> Meta<'a> {
        Meta {
            kind: Kind::Span,
            level: Level::Info as u8,
            span_kind: self.kind,
            name,
            target: self.target,
            fields: self.fields,
            ..Meta::EMPTY
        }
    }
}

/// An operation that has begun.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) span: DetachedSpan,
    site: Site,
    begun: Instant,
    is_over: bool,
}

impl Operation {
    /// Begins it below `parent`. `fields` are those of the convention.
    pub(crate) fn begin(site: Site, parent: Context, fields: &mut FieldList) -> Operation {
        let span = match site.callsite() {
            Some(callsite) => DetachedSpan::begin(callsite, parent, fields),
            None => DetachedSpan::at(parent),
        };
        if let Some(name) = site.other_name() {
            span.set_name(name);
        }
        Operation { span, site, begun: Instant::now(), is_over: false }
    }

    #[cfg(feature = "tower")]
    /// Replaces the site, when more is known than at the beginning.
    pub(crate) fn move_to(&mut self, site: Site) {
        self.site = site;
    }

    #[cfg(feature = "tower")]
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    #[cfg(feature = "tower")]
    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.begun.elapsed()
    }

    /// Counts it with these values of the convention's `outcome`, "" for none. The span ends when it is dropped. Only
    /// the first call has an effect.
    pub(crate) fn end(&mut self, status: Status, outcome: &[&str]) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        if status != Status::Unset {
            self.span.set_status_if_unset(status);
        }
        // Where the span is current, so that the value's exemplar leads to it.
        let seconds = self.begun.elapsed().as_secs_f64();
        let _entered = self.span.context().enter();
        self.site.count(outcome, seconds);
    }
}
