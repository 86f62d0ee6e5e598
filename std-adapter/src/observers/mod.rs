//! Observers: they listen to spans, events and metrics on their way to the exporters, and act on what they find.
//!
//! ```
//! use std::time::Duration;
//! use throughline_std::observers::{Count, Listener, LogLine, Observers, Sample};
//! let slow = Listener::spans("slow-checkout")
//!     .matching("http.route", "/checkout*")
//!     .when("kind == 'server' && (duration_ms > 500 || status == 'error')")
//!     .cooldown(Duration::from_secs(60))
//!     .action("count", Count::new("checkout.slow").label("http.route"))
//!     .action("log", LogLine::new("{http.route} took {duration_ms:.0} ms"))
//!     .action("sample", Sample::new(1.0, Duration::from_secs(300)));
//! let lost = Listener::events("retries-after-a-timeout")
//!     .sequence(["message.contains('timed out')", "message.startsWith('retrying')"], Duration::from_secs(10))
//!     .action("log", LogLine::new("trace {trace_id} was tried again after a timeout"));
//! let config = throughline_std::Config::new("shop").observers(Observers::new().listen(slow).listen(lost));
//! ```
//!
//! In a file, each is an item of `[[observers]]`, and the section `observing` has what they share:
//!
//! ```toml
//! [[observers]]
//! name = "slow-checkout"
//! on = "span"
//! match = { "http.route" = "/checkout*" }
//! when = "duration_ms > 500"
//! count = 3
//! within = "1m"
//! cooldown = "10m"
//! actions = ["log", "profile"]
//! log.message = "{count} slow checkouts within a minute"
//! profile.duration = "10s"
//! ```
//!
//! # Conditions
//!
//! [`Listener::matching`] compares names and attributes with patterns. [`Listener::when`] is an expression of the
//! [Common Expression Language](https://cel.dev), without its macros that are loops. It may use:
//!
//! | name | |
//! |---|---|
//! | `type` | `"span"`, `"event"` or `"metric"` |
//! | `name` | of the span or the metric; the name of an event, if it has one |
//! | `attributes` | as in `attributes["http.route"]`, `attributes.items` or `"items" in attributes`; those of a metric are its labels |
//! | `target`, `level` | the module, and `"trace"` to `"error"` |
//! | `trace_id`, `span_id` | of spans and events, in hexadecimal digits |
//! | `message` | of an event |
//! | `duration_ms`, `kind`, `status`, `parent_id` | of a span; the status is `"unset"`, `"ok"`, `"error"` or `"cancelled"` |
//! | `value`, `unit` | of a metric; the value of a histogram is the mean since the beginning |
//! | `rate` | by how much a metric's value has changed in a second since it was last read |
//! | `count` | how many values a histogram has |
//!
//! What a record does not have is `""` or 0. A condition that looks at an attribute that is not there does not hold. One that can be computed for no
//! record, because it calls what does not exist or compares a text with a number say, is an error of [`init`](crate::init). One that cannot be computed for a
//! record, because of its attributes, does not hold for it, is counted as an error, and is reported.
//!
//! [`Listener::at_least`] wants so many records within a time, and [`Listener::sequence`] several, one after the other. Time is that of the records. What
//! is remembered for that is bounded: 4096 keys for each observer, 1000 times for each.
//!
//! # Actions
//!
//! [`Count`] makes a metric, [`LogLine`] a log record in the same trace, [`Webhook`] a signed request, `KafkaRecord` a record of a topic (feature
//! `events-kafka`), [`RunCommand`] runs a program, `Profile` profiles the process (feature `profile`), [`Sample`] keeps more traces of the route for a time, [`Dump`] writes the records of the last moments to a file, and any
//! [`Action`] of the program does what it wants. Each observer has a thread for its actions and a queue in front of it, so that one that hangs delays no
//! other. Actions are tried until their deadline. One that is not done is counted in the ledger as `observers.NAME`, with its reason.
//!
//! # Where they are
//!
//! Observers work on a thread of this library, which gets what exporters get: after sampling, after redaction, behind a bounded queue. Recording costs what
//! it does without. If more comes than they can take, records are dropped before them, and counted as those of the exporter `observers`.
//!
//! With a [state file](Observers::state_file) a restart resumes windows, sequences, cooldowns and the actions that wait.
//!
//! # Their metrics
//!
//! | name | labels |
//! |---|---|
//! | `observer_events_processed_total` | `observer` |
//! | `observer_event_duration_ms` (histogram) | `observer` |
//! | `observer_condition_matches_total` | `observer` |
//! | `observer_actions_executed_total` | `observer`, `action`, `outcome`: `success` or `failure` |
//! | `observer_action_duration_ms` (histogram) | `observer`, `action` |
//! | `observer_errors_total` | `observer`, `error_type`: `condition`, `action`, `queue_full`, `too_many_keys`, `checkpoint` or `shutdown` |
//! | `observer_batch_size` (histogram) | |

mod action;
mod checkpoint;
mod engine;
mod expression;
mod found;
mod lane;
mod listener;
pub(crate) mod metrics;
mod options;
mod recent;
mod record;
mod runner;

#[cfg(feature = "events-kafka")]
pub use action::KafkaRecord;
#[cfg(profiled)]
pub use action::Profile;
pub use action::{Action, Count, Dump, LogLine, Place, RunCommand, Sample, Webhook};
pub use found::Match;
pub use listener::Listener;
pub use options::{ObserverError, Observers};

pub(crate) use runner::Prepared;
