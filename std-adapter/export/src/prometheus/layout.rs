//! The layout of a page: its families in order and the labels of their series, as the format writes them. It
//! holds for the next page too if that has the same points.

use super::PageOptions;
use super::name::{self, Kind};
use super::negotiate::Shape;
use super::page::{Encoder, Family, Value};
use super::process::{self, Process};
use super::{Format, protobuf, text};
use crate::view::{PointData, PointView, Scope};
use crate::{Resource, diagnostics};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Once;

/// A label with its value.
pub(super) type Label<'p> = (Cow<'p, str>, Cow<'p, str>);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Layout {
    shape: Shape,
    /// The ids of the points, and what the points without an id are.
    ids: Vec<u64>,
    without_id: Vec<(usize, Described)>,
    /// The families, each with its series.
    families: Vec<(Family, Range<usize>)>,
    series: Vec<SeriesLayout>,
    /// The points of all series, in order.
    members: Vec<usize>,
    /// The labels of all series.
    labels: Vec<u8>,
    /// Families with one series each, which come after the others.
    singles: Vec<(Family, Range<usize>, Single)>,
}

#[derive(Debug)]
struct SeriesLayout {
    labels: Range<usize>,
    /// Usually one point. Several that become the same series are added up.
    members: Range<usize>,
}

/// The value of a family that does not come from a point.
#[derive(Clone, Copy, Debug)]
enum Single {
    Fixed(u64),
    Process(process::Value),
}

/// What a point without an id is.
#[derive(Debug, PartialEq)]
struct Described {
    name: String,
    unit: String,
    description: String,
    scope: (String, String),
    labels: Vec<(String, String)>,
    kind: Kind,
}

impl Described {
    fn of(point: &PointView<'_>) -> Described {
        Described {
            name: point.name.into(),
            unit: point.unit.into(),
            description: point.description.into(),
            scope: (point.scope.name.into(), point.scope.version.into()),
            labels: point.labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            kind: kind(&point.data),
        }
    }

    fn is(&self, point: &PointView<'_>) -> bool {
        let Described { name, unit, description, scope, labels, kind } = self;
        let same = |(a, b): (&(String, String), &(&str, &str))| a.0 == b.0 && a.1 == b.1;
        (&**name, &**unit, &**description) == (point.name, point.unit, point.description)
            && (&*scope.0, &*scope.1) == (point.scope.name, point.scope.version)
            && *kind == self::kind(&point.data)
            && labels.len() == point.labels.len()
            && labels.iter().zip(point.labels).all(same)
    }
}

