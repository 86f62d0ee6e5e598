//! Performance insights: a report of the process's own bottlenecks with the traces that show them, and of when its memory, its disks and its open files run out.
//!
//! ```no_run
//! use throughline_std::insights::InsightOptions;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // http://127.0.0.1:8081/debug/insights
//! let config = throughline_std::Config::new("shop").insights(InsightOptions::new());
//! let _guard = throughline_std::init(&config)?;
//! # Ok(())
//! # }
//! ```
//!
//! In a file it is the section `[insights]` with `enabled = true`. `throughline insights FILE` of the host tool makes the same report of files of traces.
//!
//! # What is found
//!
//! | kind | what | when |
//! |---|---|---|
//! | `growing_latency` | the median or the 95th percentile of an operation | 30 % and five spreads above those of at least 3 windows before, beyond the error of 20 or 100 spans; or it grows from window to window, over at least 6, with a slope that is above 0 by 2.58 standard errors |
//! | `contended_span` | async spans that wait | 75 % of the time of at least 20, a millisecond or more each, which no child span explains, while others of the operation run; calls of other processes do not count |
//! | `retry_storm` | an operation that fails again and again in one trace | at least 3 times in turn in 3 traces, or 10 times in one, a minute apart at most |
//! | `n_plus_one` | equal children of one parent, one after the other | at least 8 of the same name, route and statement without its values, that take a tenth of the time from the first to the last. They are calls or queries; or they take half of their parent's time, which is only `info` |
//! | `queue_growth` | a queue that grows, and when it is full; or one that is at 90 % of its limit | the slope is above 0 by 3.29 standard errors, or 97 % of all pairs of values grow |
//! | `running_out` | memory, disks, open files | the same, within [`InsightOptions::horizon`], after a quarter of the time that the report is about |
//!
//! An operation is the spans of one name, `http.route` and kind. Its share is of its spans' own time, without that of their children.
//!
//! Queues are the pump's own, and each gauge with `queue` or `depth` in its name. The limit of `orders.queue.depth` is the gauge `orders.queue.limit` or
//! `orders.queue.depth.limit` with the same labels; it may be called `capacity`, `max`, `maximum` or `max_size`, too. Gauges in `%`, and those in `1` that are called
//! `fill`, `utilization`, `usage` or `ratio`, have a limit of 100 or 1.
//!
//! # Forecasts
//!
//! The line through the last values is the median of the slopes of all pairs (Theil and Sen), so that a quarter of them may be outliers. The interval has the time at which
//! the line meets the limit with 90 %: from Kendall's variance for the slope, and the residuals' spread for the level, both made wider if each value depends on the one
//! before. On simulated noise, normal, with outliers in one value of ten, and with a correlation of 0.5 from value to value, 91 to 93 of 100 intervals of 60 and of 120 values hold the
//! truth; of 20 values 92 and with the correlation 86. Nobody knows whether the growth goes on as it was. The limit of memory is that of the cgroup (v2), or else the machine's; of open files it is the soft limit.
//!
//! # Where it is, and what it costs
//!
//! Spans come from where exporters get them: after sampling and redaction, behind a bounded queue, on a thread of its own, so recording costs what it does without. If more
//! come than it can take, they are dropped and counted as those of the exporter `insights`. What is sampled out is not seen.
//!
//! Memory is bounded: 512 operations with 13 windows, 4096 parents that have not ended, 4096 failing traces, 256 patterns, 128 queues, 120 values of each, 8192 spans that wait
//! for earlier ones, 5 traces for each finding. What finds no room is counted in the report.
//!
//! # Metrics
//!
//! | name | labels |
//! |---|---|
//! | `throughline.insights.findings` (gauge) | `kind` |
//! | `throughline.forecast.time_left` (gauge, `s`) | `resource`, `bound`: `expected`, `earliest`; no value while no end is in sight |
//!
//! They are computed 120 times in the time that the report is about, which is every 33 s by default.
//!
//! # The page
//!
//! `/debug/insights` has JSON; with `Accept: text/plain` or `?format=text` it has text. Times are in RFC 3339.
//!
//! ```text
//! {"from": "…", "to": "…", "windowSeconds": 300, "spans": 12345,
//!  "findings": [{"kind": "n_plus_one", "severity": "warning", "subject": "GET /orders → SELECT items", "summary": "`GET /orders` ran …",
//!                "figures": {"parents": 3, "children": 120, "most": 40, "seconds": 0.31, "share": 0.8}, "traces": ["0af7651916cd43dd8448eb211c80319c"]}],
//!  "operations": [{"name": "SELECT items", "count": 120, "failed": 0, "p50Seconds": 0.002, "p95Seconds": 0.004, "p99Seconds": 0.01,
//!                  "ownSeconds": 0.31, "share": 0.8, "traces": ["…"]}],
//!  "forecasts": [{"name": "memory", "unit": "By", "used": 1e8, "limit": 4e9, "perSecond": 120.5, "expectedSeconds": 3e7, "earliestSeconds": 2e7,
//!                 "latestSeconds": null, "points": 120, "overSeconds": 3900}],
//!  "leftOut": {"operations": 0, "late": 0, "parents": 0, "traces": 0, "patterns": 0, "series": 0}}
//! ```
//!
//! `severity` is `info`, `warning` or `critical`. `figures` differ by kind:
//!
//! | kind | figures |
//! |---|---|
//! | `growing_latency` | `now_seconds`, `usual_seconds`, `spread_seconds`, `ratio`, `spans`, `windows` |
//! | `contended_span` | `waiting_share`, `waiting_seconds`, `duration_seconds`, `beside`, `spans` |
//! | `retry_storm` | `traces`, `attempts`, `most`, `seconds`, `share` |
//! | `n_plus_one` | `parents`, `children`, `most`, `seconds`, `share` |
//! | `queue_growth` | `used`, `per_second`, `grown`; with a limit `limit`, `expected_seconds`, `earliest_seconds`, `latest_seconds` as far as they are known |
//! | `running_out` | `used`, `limit`, `per_second`, `expected_seconds`, `earliest_seconds`, `latest_seconds` |

mod calls;
mod durations;
mod ended;
mod engine;
mod evidence;
mod gauges;
mod judge;
mod line;
mod operations;
mod options;
mod page;
mod report;
mod resources;
mod retries;
mod runner;
mod shown;
#[cfg(test)]
mod tests;

pub use ended::Ended;
pub use engine::{Engine, Reading};
pub use options::InsightOptions;
pub use report::{Finding, FindingKind, Forecast, LeftOut, Operation, Report, Severity};

pub(crate) use runner::prepared;

/// Insights cannot be shown like this.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InsightError {
    /// The path of the page is none.
    #[error(
        "`{path}` is no path for the page of insights; give one that begins with a slash, such as /debug/insights"
    )]
    Path {
        /// As given.
        path: String,
    },
}

throughline_export::__debug_as_display!(InsightError);
