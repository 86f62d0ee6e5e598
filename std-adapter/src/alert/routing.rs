//! Which alerts are told together, and when: groups, as in Prometheus's Alertmanager.

use super::engine::{AlertState, KNOWN, ms};
use super::{Alert, Labels};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use throughline_export::prometheus::label_name;

/// How alerts are put into groups, and how often a group is told. The words are those of Alertmanager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    pub(super) group_by: Vec<Arc<str>>,
    pub(super) group_wait: Duration,
    pub(super) group_interval: Duration,
    pub(super) repeat_interval: Duration,
}

/// Groups by `alertname`; a group waits 30 s for others, says what is new after 5 min, and repeats itself after 4 h.
impl Default for Routing {
    fn default() -> Routing {
        Routing {
            group_by: vec!["alertname".into()],
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(300),
            repeat_interval: Duration::from_secs(4 * 3600),
        }
    }
}

impl Routing {
    /// All that fires in one notice, which is told at once and every minute: how an Alertmanager wants it, which groups by itself.
    pub fn all_at_once() -> Routing {
        let (zero, repeat_interval) = (Duration::ZERO, Duration::from_secs(60));
        Routing { group_by: Vec::new(), group_wait: zero, group_interval: zero, repeat_interval }
    }

    /// Alerts with the same values of these labels are told together. `...` stands for all labels, so that each alert is told alone.
    #[must_use]
    pub fn group_by<'a>(self, labels: impl IntoIterator<Item = &'a str>) -> Routing {
        let name = |label: &str| if label == "..." { label.into() } else { Arc::from(&*label_name(label)) };
        Routing { group_by: labels.into_iter().map(name).collect(), ..self }
    }

    /// How long a new group waits for others before it is told. The default is 30 s.
    #[must_use]
    pub fn group_wait(self, wait: Duration) -> Routing {
        Routing { group_wait: wait, ..self }
    }

    /// How long to wait before alerts are told that are new in a group that was told. The default is 5 min.
    #[must_use]
    pub fn group_interval(self, interval: Duration) -> Routing {
        Routing { group_interval: interval, ..self }
    }

    /// How long to wait before a group is told again in which nothing is new. The default is 4 h.
    #[must_use]
    pub fn repeat_interval(self, interval: Duration) -> Routing {
        Routing { repeat_interval: interval, ..self }
    }

    fn key(&self, labels: &Labels) -> Labels {
        if self.group_by.iter().any(|label| &**label == "...") {
            return labels.clone();
        }
        labels.filtered(|name| self.group_by.iter().any(|label| &**label == name))
    }
}

/// What a receiver is told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Notice {
    /// Who is told.
    pub receiver: Arc<str>,
    /// The labels that all alerts share by which they are grouped.
    pub group: Labels,
    /// The alerts of the group that fire, and those that were resolved since the last notice.
    pub alerts: Vec<Alert>,
    /// When it was made.
    pub time: SystemTime,
}

impl Notice {
    /// The alerts in a state.
    pub fn in_state(&self, state: AlertState) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(move |alert| alert.state == state)
    }

    /// [`AlertState::Firing`] if at least one of the alerts fires, or else [`AlertState::Resolved`].
    pub fn state(&self) -> AlertState {
        match self.in_state(AlertState::Firing).next() {
            Some(_) => AlertState::Firing,
            None => AlertState::Resolved,
        }
    }
}

/// What one receiver knows.
#[derive(Debug)]
pub(super) struct Router {
    pub(super) name: Arc<str>,
    routing: Routing,
    /// Whether it is said of each notice if it was delivered. Until then there is no other of its group.
    waits: bool,
    pub(super) groups: HashMap<Labels, Group>,
}

/// When a receiver was told of a group, and the alerts of which it was told that they fire.
type Told = (Option<i64>, HashSet<Labels>);

/// What one receiver knows of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group {
    /// When it is looked at next.
    pub(super) next: i64,
    pub(super) notified_at: Option<i64>,
    /// The alerts of which it was told that they fire.
    pub(super) told: HashSet<Labels>,
    /// What was known before the last notice, if that has not been delivered.
    pub(super) before: Option<Box<Told>>,
}

impl Router {
    pub(super) fn new(name: Arc<str>, routing: Routing, waits: bool) -> Router {
        Router { name, routing, waits, groups: HashMap::new() }
    }

