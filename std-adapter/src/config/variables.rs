//! A copy of the environment variables, taken at one moment.

use std::collections::BTreeMap;
use std::fmt;

/// Variables by name. `Debug` shows only the names, because values may be secret.
#[derive(Clone, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// The variables of this process. Invalid UTF-8 is replaced by replacement characters.
    pub(crate) fn of_process() -> Variables {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Variables(std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect())
    }

    /// Creates a set of variables for tests.
    #[cfg(test)]
    pub(crate) fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Variables {
        Variables(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value; a blank one counts as not set.
    pub(crate) fn set(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    /// The names that begin with `prefix`.
    pub(crate) fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let names = self.0.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        names.map(|(name, _)| name.as_str()).take_while(move |name| name.starts_with(prefix))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
