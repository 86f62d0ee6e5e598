//! Alerts: rules over the process's own metrics, without any server.
//!
//! ```
//! use throughline_std::alert::{AlertOptions, Rules};
//! let rules = Rules::parse("alerts.yaml", r#"
//! rules:
//!   - name: HighErrorRate
//!     condition: sum(rate(errors_total[5m])) / sum(rate(requests_total[5m])) > threshold
//!     threshold: 0.05
//!     duration: 5m
//!     severity: critical
//!     description: "{{ $value | humanizePercentage }} of all requests fail"
//! "#)?;
//! let config = throughline_std::Config::new("shop").alerts(AlertOptions::new(rules));
//! # Ok::<(), throughline_std::alert::RulesError>(())
//! ```
//!
//! # Rules
//!
//! A file has a list `rules`, or `groups` as Prometheus has them, or both. A rule is either of these:
//!
//! | plain | Prometheus | |
//! |---|---|---|
//! | `name` | `alert` | required; the label `alertname` |
//! | `condition` | `expr` | required; an expression |
//! | `threshold` | | a number that `threshold` stands for in the condition |
//! | `duration` | `for` | how long the condition must hold before the alert fires |
//! | `keep_firing_for` | `keep_firing_for` | how long it goes on firing when the condition does not hold any more |
//! | `severity` | `labels.severity` | |
//! | `description`, `summary` | `annotations` | texts, with `{{ $value }}` and `{{ $labels.NAME }}` |
//! | `urgent` | | `true`: told even if a deploy, a restart, a mute time interval or the limit of notices would hold it back |
//! | `depends_on` | | names of alerts that may be its cause, or sections with `alert` and the labels `equal` |
//! | `record` | `record` | in place of a name: later conditions may use the result by this name |
//!
//! `inhibit_rules` has `source_matchers`, `target_matchers` and `equal`, as in an Alertmanager. `mute_time_intervals` has intervals with a `name`, `matchers` (without
//! them it is for all alerts), `weekdays` such as `monday:friday`, `times` with `start_time` and `end_time`, which may be on the next day, and `utc_offset` such as
//! `+01:00`. `silences` has silences with `matchers`, `until`, a time as in RFC 3339 such as `2026-12-01T06:00:00Z`, and a `comment`. While the process runs, a
//! change of the file is seen at the next look at the rules, and its silences hold then; all else in it holds after a restart.
//!
//! # Conditions
//!
//! Conditions are a part of PromQL, and mean what they mean there. Metrics have the names that the page `/metrics` shows; their names in the program, with
//! dots, are taken too: `http.requests{http.route="/cart"}`. There are selectors with `=`, `!=`, `=~`, `!~`, ranges such as `[5m]`, arithmetic,
//! comparisons with and without `bool`, `and`, `or`, `unless`, `on`, `ignoring`, `group_left`, `group_right`; `sum`, `min`, `max`, `avg`, `count`, `group`,
//! `stddev`, `stdvar`, `quantile`, `topk`, `bottomk`, each with `by` or `without`; `rate`, `increase`, `irate`, `delta`, `idelta`, `deriv`,
//! `predict_linear`, `changes`, `resets`, `…_over_time`; `absent`, `histogram_quantile` of histograms and of their classic buckets, `histogram_count`,
//! `histogram_sum`, `histogram_avg`, `abs`, `ceil`, `floor`, `round`, `clamp`, `exp`, `ln`, `log2`, `log10`, `sqrt`, `sgn`, `scalar`, `vector`, `time`.
//! Series have an `offset` too. Only the present is known, and as much before it as ranges and offsets ask for: there is no `@` and no subquery.
//! `anomaly_score(series[1h])` is this library's own: how far the last value is from the median of the range, in standard deviations that are estimated from
//! medians too; beyond 5 it is unusual for this series, whatever its scale.
//! `throughline rules --prometheus FILE` makes rules for a Prometheus server of a file.
//!
//! `seasonal_anomaly_score(series)` compares with the same time of the day and the week instead: with the median of what was there within half an hour of this
//! time on the same day of the last four weeks (until three are known: on the last seven days), in units of their median absolute deviation. The
//! unit is 2 % of the median at least, or a number that is given as the second argument. It is known after three days. A trend or a new level is followed within half
//! a day, as long as it is between half and twice of what was usual. Values are remembered of 1,000 series, 11 kB for each; how many there are, and how many
//! have no room, is in the metric `alerts.baselines`. Beside the state file a file `….baselines` keeps them.
//!
//! One difference: a counter that appears is taken to have been zero before, so that a first error is an increase.
//!
//! # Alerts
//!
//! Each series that a condition finds is an alert of its own, with the labels of the rule and those of the series but `otel_scope_version`, so that a new version of
//! the program goes on with it: pending until the condition has held for the duration, then firing, then resolved. If an
//! expression cannot be computed, its alerts stay as they are, and the page says why. A [`Silence`] or an [`Inhibition`] keeps an alert from being told.
//!
//! These hold alerts back, and each says so in [`Alert::explanation`], in fields of the notice and of
//! the page, in a log record, and in the ledger's hop `alerts.rules`, which counts every decision by its reason:
//!
//! - *Known patterns*: alerts that begin in a deploy ([`Alerts::deploying`], [`AlertOptions::deploy_grace`]), after a restart ([`AlertOptions::restart_grace`]),
//!   or in a mute time interval. If they still fire at its end, they are told then.
//! - *Causes*: an alert whose rule depends on another one that is pending or fires, and that began before it or at most five minutes later, is told with
//!   that one, in its group. The notice has the likely root first, and says why.
//! - *Flapping*: an alert that begins to fire four times within an hour is told as one that flaps, and then no more until there are fewer than two begins within
//!   an hour.
//! - *Limits*: beyond [`Routing::rate_limit`] notices wait; the next one says how many did. [`Routing::escalate_after`] makes a receiver the second one, who hears only
//!   of what nobody has [acknowledged](Alerts::acknowledge).
//!
//! An alert over histograms that have exemplars carries the latest trace of its series, and [`AlertOptions::evidence`] may add more, such as a profile.
//!
//! # Who is told
//!
//! [`Slack`], a [`Webhook`], an [`Alertmanager`], a command ([`RunCommand`]), mail (`Email`, with the feature `alerts-email`), and any [`Notifier`] of the
//! program. Alerts are put into groups, as an Alertmanager does: [`Routing`]. Each receiver has a thread and a queue, so that one that hangs delays no other
//! and no rule. What is not taken in time is counted in the ledger as `alerts.NAME` with its reason, and told again later.
//! While the queue of a receiver, which holds 256 notices, is full, further groups wait: nothing is lost by that, and the metric `alerts.groups.waiting` says how many
//! there are.
//!
//! # Operating it
//!
//! The section `alerts` of a file has all of this as keys. The page `/alerts`, beside those of health, shows rules, alerts and silences. The metrics are
//! `alerts.active` by `state`, `alerts.suppressed` by `reason`, `alerts.notices.waiting`, `alerts.groups.waiting`, `alerts.baselines` by `state`,
//! `alerts.rules.failing` and `alerts.evaluation.duration`, all of the last evaluation. With a
//! [state file](AlertOptions::state_file) a restart forgets nothing: what fires is not told again, and what is pending waits for the rest of its duration.
//! An alert of the run before goes on until its condition can be judged, and its explanation says so: a condition without ranges when its series are there, for
//! which it waits a minute at most, and one with ranges when the longest of them has passed.

mod alerts;
mod baseline;
mod correlate;
mod engine;
mod explain;
mod histogram;
mod labels;
mod lane;
mod language;
mod matcher;
mod notify;
mod options;
mod page;
mod patterns;
mod routing;
mod rules;
mod runner;
mod shown;
mod silence;
mod state_file;
mod store;
mod suppress;

pub use alerts::{AlertError, Alerts};
pub use labels::Labels;
pub use matcher::Matcher;
pub use notify::{Alertmanager, Notifier, RunCommand, Slack, Webhook};
#[cfg(feature = "alerts-email")]
pub use notify::{Email, EmailTls};
pub use options::AlertOptions;
pub use routing::{Notice, Routing};
pub use rules::{Inhibition, RuleError, Rules, RulesError};
pub use shown::{Alert, AlertState, Suppression};
pub use silence::Silence;
pub use store::Exemplar;
pub use suppress::SuppressionCounts;

pub(crate) use runner::Prepared;