impl Layout {
    /// The layout of a page of these points. `process` tells which metrics of the process there are.
    pub(super) fn new(
        points: &[PointView<'_>],
        shape: Shape,
        resource: &Resource,
        options: &PageOptions,
        process: Option<&Process>,
    ) -> Layout {
        let without_id = points.iter().enumerate().filter(|(_, point)| point.id == 0);
        let mut builder = Builder {
            options,
            names: HashMap::new(),
            conflicts: 0,
            layout: Layout {
                shape,
                ids: points.iter().map(|point| point.id).collect(),
                without_id: without_id.map(|(at, point)| (at, Described::of(point))).collect(),
                families: Vec::new(),
                series: Vec::new(),
                members: Vec::new(),
                labels: Vec::new(),
                singles: Vec::new(),
            },
        };
        // The first family keeps a name, and a program's own metric must not displace those of the process and `target_info`.
        for metric in process.iter().flat_map(|process| process.metrics()) {
            let process::Metric { name, kind, unit, help, value } = metric;
            let labels = labels(std::iter::empty(), &options.target, kind, shape.utf8);
            builder.single(name, kind, unit, help, labels, Single::Process(value));
        }
        if options.target_info {
            let labels = labels(resource.attributes(), &options.target, Kind::Info, shape.utf8);
            builder.single("target", Kind::Info, "", "What is being observed", labels, Single::Fixed(1));
        }
        builder.points(points);
        if builder.conflicts > 0 {
            let help = "Series left out of this page, as a metric of another kind has their name";
            let count = Single::Fixed(builder.conflicts);
            let labels = labels(std::iter::empty(), &options.target, Kind::Gauge, shape.utf8);
            builder.single("throughline_prometheus_conflicts", Kind::Gauge, "", help, labels, count);
        }
        builder.layout
    }

    /// Whether it is the layout of these points too. Cost: a comparison of ids.
    pub(super) fn is_of(&self, points: &[PointView<'_>], shape: Shape) -> bool {
        self.shape == shape
            && self.ids.len() == points.len()
            && self.ids.iter().zip(points).all(|(id, point)| *id == point.id)
            && self.without_id.iter().all(|(at, described)| described.is(&points[*at]))
    }

    /// Writes the page of these points, whose layout it is.
    pub(super) fn write(
        &self,
        points: &[PointView<'_>],
        process: Option<&Process>,
        encoder: &mut impl Encoder,
    ) {
        for (family, series) in &self.families {
            encoder.begin(family);
            for SeriesLayout { labels, members } in &self.series[series.clone()] {
                let labels = &self.labels[labels.clone()];
                if let [only] = self.members[members.clone()] {
                    let point = &points[only];
                    encoder.series(family, labels, point.start_unix_ns, &Value::of(&point.data));
                } else if let Some((created, value)) = added_up(points, &self.members[members.clone()]) {
                    encoder.series(family, labels, created, &value);
                }
            }
            encoder.end();
        }
        for (family, labels, single) in &self.singles {
            let value = match single {
                Single::Fixed(n) => Some(Value::Unsigned(*n)),
                Single::Process(value) => process.and_then(value),
            };
            if let Some(value) = value {
                encoder.begin(family);
                encoder.series(family, &self.labels[labels.clone()], 0, &value);
                encoder.end();
            }
        }
        encoder.finish();
    }
}

/// The time since which points of one series have counted, and their sum; of gauges the last value.
fn added_up<'p>(points: &[PointView<'p>], members: &[usize]) -> Option<(u64, Value<'p>)> {
    let (first, others) = members.split_first()?;
    let mut created = points[*first].start_unix_ns;
    let mut sum = Value::of(&points[*first].data);
    for other in others.iter().map(|at| &points[*at]) {
        created = created.min(other.start_unix_ns);
        let value = Value::of(&other.data);
        // A last value replaces an earlier one; others are added.
        if matches!(other.data, PointData::GaugeInt(_) | PointData::GaugeFloat(_)) {
            sum = value;
        } else {
            sum.add(value);
        }
    }
    Some((created, sum))
}

struct Builder<'o> {
    options: &'o PageOptions,
    /// Names of samples, and the families that use them.
    names: HashMap<String, usize>,
    /// Number of series that are left out.
    conflicts: u64,
    layout: Layout,
}

impl Builder<'_> {
    fn points(&mut self, points: &[PointView<'_>]) {
        let (families, mut members) = self.sorted(points);
        // The sort is stable, so that points keep their order within a family.
        members.sort_by_key(|(family, _)| *family);
        let mut members = members.chunk_by(|a, b| a.0 == b.0);
        let (options, utf8) = (self.options, self.layout.shape.utf8);
        for family in families {
            let first = self.layout.series.len();
            let mut series: Vec<_> = members
                .next()
                .unwrap_or_default()
                .iter()
                .map(|(_, point)| (labels_of(&points[*point], options, family.kind, utf8), *point))
                .collect();
            series.sort_by(|a, b| a.0.cmp(&b.0));
            for same in series.chunk_by(|a, b| a.0 == b.0) {
                let begin = self.layout.members.len();
                self.layout.members.extend(same.iter().map(|(_, point)| *point));
                let members = begin..self.layout.members.len();
                let labels = self.put_labels(same.first().map_or(&[], |(labels, _)| labels));
                self.layout.series.push(SeriesLayout { labels, members });
            }
            self.layout.families.push((family, first..self.layout.series.len()));
        }
    }

    /// The families of these points; and for each point that is shown, the index of its family and its own.
    fn sorted(&mut self, points: &[PointView<'_>]) -> (Vec<Family>, Vec<(usize, usize)>) {
        let mut families: Vec<Family> = Vec::new();
        let mut members = Vec::with_capacity(points.len());
        // Points of one metric usually follow each other.
        let mut last: Option<(&PointView<'_>, Option<usize>)> = None;
        for (i, point) in points.iter().enumerate() {
            let kind = kind(&point.data);
            let family = match last {
                Some((like, family))
                    if like.name == point.name
                        && like.unit == point.unit
                        && self::kind(&like.data) == kind =>
                {
                    family
                }
                _ => self.family(point, kind, &mut families),
            };
            last = Some((point, family));
            match family {
                Some(family) => members.push((family, i)),
                None => self.conflicts += 1,
            }
        }
        (families, members)
    }

    /// The index of the family of a point; `None` if another family uses its names.
    fn family(&mut self, point: &PointView<'_>, kind: Kind, families: &mut Vec<Family>) -> Option<usize> {
        let (unit, utf8) = (name::unit(point.unit), self.layout.shape.utf8);
        let metric = if utf8 { name::utf8_metric } else { name::metric };
        let name = metric(&self.options.namespace, point.name, point.unit, &unit, kind);
        let help = if point.description.is_empty() { point.name } else { point.description };
        let index = families.len();
        match self.claim(&name, kind, index) {
            Ok(()) => {
                let is_quoted = !name::is_metric(&name);
                families.push(Family { name, is_quoted, kind, help: help.into(), unit });
                Some(index)
            }
            Err(other) => {
                let is_same = families.get(other).is_some_and(|f| f.name == name && f.kind == kind);
                if !is_same {
                    tell(point.name, &name);
                }
                is_same.then_some(other)
            }
        }
    }

    /// Takes the names of a family's samples. The error is the family that already uses one of them.
    fn claim(&mut self, name: &str, kind: Kind, family: usize) -> Result<(), usize> {
        let names = || kind.suffixes().iter().map(|suffix| format!("{name}{suffix}"));
        if let Some(other) = names().find_map(|name| self.names.get(&name)) {
            return Err(*other);
        }
        self.names.extend(names().map(|name| (name, family)));
        Ok(())
    }

    /// Writes labels in the format.
    fn put_labels(&mut self, labels: &[Label<'_>]) -> Range<usize> {
        let out = &mut self.layout.labels;
        let begin = out.len();
        match self.layout.shape.format {
            Format::Protobuf => protobuf::put_labels(out, labels),
            Format::Text | Format::OpenMetrics => text::put_labels(out, labels),
        }
        begin..out.len()
    }

    /// A family with one series, unless its name is taken.
    fn single(
        &mut self,
        name: &str,
        kind: Kind,
        unit: &str,
        help: &str,
        labels: Vec<Label<'_>>,
        value: Single,
    ) {
        if self.claim(name, kind, usize::MAX).is_err() {
            self.conflicts += 1;
            return;
        }
        let family =
            Family { name: name.into(), is_quoted: false, kind, help: help.into(), unit: unit.into() };
        let labels = self.put_labels(&labels);
        self.layout.singles.push((family, labels, value));
    }
}

/// Tells once that a metric is not on the page.
#[cold]
fn tell(metric: &str, name: &str) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        diagnostics::tell(format_args!(
            "the metric {metric:?} is not on the page for Prometheus, where it would be `{name}`, which another metric has; rename one of them. \
             throughline_prometheus_conflicts counts the series that are left out"
        ));
    });
}

