//! Knows which routes are rare, so that some of their traces are kept whatever the probability.

use crate::sampling::Names;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Most routes that are counted. Traces of further ones are not taken for rare, because a name that is different each
/// time is no route.
const ROUTES: usize = 1024;
const MINUTE: Duration = Duration::from_secs(60);

/// Counts the traces of each route in the current minute.
#[derive(Debug)]
pub(super) struct Rare {
    counts: HashMap<Box<str>, u32>,
    since: Instant,
}

impl Default for Rare {
    fn default() -> Rare {
        Rare { counts: HashMap::new(), since: Instant::now() }
    }
}

impl Rare {
    /// Counts a trace. Whether it is one of the first `most` of its route in this minute.
    pub(super) fn is(&mut self, names: &Names<'_>, most: u32) -> bool {
        if self.since.elapsed() >= MINUTE {
            *self = Rare::default();
        }
        let names = [names.route, names.given, names.callsite];
        let route = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        if let Some(count) = self.counts.get_mut(route) {
            *count = count.saturating_add(1);
            return *count <= most;
        }
        let has_room = self.counts.len() < ROUTES;
        if has_room {
            self.counts.insert(route.into(), 1);
        }
        has_room
    }
}
