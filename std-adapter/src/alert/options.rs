//! Which rules there are, and who is told.

use super::engine::{Flapping, ms};
use super::notify::Given;
use super::routing::Routing;
use super::{Alert, AlertError, Inhibition, Notifier, Rules, RulesError};
use crate::Config;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use throughline_export::prometheus::PageOptions;

/// An alert flaps that begins to fire so often within so long.
const FLAPS: usize = 4;
const FLAPS_WITHIN: Duration = Duration::from_secs(3600);

/// Rules, how often they are looked at, and who is told of what they find.
#[derive(Clone, Debug)]
pub struct AlertOptions {
    source: Option<Source>,
    pub(super) interval: Duration,
    pub(super) path: String,
    pub(super) state_file: Option<PathBuf>,
    pub(crate) routing: Routing,
    pub(super) inhibitions: Vec<Inhibition>,
    pub(super) receivers: Vec<Receiver>,
    /// How long a notice is tried for.
    pub(super) patience: Duration,
    /// What series are called.
    pub(crate) page: Option<PageOptions>,
    /// Whether there are metrics of the process.
    pub(super) with_process: bool,
    pub(super) restart_grace: Duration,
    pub(super) deploy_grace: Duration,
    pub(crate) version: Option<Arc<str>>,
    pub(super) flapping: Option<Flapping>,
    pub(super) evidence: Option<Evidence>,
}

/// Finds what helps to understand an alert.
#[derive(Clone)]
pub(super) struct Evidence(Arc<Find>);

type Find = dyn Fn(&Alert) -> Option<String> + Send + Sync;

impl Evidence {
    pub(super) fn of(&self, alert: &Alert) -> Option<Arc<str>> {
        (self.0)(alert).map(Arc::from)
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence").finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    Rules(Arc<Rules>),
}

/// Someone who is told.
#[derive(Clone, Debug)]
pub(super) struct Receiver {
    pub(super) name: Arc<str>,
    pub(super) routing: Option<Routing>,
    pub(super) notifier: Option<Given>,
}

impl Default for AlertOptions {
    fn default() -> AlertOptions {
        AlertOptions {
            source: None,
            interval: Duration::from_secs(15),
            path: "/alerts".into(),
            state_file: None,
            routing: Routing::default(),
            inhibitions: Vec::new(),
            receivers: Vec::new(),
            patience: Duration::from_secs(60),
            page: None,
            with_process: true,
            restart_grace: Duration::ZERO,
            deploy_grace: Duration::ZERO,
            version: None,
            flapping: Some(Flapping { starts: FLAPS, within: ms(FLAPS_WITHIN) }),
            evidence: None,
        }
    }
}

impl AlertOptions {
    /// Options with these rules.
    pub fn new(rules: Rules) -> AlertOptions {
        AlertOptions::default().rules(rules)
    }

    /// Takes these rules, in place of others.
    #[must_use]
    pub fn rules(self, rules: Rules) -> AlertOptions {
        AlertOptions { source: Some(Source::Rules(Arc::new(rules))), ..self }
    }

    /// Options with the rules of a file, which is read by [`init`](crate::init).
    pub fn file(path: impl Into<PathBuf>) -> AlertOptions {
        AlertOptions::default().rules_file(path)
    }

    /// Takes the rules of this file.
    #[must_use]
    pub fn rules_file(self, path: impl Into<PathBuf>) -> AlertOptions {
        AlertOptions { source: Some(Source::File(path.into())), ..self }
    }

    /// How often the rules are looked at; at least every 10 ms. The default is 15 s. It is also the time between two values of a series, so a range such as
    /// `[5m]` must be at least twice as long.
    #[must_use]
    pub fn interval(self, interval: Duration) -> AlertOptions {
        AlertOptions { interval: interval.max(Duration::from_millis(10)), ..self }
    }

    /// The path of the page of alerts, at the place of [`Config::admin`]. The default is `/alerts`.
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> AlertOptions {
        AlertOptions { path: path.into(), ..self }
    }

    /// The file that keeps alerts, silences and what was told, so that a restart forgets nothing. The default is none. Its folder is created if it does not
    /// exist. A file is for one process: a second one says that another program uses it, goes on without, and takes
    /// it over when that has ended.
    #[must_use]
    pub fn state_file(self, path: impl Into<PathBuf>) -> AlertOptions {
        AlertOptions { state_file: Some(path.into()), ..self }
    }

    /// How alerts are grouped, and how often a group is told, for receivers without their own.
    #[must_use]
    pub fn routing(self, routing: Routing) -> AlertOptions {
        AlertOptions { routing, ..self }
    }

    /// Adds an inhibition to those of the rules.
    #[must_use]
    pub fn inhibit(mut self, inhibition: Inhibition) -> AlertOptions {
        self.inhibitions.push(inhibition);
        self
    }

    /// Adds a receiver that is told by [`Alerts::evaluate`](super::Alerts::evaluate) alone.
    #[must_use]
    pub fn receiver(mut self, name: &str, routing: Option<Routing>) -> AlertOptions {
        self.receivers.push(Receiver { name: name.into(), routing, notifier: None });
        self
    }

