//! How much is looked at, and where the report is.

use crate::Config;
use std::path::PathBuf;
use std::time::Duration;

/// What insights look at, and how much memory they may use.
///
/// ```
/// use std::time::Duration;
/// use throughline_std::insights::InsightOptions;
/// let options = InsightOptions::new().window(Duration::from_secs(60)).folder("/var/lib/shop");
/// let config = throughline_std::Config::new("shop").insights(options);
/// ```
#[derive(Clone, Debug)]
pub struct InsightOptions {
    pub(super) path: String,
    pub(super) window: Duration,
    pub(super) windows: usize,
    pub(super) operations: usize,
    pub(super) evidence: usize,
    pub(super) folders: Vec<PathBuf>,
    pub(super) horizon: Duration,
    /// For how long spans wait for those that ended before them, and how many may.
    pub(super) patience: Duration,
    pub(super) waiting: usize,
}

impl Default for InsightOptions {
    fn default() -> InsightOptions {
        InsightOptions {
            path: "/debug/insights".into(),
            window: Duration::from_secs(300),
            windows: 12,
            operations: 512,
            evidence: 5,
            folders: Vec::new(),
            horizon: Duration::from_secs(7 * 86_400),
            patience: Duration::from_millis(250),
            waiting: 8192,
        }
    }
}

impl InsightOptions {
    /// The defaults.
    pub fn new() -> InsightOptions {
        InsightOptions::default()
    }

    /// The path of the report, at the place of [`Config::admin`]. The default is `/debug/insights`.
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> InsightOptions {
        InsightOptions { path: path.into(), ..self }
    }

    /// What counts as now: latencies of the last window are compared with those of the windows before. The default is 5 minutes, the least 10 ms.
    #[must_use]
    pub fn window(self, window: Duration) -> InsightOptions {
        InsightOptions { window: window.max(Duration::from_millis(10)), ..self }
    }

    /// How many earlier windows are kept, 3 to 1000. The default is 12. The report is about all of them and the last one.
    #[must_use]
    pub fn windows(self, windows: usize) -> InsightOptions {
        InsightOptions { windows: windows.clamp(3, 1000), ..self }
    }

    /// How many operations are told apart; an operation is the spans of one name, route and kind. The default is 512. Spans of further ones are one operation, and are
    /// counted. Each takes 300 bytes for a window, and 3 kB at most.
    #[must_use]
    pub fn operations(self, most: usize) -> InsightOptions {
        InsightOptions { operations: most.max(1), ..self }
    }

    /// How many traces each finding names, at most. The default is 5.
    #[must_use]
    pub fn evidence(self, traces: usize) -> InsightOptions {
        InsightOptions { evidence: traces.min(100), ..self }
    }

    /// Watches the room on the disk that has this folder, beside those of the spools and log files of the configuration.
    #[must_use]
    pub fn folder(mut self, path: impl Into<PathBuf>) -> InsightOptions {
        self.folders.push(path.into());
        self
    }

    /// Tells that a resource runs out only if that is expected within this time. The default is 7 days.
    #[must_use]
    pub fn horizon(self, horizon: Duration) -> InsightOptions {
        InsightOptions { horizon, ..self }
    }

    /// How long a span is held back for those that ended before it and come later, and how many may be held back. The default is 250 ms and 8192, which is
    /// right for what an exporter is given. A file of several services needs more.
    #[must_use]
    pub fn reorder(self, patience: Duration, spans: usize) -> InsightOptions {
        InsightOptions { patience, waiting: spans.max(1), ..self }
    }

    /// From the first window that is kept to the end of the last.
    pub(super) fn whole(&self) -> Duration {
        self.window.saturating_mul(u32::try_from(self.windows + 1).unwrap_or(u32::MAX))
    }
}

impl Config {
    /// Reports bottlenecks of the process, and when its resources run out, at `/debug/insights` of [`Config::admin`]. See [`insights`](crate::insights).
    #[must_use]
    pub fn insights(mut self, options: InsightOptions) -> Config {
        self.insights = Some(options);
        self
    }
}
