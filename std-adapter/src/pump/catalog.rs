//! All series of the program in order, kept from one reading to the next. A series never ends and its labels never
//! change, so a reading only fetches the values. Everything else is made anew only when a metric or a label set is
//! used for the first time.

use super::identity::Identities;
use super::kept_exemplars::Kept;
use super::metrics::{Data, Point, merged};
use crate::bridge;
use crate::observe::Answer;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use throughline::adapter::metrics::{Series, changes, for_each_possible, take_negative};
use throughline::adapter::ring::Word;
use throughline_export::view::{PointView, Scope};
use throughline_export::{Mask, Redaction, diagnostics};

/// The id of the next point, so that no two points of the process have the same. 0 is none.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
/// The texts of all labels so far. A label set keeps its place in its family as long as the process runs, and the
/// capacities of families bound their number, so their texts are never freed either.
static TEXTS: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// All series and the values of the last reading.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    mask: Mask,
    /// How many changes there were of series, and of descriptions apart from them, when the catalog was made.
    made: Option<(usize, usize)>,
    points: Vec<Point>,
    /// Where the labels of each point are in `texts`.
    labels: Vec<Range<usize>>,
    texts: Vec<(&'static str, &'static str)>,
    /// The identities of the points, in the same order.
    identities: Identities,
    /// The series of each point; those of one point follow each other.
    sources: Vec<(usize, Series)>,
    /// Whether a point has a value: the overflow series of a family has none before it overflows.
    has_value: Vec<bool>,
    first_id: u64,
    /// What is observed of metrics that no callsite counts, and before which point it comes.
    observed: Vec<(usize, Point)>,
    exemplars: Option<Kept>,
    /// Memory of the last reading's views.
    views: Vec<PointView<'static>>,
}

impl Catalog {
    /// An empty catalog. Values of secret labels and secrets within values will be replaced, so that their series become one.
    pub(super) fn new(redaction: Arc<Redaction>, exemplars: bool) -> Catalog {
        Catalog { mask: Mask::new(redaction), exemplars: exemplars.then(Kept::default), ..Catalog::default() }
    }

    /// Takes the exemplars of all threads, while the correlation fields of the code that recorded them are known.
    pub(super) fn take_exemplars(&mut self, unix_ns: impl Fn(Word) -> u64) {
        if let Some(exemplars) = &mut self.exemplars {
            exemplars.take(unix_ns, &mut self.mask);
        }
    }

    /// Fetches all values. `answers` are those of observers; `unix_ns` maps the ticks of exemplars.
    pub(super) fn read(&mut self, answers: Vec<Answer>, unix_ns: impl Fn(Word) -> u64) {
        if let Some(place) = take_negative() {
            diagnostics::tell(format_args!(
                "{place}: a counter was given a negative amount, which adds nothing; for a sum that may go down, use `up_down_counter!`"
            ));
        }
        let changes = (changes(), bridge::descriptions());
        if self.made != Some(changes) {
            self.make();
            self.made = Some(changes);
        }
        if let Some(exemplars) = &mut self.exemplars {
            exemplars.take(unix_ns, &mut self.mask);
        }
        self.fetch();
        self.observe(answers);
        for point in &mut self.points {
            point.data.find_quantiles();
        }
    }

    /// Lists all series anew.
    fn make(&mut self) {
        let (mut points, mut series) = (Vec::new(), Vec::new());
        for_each_possible(|one| {
            if let Some(point) = Point::of(&one) {
                points.push(point);
                series.push(one);
            }
        });
        self.hide_secrets(&mut points);
        self.identities.clear();
        points.iter().for_each(|point| point.identify(&mut self.identities));
        let order = self.identities.order();
        self.identities.dedup();
        let mut points: Vec<Option<Point>> = points.into_iter().map(Some).collect();
        self.points.clear();
        self.sources.clear();
        for (index, is_first) in order {
            if is_first {
                self.points.extend(points[index].take());
            }
            self.sources.push((self.points.len() - 1, series[index]));
        }
        // If several packages have a metric, it is sent under one of them, so that its series stay together.
        for metric in self.points.chunk_by_mut(|a, b| a.name == b.name) {
            let scope =
                metric.iter().map(|point| point.scope).min_by_key(|scope| (scope.name, scope.version));
            metric.iter_mut().for_each(|point| point.scope = scope.unwrap_or(Scope::OWN));
        }
        let mut known = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        self.texts.clear();
        self.labels.clear();
        for point in &mut self.points {
            let begin = self.texts.len();
            let labels = std::mem::take(&mut point.labels);
            self.texts.extend(labels.into_iter().map(|(key, value)| (key, kept(known, value))));
            self.labels.push(begin..self.texts.len());
        }
        self.first_id = NEXT_ID.fetch_add(self.points.len() as u64, Ordering::Relaxed);
    }