pub(super) const fn kind(data: &PointData<'_>) -> Kind {
    match data {
        PointData::Counter(_) | PointData::CounterFloat(_) => Kind::Counter,
        PointData::Histogram(_) => Kind::Histogram,
        PointData::Summary(_) => Kind::Summary,
        // In Prometheus, a sum that may go down is a gauge.
        _ => Kind::Gauge,
    }
}

/// The labels of a point, and those of its scope if they are wanted.
pub(super) fn labels_of<'p>(
    point: &PointView<'p>,
    options: &'p PageOptions,
    kind: Kind,
    utf8: bool,
) -> Vec<Label<'p>> {
    let scope = options.scope_labels.then_some(point.scope);
    let scope = scope
        .into_iter()
        .flat_map(|Scope { name, version }| [("otel_scope_name", name), ("otel_scope_version", version)]);
    labels(point.labels.iter().copied().chain(scope), &options.target, kind, utf8)
}

/// Labels with the names that the page may have, sorted by name, each once: values with the same name are joined by
/// `;` in the order of their original names. Empty values are left out, because Prometheus treats them like a missing
/// label. The labels of the target replace none: one of the same name is `exported_…` then.
fn labels<'p>(
    given: impl Iterator<Item = (&'p str, &'p str)>,
    target: &'p [(&'static str, String)],
    kind: Kind,
    utf8: bool,
) -> Vec<Label<'p>> {
    let named = |(key, value): (&'p str, &'p str)| {
        let name = name::label(key, kind, utf8);
        let taken = target.iter().any(|(of_target, _)| *of_target == name);
        (if taken { Cow::Owned(format!("exported_{name}")) } else { name }, key, value)
    };
    let target = target.iter().map(|(name, value)| (Cow::Borrowed(*name), *name, &**value));
    let given = given.filter(|(_, value)| !value.is_empty()).map(named);
    let mut given: Vec<(Cow<'p, str>, &str, &'p str)> = given.chain(target).collect();
    given.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let mut labels: Vec<Label<'p>> = Vec::with_capacity(given.len());
    for (name, _, value) in given {
        match labels.last_mut() {
            Some((last, joined)) if *last == name => {
                let joined = joined.to_mut();
                joined.push(';');
                joined.push_str(value);
            }
            _ => labels.push((name, Cow::Borrowed(value))),
        }
    }
    labels
}