    /// What the receiver is to be told now.
    pub(super) fn step(&mut self, now: i64, time: SystemTime, alerts: &[Alert]) -> Vec<Notice> {
        let mut members: HashMap<Labels, Vec<&Alert>> = HashMap::new();
        for alert in alerts.iter().filter(|alert| alert.state != AlertState::Pending) {
            members.entry(self.routing.key(&alert.labels)).or_default().push(alert);
        }
        for (key, alerts) in &members {
            let fires =
                alerts.iter().any(|alert| alert.state == AlertState::Firing && alert.suppressed.is_none());
            if fires && !self.groups.contains_key(key) {
                let next = now + ms(self.routing.group_wait);
                self.groups.insert(key.clone(), Group { next, ..Group::default() });
            }
        }
        let mut notices = Vec::new();
        let (routing, receiver, waits) = (&self.routing, &self.name, self.waits);
        self.groups.retain(|key, group| {
            if group.next > now || waits && group.before.is_some() {
                return true;
            }
            group.next = now + ms(routing.group_interval);
            let members = members.get(key).map_or(&[][..], Vec::as_slice);
            let told = group.step(now, ms(routing.repeat_interval), members);
            if !told.is_empty() {
                let (receiver, group) = (Arc::clone(receiver), key.clone());
                notices.push(Notice { receiver, group, alerts: told, time });
            }
            let may_fail = group.before.is_some() && group.notified_at.is_some_and(|at| now - at < KNOWN);
            !group.told.is_empty() || may_fail
        });
        notices.sort_by(|a, b| a.group.cmp(&b.group));
        notices
    }

    /// Notes that a notice of a group was delivered, or that it was not and is to be made again.
    pub(super) fn delivered(&mut self, group: &Labels, is_delivered: bool) {
        if let Some(group) = self.groups.get_mut(group)
            && let Some(before) = group.before.take()
            && !is_delivered
        {
            (group.notified_at, group.told) = *before;
        }
    }

    /// When the receiver was told of a group, and of what, for the next run: a notice that is on its way may get lost.
    pub(super) fn kept<'g>(&self, group: &'g Group) -> (Option<i64>, &'g HashSet<Labels>) {
        match &group.before {
            Some(before) if self.waits => (before.0, &before.1),
            _ => (group.notified_at, &group.told),
        }
    }

    pub(super) fn shift(&mut self, by: i64) {
        for group in self.groups.values_mut() {
            group.next += by;
            group.notified_at = group.notified_at.map(|at| at + by);
        }
    }
}

impl Group {
    /// The alerts to tell of now; none if nothing is new and it is too early to repeat.
    fn step(&mut self, now: i64, repeat: i64, members: &[&Alert]) -> Vec<Alert> {
        let is_firing = |alert: &&&Alert| alert.state == AlertState::Firing && alert.suppressed.is_none();
        let firing: Vec<&&Alert> = members.iter().filter(is_firing).collect();
        let over: Vec<&&Alert> = members
            .iter()
            .filter(|alert| alert.state == AlertState::Resolved && self.told.contains(&alert.labels))
            .collect();
        let resolved: Vec<&&Alert> =
            over.iter().copied().filter(|alert| alert.suppressed.is_none()).collect();
        let is_new = firing.iter().any(|alert| !self.told.contains(&alert.labels));
        let is_late = self.notified_at.is_none_or(|at| now - at >= repeat);
        if !is_new && resolved.is_empty() && (firing.is_empty() || !is_late) {
            // What is resolved while it is suppressed is not told.
            over.iter().for_each(|alert| _ = self.told.remove(&alert.labels));
            let known = |labels: &Labels| members.iter().any(|alert| alert.labels == *labels);
            self.told.retain(known);
            return Vec::new();
        }
        self.before = Some(Box::new((self.notified_at, self.told.clone())));
        self.notified_at = Some(now);
        let still = |alert: &&Alert| alert.state == AlertState::Firing && alert.suppressed.is_some();
        let suppressed = members.iter().filter(|alert| still(alert) && self.told.contains(&alert.labels));
        self.told = firing.iter().copied().chain(suppressed).map(|alert| alert.labels.clone()).collect();
        firing.into_iter().chain(resolved).map(|alert| (*alert).clone()).collect()
    }
}
