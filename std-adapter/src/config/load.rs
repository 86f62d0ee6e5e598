//! Layers of a configuration: code, then a file, then the environment, each over the one before.

use super::node::{self, Language};
use super::problem::{LoadError, Problem};
use super::read::{self, Reading};
use super::reload::Source;
use super::variables::Variables;
use super::{Config, Otlp, environment, exporters, keys};
use std::path::Path;
use throughline_export::text::Escaped;

/// The largest file that is read.
const MOST_BYTES: u64 = 1 << 20;

impl Config {
    /// Reads the file at `path`, TOML or YAML by its ending, and then the environment, which goes before the file. The service is called after the program, unless the
    /// file or the environment names it.
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
    /// All that is wrong with the file and the environment, each with file, line and key.
    pub fn load(path: impl AsRef<Path>) -> Result<Config, LoadError> {
        Config::bare(&unknown_service(), Variables::of_process()).with_file(path)?.with_env()
    }

    /// What the environment says, and before it the file that `THROUGHLINE_CONFIG` names, if it names one.
    ///
    /// # Errors
    ///
    /// As [`load`](Config::load).
    pub fn from_env() -> Result<Config, LoadError> {
        let config = Config::bare(&unknown_service(), Variables::of_process());
        match config.variables.set("THROUGHLINE_CONFIG").map(str::to_owned) {
            Some(path) => config.with_file(path)?.with_env(),
            None => config.with_env(),
        }
    }

    /// Puts what a file says over what was said before.
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
    /// All that is wrong with the file.
    pub fn with_file(mut self, path: impl AsRef<Path>) -> Result<Config, LoadError> {
        let path = path.as_ref();
        let before = self.clone();
        let reading = match text_of(path) {
            Ok((text, language)) => read_text(&text, language, path, &self.variables),
            Err(problem) => Reading { problems: vec![problem.in_file(path)], ..Reading::default() },
        };
        self.take(reading);
        self.check()?;
        self.source = Some(Source::new(before, path.into()));
        Ok(self)
    }

    /// Puts what the environment says over what was said before.
    ///
    /// # Errors
    ///
    /// All that is wrong with variables of ours, and with endpoints of OpenTelemetry's. What else is wrong with variables of other standards, and
    /// which of them are not honoured, is told on standard error by [`init`](crate::init), once.
    pub fn with_env(mut self) -> Result<Config, LoadError> {
        let reading = environment::read(&self.variables);
        self.take(reading);
        self.check()?;
        if let Some(source) = &mut self.source {
            source.with_env = true;
        }
        Ok(self)
    }

    /// Takes what was read. What is wrong is kept for [`check`](Config::check).
    pub(super) fn take(&mut self, reading: Reading) {
        let Reading { settings, mut problems, mut warnings } = reading;
        let mut said: Vec<&str> = settings.iter().map(|setting| setting.key.path).collect();
        settings.into_iter().for_each(|setting| self.settings.put(setting));
        // A client that code gave makes room for what is said now; none, which code asked for, does not.
        if matches!(self.otlp, Otlp::To(_)) && said.iter().any(|path| path.contains("otlp.")) {
            self.otlp = Otlp::Keys;
        }
        said.sort_unstable();
        let mut settings = std::mem::take(&mut self.settings);
        for key in keys::all().filter(|key| said.binary_search(&key.path).is_ok()) {
            let Some(setting) = settings.get(key.path) else { continue };
            let Err(error) = (key.apply)(self, &setting.value) else { continue };
            if setting.is_of_standard() {
                warnings.push(setting.problem(format!("{error}; it is not honoured")));
                settings.remove(key.path);
            } else {
                problems.push(setting.problem(error));
            }
        }
        let (errors, not_yet) = settings.missing();
        problems.extend(errors.into_iter().chain(exporters::impossible(&settings)));
        warnings.extend(not_yet);
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
    }

    /// Whether there is nothing wrong.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        LoadError::check(self.problems.clone())
    }

    /// What is not honoured, which does no harm.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Says on standard error what is not honoured, and what else there is to say at the start.
    pub(crate) fn tell(&self, more: &[String]) {
        let warnings = self.warnings.iter().map(ToString::to_string);
        for line in warnings.chain(more.iter().cloned()) {
            eprintln!("throughline: {}", Escaped(&line));
        }
    }
}

/// Reads the text of a file.
pub(super) fn read_text(text: &str, language: Language, path: &Path, variables: &Variables) -> Reading {
    let (tree, problems) = node::parse(text, language);
    let mut reading = read::read(&tree, path, variables);
    // What is no TOML or YAML may make the rest look wrong.
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

/// What a service is called that has no name, as OpenTelemetry wants it.
fn unknown_service() -> String {
    let path = std::env::current_exe().ok();
    let name = path.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
    name.map_or("unknown_service".into(), |name| format!("unknown_service:{name}"))
}