    /// Tells this notifier too, on a thread of its own. In the ledger its notices are counted as `alerts.NAME`. Without a routing of its own it has that of
    /// [`AlertOptions::routing`].
    ///
    /// ```
    /// use throughline_std::alert::{AlertOptions, Notice};
    /// use throughline_std::Deadline;
    /// let options = AlertOptions::file("alerts.yaml").notify("pager", None, |notice: &Notice, _: &Deadline| {
    ///     println!("{} {}", notice.state().as_str(), notice.group);
    ///     Ok(())
    /// });
    /// ```
    #[must_use]
    pub fn notify(mut self, name: &str, routing: Option<Routing>, notifier: impl Notifier) -> AlertOptions {
        self.receivers.push(Receiver { name: name.into(), routing, notifier: Some(Given::new(notifier)) });
        self
    }

    /// For how long a notice is tried. The default is 60 s. It is lost then, which the ledger counts with the reason, and made again after the interval of
    /// its group.
    #[must_use]
    pub fn patience(self, patience: Duration) -> AlertOptions {
        AlertOptions { patience, ..self }
    }

    /// What series are called. The default is what the page of [`Config::prometheus`] calls them.
    #[must_use]
    pub fn page(self, page: PageOptions) -> AlertOptions {
        AlertOptions { page: Some(page), ..self }
    }

    /// Whether conditions may use metrics of the process, such as `process_resident_memory_bytes`, which are read from the system. The default is true.
    #[must_use]
    pub fn process_metrics(self, on: bool) -> AlertOptions {
        AlertOptions { with_process: on, ..self }
    }

    /// For how long after the process began nobody is told of alerts that begin, because caches are cold and connections new. The default is not at all.
    #[must_use]
    pub fn restart_grace(self, grace: Duration) -> AlertOptions {
        AlertOptions { restart_grace: grace, ..self }
    }

    /// For how long the first run with another version of the service counts as a [deploy](super::Alerts::deploying). The state file knows the version of the
    /// run before. The default is not at all.
    #[must_use]
    pub fn deploy_grace(self, grace: Duration) -> AlertOptions {
        AlertOptions { deploy_grace: grace, ..self }
    }

    /// The version of the service. The default is the attribute `service.version` of the resource.
    #[must_use]
    pub fn version(self, version: impl Into<Arc<str>>) -> AlertOptions {
        AlertOptions { version: Some(version.into()), ..self }
    }

    /// An alert flaps that begins to fire `starts` times within an hour: nobody is told of its changes then, until there are fewer than half as many. The
    /// default is 4. With 0 none does.
    #[must_use]
    pub fn flapping(self, starts: usize) -> AlertOptions {
        let flapping = (starts > 0).then(|| Flapping { starts: starts.max(2), within: ms(FLAPS_WITHIN) });
        AlertOptions { flapping, ..self }
    }

    /// Calls `find` with each alert that begins to fire, and puts what it returns into notices: the path of a profile, or a link to a search of logs. It
    /// runs on the thread that evaluates the rules, which waits for it.
    ///
    /// Without this, an alert that fires while `Config::profiling` samples CPU time has the path of a flame graph: what has changed from the last window before
    /// its condition began to hold to the first whole one in which it fires. The picture is there when that window has ended.
    #[must_use]
    pub fn evidence(self, find: impl Fn(&Alert) -> Option<String> + Send + Sync + 'static) -> AlertOptions {
        AlertOptions { evidence: Some(Evidence(Arc::new(find))), ..self }
    }

    /// Takes pictures of profiles for evidence, unless there is some already.
    #[cfg(profiled)]
    pub(super) fn with_profiles(self) -> AlertOptions {
        if self.evidence.is_some() {
            return self;
        }
        self.evidence(|alert| {
            let name = alert.labels.get("alertname").unwrap_or_default();
            let title = format!("what changed when {name} fired");
            let path = crate::profiling::change(&title, alert.active_at)?;
            Some(path.display().to_string())
        })
    }

    /// Tells a receiver only of alerts that fire for so long without being acknowledged. Returns false if there is none of this name.
    pub(crate) fn escalate(&mut self, name: &str, after: Duration) -> bool {
        let routing = self.routing.clone();
        let Some(receiver) = self.receivers.iter_mut().find(|it| *it.name == *name) else { return false };
        receiver.routing = Some(receiver.routing.take().unwrap_or(routing).escalate_after(after));
        true
    }

    /// Whether it has rules, be they right or not.
    pub(crate) fn has_rules(&self) -> bool {
        self.source.is_some()
    }

    /// The rules, read now if they are in a file.
    pub(super) fn loaded(&self) -> Result<Arc<Rules>, AlertError> {
        let rules = match &self.source {
            Some(Source::Rules(rules)) if !rules.is_bare() => Arc::clone(rules),
            Some(Source::File(path)) => Arc::new(Rules::load(path)?),
            _ => return Err(AlertError::NoRules),
        };
        rules.check_ranges(self.interval)?;
        Ok(rules)
    }

    /// Finds what is wrong with rules that have been read.
    pub(crate) fn check(&self) -> Result<(), RulesError> {
        match &self.source {
            Some(Source::Rules(rules)) => rules.check_ranges(self.interval),
            _ => Ok(()),
        }
    }
}

impl Config {
    /// Evaluates alert rules over the metrics of the process, and tells people what they find. [`init`](crate::init) fails when the rules are wrong.
    #[must_use]
    pub fn alerts(mut self, options: AlertOptions) -> Config {
        self.alerts = Some(options);
        self
    }
}
