//! Configures alerts from keys.

use super::findings::Fault;
#[cfg(feature = "alerts-email")]
use super::secret;
use super::webhook::signed;
use super::{Keys, Wrong, needed_secret};
use crate::alert::{AlertOptions, Alertmanager, Rules, RulesError, RunCommand, Slack, Webhook};
use crate::config::Config;
use crate::config::problem::{Problem, Problems};
use crate::config::units::duration;
use throughline_export::prometheus::PageOptions;

impl Fault for RulesError {}

/// The sections of receivers.
const RECEIVERS: [&str; 5] = ["slack", "webhook", "alertmanager", "command", "email"];

/// The keys, on top of the options that were set by code; `None` if alerts are not asked for.
pub(crate) fn alerts(config: &Config) -> Result<Option<AlertOptions>, Problems> {
    let keys = Keys::of(config);
    let off = keys.said("alerts.enabled").is_some_and(|enabled| !enabled.value.bool());
    let asked = keys.asks_for("alerts") || RECEIVERS.iter().any(|name| keys.asks_for(&section(name)));
    if off || config.alerts.is_none() && !asked {
        return Ok(None);
    }
    let (mut options, mut wrong) = (config.alerts.clone().unwrap_or_default(), Wrong::default());
    const RULES: &str = "alerts.rules_file";
    if keys.said(RULES).is_some() || !options.has_rules() {
        let loaded = |path| Rules::load(path).map_err(|error| keys.problem(RULES, &error));
        options =
            wrong.take(keys.needed(RULES).and_then(loaded)).into_iter().fold(options, AlertOptions::rules);
    }
    let time = |path: &str| keys.said(path).map(|setting| setting.value.duration());
    if let Some(interval) = time("alerts.interval") {
        options = options.interval(interval);
    }
    let of_rules = if keys.said(RULES).is_some() { RULES } else { "alerts.interval" };
    wrong.take(options.check().map_err(|error| keys.problem(of_rules, &error)));
    if let Some(path) = keys.said("alerts.path") {
        options = options.path(path.value.text());
    }
    if let Some(file) = keys.text("alerts.state_file") {
        options = options.state_file(file);
    }
    if let Some(timeout) = time("alerts.timeout") {
        options = options.patience(timeout);
    }
    let mut routing = options.routing.clone();
    if let Some(labels) = keys.said("alerts.group_by") {
        routing = routing.group_by(labels.value.list().iter().map(String::as_str));
    }
    if let Some(wait) = time("alerts.group_wait") {
        routing = routing.group_wait(wait);
    }
    if let Some(interval) = time("alerts.group_interval") {
        routing = routing.group_interval(interval);
    }
    if let Some(interval) = time("alerts.repeat_interval") {
        routing = routing.repeat_interval(interval);
    }
    if let Some(most) = keys.said("alerts.rate_limit") {
        routing = routing.rate_limit(u32::try_from(most.value.int()).unwrap_or(u32::MAX));
    }
    options = options.routing(routing);
    if let Some(grace) = time("alerts.restart_grace") {
        options = options.restart_grace(grace);
    }
    if let Some(grace) = time("alerts.deploy_grace") {
        options = options.deploy_grace(grace);
    }
    if let Some(starts) = keys.said("alerts.flapping") {
        options = options.flapping(usize::try_from(starts.value.int()).unwrap_or_default());
    }
    if options.version.is_none()
        && let Some(version) = keys.config.detected_resource().get("service.version")
    {
        options = options.version(version);
    }
    if options.page.is_none() {
        let of_page = config.prometheus.as_ref().map(|page| page.page_options().clone());
        let namespace = || keys.text("metrics.namespace").unwrap_or_default();
        options = options.page(of_page.unwrap_or_else(|| PageOptions::default().namespace(namespace())));
    }
    options = receivers(&keys, options, &mut wrong);
    options = escalations(&keys, options, &mut wrong);
    wrong.or(Some(Some(options)))
}

/// Gives those a routing of their own who are told late.
fn escalations(keys: &Keys<'_>, mut options: AlertOptions, wrong: &mut Wrong) -> AlertOptions {
    const KEY: &str = "alerts.escalate_after";
    for (name, value) in keys.pairs(KEY) {
        let Some(after) = duration(&value) else {
            wrong.note(keys.problem(KEY, &format!("`{value}` is no duration; write such as {name}=30m")));
            continue;
        };
        // One that is asked for and not there has a mistake of its own.
        let is_told = || RECEIVERS.contains(&&*name) && keys.asks_for(&section(&name));
        if name == "alertmanager" || !options.escalate(&name, after) && !is_told() {
            let text = format!(
                "there is no receiver `{name}` that can be told late; name slack, webhook, command or email, and configure it"
            );
            wrong.note(keys.problem(KEY, &text));
        }
    }
    options
}

