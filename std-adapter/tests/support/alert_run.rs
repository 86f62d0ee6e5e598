//! A process whose alert rules are evaluated on a clock made by hand.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use super::points::point;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use throughline_std::alert::{Alert, AlertOptions, AlertState, Alerts, Notice, Rules};
use throughline_std::view::{PointData, PointView};

pub const STEP: Duration = Duration::from_secs(15);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);

/// A process whose time goes by at each step.
pub struct Run {
    pub alerts: Alerts,
    pub now: SystemTime,
    pub begun: SystemTime,
    /// What receivers were told: minutes since the beginning, and the notice.
    pub told: Vec<(u64, Notice)>,
    /// States of alerts by their labels, with the minutes at which each began.
    pub states: BTreeMap<String, Vec<(u64, Option<AlertState>)>>,
}

impl Run {
    pub fn new(rules: &str, options: impl FnOnce(AlertOptions) -> AlertOptions) -> Run {
        let options = options(AlertOptions::new(Rules::parse("r.yaml", rules).unwrap()));
        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let alerts = Alerts::new(&options).unwrap();
        Run { alerts, now: begun, begun, told: Vec::new(), states: BTreeMap::new() }
    }

    /// One that goes on where another has ended, which leaves the state file to it.
    pub fn after(
        other: Run,
        down: Duration,
        rules: &str,
        options: impl FnOnce(AlertOptions) -> AlertOptions,
    ) -> Run {
        let now = other.now + down;
        drop(other);
        Run { now, ..Run::new(rules, options) }
    }

    pub fn minutes(&self) -> u64 {
        self.now.duration_since(self.begun).unwrap().as_secs() / 60
    }

    pub fn step(&mut self, points: &[PointView<'_>]) {
        self.now += STEP;
        let notices = self.alerts.evaluate(self.now, points);
        let minutes = self.minutes();
        self.told.extend(notices.into_iter().map(|notice| (minutes, notice)));
        let list = self.alerts.list();
        let state = |labels: &str| list.iter().find(|it| it.labels.to_string() == labels).map(|it| it.state);
        list.iter().for_each(|alert| _ = self.states.entry(alert.labels.to_string()).or_default());
        for (labels, states) in &mut self.states {
            let state = state(labels);
            if states.last().map(|(_, state)| *state) != Some(state) {
                states.push((minutes, state));
            }
        }
    }

    /// Goes on for this long with gauges that depend on the minute.
    pub fn go(&mut self, time: Duration, gauges: impl Fn(u64) -> Vec<(&'static str, &'static str, f64)>) {
        let until = self.now + time;
        while self.now < until {
            let gauges = gauges(self.minutes());
            let labels: Vec<[(&str, &str); 1]> =
                gauges.iter().map(|(_, host, _)| [("host", *host)]).collect();
            let points: Vec<_> = gauges
                .iter()
                .zip(&labels)
                .map(|((name, _, value), labels)| point(name, "", labels, PointData::GaugeFloat(*value)))
                .collect();
            self.step(&points);
        }
    }

    /// The states of the only alert.
    pub fn only(&self) -> Vec<(u64, &'static str)> {
        assert_eq!(self.states.len(), 1, "{:?}", self.states);
        let states = self.states.values().flatten();
        states.map(|(minute, state)| (*minute, state.map_or("inactive", AlertState::as_str))).collect()
    }

    /// Notices: the minute, the state, and the values of the label `host` of the alerts that fire and of the others.
    pub fn notices(&self) -> Vec<(u64, &'static str, String)> {
        let host = |alert: &Alert| alert.labels.get("host").unwrap_or("-").to_owned();
        let in_state =
            |notice: &Notice, state| notice.in_state(state).map(host).collect::<Vec<_>>().join(",");
        let shown = |(minute, notice): &(u64, Notice)| {
            let (firing, over) =
                (in_state(notice, AlertState::Firing), in_state(notice, AlertState::Resolved));
            let hosts = if over.is_empty() { firing } else { format!("{firing}|{over}") };
            (*minute, notice.state().as_str(), hosts)
        };
        self.told.iter().map(shown).collect()
    }
}

/// Options whose series have no labels of their package, and one receiver.
pub fn plain(options: AlertOptions) -> AlertOptions {
    let page = throughline_std::prometheus::PageOptions::default().scope_labels(false);
    options.page(page).receiver("team", None)
}

/// A path of a file that is not there.
pub fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("alerts");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{name}.{}", std::process::id()));
    let _ = std::fs::remove_file(&file);
    file
}
