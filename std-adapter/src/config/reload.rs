//! Reads the file again while the program records. Only levels, filters and sampling change.

use super::filter::{self, Filters};
use super::problem::LoadError;
use super::variables::Variables;
use super::{Config, SharedSampler};
use crate::sampling;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
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

/// Reads the file again, for the guard and for the pump.
#[derive(Clone, Debug)]
pub(crate) struct Reload(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    source: Source,
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
            last: Live::of(config),
            sampler: config.sampler,
            report: config.report_errors,
        }))))
    }

    /// Reads the file and applies it. After an error everything stays as it was.
    pub(crate) fn now(&self) -> Result<(), LoadError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let config = state.source.load()?;
        let live = Live::of(&config);
        // Apply only what changed in the file, because code may have set the rest since.
        if live.filters != state.last.filters {
            filter::install(&live.filters);
        }
        if (live.share, &live.sampling) != (state.last.share, &state.last.sampling) {
            sampling::install(&live.sampling, live.share, state.sampler);
        }
        state.last = live;
        Ok(())
    }

    /// Like [`now`](Reload::now), and reports the result on standard error.
    fn and_tell(&self) -> Result<(), LoadError> {
        let result = self.now();
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.report {
            return result;
        }
        match &result {
            Ok(()) => {
                let path = state.source.path.display().to_string();
                let path = Escaped(&path);
                diagnostics::tell(format_args!("{path} was read again; its levels and sampling hold now"));
            }
            Err(error) => {
                for problem in error.problems() {
                    let problem = problem.to_string();
                    diagnostics::tell(format_args!("{}; the settings before stay", Escaped(&problem)));
                }
            }
        }
        result
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
    seen: Option<(SystemTime, u64)>,
}

impl Watch {
    /// Checks the file at this interval from now on.
    pub(crate) fn new(reload: &Reload, every: Duration) -> Watch {
        let path = reload.0.lock().unwrap_or_else(PoisonError::into_inner).source.path.clone();
        let every = every.max(Duration::from_millis(1));
        let seen = look(&path);
        Watch { reload: reload.clone(), path, every, next: Instant::now().checked_add(every), seen }
    }

    /// Reads the file again if the next check is due and the file has changed, and returns the result. While
    /// the file is missing, nothing changes.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Result<(), LoadError>> {
        if self.next.is_none_or(|next| now < next) {
            return None;
        }
        self.next = now.checked_add(self.every);
        let seen = look(&self.path);
        if seen.is_none() || seen == self.seen {
            return None;
        }
        self.seen = seen;
        Some(self.reload.and_tell())
    }
}

/// The file's time of modification and its size.
fn look(path: &std::path::Path) -> Option<(SystemTime, u64)> {
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
    }
}