fn section(name: &str) -> String {
    format!("alerts.notification.{name}")
}

/// Adds those who are told.
fn receivers(keys: &Keys<'_>, mut options: AlertOptions, wrong: &mut Wrong) -> AlertOptions {
    let service = keys.service();
    if keys.asks_for(&section("slack")) {
        const URL: &str = "alerts.notification.slack.webhook_url";
        let slack = |url: String| Slack::new(&url, service).map_err(|error| keys.problem(URL, &error));
        if let Some(slack) = wrong.take(needed_secret(keys, URL).and_then(slack)) {
            options = options.notify("slack", None, slack);
        }
    }
    if keys.asks_for(&section("webhook"))
        && let Some(webhook) = wrong.take(webhook(keys))
    {
        options = options.notify("webhook", None, webhook);
    }
    if keys.asks_for(&section("alertmanager"))
        && let Some(alertmanager) = wrong.take(alertmanager(keys))
    {
        options = options.notify("alertmanager", Some(Alertmanager::routing()), alertmanager);
    }
    if keys.asks_for(&section("command")) {
        const RUN: &str = "alerts.notification.command.run";
        match keys.list(RUN).split_first() {
            Some((program, arguments)) => {
                options = options.notify("command", None, RunCommand::new(program, arguments, service));
            }
            None => wrong.note(keys.problem(RUN, &"it is empty; name a program".to_owned())),
        }
    }
    #[cfg(feature = "alerts-email")]
    if keys.asks_for(&section("email"))
        && let Some(email) = wrong.take(email(keys))
    {
        options = options.notify("email", None, email);
    }
    options
}

fn webhook(keys: &Keys<'_>) -> Result<Webhook, Problems> {
    let url = needed_secret(keys, "alerts.notification.webhook.url");
    let post = signed(keys, "alerts.notification.webhook", url, Webhook::post)?;
    let webhook = Webhook::posting(post, keys.service());
    let most = keys.said("alerts.notification.webhook.max_alerts");
    Ok(most.map(|most| most.value.size()).into_iter().fold(webhook, Webhook::max_alerts))
}

fn alertmanager(keys: &Keys<'_>) -> Result<Alertmanager, Problem> {
    const URL: &str = "alerts.notification.alertmanager.url";
    let alertmanager = Alertmanager::new(&keys.needed(URL)?);
    let mut alertmanager = alertmanager.map_err(|error| keys.problem(URL, &error))?;
    for (name, value) in keys.pairs("alerts.notification.alertmanager.headers") {
        alertmanager = alertmanager.header(name, value);
    }
    let resource = keys.config.detected_resource();
    let instance = resource.get("service.instance.id").or(resource.get("host.name"));
    for (label, value) in [("job", Some(keys.service())), ("instance", instance)] {
        if let Some(value) = value {
            alertmanager = alertmanager.label(label, value);
        }
    }
    Ok(alertmanager)
}

#[cfg(feature = "alerts-email")]
fn email(keys: &Keys<'_>) -> Result<crate::alert::Email, Problems> {
    use crate::alert::{Email, EmailTls};

    const SERVER: &str = "alerts.notification.email.smtp_server";
    const RECIPIENTS: &str = "alerts.notification.email.recipients";
    let mut wrong = Wrong::default();
    let server = wrong.take(keys.needed(SERVER));
    let password = wrong.take(secret(keys, "alerts.notification.email.password"));
    let (server, password) = wrong.or(server.zip(password))?;
    let recipients = keys.list(RECIPIENTS);
    let mut email = Email::new(&server, keys.service());
    if let Some(tls) = keys.text("alerts.notification.email.tls") {
        email = email.tls(match &*tls {
            "tls" => EmailTls::Wrapped,
            "none" => EmailTls::None,
            _ => EmailTls::StartTls,
        });
    }
    if let Some(sender) = keys.text("alerts.notification.email.sender") {
        email = email.sender(sender);
    }
    if let Some(path) = keys.text("alerts.notification.email.certificate") {
        email = email.certificate(path);
    }
    if let Some(name) = keys.text("alerts.notification.email.username") {
        email = email.login(name, password.unwrap_or_default());
    }
    let email = recipients.iter().fold(email, |email, recipient| email.recipient(recipient));
    email
        .check()
        .map_err(|error| keys.problem(if recipients.is_empty() { RECIPIENTS } else { SERVER }, &error))?;
    Ok(email)
}
