//! Methods that configure which traces are kept.

use super::Config;
use std::time::Duration;

impl Config {
    /// Keeps every trace in which a span ends with an error, whatever the probability. All spans are recorded then, and
    /// wait in a bounded buffer until their traces end; what travels to other processes is the decision of the
    /// beginning.
    ///
    /// ```
    /// use std::time::Duration;
    /// use throughline_std::Config;
    /// let config = Config::new("shop")
    ///     .sample_ratio(0.1)
    ///     .always_sample_errors(true)
    ///     .always_sample_slow(Duration::from_secs(2))
    ///     .critical_paths(["/api/chat", "checkout.*"]);
    /// ```
    #[must_use]
    pub fn always_sample_errors(mut self, on: bool) -> Config {
        self.sampling_rules.errors = on;
        self
    }

    /// Keeps every trace whose first span here takes at least this long; see [`Config::always_sample_errors`].
    #[must_use]
    pub fn always_sample_slow(mut self, from: Duration) -> Config {
        self.sampling_rules.slow = Some(from);
        self
    }

    /// The same for the traces that fit `pattern`, instead of [`Config::always_sample_slow`]. A pattern is compared with
    /// the name and with `http.route` of a trace's first span; each `*` stands for any characters.
    #[must_use]
    pub fn always_sample_slow_at(mut self, pattern: &str, from: Duration) -> Config {
        self.sampling_rules.slow_at.push((pattern.into(), from));
        self
    }

    /// Keeps so many traces of each route in a minute whatever the probability, so that rare routes are seen.
    #[must_use]
    pub fn sample_rare(mut self, traces_per_minute: u32) -> Config {
        self.sampling_rules.rare = traces_per_minute;
        self
    }

    /// Keeps every trace that fits one of these patterns; see [`Config::sampling_rule`].
    #[must_use]
    pub fn critical_paths(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Config {
        self.sampling_rules.critical = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// Keeps this share of the traces that fit `pattern`, instead of [`Config::sample_ratio`]. The pattern is compared
    /// with the name of a trace's first span when it begins. If it contains a `/`, it is also compared with its
    /// `http.route` when it ends, and with a name that it was given; all spans are recorded then. The first rule that
    /// fits counts, and counts more than a remote parent's decision.
    #[must_use]
    pub fn sampling_rule(mut self, pattern: &str, share: f64) -> Config {
        self.sampling_rules.rules.push((pattern.into(), share.clamp(0.0, 1.0)));
        self
    }

    /// Records at most this many of the traces that begin here in a second.
    #[must_use]
    pub fn trace_rate_limit(mut self, per_second: u32) -> Config {
        self.sampling_rules.rate_limit = Some(per_second);
        self
    }

    /// Changes the share of the traces that begin here so that about this many spans are kept in a second.
    /// [`Config::sample_ratio`] is the share at the start.
    #[must_use]
    pub fn target_spans_per_second(mut self, spans: u32) -> Config {
        self.sampling_rules.target = Some(f64::from(spans.max(1)));
        self
    }

    /// Changes the share of the traces that begin here so that tracing takes at most this part of the machine's CPU time: 0.01 is 1 % of all
    /// processors that the process may use. What the pump and the exporters use is measured; what the program's own threads use to record a
    /// span is estimated, with 0.1 µs. May be combined with [`Config::target_spans_per_second`]: the lower number of spans counts. Without effect
    /// outside of Unix.
    #[must_use]
    pub fn max_cpu_of_tracing(mut self, share: f64) -> Config {
        self.sampling_rules.max_cpu = Some(share.clamp(0.0, 1.0));
        self
    }

    /// Limits the spans that wait until their traces end: to so many traces, to about so many bytes, and each trace to
    /// this time. Defaults: 10,000 traces, 64 MiB, 30 s.
    #[must_use]
    pub fn sampling_buffer(mut self, traces: usize, bytes: usize, time: Duration) -> Config {
        self.sampling_rules.buffer = crate::sampling::Buffer { traces: traces.max(1), bytes, time };
        self
    }
}
