//! Rules: what is wrong when, and whom it concerns.

mod mute;
mod prometheus;
mod read;
mod template;

pub(super) use mute::MuteInterval;
pub(super) use template::{Scope, Template, short, show};

use super::language::{NodeId, Plan, show_duration};
use super::{Labels, Matcher, Silence};
use crate::config::node::Language;
use crate::config::reload::{Written, written};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Rules that have been read and checked.
///
/// ```
/// use throughline_std::alert::Rules;
/// let rules = Rules::parse("alerts.yaml", r#"
/// rules:
///   - name: HighErrorRate
///     condition: sum(rate(errors_total[5m])) / sum(rate(requests_total[5m])) > threshold
///     threshold: 0.05
///     duration: 5m
///     severity: critical
///     description: "{{ $value | humanizePercentage }} of all requests fail"
/// groups:
///   - name: queues
///     rules:
///       - alert: QueueGrows
///         expr: deriv(queue_depth{queue!="low"}[10m]) > 0 and queue_depth > 1000
///         for: 10m
///         labels: {severity: warning}
/// "#)?;
/// assert_eq!(rules.names().collect::<Vec<_>>(), ["HighErrorRate", "QueueGrows"]);
/// let error = Rules::parse("alerts.yaml", "rules: [{name: A, condition: rate(x) > 1}]").unwrap_err();
/// assert_eq!(error.to_string(), "alerts.yaml:1:35: rule A: rate takes a series with a range; write such as rate(requests_total[5m])");
/// # Ok::<(), throughline_std::alert::RulesError>(())
/// ```
#[derive(Debug, Default)]
pub struct Rules {
    /// What messages call the file.
    file: PathBuf,
    /// Number of rules in the file, those that are off too.
    written: usize,
    pub(super) plan: Plan,
    pub(super) rules: Vec<Rule>,
    pub(super) inhibitions: Vec<Inhibition>,
    pub(super) mutes: Vec<MuteInterval>,
    pub(super) silences: Vec<Silence>,
    /// The file that was read, as it was then.
    pub(super) source: Option<(PathBuf, Option<Written>)>,
}

/// A rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) group: Arc<str>,
    /// How often it is looked at, if not each time.
    pub(super) interval: Option<Duration>,
    pub(super) kind: Kind,
    pub(super) name: Arc<str>,
    /// As it is written.
    pub(super) expression: String,
    pub(super) root: NodeId,
    /// What `threshold` stands for in the expression.
    pub(super) threshold: Option<f64>,
    /// How long the condition must hold.
    pub(super) hold: Duration,
    /// How long the alert goes on when the condition does not hold any more.
    pub(super) keep_firing: Duration,
    pub(super) labels: Vec<(Arc<str>, Template)>,
    pub(super) annotations: Vec<(Arc<str>, Template)>,
    /// Whether people are told even in deploys, after restarts, in mute time intervals, and beyond the limit of notices.
    pub(super) is_urgent: bool,
    /// The alerts of which those of this rule may be consequences.
    pub(super) depends_on: Vec<Dependency>,
    /// Metrics that it names with dots.
    pub(super) dotted: Vec<String>,
    pub(super) line: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Alert,
    /// Its result has a name that later rules use.
    Record,
}

/// Alerts of another rule that may be the cause.
#[derive(Debug)]
pub(super) struct Dependency {
    /// The name of the rule.
    pub(super) name: Arc<str>,
    /// The labels that both must have the same values of.
    equal: Vec<Arc<str>>,
    /// The rules of this name.
    pub(super) rules: Vec<usize>,
    /// Where it is in the file.
    place: (u32, u32),
}

impl Dependency {
    /// The labels that must be equal.
    pub(super) fn equal_of(&self, labels: &Labels) -> Labels {
        labels.filtered(|name| self.equal.iter().any(|label| &**label == name))
    }
}

impl Rule {
    /// Whether its alerts may have these labels: those that it gives to all of them are the same.
    pub(super) fn may_give(&self, labels: &Labels) -> bool {
        let mut last: HashMap<&str, &Template> = HashMap::new();
        last.extend(self.labels.iter().map(|(name, template)| (&**name, template)));
        let fits = |(name, template): (&str, &Template)| {
            template.is_filled() || labels.get(name).unwrap_or_default() == template.source()
        };
        last.into_iter().all(fits)
    }
}

/// Alerts that say nothing new while others fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inhibition {
    pub(super) source: Vec<Matcher>,
    pub(super) target: Vec<Matcher>,
    pub(super) equal: Vec<Arc<str>>,
}

