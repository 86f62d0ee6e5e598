//! Sites: operations with the same name and labels. They are made at run time, their number is bounded, and each is
//! found by a hash of its texts. So nothing that comes from outside can grow memory or a label set.

use super::Convention;
use crate::bridge::table::Table;
use std::sync::atomic::{AtomicUsize, Ordering};
use throughline::adapter::bridge;
use throughline::adapter::callsite::{Callsite, CallsiteId, Meta};
use throughline::metrics::Histogram;

/// The most sites, and the most series of all metrics of sites.
const MOST: usize = 1024;

static SITES: Table<Known> = Table::new();
static SERIES: Table<Series> = Table::new();
static SITES_MADE: AtomicUsize = AtomicUsize::new(0);
static SERIES_MADE: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// How often a site or a series found no room.
pub(crate) fn refused() -> usize {
    REFUSED.load(Ordering::Relaxed)
}

/// Takes the room of one of the series of all conventions, if there is any left.
#[cfg(feature = "tower")]
pub(crate) fn take_series() -> bool {
    has_room(&SERIES_MADE)
}

/// Counts what found no room.
pub(crate) fn refuse() {
    REFUSED.fetch_add(1, Ordering::Relaxed);
}

/// Where an operation is counted.
#[derive(Clone, Debug)]
pub(crate) enum Site {
    /// By its labels.
    Known(&'static Known),
    /// There was no room: with all others of the convention. The name is that of the span.
    Elsewhere(&'static Convention, String),
}

/// Values of a convention's labels, "" for none.
#[derive(Debug)]
pub(crate) struct Known {
    convention: &'static Convention,
    labels: Box<[Box<str>]>,
    callsite: &'static Callsite,
}

/// A histogram of a site's operations with the same outcome.
struct Series {
    site: &'static Known,
    outcome: Box<[Box<str>]>,
    histogram: Histogram<2, 1, 30>,
}

impl Site {
    /// The site of operations with these values of the convention's labels. Cost: a hash of the texts, and a
    /// comparison.
    pub(crate) fn of(convention: &'static Convention, labels: &[&str]) -> Site {
        let make = || {
            let name = (convention.name)(labels);
            let callsite =
                has_room(&SITES_MADE).then(|| bridge::callsite(&convention.meta(&name))).flatten()?;
            Some(Known { convention, labels: owned(labels), callsite })
        };
        match find(convention, labels, make) {
            Some(known) => Site::Known(known),
            None => {
                refuse();
                Site::Elsewhere(convention, (convention.name)(labels))
            }
        }
    }

    /// Like [`Site::of`], for what may come from a stranger: one that is not known yet is not made.
    #[cfg(feature = "tower")]
    pub(crate) fn if_known(convention: &'static Convention, labels: &[&str]) -> Site {
        match find(convention, labels, || None) {
            Some(known) => Site::Known(known),
            None => Site::Elsewhere(convention, (convention.name)(labels)),
        }
    }

    /// The callsite of its spans, if it is enabled.
    pub(super) fn callsite(&self) -> Option<CallsiteId> {
        match self {
            Site::Known(known) => known.callsite.enabled(),
            Site::Elsewhere(convention, _) => (convention.elsewhere)(),
        }
    }

    /// The name of a span whose callsite does not have it.
    pub(super) fn other_name(&self) -> Option<&str> {
        match self {
            Site::Known(_) => None,
            Site::Elsewhere(_, name) => Some(name),
        }
    }

    /// Counts a value in the series of this outcome, or in the overflow series of the metric.
    pub(super) fn count(&self, outcome: &[&str], seconds: f64) {
        let convention = match self {
            Site::Known(known) => match known.series(outcome) {
                Some(series) => return series.histogram.record(seconds),
                None => {
                    refuse();
                    known.convention
                }
            },
            Site::Elsewhere(convention, _) => convention,
        };
        (convention.overflow)(seconds);
    }
}

impl Known {
    fn series(&'static self, outcome: &[&str]) -> Option<&'static Series> {
        let is_it = |series: &Series| core::ptr::eq(series.site, self) && are(&series.outcome, outcome);
        SERIES.get_or_make(hash(core::ptr::from_ref(self).addr(), outcome), is_it, || {
            has_room(&SERIES_MADE).then(|| self.make_series(outcome)).flatten()
        })
    }

    #[cold]
    fn make_series(&'static self, outcome: &[&str]) -> Option<Series> {
        let Convention { labels, outcome: further, target, metric, description, .. } = self.convention;
        let of_site = labels.iter().copied().zip(self.labels.iter().map(|text| &**text));
        let all = of_site.chain(further.iter().copied().zip(outcome.iter().copied()));
        let labels: Vec<(&str, &str)> = all.filter(|(_, value)| !value.is_empty()).collect();
        let meta = Meta { name: metric, target, unit: "s", description, labels: &labels, ..Meta::EMPTY };
        Some(Series { site: self, outcome: owned(outcome), histogram: bridge::histogram(&meta)? })
    }
}

fn find(
    convention: &'static Convention,
    labels: &[&str],
    make: impl Fn() -> Option<Known>,
) -> Option<&'static Known> {
    let is_it = |known: &Known| core::ptr::eq(known.convention, convention) && are(&known.labels, labels);
    SITES.get_or_make(hash(core::ptr::from_ref(convention).addr(), labels), is_it, make)
}

/// Takes one of the places that are left.
fn has_room(made: &AtomicUsize) -> bool {
    made.load(Ordering::Relaxed) < MOST && made.fetch_add(1, Ordering::Relaxed) < MOST
}

fn owned(texts: &[&str]) -> Box<[Box<str>]> {
    texts.iter().map(|text| Box::from(*text)).collect()
}

fn are(known: &[Box<str>], texts: &[&str]) -> bool {
    known.iter().map(|text| &**text).eq(texts.iter().copied())
}

/// Mixes the texts into one number, eight bytes at a time.
pub(crate) fn hash(start: usize, texts: &[&str]) -> usize {
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut hash = start as u64;
    let mut mix = |word: u64| hash = (hash.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    for text in texts {
        let (whole, rest) = text.as_bytes().as_chunks::<8>();
        whole.iter().for_each(|chunk| mix(u64::from_le_bytes(*chunk)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        mix(u64::from_le_bytes(last) ^ (text.len() as u64) << 56);
    }
    (hash >> 32) as usize
}
