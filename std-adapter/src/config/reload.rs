//! Reads the file again while the program records. Only levels, filters and sampling change.

use super::exporters::Group;
use super::filter::{self, Filters};
use super::key::Key;
use super::keys;
use super::listeners::Listener;
use super::problem::LoadError;
use super::settings::Settings;
use super::value::Value;
use super::variables::Variables;
use super::{Config, SharedSampler};
use crate::sampling;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use throughline_export::diagnostics;
use throughline_export::text::Escaped;

/// The file of a configuration, and the configuration before the file was read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    before: Box<Config>,
    path: PathBuf,
    /// Whether the environment was read after the file.
    pub(super) with_env: bool,
}

impl Source {
    pub(super) fn new(before: Config, path: PathBuf) -> Source {
        Source { before: Box::new(before), path, with_env: false }
    }

    fn load(&self) -> Result<Config, LoadError> {
        let before = Config { variables: Variables::of_process(), ..(*self.before).clone() };
        let config = before.reading(&self.path);
        if self.with_env { config.reading_env() } else { config }.checked()
    }
}

/// The settings that may change while the program records.
#[derive(Clone, Debug, PartialEq)]
struct Live {
    filters: Filters,
    /// The share of traces that is kept.
    share: f64,
    sampling: sampling::Settings,
}

impl Live {
    fn of(config: &Config) -> Live {
        Live {
            filters: config.filters.clone(),
            share: config.share(),
            sampling: config.sampling_rules.clone(),
        }
    }
}

/// The values that the program was started with.
#[derive(Clone, Debug)]
struct Started {
    settings: Settings,
    also: Vec<Group>,
    listeners: Vec<Listener>,
}

/// Keys whose values hold as soon as they are read. Those that begin with [`LIVE_SECTIONS`] do too.
const LIVE: &[&str] = &[
    "logging.enabled",
    "logging.level",
    "logging.filter",
    "tracing.enabled",
    "tracing.level",
    "tracing.filter",
];
const LIVE_SECTIONS: &[&str] = &["tracing.sampling.", "tracing.intelligent_sampling."];

impl Started {
    fn of(config: &Config) -> Started {
        let (settings, also) = (config.settings.clone(), config.also.clone());
        Started { settings, also, listeners: config.listeners.clone() }
    }

    /// The keys, collectors and observers whose values in `now` would hold only after a restart.
    fn outdated(&self, now: &Config) -> Vec<String> {
        let of = |settings: &Settings, key: &Key| {
            settings.get(key.path).map(|setting| setting.value.clone()).or_else(|| key.default_value())
        };
        let is_outdated = |key: &&Key| {
            let (before, after) = (of(&self.settings, key), of(&now.settings, key));
            let is_live = LIVE.contains(&key.path) || LIVE_SECTIONS.iter().any(|it| key.path.starts_with(it));
            // What was off at the start has no exporters.
            before != after && (!is_live || before == Some(Value::Bool(false)))
        };
        let mut outdated: Vec<String> = keys::all().filter(is_outdated).map(|key| key.path.into()).collect();
        fn groups(all: &[Group]) -> Vec<Item<'_>> {
            all.iter().map(|it| (&*it.name, &it.settings)).collect()
        }
        fn listeners(all: &[Listener]) -> Vec<Item<'_>> {
            all.iter().map(|it| (&*it.name, &it.settings)).collect()
        }
        for (list, before, after) in [
            ("otlp.also", groups(&self.also), groups(&now.also)),
            ("observers", listeners(&self.listeners), listeners(&now.listeners)),
        ] {
            outdated.extend(changed(&before, &after).map(|name| format!("{list}.{name}")));
        }
        outdated
    }
}

/// The name and the settings of a collector or an observer.
type Item<'a> = (&'a str, &'a Settings);

