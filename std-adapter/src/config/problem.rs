//! The errors of a configuration, worded for the person who has to fix them.

use std::fmt;
use std::path::{Path, PathBuf};

/// One error, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The file, if the error is in one.
    pub file: Option<PathBuf>,
    /// The line in the file, counted from 1.
    pub line: Option<u32>,
    /// The key as it is written there, or the variable. Empty if the error concerns the whole file.
    pub key: String,
    /// What is wrong and what to do, worded so that it can follow the key.
    pub text: String,
    /// The feature that the program must be built with, if the only fault is that this build lacks it; of several that would do: `tracing or log`.
    pub feature: Option<&'static str>,
    /// Whether a file that a key names cannot be used, whatever else is in the key's section.
    pub(super) is_of_file: bool,
}

impl Problem {
    /// An error about the whole file.
    pub(crate) fn whole(text: impl Into<String>) -> Problem {
        Problem {
            text: text.into(),
            file: None,
            line: None,
            key: String::new(),
            feature: None,
            is_of_file: false,
        }
    }

    /// An error about a line.
    pub(crate) fn at(line: u32, text: impl Into<String>) -> Problem {
        Problem { line: Some(line), ..Problem::whole(text) }
    }

    /// An error about a key in a file.
    pub(crate) fn of(line: u32, key: &str, text: impl Into<String>) -> Problem {
        Problem { key: key.into(), ..Problem::at(line, text) }
    }

    /// An error about a variable.
    pub(crate) fn variable(name: &str, text: impl Into<String>) -> Problem {
        Problem { key: name.into(), ..Problem::whole(text) }
    }

    /// Where it is, for a message: `shop.toml:12: tracing.sampling.probability`.
    pub fn place(&self) -> String {
        Problem { text: String::new(), ..self.clone() }.to_string().trim_end().to_owned()
    }

    pub(crate) fn wants_feature(mut self, feature: Option<&'static str>) -> Problem {
        self.feature = feature;
        self
    }

    pub(crate) fn in_file(mut self, path: &Path) -> Problem {
        self.file = Some(path.into());
        self
    }
}

/// Everything that is wrong with a section.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Problems {
        Problems(vec![problem])
    }
}

impl From<Vec<Problem>> for Problems {
    fn from(problems: Vec<Problem>) -> Problems {
        Problems(problems)
    }
}

impl Extend<Problem> for Problems {
    fn extend<T: IntoIterator<Item = Problem>>(&mut self, problems: T) {
        self.0.extend(problems);
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Writes `shop.toml:12: tracing.sampling.probability must be …`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{} ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// The errors of a configuration that cannot be used, and its warnings. `Display` writes one line for each, errors first.
#[derive(Clone, PartialEq, Eq)]
pub struct LoadError {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

throughline_export::__debug_as_display!(LoadError);

impl LoadError {
    /// An error with these problems, sorted by line.
    pub(crate) fn of(problems: impl Into<Problems>) -> LoadError {
        let Problems(mut problems) = problems.into();
        problems.sort_by_key(|problem| problem.line);
        LoadError { problems, warnings: Vec::new() }
    }

    /// As [`of`](LoadError::of); `Ok` if there are none.
    pub(crate) fn check(problems: Vec<Problem>) -> Result<(), LoadError> {
        if problems.is_empty() { Ok(()) } else { Err(LoadError::of(problems)) }
    }

    /// The same error, with what was found beside it that does no harm by itself.
    pub(crate) fn with_warnings(self, warnings: &[Problem]) -> LoadError {
        LoadError { warnings: warnings.to_vec(), ..self }
    }

    /// All errors, sorted by line.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Settings that would not be honoured either, although they are no errors.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        for warning in &self.warnings {
            write!(f, "\nwarning: {warning}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}
