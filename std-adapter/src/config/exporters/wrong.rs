//! Collects everything that is wrong with a section, so that all of it is told at once.

use crate::config::problem::{Problem, Problems};

/// What was found to be wrong so far.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Wrong(Problems);

impl Wrong {
    #[cfg(any(feature = "alerts", feature = "health", feature = "observers"))]
    pub(super) fn note(&mut self, problem: Problem) {
        self.0.extend([problem]);
    }

    /// What was made; `None` if something is wrong with it, which is noted.
    pub(super) fn take<T>(&mut self, made: Result<T, impl Into<Problems>>) -> Option<T> {
        made.map_err(|wrong| self.0.extend(wrong.into())).ok()
    }

    /// `it` with a change, or as it was if something is wrong with the change, which is noted.
    pub(super) fn with<T: Clone>(&mut self, it: T, change: impl FnOnce(T) -> Result<T, Problem>) -> T {
        self.take(change(it.clone())).unwrap_or(it)
    }

    /// What was made, or everything that is wrong. What is `None` has something wrong with it.
    pub(super) fn or<T>(self, made: Option<T>) -> Result<T, Problems> {
        made.filter(|_| self.0.is_empty()).ok_or(self.0)
    }
}