impl Inhibition {
    /// While an alert fires that all `source` matchers take, those that all `target` matchers take are not told, if both have the same values of the
    /// labels `equal`. An alert does not inhibit itself.
    pub fn new<E: Into<Arc<str>>>(
        source: impl IntoIterator<Item = Matcher>,
        target: impl IntoIterator<Item = Matcher>,
        equal: impl IntoIterator<Item = E>,
    ) -> Inhibition {
        Inhibition {
            source: source.into_iter().collect(),
            target: target.into_iter().collect(),
            equal: equal.into_iter().map(Into::into).collect(),
        }
    }

    /// The labels that must be equal.
    pub(super) fn equal_of(&self, labels: &Labels) -> Labels {
        labels.filtered(|name| self.equal.iter().any(|label| &**label == name))
    }

    /// Whether an alert with the labels `source`, which fires, keeps one with the labels `target` from being told.
    pub(super) fn applies(&self, source: &Labels, target: &Labels) -> bool {
        source != target
            && self.source.iter().all(|matcher| matcher.matches(source))
            && self.target.iter().all(|matcher| matcher.matches(target))
            && self.equal.iter().all(|label| source.get(label) == target.get(label))
    }
}

impl Rules {
    /// Reads a file of rules: YAML, or TOML if its name ends in `.toml`. The build must have the feature of that language. Its silences are read again when it
    /// changes; all else holds until the next start.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or everything that is wrong in it.
    pub fn load(path: impl AsRef<Path>) -> Result<Rules, RulesError> {
        let path = path.as_ref();
        // A change while it is read is one for the next look.
        let source = Some((path.to_owned(), written(path)));
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Rules { source, ..Rules::parse(path, &text)? }),
            Err(error) => {
                let text = format!("cannot be read: {error}; check the path and its permissions");
                Err(RulesError { errors: vec![RuleError::whole(path, text)] })
            }
        }
    }

    /// Reads rules from a text. `name` is what messages call it; its ending decides about the language, as for [`Rules::load`].
    ///
    /// # Errors
    ///
    /// Everything that is wrong.
    pub fn parse(name: impl AsRef<Path>, text: &str) -> Result<Rules, RulesError> {
        let name = name.as_ref();
        read::read(name, text, Language::of(name).unwrap_or(Language::Yaml))
    }

    /// The names of the alerts, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|rule| rule.kind == Kind::Alert).map(|rule| &*rule.name)
    }

    /// Whether there is nothing, not even a rule that is off.
    pub(super) fn is_bare(&self) -> bool {
        self.written == 0
    }

    /// Finds rules with ranges that hold fewer than two values of a series that is looked at so often.
    pub(super) fn check_ranges(&self, interval: Duration) -> Result<(), RulesError> {
        let least = interval.saturating_mul(2);
        let error = |rule: &Rule| {
            let range = self.plan.shortest_range_of(rule.root)?;
            let text = format!(
                "the range [{}] is less than twice the interval of {} at which rules are looked at; write [{}] or more, or look at them more often",
                show_duration(range),
                show_duration(interval),
                show_duration(least)
            );
            let (file, rule_name) = (self.file.clone(), Some(rule.name.to_string()));
            (range < least).then_some(RuleError { file, place: Some((rule.line, 1)), rule: rule_name, text })
        };
        let errors: Vec<RuleError> = self.rules.iter().filter_map(error).collect();
        if errors.is_empty() { Ok(()) } else { Err(RulesError { errors }) }
    }

    /// Number of rules, recording rules among them.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// Everything that is wrong with rules. `Display` writes a line for each error.
#[derive(Clone, PartialEq, Eq)]
pub struct RulesError {
    errors: Vec<RuleError>,
}

throughline_export::__debug_as_display!(RulesError);

impl RulesError {
    /// The errors in the order of the file.
    pub fn errors(&self) -> &[RuleError] {
        &self.errors
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for RulesError {}

/// An error, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleError {
    /// The file.
    pub file: PathBuf,
    /// The line and the column, in characters, both counted from 1; `None` if the error is about the whole file.
    pub place: Option<(u32, u32)>,
    /// The name of the rule, if it is known.
    pub rule: Option<String>,
    /// What is wrong and what to do.
    pub text: String,
}

impl RuleError {
    fn whole(file: &Path, text: impl Into<String>) -> RuleError {
        RuleError { file: file.into(), place: None, rule: None, text: text.into() }
    }
}

/// Writes `alerts.yaml:12:17: rule HighErrorRate: …`.
impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        match &self.rule {
            Some(rule) => write!(f, ": rule {rule}: {}", self.text),
            None => write!(f, ": {}", self.text),
        }
    }
}
