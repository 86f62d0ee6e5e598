//! The settings of sampling, and what they say about a trace at its beginning.

use super::rate::Limiter;
use super::{is_in, is_random_in};
use crate::config::SharedSampler;
use crate::propagation;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use throughline::sampler::{NewTrace, Sampling};
use throughline_export::text::fits_glob;

/// The section `tracing.sampling` of the configuration, but for the share.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Patterns of traces that are always kept.
    pub(crate) critical: Vec<String>,
    /// Patterns, each with the share that is kept; the first that fits counts.
    pub(crate) rules: Vec<(String, f64)>,
    /// Most traces that begin here in a second.
    pub(crate) rate_limit: Option<u32>,
    /// Whether traces with an error are kept.
    pub(crate) errors: bool,
    /// Traces that take at least this long are kept.
    pub(crate) slow: Option<Duration>,
    /// The same for traces that fit a pattern; the first that fits counts.
    pub(crate) slow_at: Vec<(String, Duration)>,
    /// So many traces of each route are kept in a minute.
    pub(crate) rare: u32,
    /// The share changes so that so many spans are kept in a second.
    pub(crate) target: Option<f64>,
    /// The share changes so that tracing takes at most this part of the machine's CPU time.
    pub(crate) max_cpu: Option<f64>,
    pub(crate) buffer: Buffer,
}

impl Settings {
    /// Whether the share changes with the load.
    pub(crate) fn is_adaptive(&self) -> bool {
        self.target.is_some() || self.max_cpu.is_some()
    }
}

/// Limits of the spans that wait until their traces end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Buffer {
    pub(crate) traces: usize,
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            critical: Vec::new(),
            rules: Vec::new(),
            rate_limit: None,
            errors: false,
            slow: None,
            slow_at: Vec::new(),
            rare: 0,
            target: None,
            max_cpu: None,
            buffer: Buffer { traces: 10_000, bytes: 64 << 20, time: Duration::from_secs(30) },
        }
    }
}

/// The settings, prepared.
#[derive(Debug)]
pub(crate) struct Plan {
    settings: Settings,
    rules: Vec<(String, f64)>,
    waits: bool,
    limiter: Option<Limiter>,
    custom: Option<SharedSampler>,
    /// By the number of a callsite: which rule its name fits; see [`UNKNOWN`].
    known: Box<[AtomicU8]>,
}

/// In [`Plan::known`]: nobody has asked yet. Other numbers are those of rules, plus 2.
const UNKNOWN: u8 = 0;
/// In [`Plan::known`]: the callsite's name fits no rule.
const NO_RULE: u8 = 1;
/// Number of callsites whose rules are remembered. Names of further ones are compared each time.
const REMEMBERED: usize = 4096;

