//! The environment, as it was when it was looked at.

use std::collections::BTreeMap;
use std::fmt;

/// Variables by name. `Debug` shows names alone.
#[derive(Clone, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Those of this process. What is not UTF-8 has replacement characters.
    pub(crate) fn of_process() -> Variables {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Variables(std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect())
    }

    /// These.
    #[cfg(test)]
    pub(crate) fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Variables {
        Variables(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value, unless it is blank, which is the same as not set.
    pub(crate) fn set(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    /// Names that begin so.
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
