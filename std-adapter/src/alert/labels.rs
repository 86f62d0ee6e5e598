//! Labels of a series or an alert.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A set of labels, sorted by name, each name once. Cloning it is cheap, and so is comparing: the hash is computed once.
#[derive(Clone)]
pub struct Labels(Arc<Inner>);

struct Inner {
    hash: u64,
    pairs: Box<[(Arc<str>, Arc<str>)]>,
}

impl Labels {
    /// Labels of these names and values. Of several with one name the last wins, and an empty value is like no label, as in Prometheus.
    ///
    /// ```
    /// use throughline_std::alert::Labels;
    /// let labels = Labels::new([("route", "/cart"), ("code", "500"), ("empty", "")]);
    /// assert_eq!(labels.to_string(), r#"{code="500", route="/cart"}"#);
    /// assert_eq!((labels.get("route"), labels.get("empty")), (Some("/cart"), None));
    /// ```
    pub fn new<K: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (K, V)>) -> Labels {
        let mut all: Vec<(Arc<str>, Arc<str>)> =
            pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        // The sort is stable, so the last of equal names is the last of its run.
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let mut kept: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(all.len());
        for pair in all {
            match kept.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => kept.push(pair),
            }
        }
        kept.retain(|(_, value)| !value.is_empty());
        Labels::of_sorted(kept)
    }

    fn of_sorted(pairs: Vec<(Arc<str>, Arc<str>)>) -> Labels {
        let hash = hash_of(pairs.iter().map(|(key, value)| (&**key, &**value)));
        Labels(Arc::new(Inner { hash, pairs: pairs.into() }))
    }

    /// No labels.
    pub fn none() -> Labels {
        Labels::of_sorted(Vec::new())
    }

    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.shared(name).map(|value| &**value)
    }

    fn shared(&self, name: &str) -> Option<&Arc<str>> {
        let at = self.0.pairs.binary_search_by(|(key, _)| (**key).cmp(name)).ok()?;
        Some(&self.0.pairs[at].1)
    }

    /// The labels in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.pairs.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.pairs.is_empty()
    }

    /// A number that two sets with the same labels share, in all runs of one build of the program.
    pub fn fingerprint(&self) -> u64 {
        self.0.hash
    }

    /// The labels for whose names `keep` returns true.
    pub(super) fn filtered(&self, keep: impl Fn(&str) -> bool) -> Labels {
        if self.0.pairs.iter().all(|(key, _)| keep(key)) {
            return self.clone();
        }
        Labels::of_sorted(self.0.pairs.iter().filter(|(key, _)| keep(key)).cloned().collect())
    }

    /// By which an alert and what is usual are told apart: not the version of the package that has made the metric, so that it goes on in a new one.
    pub(super) fn without_version(&self) -> Labels {
        self.filtered(|name| name != "otel_scope_version")
    }

    /// These labels with others, which win.
    pub(super) fn with<K: Into<Arc<str>>, V: Into<Arc<str>>>(
        &self,
        others: impl IntoIterator<Item = (K, V)>,
    ) -> Labels {
        let others = others.into_iter().map(|(key, value)| (key.into(), value.into()));
        Labels::new(self.0.pairs.iter().cloned().chain(others))
    }
}

/// The hasher has fixed keys, so that the hash is the same in each run.
fn hash_of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for pair in pairs {
        pair.hash(&mut hasher);
    }
    hasher.finish()
}

impl PartialEq for Labels {
    fn eq(&self, other: &Labels) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.hash == other.0.hash && self.0.pairs == other.0.pairs
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Labels) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// In the order of names and values.
impl Ord for Labels {
    fn cmp(&self, other: &Labels) -> std::cmp::Ordering {
        self.0.pairs.cmp(&other.0.pairs)
    }
}

/// Writes `{name="value", …}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{name}={}", throughline_export::text::json(value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_name_wins_and_order_does_not_matter() {
        let labels = Labels::new([("b", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(labels, Labels::new([("a", "2"), ("b", "3")]));
        assert_eq!(labels.with([("a", "")]), Labels::new([("b", "3")]));
        assert_eq!(labels.filtered(|name| name == "b"), Labels::new([("b", "3")]));
        assert_ne!(Labels::new([("a", "bc")]).fingerprint(), Labels::new([("ab", "c")]).fingerprint());
        assert!(Labels::none().is_empty() && Labels::none().to_string() == "{}");
    }
}
