//! What is wrong with a configuration, in words for the person who has to mend it.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The file, when it is in one.
    pub file: Option<PathBuf>,
    /// The line in the file; 1 is the first.
    pub line: Option<u32>,
    /// The key as it is written there, or the variable. Empty when it is about the file as a whole.
    pub key: String,
    /// What is wrong and what to do, so that it can follow the key.
    pub text: String,
}

impl Problem {
    /// About the file as a whole.
    pub(crate) fn whole(text: impl Into<String>) -> Problem {
        Problem { file: None, line: None, key: String::new(), text: text.into() }
    }

    /// About a line.
    pub(crate) fn at(line: u32, text: impl Into<String>) -> Problem {
        Problem { line: Some(line), ..Problem::whole(text) }
    }

    /// About a key in a file.
    pub(crate) fn of(line: u32, key: &str, text: impl Into<String>) -> Problem {
        Problem { key: key.into(), ..Problem::at(line, text) }
    }

    /// About a variable.
    pub(crate) fn variable(name: &str, text: impl Into<String>) -> Problem {
        Problem { key: name.into(), ..Problem::whole(text) }
    }

    pub(crate) fn in_file(mut self, path: &Path) -> Problem {
        self.file = Some(path.into());
        self
    }
}

/// `shop.toml:12: tracing.sampling.probability must be …`.
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

/// A configuration cannot be used. Shows all that is wrong with it, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    problems: Vec<Problem>,
}

impl LoadError {
    /// Of this problem.
    pub(crate) fn of(problem: Problem) -> LoadError {
        LoadError { problems: vec![problem] }
    }

    /// Of these problems, in the order of their lines; `Ok` when there are none.
    pub(crate) fn check(mut problems: Vec<Problem>) -> Result<(), LoadError> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by_key(|problem| problem.line);
        Err(LoadError { problems })
    }

    /// All that is wrong, in the order of the lines.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
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
        Ok(())
    }
}

impl std::error::Error for LoadError {}
