//! Loads the layers of a configuration: code, a file, the environment. Each layer overrides the one before.

use super::node::{self, Language};
use super::problem::{LoadError, Problem};
use super::read::{self, Reading};
use super::reload::Source;
use super::variables::Variables;
use super::{Config, Otlp, environment, exporters, keys};
use std::path::Path;
use throughline_export::diagnostics;
use throughline_export::text::Escaped;

/// The size of the largest file that is read.
const MOST_BYTES: u64 = 1 << 20;

impl Config {
    /// Reads the file at `path`, which is TOML or YAML according to its ending, and then the environment,
    /// which overrides the file. The service is named after the program, unless the file or the environment
    /// names it.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = throughline_std::Config::load("shop.toml")?;
    /// let _guard = throughline_std::init(&config)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// All errors in the file and the environment, each with file, line and key.
    pub fn load(path: impl AsRef<Path>) -> Result<Config, LoadError> {
        Config::bare(&unknown_service(), Variables::of_process())
            .reading(path.as_ref())
            .reading_env()
            .checked()
    }

    /// Reads the file that `THROUGHLINE_CONFIG` names, if it is set, and then the environment, which
    /// overrides the file.
    ///
    /// # Errors
    ///
    /// The same as for [`load`](Config::load).
    pub fn from_env() -> Result<Config, LoadError> {
        let config = Config::bare(&unknown_service(), Variables::of_process());
        let path = config.variables.set("THROUGHLINE_CONFIG").map(str::to_owned);
        path.into_iter().fold(config, |config, path| config.reading(path.as_ref())).reading_env().checked()
    }

    /// Reads a file, whose values override the present ones.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), throughline_std::LoadError> {
    /// use throughline_std::Config;
    /// let config = Config::new("shop").sample_ratio(0.1).with_file("shop.toml")?.with_env()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// All errors in the file.
    pub fn with_file(self, path: impl AsRef<Path>) -> Result<Config, LoadError> {
        let config = self.reading(path.as_ref());
        LoadError::check(config.problems.clone()).map_err(|error| error.with_warnings(&config.warnings))?;
        Ok(config)
    }

    /// Reads a file, and keeps its errors for [`checked`](Config::checked).
    pub(super) fn reading(mut self, path: &Path) -> Config {
        let before = self.clone();
        let reading = match text_of(path) {
            Ok((text, language)) => read_text(&text, language, path, &self.variables),
            Err(problem) => Reading { problems: vec![problem.in_file(path)], ..Reading::default() },
        };
        self.take(reading);
        self.source = Some(Source::new(before, path.into()));
        self
    }

    /// Reads the environment, whose values override the present ones.
    ///
    /// # Errors
    ///
    /// All errors in `THROUGHLINE_` variables and in the endpoints of other standards' variables. For other
    /// errors in variables of other standards, and for variables that are not honoured, [`init`](crate::init)
    /// writes a warning to standard error once.
    pub fn with_env(self) -> Result<Config, LoadError> {
        self.reading_env().checked()
    }

    /// Reads the environment, and keeps its errors for [`checked`](Config::checked).
    pub(super) fn reading_env(mut self) -> Config {
        let reading = environment::read(&self.variables);
        self.take(reading);
        if let Some(source) = &mut self.source {
            source.with_env = true;
        }
        self
    }

    /// The configuration, if it has no errors.
    pub(super) fn checked(self) -> Result<Config, LoadError> {
        self.check()?;
        Ok(self)
    }

