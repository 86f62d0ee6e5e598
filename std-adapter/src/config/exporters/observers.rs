//! Configures observers from the items of `[[observers]]`.

use super::findings::Fault;
use super::webhook::signed;
use super::{Keys, Wrong, secret};
use crate::config::problem::{Problem, Problems};
use crate::config::settings::Settings;
use crate::config::{Config, keys};
use crate::observers::{
    Count, Dump, Listener, LogLine, ObserverError, Observers, RunCommand, Sample, Webhook,
};
use std::path::PathBuf;
use throughline_export::log::RollingFile;
use throughline_export::otlp::Signal;

impl Fault for ObserverError {}

/// The items, on top of the observers that were set by code; `None` if there are none.
pub(crate) fn observers(config: &Config) -> Result<Option<Observers>, Problems> {
    let keys = Keys::of(config);
    let off = keys.said("observing.enabled").is_some_and(|enabled| !enabled.value.bool());
    let mut options = config.observers.clone().unwrap_or_default();
    let mut wrong = Wrong::default();
    for item in &config.listeners {
        let one = wrong.take(listener(config, &item.settings, &item.name, &options));
        options = one.into_iter().fold(options, Observers::listen);
    }
    if off || options.is_empty() {
        return wrong.or(Some(None));
    }
    if let Some(path) = keys.text("observing.state_file") {
        options = options.state_file(path);
    }
    if let Some(every) = keys.said("observing.save_every") {
        options = options.save_every(every.value.duration());
    }
    wrong.or(Some(Some(options)))
}

/// One observer, or everything that is wrong with it.
fn listener(
    config: &Config,
    settings: &Settings,
    name: &str,
    others: &Observers,
) -> Result<Listener, Problems> {
    let keys = Keys { settings, ..Keys::of(config) };
    let time = |path: &str| keys.said(path).map(|setting| setting.value.duration());
    let on = keys.list("observers.on");
    let hears = |signal: &Signal| {
        on.iter().any(|name| match signal {
            Signal::Traces => name == "span",
            Signal::Logs => name == "event",
            Signal::Metrics => name == "metric",
        })
    };
    let signals: Vec<Signal> = Signal::ALL.into_iter().filter(hears).collect();
    let mut it = Listener::new(name, &signals);
    for (name, pattern) in keys.pairs("observers.match") {
        it = it.matching(&name, &pattern);
    }
    if let Some(when) = keys.said("observers.when") {
        it = it.when(when.value.text());
    }
    let within = time("observers.within").unwrap_or_default();
    let steps = keys.list("observers.sequence");
    if !steps.is_empty() {
        it = it.sequence(steps.iter().map(String::as_str), within);
    }
    if let Some(count) = keys.said("observers.count").filter(|_| steps.is_empty()) {
        it = it.at_least(u32::try_from(count.value.int()).unwrap_or(u32::MAX), within);
    }
    if let Some(names) = keys.said("observers.by") {
        it = it.by(names.value.list().iter().map(String::as_str));
    }
    if let Some(time) = time("observers.cooldown") {
        it = it.cooldown(time);
    }
    if let Some(time) = time("observers.timeout") {
        it = it.patience(time);
    }
    if let Some(jobs) = keys.said("observers.queue") {
        it = it.queue(jobs.value.size());
    }
    let place = ["observers.when", "observers.sequence", "observers.count", "observers.name"];
    let place = place.into_iter().find(|path| keys.said(path).is_some()).unwrap_or("observers.name");
    if let Some(setting) = keys.said(place) {
        it = it.written_at(&setting.origin);
    }
    let mut wrong = Wrong::default();
    // The condition is looked at before the actions, whose problems are those of other keys.
    if let Some((key, error)) = it.fault() {
        wrong.note(keys.problem(if keys.said(key).is_some() { key } else { place }, &error));
    }
    if others.has(name) {
        wrong.note(keys.problem("observers.name", &ObserverError::Twice { name: name.into() }));
    }
    let actions = keys.list("observers.actions");
    if actions.is_empty() {
        let none = format!("the observer `{name}` has no actions; name some of {}", keys::ACTIONS.join(", "));
        wrong.note(keys.problem(place, &none));
    }
    for name in &actions {
        it = wrong.take(action(&keys, it.clone(), name)).unwrap_or(it);
    }
    wrong.or(Some(it))
}

