//! Silences: for a time, nobody is told of some alerts.

use super::engine::unix_ms;
use super::{Labels, Matcher};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// For a time, nobody is told of the alerts that all matchers take.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use throughline_std::alert::{Matcher, Silence};
/// let silence = Silence::new([Matcher::equal("alertname", "QueueGrows")], SystemTime::now(), Duration::from_secs(3600))
///     .created_by("ada")
///     .comment("the queue is being moved");
/// assert_eq!(silence.comment, "the queue is being moved");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Silence {
    /// What it is removed by. [`Alerts::silence`](super::Alerts::silence) returns it.
    pub id: Arc<str>,
    /// All of these must take an alert. A silence without matchers takes none.
    pub matchers: Vec<Matcher>,
    /// When it begins.
    pub starts_at: SystemTime,
    /// When it ends.
    pub ends_at: SystemTime,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

impl Silence {
    /// A silence from `starts_at` on, for this long.
    pub fn new(
        matchers: impl IntoIterator<Item = Matcher>,
        starts_at: SystemTime,
        duration: Duration,
    ) -> Silence {
        let ends_at =
            starts_at.checked_add(duration).unwrap_or(starts_at + Duration::from_secs(100 * 365 * 86_400));
        let id = format!("{:016x}", RandomState::new().hash_one((starts_at, duration)));
        Silence {
            id: id.into(),
            matchers: matchers.into_iter().collect(),
            starts_at,
            ends_at,
            created_by: String::new(),
            comment: String::new(),
        }
    }

    /// Who made it.
    #[must_use]
    pub fn created_by(self, who: impl Into<String>) -> Silence {
        Silence { created_by: who.into(), ..self }
    }

    /// Why it was made.
    #[must_use]
    pub fn comment(self, why: impl Into<String>) -> Silence {
        Silence { comment: why.into(), ..self }
    }

    pub(super) fn takes(&self, labels: &Labels, now: i64) -> bool {
        (unix_ms(self.starts_at)..unix_ms(self.ends_at)).contains(&now)
            && !self.matchers.is_empty()
            && self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}