    fn hide_secrets(&mut self, points: &mut [Point]) {
        for (key, value) in points.iter_mut().flat_map(|point| &mut point.labels) {
            if let Some(shown) = self.mask.shown(key, value) {
                *value = Cow::Owned(shown);
            }
        }
    }

    /// Fetches the values of all series.
    fn fetch(&mut self) {
        self.has_value.clear();
        self.has_value.resize(self.points.len(), false);
        for (place, series) in &self.sources {
            if series.is_overflow() && !series.is_in_use() {
                continue;
            }
            let (data, has_value) = (&mut self.points[*place].data, &mut self.has_value[*place]);
            let mut other = has_value.then(|| Data::of(series));
            let target = other.as_mut().unwrap_or(data);
            if !*has_value {
                target.set(series);
            }
            if let Some(exemplars) = &self.exemplars
                && let Data::Histogram(histogram) = target
                && !histogram.is_summary
            {
                exemplars.show(series, &mut histogram.exemplars);
            }
            if let Some(other) = other {
                data.add(other);
            }
            *has_value = true;
        }
    }

    /// Takes what is observed. What is also counted is added to it.
    fn observe(&mut self, answers: Vec<Answer>) {
        self.observed.clear();
        let mut observed: Vec<Point> = answers.into_iter().map(Point::from).collect();
        if observed.is_empty() {
            return;
        }
        self.hide_secrets(&mut observed);
        let mut identity = Identities::default();
        for mut point in merged(observed) {
            identity.clear();
            point.identify(&mut identity);
            match self.identities.find(&identity) {
                Ok(place) if self.has_value[place] => self.points[place].data.add(point.data),
                Ok(place) => {
                    (self.points[place].data, self.has_value[place]) = (point.data, true);
                }
                Err(place) => {
                    let neighbours = self.points[place.saturating_sub(1)..].iter().take(2);
                    let same = neighbours.into_iter().find(|other| other.name == point.name);
                    point.scope = same.map_or(point.scope, |other| other.scope);
                    self.observed.push((place, point));
                }
            }
        }
    }

    /// Calls `look` with the points of the last reading, and then those in `further`.
    pub(super) fn with_views<R>(
        &mut self,
        further: &[Point],
        times: (u64, u64),
        look: impl FnOnce(&[PointView<'_>]) -> R,
    ) -> R {
        let memory = std::mem::take(&mut self.views);
        let others = self.observed.iter().map(|(_, point)| point).chain(further);
        let labels: Vec<Vec<(&str, &str)>> =
            others.map(|point| point.labels.iter().map(|(k, v)| (*k, &**v)).collect()).collect();
        let (of_observed, of_further) = labels.split_at(self.observed.len());
        let mut views: Vec<PointView<'_>> = memory;
        let result = self.show(&mut views, of_observed, further, of_further, times, look);
        self.views = emptied(views);
        result
    }

    fn show<'a, R>(
        &'a self,
        views: &mut Vec<PointView<'a>>,
        of_observed: &'a [Vec<(&'a str, &'a str)>],
        further: &'a [Point],
        of_further: &'a [Vec<(&'a str, &'a str)>],
        times: (u64, u64),
        look: impl FnOnce(&[PointView<'_>]) -> R,
    ) -> R {
        let mut observed = self.observed.iter().zip(of_observed).peekable();
        for (place, point) in self.points.iter().enumerate() {
            while let Some(((_, before), labels)) = observed.next_if(|((at, _), _)| *at <= place) {
                views.push(before.view(0, labels, times));
            }
            if self.has_value[place] {
                let labels = &self.texts[self.labels[place].clone()];
                views.push(point.view(self.first_id + place as u64, labels, times));
            }
        }
        views.extend(observed.map(|((_, point), labels)| point.view(0, labels, times)));
        views.extend(further.iter().zip(of_further).map(|(point, labels)| point.view(0, labels, times)));
        look(views)
    }
}

/// This text for as long as the process runs.
fn kept(known: &mut HashSet<&'static str>, text: Cow<'static, str>) -> &'static str {
    match text {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => known.get(&*text).copied().unwrap_or_else(|| {
            let text: &'static str = String::leak(text);
            known.insert(text);
            text
        }),
    }
}

/// The memory of these views, for others.
fn emptied<'a>(mut views: Vec<PointView<'_>>) -> Vec<PointView<'a>> {
    views.clear();
    // Collecting into a vector of the same layout uses the same memory.
    views.into_iter().map_while(|_| None).collect()
}