/// The names of the items that are not the same in both lists.
fn changed<'a>(before: &[Item<'a>], after: &[Item<'a>]) -> impl Iterator<Item = &'a str> {
    let has = |list: &[Item<'a>], (name, settings): &Item<'a>| {
        list.iter().any(|(known, its)| known == name && its.has_values_of(settings))
    };
    let gone = before.iter().filter(|item| !after.iter().any(|(name, _)| *name == item.0));
    let changed = after.iter().filter(|item| !has(before, item)).chain(gone).map(|(name, _)| *name);
    changed.collect::<Vec<_>>().into_iter()
}

/// Reads the file again, for the guard and for the pump.
#[derive(Clone, Debug)]
pub(crate) struct Reload(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    source: Source,
    started: Started,
    last: Live,
    /// A sampler that code has set, which no file can change.
    sampler: Option<SharedSampler>,
    report: bool,
}

impl Reload {
    /// `None` if the configuration was not read from a file.
    pub(crate) fn of(config: &Config) -> Option<Reload> {
        Some(Reload(Arc::new(Mutex::new(State {
            source: config.source.clone()?,
            started: Started::of(config),
            last: Live::of(config),
            sampler: config.sampler,
            report: config.report_errors,
        }))))
    }

    /// Reads the file and applies it, and tells of what would hold only after a restart. After an error everything stays as it was.
    pub(crate) fn now(&self) -> Result<(), LoadError> {
        let mut state = self.lock();
        let outdated = state.reload()?;
        if state.report && !outdated.is_empty() {
            state.tell(format_args!("was read again; {RESTART}{}", outdated.join(", ")));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Like [`now`](Reload::now), and reports every result on standard error.
    fn and_tell(&self) -> Result<(), LoadError> {
        let mut state = self.lock();
        let result = state.reload();
        if !state.report {
            return result.map(drop);
        }
        match &result {
            Ok(outdated) if outdated.is_empty() => {
                state.tell(format_args!("was read again; its levels and sampling hold now"));
            }
            Ok(outdated) => state.tell(format_args!(
                "was read again; its levels and sampling hold now; {RESTART}{}",
                outdated.join(", ")
            )),
            Err(error) => {
                for problem in error.problems() {
                    let problem = problem.to_string();
                    diagnostics::tell(format_args!("{}; the settings before stay", Escaped(&problem)));
                }
            }
        }
        result.map(drop)
    }
}

/// What is said before the keys whose changes need a restart.
const RESTART: &str = "these changed keys need a restart: ";

impl State {
    /// Reads the file and applies it. Returns the keys whose changes need a restart.
    fn reload(&mut self) -> Result<Vec<String>, LoadError> {
        let config = self.source.load()?;
        let live = Live::of(&config);
        // Apply only what changed in the file, because code may have set the rest since.
        if live.filters != self.last.filters {
            filter::install(&live.filters);
        }
        if (live.share, &live.sampling) != (self.last.share, &self.last.sampling) {
            sampling::install(&live.sampling, live.share, self.sampler);
        }
        self.last = live;
        Ok(self.started.outdated(&config))
    }

    /// Tells something about the file on standard error.
    fn tell(&self, what: fmt::Arguments<'_>) {
        let line = format!("{} {what}", self.source.path.display());
        diagnostics::tell(Escaped(&line));
    }
}

/// Checks the file for changes from time to time.
#[derive(Debug)]
pub(crate) struct Watch {
    reload: Reload,
    path: PathBuf,
    every: Duration,
    /// When to check next; `None` if that is beyond the range of [`Instant`].
    next: Option<Instant>,
    seen: Option<Written>,
}

impl Watch {
    /// Checks the file at this interval from now on.
    pub(crate) fn new(reload: &Reload, every: Duration) -> Watch {
        let path = reload.0.lock().unwrap_or_else(PoisonError::into_inner).source.path.clone();
        let every = every.max(Duration::from_millis(1));
        let seen = written(&path);
        Watch { reload: reload.clone(), path, every, next: Instant::now().checked_add(every), seen }
    }

    /// Reads the file again if the next check is due and the file has changed, and returns the result. While
    /// the file is missing, nothing changes, which is told once.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Result<(), LoadError>> {
        match self.look(now)? {
            Change::Written => Some(self.reload.and_tell()),
            Change::Removed => {
                let state = self.reload.0.lock().unwrap_or_else(PoisonError::into_inner);
                if state.report {
                    state.tell(format_args!("is gone; the settings before stay until it is there again"));
                }
                None
            }
        }
    }

    /// What became of the file since the last look, if it is time for another one.
    fn look(&mut self, now: Instant) -> Option<Change> {
        if self.next.is_none_or(|next| now < next) {
            return None;
        }
        self.next = now.checked_add(self.every);
        let seen = written(&self.path);
        if seen == self.seen {
            return None;
        }
        self.seen = seen;
        Some(if seen.is_some() { Change::Written } else { Change::Removed })
    }
}

/// What became of the file.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Written,
    Removed,
}

/// A file's time of modification and its size, by which a change is noticed.
pub(crate) type Written = (SystemTime, u64);

/// When the file was written last; `None` if it is not there.
pub(crate) fn written(path: &std::path::Path) -> Option<Written> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(all(test, feature = "toml"))]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_is_told_once_and_the_next_good_one_is_read() {
        let path = std::env::temp_dir().join(format!("throughline-watch-{}.toml", std::process::id()));
        let put = |text: &str| std::fs::write(&path, text).unwrap();
        put("");
        let config = Config::load(&path).unwrap().report_errors(false);
        let reload = Reload::of(&config).unwrap();
        let every = Duration::from_secs(10);
        let mut watch = Watch::new(&reload, every);
        let mut now = Instant::now();
        let mut next = || {
            now += every * 2;
            watch.poll(now)
        };
        assert_eq!(next(), None, "it has not changed");
        put("logging.level = 'loud'");
        assert!(next().unwrap().unwrap_err().to_string().contains("`loud` is not"));
        assert_eq!(next(), None, "it is told once");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(next(), None, "a file that is away changes nothing");
        put("");
        assert_eq!(next(), Some(Ok(())));
        let soon = now;
        put("# changed, but it is not time to look yet");
        assert_eq!(watch.poll(soon), None);
        std::fs::remove_file(&path).unwrap();
        now = soon + every * 2;
        assert_eq!(watch.look(now), Some(Change::Removed));
        assert_eq!(watch.look(now + every * 2), None, "it is told once");
    }
}