/// Adds an action of this name.
fn action(keys: &Keys<'_>, it: Listener, name: &str) -> Result<Listener, Problems> {
    let needed = |path: &str| keys.said(path).map(|setting| setting.value.text().to_owned());
    let missing = |path: &str| {
        keys.problem(
            "observers.actions",
            &format!("the action {name} wants {}", path.replace("observers.", "")),
        )
    };
    let time = |path: &str| keys.value(path).map(|value| value.duration()).unwrap_or_default();
    Ok(match name {
        "metric" => {
            const NAME: &str = "observers.metric.name";
            let metric = needed(NAME).ok_or_else(|| missing(NAME))?;
            let count = match keys.text("observers.metric.kind").as_deref() {
                Some("histogram") => Count::values(metric),
                _ => Count::new(metric),
            };
            let count = count.unit(keys.text("observers.metric.unit").unwrap_or_default());
            it.action(name, keys.list("observers.metric.labels").into_iter().fold(count, Count::label))
        }
        "log" => {
            let line = LogLine::new(keys.text("observers.log.message").unwrap_or_default());
            let level = keys.text("observers.log.level").and_then(|level| level.parse().ok());
            it.action(name, level.into_iter().fold(line, LogLine::level))
        }
        "webhook" => {
            const URL: &str = "observers.webhook.url";
            let url = secret(keys, URL).and_then(|url| url.ok_or_else(|| missing(URL)));
            let post = signed(keys, "observers.webhook", url, Webhook::post)?;
            it.action(name, Webhook::posting(post))
        }
        "command" => {
            const RUN: &str = "observers.command.run";
            let run = keys.list(RUN);
            let (program, arguments) = run.split_first().ok_or_else(|| missing(RUN))?;
            it.action(name, RunCommand::new(program, arguments))
        }
        "sample" => {
            let share = keys.value("observers.sample.share").map_or(1.0, |share| share.float());
            let sample = Sample::new(share, time("observers.sample.duration"));
            it.action(name, sample.pattern(keys.text("observers.sample.pattern").unwrap_or_default()))
        }
        "dump" => {
            const FOLDER: &str = "observers.dump.directory";
            let folder = PathBuf::from(needed(FOLDER).ok_or_else(|| missing(FOLDER))?);
            let written = RollingFile::new(folder.join("throughline.tmp")).check();
            written.map_err(|error| keys.problem(FOLDER, &error))?;
            let dump = Dump::new(folder);
            let files = keys.value("observers.dump.max_files").map_or(10, |files| files.size());
            let bytes = keys.value("observers.dump.max_size").map_or(4 << 20, |bytes| bytes.size());
            it.action(name, dump.files(files).bytes(bytes))
        }
        "kafka" => kafka(keys, it, name)?,
        _ => profile(keys, it, name)?,
    })
}

#[cfg(feature = "events-kafka")]
fn kafka(keys: &Keys<'_>, it: Listener, name: &str) -> Result<Listener, Problems> {
    let shared = Keys::of(keys.config);
    if shared.said("events.kafka.brokers").is_none() {
        let why = "the action kafka wants events.kafka.brokers, which is not there";
        return Err(keys.problem("observers.actions", &why.to_owned()).into());
    }
    const OWN: &str = "observers.kafka.topic";
    let topic = if keys.said(OWN).is_some() { (keys, OWN) } else { (&shared, super::events::TOPIC) };
    let sink = super::events::kafka_sink(&shared, topic)?;
    Ok(it.action(name, crate::observers::KafkaRecord::new(sink)))
}

#[cfg(not(feature = "events-kafka"))]
fn kafka(keys: &Keys<'_>, _: Listener, _: &str) -> Result<Listener, Problems> {
    let why = "the action kafka needs the feature `events-kafka`".to_owned();
    Err(keys.problem("observers.actions", &why).wants_feature(Some("events-kafka")).into())
}

#[cfg(profiled)]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it is an error")]
fn profile(keys: &Keys<'_>, it: Listener, name: &str) -> Result<Listener, Problem> {
    let time = keys.value("observers.profile.duration").map(|value| value.duration()).unwrap_or_default();
    Ok(it.action(name, crate::observers::Profile::new(time)))
}

#[cfg(not(profiled))]
fn profile(keys: &Keys<'_>, _: Listener, _: &str) -> Result<Listener, Problem> {
    let why = "the action profile needs the feature `profile`, and Linux on x86-64 or AArch64".to_owned();
    Err(keys.problem("observers.actions", &why).wants_feature(Some("profile")))
}