impl Plan {
    pub(crate) fn new(settings: Settings, custom: Option<SharedSampler>) -> Plan {
        let critical = settings.critical.iter().map(|pattern| (pattern.clone(), 1.0));
        let rules: Vec<_> = critical.chain(settings.rules.iter().cloned()).collect();
        let remembered = if rules.is_empty() { 0 } else { REMEMBERED };
        let Settings { errors, slow, slow_at, rare, .. } = &settings;
        // The route is a field of the span, which is known when it has ended.
        let by_route = rules.iter().any(|(pattern, _)| pattern.contains('/'));
        let waits = *errors || slow.is_some() || !slow_at.is_empty() || *rare > 0 || by_route;
        Plan {
            waits,
            limiter: settings.rate_limit.map(Limiter::new),
            known: (0..remembered).map(|_| AtomicU8::new(UNKNOWN)).collect(),
            rules,
            settings,
            custom,
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether traces are decided when they end, so that all of them are recorded.
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// Whether the pump has something to do for it.
    pub(crate) fn has_stage(&self) -> bool {
        self.waits() || self.settings.is_adaptive()
    }

    /// Whether the recorder must ask about each trace.
    pub(super) fn is_asked(&self) -> bool {
        self.waits() || !self.rules.is_empty() || self.limiter.is_some()
    }

    /// Whether all sampled traces that begin here are sampled with the same probability.
    pub(crate) fn has_one_share(&self) -> bool {
        self.rules.is_empty() && self.limiter.is_none() && self.custom.is_none()
    }

    /// The decision with which a trace travels, and whether it is recorded.
    pub(super) fn at_beginning(&self, trace: &NewTrace, share: f64) -> Sampling {
        let sampled = match (self.custom, self.rule_at_beginning(trace), trace.remote) {
            (Some(custom), ..) => match custom.0.sample(trace) {
                Sampling::Drop => false,
                Sampling::Record => true,
                other => return other,
            },
            (None, Some(share), None) => is_in(trace.trace_id, share),
            // The sender may have given a random number of its own.
            (None, Some(share), Some(_)) => match propagation::randomness(trace.trace_id) {
                Some(random) => is_random_in(random, share),
                None => is_in(trace.trace_id, share),
            },
            (None, None, Some(remote)) => remote.sampled(),
            (None, None, None) => {
                is_in(trace.trace_id, share) && self.limiter.as_ref().is_none_or(Limiter::passes)
            }
        };
        match sampled {
            true => Sampling::Record,
            false if self.waits() => Sampling::RecordOnly,
            false => Sampling::Drop,
        }
    }

    /// The share that a rule says for the name of the trace's first span.
    fn rule_at_beginning(&self, trace: &NewTrace) -> Option<f64> {
        if self.rules.is_empty() {
            return None;
        }
        let look_up = || {
            let name = trace.name().unwrap_or_default();
            self.rules.iter().position(|(pattern, _)| fits_glob(pattern, name))
        };
        let Some(cell) = self.known.get(trace.callsite() as usize) else {
            return look_up().map(|at| self.rules[at].1);
        };
        let at = match cell.load(Ordering::Relaxed) {
            UNKNOWN => {
                let at = look_up();
                let number = at.map_or(Some(NO_RULE), |at| u8::try_from(at + 2).ok());
                cell.store(number.unwrap_or(UNKNOWN), Ordering::Relaxed);
                at
            }
            NO_RULE => None,
            number => Some(usize::from(number) - 2),
        };
        at.map(|at| self.rules[at].1)
    }

    /// What a rule says for a trace whose first span has this name and this route: the share, and whether it could be
    /// known at the beginning already.
    pub(crate) fn rule_of(&self, names: &Names<'_>) -> Option<(f64, bool)> {
        let (pattern, share) = self.rules.iter().find(|(pattern, _)| names.fit(pattern))?;
        Some((*share, fits_glob(pattern, names.callsite)))
    }

    /// From what duration on a trace is slow. `names` are those of its first span.
    pub(crate) fn slow_from(&self, names: &Names<'_>) -> Option<Duration> {
        let special = self.settings.slow_at.iter().find(|(pattern, _)| names.fit(pattern));
        special.map(|(_, slow)| *slow).or(self.settings.slow)
    }

    /// From what age on every trace is slow, even if its first span has not ended.
    pub(crate) fn slow_anyway(&self) -> Option<Duration> {
        let longest = self.settings.slow_at.iter().map(|(_, slow)| *slow).max();
        self.settings.slow.map(|slow| longest.map_or(slow, |longest| longest.max(slow)))
    }
}

/// The names of a trace's first span.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Names<'a> {
    /// The name in the source.
    pub(crate) callsite: &'a str,
    /// The name given later; "" if there is none.
    pub(crate) given: &'a str,
    /// The attribute `http.route`; "" if there is none.
    pub(crate) route: &'a str,
}

impl Names<'_> {
    /// Whether the pattern fits one of them.
    fn fit(&self, pattern: &str) -> bool {
        let fits = |name: &str| !name.is_empty() && fits_glob(pattern, name);
        fits_glob(pattern, self.callsite) || fits(self.given) || fits(self.route)
    }
}