    /// Applies what was read, and keeps the errors for [`check`](Config::check).
    pub(super) fn take(&mut self, reading: Reading) {
        let Reading { settings, also, listeners, mut problems, mut warnings, none_of } = reading;
        if !listeners.is_empty() {
            warnings.extend(listeners.iter().find_map(|it| it.settings.missing().into_iter().next()));
            self.listeners = listeners;
        }
        if !also.is_empty() {
            // The collectors of a later file replace those of an earlier one, because they are one list.
            self.also = also;
        }
        let mut said: Vec<&str> = settings.iter().map(|setting| setting.key.path).collect();
        settings.into_iter().for_each(|setting| self.settings.put(setting));
        // A client that was set by code is replaced by the keys that were just read. If code turned OTLP off,
        // it stays off.
        if matches!(self.otlp, Otlp::To(_)) && said.iter().any(|path| path.contains("otlp.")) {
            self.otlp = Otlp::Keys;
        }
        said.sort_unstable();
        let mut settings = std::mem::take(&mut self.settings);
        for key in keys::all().filter(|key| said.binary_search(&key.path).is_ok()) {
            let Some(setting) = settings.get(key.path) else { continue };
            let checked = key.refuse_nothing(&setting.value);
            let Err(error) = checked.and_then(|()| (key.apply)(self, &setting.value)) else { continue };
            if setting.is_of_standard() {
                warnings.push(setting.problem(format!("{error}; it is not honoured")));
                settings.remove(key.path);
            } else {
                problems.push(setting.problem(error));
            }
        }
        problems.extend(exporters::impossible(&settings));
        warnings.extend(settings.missing());
        self.settings = settings;
        exporters::prometheus(self);
        let add = |all: &mut Vec<Problem>, new: Vec<Problem>| {
            for problem in new {
                if !all.contains(&problem) {
                    all.push(problem);
                }
            }
        };
        add(&mut self.problems, problems);
        add(&mut self.warnings, warnings);
        self.none_of = none_of.or(self.none_of);
        self.doubt();
    }

    /// Finds anew what depends on all layers together.
    fn doubt(&mut self) {
        let new = exporters::doubts(self);
        let old = std::mem::replace(&mut self.doubts, new);
        self.warnings.retain(|warning| !old.contains(warning));
        self.warnings.extend(self.doubts.iter().cloned());
    }

    /// Fails if there are errors in files or the environment. The error has everything else too that `init` would refuse, so that all of it can be mended
    /// at once, but for sections that have errors already: what is wrong with these may follow from them, unless it is about a file that a key names.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let section = |problem: &Problem| match problem.key.rsplit_once('.') {
            Some((section, _)) => section.to_owned(),
            None => problem.key.clone(),
        };
        let faulty: Vec<String> = self.problems.iter().map(section).collect();
        let is_own = |it: &Problem| it.is_of_file || !faulty.contains(&section(it));
        let further = self.findings().into_iter().filter(|it| it.feature.is_none() && is_own(it));
        let further = further.filter(|it| !self.problems.contains(it));
        LoadError::check(self.problems.iter().cloned().chain(further).collect())
            .map_err(|error| error.with_warnings(&self.warnings))
    }

    /// Settings that are not honoured and do no harm.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Writes the warnings to standard error, followed by the lines of `more`.
    pub(crate) fn tell(&self, more: &[String]) {
        let warnings = self.warnings.iter().map(ToString::to_string);
        for line in warnings.chain(more.iter().cloned()) {
            diagnostics::tell(Escaped(&line));
        }
    }
}

/// Reads the text of a file.
pub(super) fn read_text(text: &str, language: Language, path: &Path, variables: &Variables) -> Reading {
    let (tree, problems) = node::parse(text, language);
    let mut reading = read::read(&tree, path, variables);
    // A syntax error may cause other errors, so only syntax errors are reported.
    if !problems.is_empty() {
        reading.problems = problems.into_iter().map(|problem| problem.in_file(path)).collect();
    }
    reading
}

fn text_of(path: &Path) -> Result<(String, Language), Problem> {
    let Some(language) = Language::of(path) else {
        return Err(Problem::whole(
            "is neither TOML nor YAML by its name; give a file that ends in .toml, .yaml or .yml",
        ));
    };
    let cannot = |error: std::io::Error| {
        Problem::whole(format!("cannot be read: {error}; check the path and who may read it"))
    };
    let size = std::fs::metadata(path).map_err(cannot)?.len();
    if size > MOST_BYTES {
        return Err(Problem::whole(format!(
            "is larger than {} KiB, so it is no configuration",
            MOST_BYTES >> 10
        )));
    }
    let bytes = std::fs::read(path).map_err(cannot)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, language)),
        Err(_) => Err(Problem::whole("is not UTF-8; save it as UTF-8")),
    }
}

/// The name of a service without a name, as OpenTelemetry defines it.
fn unknown_service() -> String {
    let path = std::env::current_exe().ok();
    let name = path.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
    name.map_or("unknown_service".into(), |name| format!("unknown_service:{name}"))
}
