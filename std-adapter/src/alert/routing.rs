//! Which alerts are told together, and when: groups, as in Prometheus's Alertmanager.

use super::engine::{AlertState, KNOWN, ms};
use super::language::show_duration;
use super::{Alert, Labels};
use std::collections::{HashMap, HashSet, VecDeque};
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
    /// Most notices within an hour.
    pub(super) rate_limit: Option<u32>,
    pub(super) escalate_after: Option<Duration>,
}

/// For the limit of notices, in milliseconds.
const HOUR: i64 = 3_600_000;

/// Groups by `alertname`; a group waits 30 s for others, says what is new after 5 min, and repeats itself after 4 h.
impl Default for Routing {
    fn default() -> Routing {
        Routing {
            group_by: vec!["alertname".into()],
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(300),
            repeat_interval: Duration::from_secs(4 * 3600),
            rate_limit: None,
            escalate_after: None,
        }
    }
}

impl Routing {
    /// All that fires in one notice, which is told at once and every minute: how an Alertmanager wants it, which groups by itself.
    pub fn all_at_once() -> Routing {
        let (zero, repeat_interval) = (Duration::ZERO, Duration::from_secs(60));
        let each_time =
            Routing { group_wait: zero, group_interval: zero, repeat_interval, ..Routing::default() };
        Routing { group_by: Vec::new(), ..each_time }
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

    /// At most so many notices within an hour. Beyond that, notices wait: each one that does is counted in the ledger as `rate_limited`, and the next one
    /// says how many did. Alerts of `urgent` rules do not wait. The default is no limit.
    #[must_use]
    pub fn rate_limit(self, notices_per_hour: u32) -> Routing {
        Routing { rate_limit: Some(notices_per_hour.max(1)), ..self }
    }

    /// Tells the receiver only of alerts that have fired for so long, and that nobody has [acknowledged](super::Alerts::acknowledge): the second one who is
    /// told, when the first one does not answer. The default is to tell of all alerts.
    #[must_use]
    pub fn escalate_after(self, unacknowledged: Duration) -> Routing {
        Routing { escalate_after: Some(unacknowledged), ..self }
    }

    /// The group of an alert: that of the alert at the beginning of its causes, so that both are told together.
    fn group_of(&self, alert: &Alert) -> Labels {
        self.key(alert.root.as_ref().unwrap_or(&alert.labels))
    }

    /// Whether the receiver is told of an alert that it was not told of before.
    fn is_due(&self, alert: &Alert, now: SystemTime) -> bool {
        let Some(after) = self.escalate_after else { return true };
        let fired_for = |at: SystemTime| now.duration_since(at).unwrap_or_default();
        alert.acknowledged_by.is_none() && alert.fired_at.is_some_and(|at| fired_for(at) >= after)
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
    /// The alerts of the group that fire, and those that were resolved since the last notice. Those of one cause come after the alert that is it.
    pub alerts: Vec<Alert>,
    /// The alert that most of the others are likely consequences of. It is none of the alerts if it is pending, or nobody is told of it.
    pub root: Option<Labels>,
    /// How many notices had to wait before this one, because there were too many in an hour.
    pub waited: u64,
    /// For how long nobody acknowledged the alerts, if the receiver is told of them only then.
    pub escalated_after: Option<Duration>,
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

    /// The alerts that are likely consequences of the root.
    pub fn consequences(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|alert| self.root.is_some() && alert.root == self.root)
    }

    /// Why these alerts are told now and together, in sentences; "" if there is nothing to say but what they are.
    pub fn explanation(&self) -> String {
        let mut sentences = Vec::new();
        if let Some(root) = &self.root {
            let mut names: Vec<&str> = self.consequences().map(|alert| &*alert.name).collect();
            names.dedup();
            sentences.push(format!(
                "{root} is the likely cause of {}: they depend on it, and it began first.",
                names.join(", ")
            ));
        }
        if let Some(after) = self.escalated_after {
            sentences.push(format!("Nobody has acknowledged this for {}.", show_duration(after)));
        }
        if self.waited > 0 {
            let (s, were) = if self.waited == 1 { ("", "was") } else { ("s", "were") };
            sentences.push(format!(
                "{} earlier notice{s} {were} held back by the limit of this receiver; what they had to tell and still holds is in this one and in those to come.",
                self.waited
            ));
        }
        sentences.join(" ")
    }

    fn new(receiver: &Arc<str>, group: Labels, mut alerts: Vec<Alert>, time: SystemTime) -> Notice {
        let mut roots: HashMap<&Labels, usize> = HashMap::new();
        alerts
            .iter()
            .filter_map(|alert| alert.root.as_ref())
            .for_each(|root| *roots.entry(root).or_default() += 1);
        let root = roots.into_iter().max_by(|a, b| (a.1, b.0).cmp(&(b.1, a.0))).map(|(root, _)| root.clone());
        // A cause comes first, and its consequences in the order in which they began.
        alerts.sort_by_key(|alert| (alert.state != AlertState::Firing, alert.root.is_some()));
        let firing = alerts.iter().take_while(|alert| alert.state == AlertState::Firing).count();
        alerts[..firing].sort_by_key(|alert| {
            (
                root.as_ref() != Some(&alert.labels),
                alert.root.is_some(),
                alert.root.as_ref().map(|_| alert.active_at),
            )
        });
        Notice { receiver: Arc::clone(receiver), group, alerts, root, waited: 0, escalated_after: None, time }
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
    /// When notices were made, in the last hour.
    sent: VecDeque<i64>,
    /// Notices that wait because of the limit, since the last one that was made.
    waiting: u64,
    /// Of these, those that have not been counted.
    pub(super) uncounted: u64,
    /// How many more notices the queue of the receiver takes, if it has one.
    pub(super) room: Option<usize>,
    /// Groups that were not told at the last evaluation because the queue had no room.
    pub(super) without_room: usize,
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
    /// Whether its notice waits because of the limit.
    pub(super) is_held: bool,
}

impl Router {
    pub(super) fn new(name: Arc<str>, routing: Routing, waits: bool) -> Router {
        let (groups, sent) = (HashMap::new(), VecDeque::new());
        Router { name, routing, waits, groups, sent, waiting: 0, uncounted: 0, room: None, without_room: 0 }
    }

    /// What the receiver is to be told now.
    pub(super) fn step(&mut self, now: i64, time: SystemTime, alerts: &[Alert]) -> Vec<Notice> {
        let mut members: HashMap<Labels, Vec<&Alert>> = HashMap::new();
        for alert in alerts.iter().filter(|alert| alert.state != AlertState::Pending) {
            let key = self.routing.group_of(alert);
            let is_told = self.groups.get(&key).is_some_and(|group| group.told.contains(&alert.labels));
            if is_told || self.routing.is_due(alert, time) {
                members.entry(key).or_default().push(alert);
            }
        }
        for (key, alerts) in &members {
            let fires =
                alerts.iter().any(|alert| alert.state == AlertState::Firing && alert.suppressed.is_none());
            if fires && !self.groups.contains_key(key) {
                let next = now + ms(self.routing.group_wait);
                self.groups.insert(key.clone(), Group { next, ..Group::default() });
            }
        }
        while self.sent.front().is_some_and(|at| now - at >= HOUR) {
            self.sent.pop_front();
        }
        let mut notices = Vec::new();
        let (routing, receiver, waits) = (&self.routing, &self.name, self.waits);
        let (sent, waiting, uncounted) = (&mut self.sent, &mut self.waiting, &mut self.uncounted);
        let is_due = |group: &Group| group.next <= now && !(waits && group.before.is_some());
        let due = self.groups.iter().filter(|(_, group)| is_due(group));
        // The order decides who is told first, if not all may be: who has waited longest.
        let mut due: Vec<(i64, Labels)> = due.map(|(key, group)| (group.next, key.clone())).collect();
        due.sort();
        self.without_room = 0;
        for (_, key) in due {
            let Some(group) = self.groups.get_mut(&key) else { continue };
            let members = members.get(&key).map_or(&[][..], Vec::as_slice);
            let is_full = routing.rate_limit.is_some_and(|most| sent.len() >= most as usize);
            let is_urgent = members.iter().any(|alert| alert.is_urgent && alert.state == AlertState::Firing);
            if is_full && !is_urgent && group.has_news(now, ms(routing.repeat_interval), members) {
                if !std::mem::replace(&mut group.is_held, true) {
                    (*waiting, *uncounted) = (*waiting + 1, *uncounted + 1);
                }
                continue;
            }
            group.is_held = false;
            // The group stays due, and its notice is made when there is room.
            if self.room == Some(0) && group.has_news(now, ms(routing.repeat_interval), members) {
                self.without_room += 1;
                continue;
            }
            group.next = now + ms(routing.group_interval);
            let told = group.step(now, ms(routing.repeat_interval), members);
            if !told.is_empty() {
                sent.push_back(now);
                self.room = self.room.map(|room| room.saturating_sub(1));
                let waited = std::mem::take(waiting);
                let escalated_after = routing.escalate_after;
                let notice = Notice::new(receiver, key.clone(), told, time);
                notices.push(Notice { waited, escalated_after, ..notice });
            }
            let may_fail = group.before.is_some() && group.notified_at.is_some_and(|at| now - at < KNOWN);
            if group.told.is_empty() && !may_fail {
                self.groups.remove(&key);
            }
        }
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
        self.sent.iter_mut().for_each(|at| *at += by);
        for group in self.groups.values_mut() {
            group.next += by;
            group.notified_at = group.notified_at.map(|at| at + by);
        }
    }
}

/// What a receiver is to be told of a group.
struct News<'a> {
    /// The alerts that fire, and of which nobody is kept from being told.
    firing: Vec<&'a Alert>,
    /// Those that it was told of and that are over.
    over: Vec<&'a Alert>,
    /// Whether it is to be told now.
    is_due: bool,
}

impl Group {
    fn news<'a>(&self, now: i64, repeat: i64, members: &[&'a Alert]) -> News<'a> {
        let is_firing = |alert: &&Alert| alert.state == AlertState::Firing && alert.suppressed.is_none();
        let firing: Vec<&Alert> = members.iter().copied().filter(is_firing).collect();
        // The end of one that flaps is told when it is calm.
        let is_over = |alert: &&Alert| {
            alert.state == AlertState::Resolved && !alert.is_flapping && self.told.contains(&alert.labels)
        };
        let over: Vec<&Alert> = members.iter().copied().filter(is_over).collect();
        let is_new = firing.iter().any(|alert| !self.told.contains(&alert.labels));
        let is_late = self.notified_at.is_none_or(|at| now - at >= repeat);
        let is_resolved = over.iter().any(|alert| alert.suppressed.is_none());
        News { is_due: is_new || is_resolved || !firing.is_empty() && is_late, firing, over }
    }

    fn has_news(&self, now: i64, repeat: i64, members: &[&Alert]) -> bool {
        self.news(now, repeat, members).is_due
    }

    /// The alerts to tell of now; none if nothing is new and it is too early to repeat.
    fn step(&mut self, now: i64, repeat: i64, members: &[&Alert]) -> Vec<Alert> {
        let News { firing, over, is_due } = self.news(now, repeat, members);
        if !is_due {
            // What is resolved while it is suppressed is not told.
            over.iter().for_each(|alert| _ = self.told.remove(&alert.labels));
            let known = |labels: &Labels| members.iter().any(|alert| alert.labels == *labels);
            self.told.retain(known);
            return Vec::new();
        }
        self.before = Some(Box::new((self.notified_at, self.told.clone())));
        self.notified_at = Some(now);
        // Of these it was told that they fire, and not yet that they are over.
        let still = |alert: &&Alert| match alert.state {
            AlertState::Firing => alert.suppressed.is_some(),
            _ => alert.is_flapping,
        };
        let open = members.iter().copied().filter(|alert| still(alert) && self.told.contains(&alert.labels));
        self.told = firing.iter().copied().chain(open).map(|alert| alert.labels.clone()).collect();
        let resolved = over.into_iter().filter(|alert| alert.suppressed.is_none());
        firing.into_iter().chain(resolved).cloned().collect()
    }
}
